"""Finds the socket of the agent in a process, seen from here whatever namespaces the process lives in."""

from __future__ import annotations

import os
import stat

BASES = ("tmp", "var/tmp", "dev/shm", "run/user/{uid}")  # as the agent tries them, `agent/boot.py`


def find_agent(pid: int) -> str | None:
    """Return the path of the agent's socket in process `pid`, None when there is none.

    Only a socket is accepted that nobody but the target's user or root could have put there, and whose name has the
    time at which this very process began. Whether somebody listens is told by connecting.
    """
    try:
        inner, uids, began = _identity(pid)
    except (OSError, ValueError, IndexError):
        return None
    for base in BASES:
        for uid in sorted(_uids_inside(pid, uids)):
            folder = f"/proc/{pid}/root/{base.format(uid=uid)}/pyobserver-{uid}"
            for ticks in (began, "0"):  # 0: it could not read its own /proc
                path = f"{folder}/{inner}-{ticks}.sock"
                if _is_trusted(folder, path, uids):
                    return path
    return None


def _identity(pid: int) -> tuple[int, set[int], str]:
    """The number by which the process knows itself, its real and effective uid as seen here, and its start."""
    inner, uids = pid, set()
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("NSpid:"):
                inner = int(line.split()[-1])
            elif line.startswith("Uid:"):
                uids = {int(line.split()[2])}
    with open(f"/proc/{pid}/stat", "rb") as binary:
        fields = binary.read().rpartition(b")")[2].split()
    return inner, uids, fields[19].decode("ascii")


def _uids_inside(pid: int, uids: set[int]) -> set[int]:
    """These users as the process itself numbers them, in its user namespace; and as seen here."""
    found = set(uids)
    try:
        with open(f"/proc/{pid}/uid_map", encoding="ascii") as file:
            for line in file:
                inside, outside, count = (int(word) for word in line.split())
                found |= {inside + uid - outside for uid in uids if outside <= uid < outside + count}
    except (OSError, ValueError):
        pass
    return found


def _is_trusted(folder: str, path: str, uids: set[int]) -> bool:
    """Whether the folder is closed to others, and both belong to the target's user (or root)."""
    owners = uids | {0}
    try:
        above, socket = os.lstat(folder), os.lstat(path)
    except OSError:
        return False
    return (
        stat.S_ISDIR(above.st_mode)
        and above.st_uid in owners
        and not above.st_mode & 0o077
        and stat.S_ISSOCK(socket.st_mode)
        and socket.st_uid in owners
    )
