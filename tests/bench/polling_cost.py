"""What a process with a heap of 3 GB pays for being watched with the tabs of memory and heap open, at 1 Hz.

Its processor time is taken from the kernel's scheduler, in turns: nobody watches; it is read from outside alone, by
allocator every second or two and by type every ten; and the whole observer is there with its agent, which also looks
for large containers, as the tab of the heap has it. The first look at everything is told by itself.
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
ROUNDS, ROUND_SECONDS = 3, 20.0
CENSUS_SECONDS = 10.0
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
            due = 0.0
            while not stop.wait(1.0):
                process.read()
                memory.read()
                if time.monotonic() >= due:
                    memory.census()
                    due = time.monotonic() + CENSUS_SECONDS

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        yield
    finally:
        stop.set()
        poller.join()


def round_of(pid: int) -> float:
    """The share of one core that the process takes over one round."""
    before, begun = processor_seconds(pid), time.monotonic()
    time.sleep(ROUND_SECONDS)
    return (processor_seconds(pid) - before) / (time.monotonic() - begun)


def watched(target: RunningTarget, containers: bool) -> tuple[float, list[float]]:
    """Processor seconds of the first look at everything, and the shares of the rounds behind it."""
    before = processor_seconds(target.pid)
    source = LiveSource(target.pid, interval=1.0)
    source.count_objects(True)
    source.look_for_containers(containers)
    source.start()
    try:
        source.wait_until_known(settle=120.0)
        first = processor_seconds(target.pid) - before
        return first, [round_of(target.pid) for _ in range(ROUNDS)]
    finally:
        source.detach()


def main() -> int:
    """0 when reading a large heap costs the process no more than two thousandths of a core."""
    size = min(WANTED, int(ROOM * psutil.virtual_memory().available))
    interpreter = interpreters()[-1]
    with launch(interpreter, "heap") as target:
        target.ask(f"objects {size // 1_000_000 * OBJECTS_PER_MB}", within=600)
        rss = psutil.Process(target.pid).memory_info().rss
        why = "" if size == WANTED else f" ({WANTED / 1e9:.0f} GB do not fit here)"
        print(f"Python {interpreter}, RSS {rss / 1e9:.2f} GB{why}; processor time of the process, of one core:")
        ways: dict[str, Callable[[int], AbstractContextManager[None]]] = {
            "alone": nobody,
            "read from outside": from_outside,
        }
        shares: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                with way(target.pid):
                    shares[name].append(round_of(target.pid))
        for containers in (False, True):
            name = "with the agent" + (", large containers too" if containers else "")
            first, shares[name] = watched(target, containers)
            print(f"    {name:40} the first look: {first:.2f} s")
    for name, rounds in shares.items():
        print(f"    {name:40} {statistics.median(rounds):8.3%}   of the rounds: {[f'{each:.3%}' for each in rounds]}")
    alone = statistics.median(shares["alone"])
    return int(statistics.median(shares["read from outside"]) - alone > MOST)
