"""Which Python a process runs, told from the files that it has mapped."""

from __future__ import annotations

import functools
import mmap
import os
import re
import stat
from dataclasses import dataclass

_PYTHON = re.compile(r"(?:^|/)python(?:(\d)(?:\.(\d+))?)?(t?)(?:d|-dbg)?(?: \(deleted\))?$", re.IGNORECASE)
_PYPY = re.compile(r"(?:^|/)(?:lib)?pypy[\d.]*(?:-c)?(?:\.so[\d.]*)?(?: \(deleted\))?$")
_LIBRARY = re.compile(r"/libpython(\d)\.(\d+)(t?)[a-z]*\.so[\d.]*(?: \(deleted\))?$")
_EXTENSION = re.compile(r"\.cpython-(\d)(\d+)(t?)[a-z]*-[^/]*$")
_REST = re.compile(rb"(\d{1,3}(?:(?:a|b|rc)\d+)?\+?)\0")  # what follows "3.11." in PY_VERSION
_DIGITS = tuple(b"%c" % digit for digit in b"0123456789.")
_STDLIB = re.compile(r"/python(\d)\.(\d+)(t?)/")


@dataclass(frozen=True)
class Interpreter:
    """What is known about the interpreter of a process."""

    implementation: str  # "cpython" or "pypy"
    version: str | None  # "3.11.7", "3.11" where only that is known, None where nothing is
    free_threaded: bool = False


@dataclass(frozen=True)
class MappedFile:
    """A file that a process has mapped: its name as /proc/PID/maps has it, device ("08:01") and inode."""

    name: str
    device: str
    inode: int


def mapped_files(maps: str) -> list[MappedFile]:
    """The files in the text of /proc/PID/maps, each once, in order of address."""
    found: dict[str, MappedFile] = {}
    for line in maps.split("\n"):  # all else that ends lines elsewhere may stand in a name
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[5].startswith("/") and fields[4].isdecimal() and fields[5] not in found:
            found[fields[5]] = MappedFile(fields[5], fields[3], int(fields[4]))
    return list(found.values())


def named_python(name: str) -> Interpreter | None:
    """What the name of an executable tells, or None when it does not name a Python."""
    if _PYPY.search(name):
        return Interpreter("pypy", None)
    match = _PYTHON.search(name)
    if not match:
        return None
    version = f"{match[1]}.{match[2]}" if match[2] else None
    return Interpreter("cpython", version, bool(match[3]))


def identify(pid: int, executable: str, maps: str) -> Interpreter | None:
    """The interpreter that process `pid` runs, from its executable and the text of its /proc/PID/maps.

    Returns None when it does not run Python. The full version is read from the binary, once per file.
    """
    files = mapped_files(maps)
    for file in files:
        if match := _LIBRARY.search(file.name):
            minor = (int(match[1]), int(match[2]))
            return Interpreter("cpython", _version(pid, file, minor), bool(match[3]))
        if _PYPY.search(file.name):
            return Interpreter("pypy", None)
    named = named_python(executable)
    if named is None or named.implementation != "cpython":
        return named
    binary = next((file for file in files if file.name == executable), None)
    return _refined(pid, named, binary, files)


def _refined(pid: int, named: Interpreter, binary: MappedFile | None, files: list[MappedFile]) -> Interpreter:
    version, free_threaded = named.version, named.free_threaded
    for file in files if version is None else ():
        if match := _EXTENSION.search(file.name) or _STDLIB.search(file.name):
            version, free_threaded = f"{match[1]}.{match[2]}", bool(match[3])
            break
    if version is None or binary is None:
        return Interpreter("cpython", version, free_threaded)
    major, _, minor = version.partition(".")
    return Interpreter("cpython", _version(pid, binary, (int(major), int(minor))), free_threaded)


def _version(pid: int, file: MappedFile, minor: tuple[int, int]) -> str:
    """The full version in `file`, or only major and minor when the file cannot be read or does not tell."""
    fallback = f"{minor[0]}.{minor[1]}"
    for name in (file.name, f"/proc/{pid}/root{file.name}", f"/proc/{pid}/exe"):
        try:
            status = os.stat(name)
            if status.st_ino == file.inode and stat.S_ISREG(status.st_mode):
                return _version_in(name, status.st_dev, status.st_ino, status.st_mtime_ns, minor) or fallback
        except (OSError, ValueError):  # ValueError: emptied after it was mapped
            continue
    return fallback


@functools.lru_cache(maxsize=64)
def _version_in(name: str, device: int, inode: int, mtime: int, minor: tuple[int, int]) -> str | None:
    """The text of PY_VERSION in a binary; device, inode and time of change make a later file another question."""
    prefix = b"%d.%d." % minor
    found = set()
    with open(name, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(prefix)
        while at >= 0:
            match = _REST.match(content[at + len(prefix) : at + len(prefix) + 16])
            if match and content[at - 1 : at] not in _DIGITS:
                found.add(prefix + match[1])
            at = content.find(prefix, at + 1)
    return found.pop().decode("ascii") if len(found) == 1 else None
