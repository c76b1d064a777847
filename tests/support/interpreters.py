"""The Python interpreters of this machine that can serve as targets.

A test never names an interpreter by path: it asks for all of them, or for one per minor version, and what is
missing is skipped by name. Looked at, in this order: `~/.pyenv/versions`, `PATH`, and for each folder in the
environment variable `PYOBSERVER_CHROOTS` (colon separated) the interpreters inside it, which run through `chroot`.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MINORS = tuple((3, minor) for minor in range(8, 16))


@dataclass(frozen=True)
class Interpreter:
    """One interpreter: how to start it, and the root that its file names are relative to."""

    version: tuple[int, int, int]
    command: tuple[str, ...]
    root: Path

    @property
    def minor(self) -> tuple[int, int]:
        return self.version[:2]

    def __str__(self) -> str:
        where = "" if self.root == Path("/") else " in a chroot"
        return ".".join(map(str, self.version)) + where

    def inside(self, path: Path) -> str:
        """The name that a process of this interpreter knows `path` by; `path` must lie under its root."""
        return "/" + str(path.resolve().relative_to(self.root))

    def scratch(self, name: str) -> Path:
        """A new folder that both this process and the interpreter can see."""
        import tempfile

        base = self.root / "tmp"
        return Path(tempfile.mkdtemp(prefix=f"pyobserver-test-{name}-", dir=base))


def _version(command: tuple[str, ...]) -> tuple[int, int, int] | None:
    try:
        out = subprocess.run(
            [*command, "-c", "import sys; print(*sys.version_info[:3], sys.implementation.name)"],
            capture_output=True,
            text=True,
            timeout=20,
        ).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return (int(out[0]), int(out[1]), int(out[2])) if len(out) == 4 and out[3] == "cpython" else None


def _candidates() -> list[tuple[tuple[str, ...], Path]]:
    found: list[tuple[tuple[str, ...], Path]] = []
    for folder in sorted(Path.home().glob(".pyenv/versions/3.*")):
        found.append(((str(folder / "bin" / "python"),), Path("/")))
    for _, minor in MINORS:
        path = shutil.which(f"python3.{minor}")
        if path and ".pyenv/shims" not in path:
            found.append(((path,), Path("/")))
    found.append(((sys._base_executable,), Path("/")))  # type: ignore[attr-defined]
    for text in filter(None, os.environ.get("PYOBSERVER_CHROOTS", "").split(":")):
        root = Path(text).resolve()
        for path in sorted(root.glob("usr/bin/python3.*")):
            if re.fullmatch(r"python3\.\d+", path.name) and os.geteuid() == 0:
                found.append((("chroot", str(root), "/usr/bin/" + path.name), root))
    return found


@functools.cache
def interpreters() -> tuple[Interpreter, ...]:
    """All usable CPython interpreters from 3.8 on, oldest first, one per minor version."""
    best: dict[tuple[int, int], Interpreter] = {}
    for command, root in _candidates():
        version = _version(command)
        if version and version[:2] in MINORS and version[:2] not in best:
            best[version[:2]] = Interpreter(version, command, root)
    return tuple(best[minor] for minor in sorted(best))


def missing() -> list[str]:
    """The minor versions that no interpreter was found for, as text."""
    have = {i.minor for i in interpreters()}
    return [f"{a}.{b}" for a, b in MINORS if (a, b) not in have]
