"""What an attach costs: how long it takes, and how long a thread of the target stands still for it.

Prints, for each interpreter and each way into it, the median and the longest of several attaches, each to a process of
its own that nobody has attached to before; then the gaps that a busy loop notices while others attach to it. At last
the same beside the ways of others: gdb as memray uses it, and py-spy, which only looks.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pyobserver.attach import Injection, inject
from tests.support.interpreters import Interpreter, interpreters
from tests.support.targets import launch

from . import memray_way
from .side_by_side import ROUNDS, compare, report
from .ways import ours, py_spy

PROCESSES = 5  # of each kind
TASKS = 1000  # parked in the idle target
TICKER_ATTACHES = 10  # to the same busy loop
LONGEST_HOLD = 0.02  # seconds; a thousandth is usual, a busy machine adds to it
BY_REQUEST = (3, 14)  # the first version that takes requests, by PEP 768
SCRIPT = "import sys"
SHARED_CASES: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("idle: an event loop, and a clock that is read every half millisecond", ("--pause", 0.0005)),
    ("busy: 8 threads that allocate, and one that spins reading the clock", ("--churning", 8)),
)


@dataclass(frozen=True)
class Case:
    """A kind of target, by the name and the arguments that `launch` takes."""

    title: str
    name: str
    arguments: tuple[object, ...] = ()


CASES = (
    Case("idle event loop", "parked", ("--tasks", TASKS)),
    Case("threads", "threads"),
    Case("busy event loop", "ticker", ("--tasks", TASKS, "--busy", 0.3)),
)


def ways(interpreter: Interpreter) -> Iterator[str]:
    """The ways that lead into an interpreter."""
    if interpreter.minor >= BY_REQUEST:
        yield "pep768"
    yield "ptrace"


def fresh(interpreter: Interpreter, case: Case, way: str) -> list[Injection]:
    """Some attaches, each to a process that has just been started."""
    found = []
    for _ in range(PROCESSES):
        with launch(interpreter, case.name, *case.arguments) as target:
            found.append(inject(target.pid, SCRIPT, method=way))
    return found


def milliseconds(seconds: list[float]) -> str:
    return f"{1000 * statistics.median(seconds):8.2f} ms (longest {1000 * max(seconds):8.2f})"


def lateness(interpreter: Interpreter, way: str) -> str:
    """What a ticker notices of some attaches, beside as long a time alone."""
    with launch(interpreter, "ticker", "--tasks", TASKS) as target:
        inject(target.pid, SCRIPT, method=way)  # the first time brings pages in; that is measured above
        target.ask("reset")
        begun = time.monotonic()
        for _ in range(TICKER_ATTACHES):
            inject(target.pid, SCRIPT, method=way)
        spent = time.monotonic() - begun
        attached = target.ask("lateness")
        target.ask("reset")
        time.sleep(spent)
        alone = target.ask("lateness")
    texts = [f"p99 {late['p99_ms']:.2f} ms, longest {late['max_ms']:.2f} ms" for late in (alone, attached)]
    return f"alone {texts[0]}; attached to {TICKER_ATTACHES} times {texts[1]}, within {spent:.1f} s"


def measure(interpreter: Interpreter) -> bool:
    """All figures of one interpreter; whether no thread stood still for long."""
    print(f"Python {interpreter}, {PROCESSES} fresh processes of each kind")
    short = True
    for way in ways(interpreter):
        for case in CASES:
            found = fresh(interpreter, case, way)
            attach, held = [i.attach_seconds for i in found], [i.held_seconds for i in found]
            print(f"    {way:7} {case.title:18} attach {milliseconds(attach)}, held {milliseconds(held)}")
            short = short and statistics.median(held) < LONGEST_HOLD
        print(f"    {way:7} loop's lateness    {lateness(interpreter, way)}")
    return short


def beside_others(interpreter: Interpreter) -> bool:
    """Ours and others' ways on one idle and one busy process; whether ours always came in and did no harm."""
    found = [*ours(list(ways(interpreter)))]
    try:
        interpreter = memray_way.environment(interpreter)
        found += memray_way.memray(interpreter)
    except memray_way.Missing as missing:
        print(f"without memray: {missing}")
    found += py_spy()
    good = True
    for title, arguments in SHARED_CASES:
        print(f"Python {interpreter}, {title}; {ROUNDS} rounds of all ways in turns, to one process")
        records = compare(interpreter, arguments, found)
        report(records)
        good = good and all(record.is_clean for way, record in records.items() if way.ours)
    return good


def main() -> int:
    """Measures every interpreter; 1 when a thread was held for long, or one of our attaches went wrong beside others'.

    Others are compared with on the interpreter of the bench, and on the newest where it can be entered by request.
    """
    results = [measure(interpreter) for interpreter in interpreters()]
    own = [interpreter for interpreter in interpreters() if interpreter.minor == sys.version_info[:2]]
    newest = [interpreter for interpreter in interpreters()[-1:] if interpreter.minor >= BY_REQUEST]
    results += [beside_others(interpreter) for interpreter in dict.fromkeys(own + newest)]
    return 0 if all(results) else 1
