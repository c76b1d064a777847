"""What a process with a heap of 3 GB pays for being watched with the tabs of memory and heap open, at 1 Hz.

Its processor time is taken from the kernel's scheduler, which counts nanoseconds, so that short rounds suffice: nobody
watches, and it is read from outside alone, by allocator every second and by type once, in turns; then the whole
observer is there with its agent. What happens once is told by itself: the first look at everything, and some of a walk
for large containers, as the tab of the heap has it now and then.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil

from pyobserver.outside import MemoryProbe, ProcessProbe
from pyobserver.source.live import LiveSource
from tests.support.interpreters import interpreters
from tests.support.targets import RunningTarget, launch

WANTED = 3_000_000_000  # bytes
ROOM = 0.5  # of the memory that is available, at most
OBJECTS_PER_MB = 2350
ROUNDS = 3
ALONE_SECONDS, ROUND_SECONDS = 1.0, 4.0
SETTLE_SECONDS = 60.0  # for the first look
WALK_SECONDS = 4.0
MOST = 0.002  # of one core

Way = Callable[[int], AbstractContextManager[None]]


def processor_seconds(pid: int) -> float:
    """What all threads have run so far, in the kernel's own count of nanoseconds; of those that have ended too."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


@contextmanager
def nobody(pid: int) -> Iterator[None]:
    """The process alone."""
    yield


@contextmanager
def from_outside(pid: int) -> Iterator[None]:
    """What the watcher reads, at its pace."""
    stop = threading.Event()

    def poll() -> None:
        with MemoryProbe(pid) as memory, ProcessProbe(pid) as process:
            memory.census()
            while not stop.wait(1.0):
                process.read()
                memory.read()

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        yield
    finally:
        stop.set()
        poller.join()


def round_of(pid: int, seconds: float = ROUND_SECONDS) -> float:
    """The share of one core that the process takes over one round."""
    before, begun = processor_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (processor_seconds(pid) - before) / (time.monotonic() - begun)


def watched(target: RunningTarget) -> list[float]:
    """The shares of the rounds behind the first look at everything; tells of that, and of a walk for containers."""
    before, begun = processor_seconds(target.pid), time.monotonic()
    source = LiveSource(target.pid, interval=1.0)
    source.count_objects(True)
    source.start()
    try:
        source.wait_until_known(settle=SETTLE_SECONDS)
        first, took = processor_seconds(target.pid) - before, time.monotonic() - begun
        print(f"    the first look at everything: {first:.2f} s of the processor within {took:.1f} s")
        time.sleep(1.0)
        rounds = [round_of(target.pid) for _ in range(ROUNDS)]
        source.look_for_containers(True)
        time.sleep(1.0)
        print(f"    while it walks for containers: {round_of(target.pid, WALK_SECONDS):.1%} (at most 10 %)")
        return rounds
    finally:
        source.detach()


def main() -> int:
    """0 when being watched costs a process with a large heap no more than two thousandths of a core."""
    size = min(WANTED, int(ROOM * psutil.virtual_memory().available))
    interpreter = interpreters()[-1]
    with launch(interpreter, "heap") as target:
        target.ask(f"objects {size // 1_000_000 * OBJECTS_PER_MB}", within=600)
        rss = psutil.Process(target.pid).memory_info().rss
        why = "" if size == WANTED else f" ({WANTED / 1e9:.0f} GB do not fit here)"
        print(f"Python {interpreter}, RSS {rss / 1e9:.2f} GB{why}; processor time of the process, of one core:")
        ways: dict[str, tuple[Way, float]] = {
            "alone": (nobody, ALONE_SECONDS),
            "read from outside": (from_outside, ROUND_SECONDS),
        }
        shares: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, (way, seconds) in ways.items():
                with way(target.pid):
                    shares[name].append(round_of(target.pid, seconds))
        shares["with the agent"] = watched(target)
    for name, rounds in shares.items():
        print(f"    {name:40} {statistics.median(rounds):8.3%}   of the rounds: {[f'{each:.3%}' for each in rounds]}")
    alone = statistics.median(shares["alone"])
    return int(max(statistics.median(shares[name]) for name in shares) - alone > MOST)
