"""What reading from outside costs: the reader, beside the kernel's own accounting of memory, and the process read.

Prints, at two sizes of the heap, how long a reading takes when only Python's heap is read (what happens every two
seconds) and when everything is divided anew (what happens at most a thousandth of the time); then the gaps of a process
that maps and unmaps memory without a pause, alone and while it is read twenty times a second. At last a C heap of a
gigabyte, half of it freed, is walked, and the process works on it alone and while it is read once a second.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

from pyobserver.outside import MemoryProbe, ProcessProbe, StackProbe
from tests.support.interpreters import Interpreter, interpreters
from tests.support.targets import RunningTarget, launch

SIZES = (120, 1000)  # MB, about
OBJECTS_PER_MB = 2350
ROUNDS = 5  # of each way of reading, alternating
ROUND = 1.0  # seconds
PACE = 0.05  # seconds between two readings meanwhile
C_BLOCKS = 600_000  # of 600 to 3000 bytes
C_ROUNDS, C_ROUND = 3, 5.0
LEAST_WORK = 0.9  # of what a process does alone, while its memory is read at one Hz
SHARE_OF_SMAPS = 0.5  # what reading may add to the longest step, of what reading smaps at the same pace adds


def milliseconds(work: Callable[[], object], times: int) -> tuple[float, float]:
    """The least and the median duration of some runs."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return min(taken), statistics.median(taken)


def smaps(pid: int) -> None:
    with open(f"/proc/{pid}/smaps", "rb") as file:
        file.read()


def divided_anew(pid: int) -> None:
    with MemoryProbe(pid) as probe:
        probe.read()


def costs(target: RunningTarget) -> None:
    """One line for each way of reading."""
    with MemoryProbe(target.pid, monotonic=lambda: 0.0) as memory, ProcessProbe(target.pid) as process:
        rss = memory.read().rss
        base, base_median = milliseconds(lambda: smaps(target.pid), 10)
        print(f"  RSS {rss / 1e6:.0f} MB; smaps alone: {base:.2f} ms (median {base_median:.2f})")
        rows: list[tuple[str, Callable[[], object], int]] = [
            ("status, stat, files", process.read, 50),
            ("Python's heap, each time", memory.read, 30),
            ("everything, found and divided anew", lambda: divided_anew(target.pid), 5),
            ("the objects by type, on request", memory.census, 5),
        ]
        for name, work, times in rows:
            least, median = milliseconds(work, times)
            print(f"    {name:36} {least:8.2f} ms (median {median:.2f}), x{median / base_median:.2f} of smaps")
        reading = memory.read()
        python = next(each for each in reading.allocators if each.name == "python")
        truth = target.ask("report")["in_use"]
        assert python.in_use is not None
        assert reading.python_in_use_error is not None
        error = 100 * (python.in_use / truth - 1)
        print(f"    in use off by {error:+.2f} % (said to be within {100 * reading.python_in_use_error / truth:.2f} %)")


def gaps(target: RunningTarget, read: Callable[[], object] | None) -> dict[str, float]:
    """One round of the gap detector, alone or while `read` is called again and again."""
    return polled(target, read, f"gaps {ROUND}", PACE)


def polled(target: RunningTarget, read: Callable[[], object] | None, command: str, pace: float) -> dict[str, float]:
    """What a command of the target answers, while `read` is called once per `pace` seconds."""
    stop = threading.Event()

    def poll() -> None:
        while read is not None and not stop.wait(pace):
            read()

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        return target.ask(command)
    finally:
        stop.set()
        poller.join()


def disturbance(target: RunningTarget) -> bool:
    """Rounds without and with reading, side by side; whether the process was left alone."""
    with MemoryProbe(target.pid) as memory, ProcessProbe(target.pid) as process, StackProbe(target.pid) as stacks:
        memory.read()
        ways: dict[str, Callable[[], object] | None] = {
            "alone": None,
            "memory and process": lambda: (process.read(), memory.read()),
            "stacks": stacks.read,
            "smaps (never done at this pace)": lambda: smaps(target.pid),
        }
        seen: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, read in ways.items():
                seen[name].append(gaps(target, read))
    usual = {name: statistics.median(each["p999_ms"] for each in rounds) for name, rounds in seen.items()}
    longest = {name: statistics.median(each["max_ms"] for each in rounds) for name, rounds in seen.items()}
    for name in ways:
        ratio = longest[name] / longest["alone"]
        print(f"    {name:36} p99.9 {usual[name]:7.3f} ms, longest {longest[name]:7.2f} ms, x{ratio:.2f} of alone")
    added = longest["memory and process"] - longest["alone"]
    return added < SHARE_OF_SMAPS * (longest["smaps (never done at this pace)"] - longest["alone"])


def large_c_heap(interpreter: Interpreter) -> bool:
    """A C heap of a gigabyte, half of it freed: what walking it costs, and what the process notices at one Hz."""
    with launch(interpreter, "c_heap") as target:
        target.ask(f"fill {C_BLOCKS} 600 3000", within=180)
        target.ask("riddle", within=180)
        told = target.ask("report")
        with MemoryProbe(target.pid) as memory, ProcessProbe(target.pid) as process:
            heap = memory.read().c_heap
            assert heap is not None
            chunks = sum(arena.free_chunks for arena in heap.arenas)
            off = 100 * (heap.in_use / told["uordblks"] - 1) if told else float("nan")
            print(f"  C heap of {heap.size / 1e6:.0f} MB with {chunks:,} free chunks, {heap.unread} bytes unread")
            asked = target.ask("asked 3", within=60)["ms"]
            print(f"    walked from outside in {heap.cost_seconds * 1e3:.0f} ms, in use off by {off:+.3f} %;", end=" ")
            print(f"mallinfo2 would hold its arenas for {asked:.0f} ms")
            ways: dict[str, Callable[[], object] | None] = {
                "alone": None,
                "memory and process, at 1 Hz": lambda: (process.read(), memory.read()),
                "all found and divided anew at 1 Hz": lambda: divided_anew(target.pid),
            }
            seen: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
            for _ in range(C_ROUNDS):
                for name, read in ways.items():
                    seen[name].append(polled(target, read, f"work {C_ROUND}", 1.0))
    steps = {name: statistics.median(each["steps"] for each in rounds) for name, rounds in seen.items()}
    for name, rounds in seen.items():
        share, usual = steps[name] / steps["alone"], statistics.median(each["p999_ms"] for each in rounds)
        longest = statistics.median(each["max_ms"] for each in rounds)
        print(f"    {name:36} x{share:.3f} of the work alone, p99.9 {usual:.3f} ms, longest {longest:.2f} ms")
    return steps["memory and process, at 1 Hz"] > LEAST_WORK * steps["alone"]


def measure(interpreter: Interpreter) -> bool:
    """All figures of one interpreter; whether the process was left alone."""
    quiet = True
    for size in SIZES:
        print(f"Python {interpreter}, about {size} MB")
        with launch(interpreter, "heap") as target:
            target.ask(f"objects {size * OBJECTS_PER_MB}", within=180)
            costs(target)
            if size == SIZES[-1]:
                print(f"  steps of mmap and munmap in the process, {ROUNDS} rounds of {ROUND:g} s each")
                quiet = disturbance(target)
    return large_c_heap(interpreter) and quiet


def main() -> int:
    """Measures the oldest and the newest interpreter; 1 when reading at forty times the pace disturbs a process."""
    found = interpreters()
    results = [measure(interpreter) for interpreter in dict.fromkeys((found[0], found[-1]))]
    return 0 if all(results) else 1
