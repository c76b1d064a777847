"""The kernel's list of sockets holds names that anybody on the machine has given."""

from __future__ import annotations

import os
import socket

from hypothesis import given

from pyobserver.attach.procfs import start_ticks
from pyobserver.source.find import find_agent, is_listed

from ..support.damage import damaged, names

_SOCKETS = (
    b"Num       RefCount Protocol Flags    Type St Inode Path\n"
    b"0000000000000000: 00000002 00000000 00010000 0001 01 12345 /tmp/pyobserver-0/77-1234.sock\n"
    b"0000000000000000: 00000003 00000000 00000000 0001 03 12346\n"
)


@given(damaged([_SOCKETS]), names(100))
def test_sockets_of_any_name(raw: bytes, name: bytes) -> None:
    """Whoever is on the machine may give a name with line feeds to a socket of theirs."""
    assert is_listed(raw, "77-1234.sock") in (True, False)
    above = _SOCKETS.replace(b"12346", b"12346 @" + name + b"\n/77-1234.sock\n" + name)
    assert is_listed(above, "77-1234.sock")
    assert not is_listed(b"\n/78-1234.sock\n" + name + b"/78-1234.sock\n", "78-1234.sock")


def test_a_foreign_socket_that_is_named_like_a_line() -> None:
    """It neither passes for an agent nor keeps us from looking."""
    name = f"/{os.getpid()}-{start_ticks(os.getpid())}.sock"
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(f"\0x\n{name}")
        assert find_agent(os.getpid()) is None
        with open("/proc/self/net/unix", "rb") as file:
            assert not is_listed(file.read(), name[1:])
