"""What part of the memory of real programs has no owner by name: the category "other native memory", without its names.

A Dask worker, a FastAPI service under load, a job with numpy and pandas, and a service with Arrow and SQLite are
started for real, worked until their memory stands still, and divided. A table of all categories is printed, and below
each program what its native memory is. Packages are installed when first asked for; what does not install is said.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyobserver.outside import MemoryProbe, MemoryReading
from tests.support.interpreters import Interpreter, interpreters
from tests.support.packages import with_packages
from tests.support.targets import RunningTarget, launch

MOST_UNNAMED = 0.10  # of the resident memory
REQUESTS, CONNECTIONS = 3000, 4
STEADY_SECONDS, STEADY_SHARE, LONGEST = 3.0, 0.01, 60.0
SHOWN = 1_000_000  # bytes of native memory that are worth a line


@dataclass(frozen=True)
class Program:
    """A target, what it needs, and how it is worked; `warm` returns the process to look at."""

    title: str
    target: str
    packages: tuple[str, ...]
    warm: Callable[[RunningTarget], int]


def dask(target: RunningTarget) -> int:
    """Sixty tables, twenty arrays that stay."""
    target.ask("work 60", within=300)
    return int(target.ask("worker")["pid"])


def service(target: RunningTarget) -> int:
    """Requests over some connections, as clients have them."""
    port = target.ask("port")["port"]
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(CONNECTIONS)]
    body = json.dumps({"name": "n" * 50, "tags": ["a", "b"]})
    for number in range(REQUESTS):
        client = clients[number % CONNECTIONS]
        for method, content in (("POST", body), ("GET", None)):
            client.request(method, f"/items/{number}", content, {"Content-Type": "application/json"})
            assert client.getresponse().read()
    return target.pid


def works(command: str) -> Callable[[RunningTarget], int]:
    """Has the target do something."""

    def warm(target: RunningTarget) -> int:
        target.ask(command, within=300)
        return target.pid

    return warm


PROGRAMS = (
    Program("Dask worker", "dask_worker", ("numpy", "pandas", "distributed"), dask),
    Program("FastAPI service", "web_service", ("fastapi", "uvicorn"), service),
    Program("numpy and pandas", "table_job", ("numpy", "pandas"), works("work 3")),
    Program("Arrow and SQLite", "table_service", ("pyarrow",), works("work 10")),
)


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wait_until_steady(pid: int) -> None:
    """Return when the resident memory has stayed within a per cent for some seconds, or after a minute."""
    deadline = time.monotonic() + LONGEST
    begun, before = time.monotonic(), resident(pid)
    while time.monotonic() < min(deadline, begun + STEADY_SECONDS):
        time.sleep(0.25)
        if abs(resident(pid) - before) > STEADY_SHARE * before:
            begun, before = time.monotonic(), resident(pid)


@contextmanager
def warm(program: Program, interpreter: Interpreter) -> Iterator[int]:
    """The process of a program that has worked, and stands still."""
    able = with_packages(interpreter, *program.packages)
    with launch(able, program.target, within=120) as target:
        pid = program.warm(target)
        wait_until_steady(pid)
        yield pid


def divided(pid: int) -> MemoryReading:
    with MemoryProbe(pid) as probe:
        return probe.read()


def line(title: str, reading: MemoryReading) -> str:
    """One line of the table, in MB."""
    sizes = [each.bytes for each in reading.categories]
    cells = "".join(f"{'n/a' if size is None else f'{size / 1e6:.1f}':>8}" for size in [reading.rss, *sizes])
    return f"  {title:18}{cells}{100 * unnamed(reading):8.1f} %"


def unnamed(reading: MemoryReading) -> float:
    """The part of the resident memory that nothing tells the owner of."""
    assert reading.unnamed is not None
    return reading.unnamed / reading.rss


def measure(interpreter: Interpreter) -> bool:
    """All programs on one interpreter; whether little enough has no name."""
    heads = ("RSS", "py live", "py free", "C live", "C free", "large", "native", "stacks", "files", "shared")
    print(f"Python {interpreter}, MB; native memory is told by name, `other` is the part of RSS that is not")
    print(f"  {'':18}{''.join(f'{head:>8}' for head in heads)}{'other':>8}")
    good = True
    for program in PROGRAMS:
        try:
            with warm(program, interpreter) as pid:
                reading = divided(pid)
        except pytest.skip.Exception as skipped:
            print(f"  {program.title:18}not measured: {skipped}")
            continue
        print(line(program.title, reading))
        for each in reading.holdings:
            if each.allocator == "native_other" and (each.resident or 0) >= SHOWN:
                print(f"  {'':18}  {(each.resident or 0) / 1e6:.1f} MB: {each.label or 'smaller ones'}")
        for name, why in reading.unavailable.items():
            print(f"  {'':18}  {name}: {why}")
        good = good and unnamed(reading) <= MOST_UNNAMED and not reading.unavailable
    return good


def main() -> int:
    """0 when of no program more than a tenth is without an owner."""
    return 0 if measure(interpreters()[-1]) else 1
