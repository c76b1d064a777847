"""Commands of pyobserver as a user gives them: in a terminal, as another user, and what a refusal must look like."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence

from pyobserver.source.find import find_agent

from .story import until

SECONDS = 60.0
NOBODY = 65534
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?<>=]*[a-zA-Z]|[()][A-Z0-9]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>78])")


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The line by which a command says that it cannot be done. Raises AssertionError if there is anything else."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stdout == "", done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("pyobserver: ") and lines[0].isprintable(), lines
    assert "Traceback" not in lines[0] and "internal error" not in lines[0], lines
    return lines[0].removeprefix("pyobserver: ")


def without_rights(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who may do nothing. Its modules are loaded before, as he may not even read those."""
    code = (
        "import os, sys\n"
        "import pyobserver.cli, pyobserver.arguments, pyobserver.export.listing, pyobserver.source.live\n"
        "from pyobserver.commands import watching, reading, recordings\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "sys.exit(pyobserver.cli.main(sys.argv[1:]))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def agent_leaves(pid: int) -> bool:
    """Whether there is no agent in the process any more, after the seconds that one stays without an observer."""
    return until(lambda: find_agent(pid) is None, 60.0)


class Terminal:
    """A terminal, and a command of pyobserver in it."""

    def __init__(self, file: int, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self._file = file
        self._process = process
        self._output = b""

    @property
    def text(self) -> str:
        """All that was written so far, without what moves and colours it."""
        return _ESCAPES.sub("", self._output.decode("utf-8", "replace")).replace("\r", "")

    @property
    def is_restored(self) -> bool:
        """Whether the screen that was there before is there again, and keys are lines again."""
        entered, left = (self._output.count(b"\x1b[?1049" + end) for end in (b"h", b"l"))
        return entered == left and bool(termios.tcgetattr(self._file)[3] & termios.ICANON)

    def read_until(self, part: str) -> None:
        """Take in what is written until `part` is in it."""
        deadline = time.monotonic() + SECONDS
        while part not in self.text:
            assert time.monotonic() < deadline, f"{part!r} did not come: {self.text[-2000:]!r}"
            assert self._read(0.5), f"it ended before {part!r}: {self.text[-2000:]!r}"

    def press(self, keys: str) -> None:
        """Type on the keyboard."""
        os.write(self._file, keys.encode())

    def status(self) -> int:
        """The exit status, when it has ended."""
        deadline = time.monotonic() + SECONDS
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {self.text[-2000:]!r}"
            self._read(0.05)
        while self._read(0.0, more=True):
            pass
        return self._process.returncode

    def _read(self, seconds: float, more: bool = False) -> bool:
        """Read what there is; False at the end, and with `more` also when nothing is left."""
        if not select.select([self._file], [], [], seconds)[0]:
            return not more
        try:
            block = os.read(self._file, 1 << 16)
        except OSError:
            return False
        self._output += block
        return bool(block)


@contextlib.contextmanager
def terminal(*words: object, cwd: str | None = None, columns: int = 120) -> Iterator[Terminal]:
    """Runs a command in a terminal of its own, where Ctrl-C is what it is for a user."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        _in_terminal([sys.executable, "-m", "pyobserver", *map(str, words)]),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**kept, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(theirs)
        os.close(ours)


def _in_terminal(command: Sequence[str]) -> list[str]:
    """The command, after the terminal on its standard input has become the one that sends it signals."""
    code = "import fcntl, os, sys, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\nos.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-S", "-c", code, *command]
