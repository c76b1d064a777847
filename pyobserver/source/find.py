"""Finds the socket of the agent in a process, seen from here whatever namespaces the process lives in."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence

from ..attach.errors import AttachError
from ..attach.procfs import start_ticks, status
from .connection import uids

BASES = ("/tmp", "/var/tmp", "/dev/shm", "/run/user/{uid}")  # in the agent's order, see `agent/boot.py`
_NOBODY = 65534  # the uid by which a process knows itself that its user namespace has no number for
_MOST_LINKS = 16
_HEXADECIMAL = re.compile(rb"[0-9A-F]{8}")
_ACCEPTS = 1 << 16  # __SO_ACCEPTCON, Linux include/linux/net.h


def find_agent(pid: int) -> str | None:
    """Return the path of the agent's socket in process `pid`, or None when there is none that anybody listens at.

    A socket counts when nobody but the target's user or root could have put it there, and when its name has the time at
    which this very process began. What an agent left behind, of another process or before an exec, is passed over.
    """
    try:
        owners = {0, *uids(pid)}
        inside = int(status(pid).get("NSpid", str(pid)).split()[-1])
        names = [f"{inside}-{ticks}.sock" for ticks in (start_ticks(pid), 0)]  # 0: it could not read its own /proc
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (AttachError, OSError, ValueError):
        return None
    try:
        for folder in _folders(root, _uids_inside(pid, sorted(owners)), owners):
            for name in names:
                path = f"/proc/{pid}/root{folder}/{name}"
                if _is_socket(root, f"{folder}/{name}", owners) and _is_heard(pid, name):
                    return path
    finally:
        os.close(root)
    return None


def agent_seconds(pid: int) -> float | None:
    """Return for how long the agent has been in process `pid`, by the file of its socket; None where none is there."""
    path = find_agent(pid)
    try:
        return None if path is None else max(0.0, time.time() - os.stat(path, follow_symlinks=False).st_mtime)
    except OSError:
        return None


def agent_folders(pid: int) -> list[str]:
    """Return the folders in which an agent in process `pid` would have its socket, those that are there and safe."""
    try:
        owners = {0, *uids(pid)}
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (AttachError, OSError):
        return []
    try:
        numbers = _uids_inside(pid, sorted(owners))
        return [f"/proc/{pid}/root{folder}" for folder in _folders(root, numbers, owners)]
    finally:
        os.close(root)


def _uids_inside(pid: int, outside: Sequence[int]) -> list[int]:
    """These users as the process itself may number them: by its user namespace, or as they are seen here.

    The lines of uid_map are (first inside, first outside, count), outside being the namespace of whoever reads; if that
    is the same one, the one above it (user_namespaces(7)), and the first part of what is returned fits nothing.
    """
    ranges = []
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/uid_map", encoding="ascii") as file:
        for line in file:
            inner, outer, count = (int(word) for word in line.split())
            ranges.append((inner, outer, count))
    mapped = [inner + uid - outer for uid in outside for inner, outer, count in ranges if 0 <= uid - outer < count]
    return list(dict.fromkeys([*mapped, *outside, _NOBODY]))


def _folders(root: int, numbers: Sequence[int], owners: set[int]) -> Iterator[str]:
    """Yield the agents' folders below the target's root that are closed to others."""
    seen = set()
    for base in BASES:
        for uid in numbers:
            above = _resolved(root, base.format(uid=uid))
            folder = f"{above}/pyobserver-{uid}"
            if above is None or folder in seen:
                continue
            seen.add(folder)
            found = _lstat(root, folder)
            if found and stat.S_ISDIR(found.st_mode) and found.st_uid in owners and not found.st_mode & 0o077:
                yield folder


def _resolved(root: int, path: str) -> str | None:
    """Follow symbolic links as the target does, within its root; None when the path leads to no folder."""
    pending = path.split("/")[::-1]
    done: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        try:
            goal = os.readlink("/".join([*done, part]), dir_fd=root)
        except OSError:  # no link, or not there at all, which is found at the end
            done.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        if goal.startswith("/"):
            done.clear()
        pending.extend(goal.split("/")[::-1])
    found = "/" + "/".join(done)
    status = _lstat(root, found)
    return found if status is not None and stat.S_ISDIR(status.st_mode) else None


def _lstat(root: int, path: str) -> os.stat_result | None:
    try:
        return os.stat(path.lstrip("/") or ".", dir_fd=root, follow_symlinks=False)
    except OSError:
        return None


def _is_socket(root: int, path: str, owners: set[int]) -> bool:
    found = _lstat(root, path)
    if found is None or not stat.S_ISSOCK(found.st_mode):
        return False
    return found.st_uid in owners and not found.st_mode & 0o177


def _is_heard(pid: int, name: str) -> bool:
    """Whether anybody listens at a socket of this name, as far as the kernel tells without being connected to.

    A line of /proc/PID/net/unix has the flags in its fourth field, and ends in the path as it was bound. A file that
    was left behind by a socket is not in there (Linux net/unix/af_unix.c, unix_seq_show).
    """
    try:
        with open(f"/proc/{pid}/net/unix", "rb") as file:
            return is_listed(file.read(), name)
    except OSError:
        return True  # who connects will find out


def is_listed(raw: bytes, name: str) -> bool:
    """Whether the text of /proc/PID/net/unix has a socket that is listened at and is called so.

    The name of an abstract socket may hold anything, line feeds as well: what looks like no line is a part of one.
    """
    ending = b"/" + name.encode("ascii")
    flags = (line.split(None, 4)[3:4] for line in raw.split(b"\n") if line.endswith(ending))
    return any(_HEXADECIMAL.fullmatch(word) and int(word, 16) & _ACCEPTS for words in flags for word in words)
