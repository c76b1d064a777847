"""Attaches to one process in several ways in turns, and has the process itself tell what it felt each time."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyobserver.attach import AttachError
from pyobserver.source.errors import ClientError
from tests.support.interpreters import Interpreter
from tests.support.targets import RunningTarget, TargetError, launch

from .ways import Answer, NoAnswer, Way

ROUNDS = 4
WINDOW = 0.5  # seconds that the target looks at its gaps at least; longer where the attempt is
ALONE = 1.0  # seconds without an attempt: about as long as a usual attempt, as more noise comes in more time
AFTERWARDS = 0.05  # seconds for the target to note the gap in which the attempt has ended


def _nothing(target: RunningTarget) -> Answer:
    time.sleep(ALONE)
    return Answer(0.0)


CONTROL = Way("nobody attaches", "control", True, _nothing)


@dataclass
class Record:
    """What became of the attempts in one way."""

    answers: list[Answer] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    """The largest gap inside the target during each attempt, in seconds."""
    long: list[float] = field(default_factory=list)
    """Gaps above 5 ms, per second of each attempt."""
    failures: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """What became of the targets that were not as before."""

    @property
    def is_clean(self) -> bool:
        return not self.failures and not self.lost


def compare(interpreter: Interpreter, arguments: Sequence[object], ways: Sequence[Way]) -> dict[Way, Record]:
    """All ways in turns, `ROUNDS` times, and the target left alone as one of them; a lost target is replaced."""
    turns = [CONTROL, *ways]
    records = {way: Record() for way in turns}
    waiting = deque(way for number in range(ROUNDS) for way in (reversed(turns) if number % 2 else turns))
    while waiting:
        with launch(interpreter, "spinner", *arguments) as target:
            done = []
            try:
                while waiting:
                    done.append(waiting.popleft())
                    _attempt(done[-1], target, records[done[-1]])
                status, complaint = target.stop()
                if status:
                    raise TargetError(f"at its end, after all ways: status {status} {complaint.strip()[-200:]}")
            except TargetError as error:
                records[done[-1]].lost.append(str(error).replace("\n", " ")[:200])
    return records


def _attempt(way: Way, target: RunningTarget, record: Record) -> None:
    """Adds one attempt to the record. Raises TargetError when the target does not answer any more."""
    target.ask("reset")
    begun = time.monotonic()
    try:
        answer = way.attempt(target)
        time.sleep(max(AFTERWARDS, WINDOW - (time.monotonic() - begun)))
        felt = target.ask("gaps")
        record.answers.append(answer)
        record.gaps.append(felt["largest_ms"] / 1000)
        record.long.append(felt["long"] / felt["seconds"])
        way.leave(target)
    except (AttachError, ClientError, AssertionError, NoAnswer) as error:
        record.failures.append(str(error).replace("\n", " ")[:200])
    if _is_stopped(target.pid):
        record.lost.append("left stopped; SIGCONT was sent")
        os.kill(target.pid, signal.SIGCONT)
    if not target.ask("truth")["ok"]:
        raise TargetError("it did not find in its blocks what it had written")


def _is_stopped(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    return False


def spread(seconds: Sequence[float]) -> str:
    """Median, least and most, in ms."""
    if not seconds:
        return "-"
    least, middle, most = (1000 * value for value in (min(seconds), statistics.median(seconds), max(seconds)))
    digits = 0 if most >= 100 else 2
    return f"{middle:.{digits}f} ({least:.{digits}f} - {most:.{digits}f})"


def report(records: dict[Way, Record]) -> None:
    """A line for each way, then how many times more those of others take of each kind."""
    print(f"    {'ms: median (least - most)':30}{'first answer':>24}{'thread held':>24}{'largest gap':>24}", end="")
    print(f"{'gaps > 5 ms':>13}  answered  lost")
    for way, record in records.items():
        answers = "" if way is CONTROL else spread([answer.seconds for answer in record.answers])
        held = spread([answer.held for answer in record.answers if answer.held is not None])
        long = f"{statistics.median(record.long):.1f}/s" if record.long else "-"
        tries = len(record.answers) + len(record.failures)
        print(f"    {way.title:30}{answers:>24}{held:>24}{spread(record.gaps):>24}{long:>13}", end="")
        print(f"{len(record.answers):>6}/{tries}{len(record.lost):>6}")
        for text in dict.fromkeys(record.failures + record.lost):
            print(f"        {text}")
    for kind in ("call", "command"):
        for mine in (way for way in records if way.kind == kind and way.ours):
            for theirs in (way for way in records if way.kind == kind and not way.ours):
                _print_ratio(theirs, mine, records)


def _print_ratio(theirs: Way, mine: Way, records: dict[Way, Record]) -> None:
    a, b = records[theirs], records[mine]
    if a.answers and b.answers:
        time_ratio = statistics.median(x.seconds for x in a.answers) / statistics.median(x.seconds for x in b.answers)
        gap_ratio = statistics.median(a.gaps) / max(1e-4, statistics.median(b.gaps))
        print(f"    {theirs.title} / {mine.title}: x{time_ratio:.1f} of the time, x{gap_ratio:.1f} of the largest gap")
