"""The folder in the target's own file system that a request by PEP 768 needs: the script, and room for its answer.

Everything goes through open directories below /proc/PID/root and follows no symbolic link: a link in there would lead
into our file system, not into the target's. What is opened stays reachable when the target has ended.
"""

from __future__ import annotations

import os
import random
import stat
from dataclasses import dataclass

from .procfs import status
from .wrapping import ANSWER_SIZE, in_file

CANDIDATES = ("/tmp", "/var/tmp", "/dev/shm")
_PREFIX = "pyobserver-"
_SCRIPT, _ANSWER, _PART = "script.py", "answer", "answer.part"  # as `wrapping.in_file` knows them
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NoFolder(Exception):
    """There is no place that takes the files; the text says what each one lacks."""


@dataclass(frozen=True)
class Owner:
    """Whom the target acts as when it opens files."""

    uid: int
    gid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, pid: int) -> Owner:
        fields = status(pid)
        groups = frozenset(map(int, fields.get("Groups", "").split()))
        return cls(int(fields["Uid"].split()[3]), int(fields["Gid"].split()[3]), groups)

    def may_enter(self, folder: os.stat_result) -> bool:
        """Whether the owner may look up a name in the folder, as far as its mode tells."""
        if self.uid == 0:
            return True
        if folder.st_uid == self.uid:
            return bool(folder.st_mode & stat.S_IXUSR)
        if folder.st_gid == self.gid or folder.st_gid in self.groups:
            return bool(folder.st_mode & stat.S_IXGRP)
        return bool(folder.st_mode & stat.S_IXOTH)


class ScriptFolder:
    """One fresh folder, mode 0700, of the target's user. The script in it is locked as long as we live."""

    def __init__(self, pid: int, source: str, longest: int) -> None:
        owner = Owner.of(pid)
        failures = []
        for base in (*CANDIDATES, f"/run/user/{owner.uid}"):
            self._name = f"{_PREFIX}{random.getrandbits(64):016x}"
            self._path = f"{base}/{self._name}"
            if len(self.script) >= longest:
                failures.append(f"{base}: too long a name")
                continue
            try:
                self._parent = _walk(pid, base, owner)
            except OSError as error:
                failures.append(f"{base}: {error.strerror}")
                continue
            try:
                self._make(source, owner)
                return
            except OSError as error:
                os.close(self._parent)
                failures.append(f"{base}: {error.strerror}")
        raise NoFolder(", ".join(failures))

    @property
    def script(self) -> str:
        """The name that the target knows the script by."""
        return f"{self._path}/{_SCRIPT}"

    def _make(self, source: str, owner: Owner) -> None:
        os.mkdir(self._name, 0o700, dir_fd=self._parent)
        opened: list[int] = []
        try:
            self._folder = os.open(self._name, _FOLDER, dir_fd=self._parent)
            opened.append(self._folder)
            self._locked = os.open(_SCRIPT, _NEW, 0o600, dir_fd=self._folder)
            opened.append(self._locked)
            part = os.open(_PART, _NEW, 0o600, dir_fd=self._folder)
            opened.append(part)
            for file, content in ((self._locked, in_file(source, self._path)), (part, bytes(ANSWER_SIZE))):
                _write(file, content)
            os.lockf(self._locked, os.F_TLOCK, 0)
            for file in (self._locked, part, self._folder):
                os.fchown(file, owner.uid, owner.gid)
            os.close(opened.pop())
        except BaseException:
            for file in opened[1:]:
                os.close(file)
            _remove(self._parent, self._name)
            if opened:
                os.close(opened[0])
            raise

    def answer(self) -> bytes | None:
        """What the script left, or None as long as it has not come to its end."""
        try:
            file = os.open(_ANSWER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder)
        except OSError:
            return None
        try:
            return os.read(file, ANSWER_SIZE)
        finally:
            os.close(file)

    def has_begun(self) -> bool:
        """Whether the interpreter has begun to run the script."""
        try:
            file = os.open(_PART, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder)
        except OSError:
            return True  # it is at its end already: the file has been renamed
        try:
            return os.read(file, 1) != b"\0"
        finally:
            os.close(file)

    def remove(self) -> None:
        """Remove everything again; also when the target has ended, or has removed it."""
        _remove(self._parent, self._name)
        for file in (self._locked, self._folder, self._parent):
            os.close(file)


def remove_abandoned(pid: int, script: str) -> bool:
    """Remove the folder of an observer that has died; False when `script` is not of ours, or its observer lives."""
    path, _, name = script.rpartition("/")
    base, _, folder = path.rpartition("/")
    if name != _SCRIPT or not folder.startswith(_PREFIX):
        return False
    try:
        parent = _walk(pid, base, Owner.of(pid))
    except OSError:
        return True
    try:
        if not _is_locked(parent, folder):
            _remove(parent, folder)
            return True
        return False
    finally:
        os.close(parent)


def _is_locked(parent: int, folder: str) -> bool:
    try:
        opened = os.open(folder, _FOLDER, dir_fd=parent)
    except OSError:
        return False
    try:
        file = os.open(_SCRIPT, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=opened)
    except OSError:
        return False
    finally:
        os.close(opened)
    try:
        os.lockf(file, os.F_TEST, 0)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _walk(pid: int, path: str, owner: Owner) -> int:
    """Open a folder of the target. Raises OSError also where its user could not reach what is in there."""
    current = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in filter(None, path.split("/")):
        try:
            inner = os.open(name, _FOLDER, dir_fd=current)
        finally:
            os.close(current)
        current = inner
        if not owner.may_enter(os.fstat(current)):
            os.close(current)
            raise PermissionError(0, "its user may not enter")
    return current


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def _remove(parent: int, name: str) -> None:
    """Remove the folder `name` and our files in it, as far as it goes."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=parent)
    except OSError:
        return
    for each in (_SCRIPT, _ANSWER, _PART):
        try:
            os.unlink(each, dir_fd=folder)
        except OSError:
            pass
    os.close(folder)
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:
        pass
