"""An agent beside a loop that never rests: CPython gives its interpreter lock to hardly any other thread there.

How many updates come, of those that were asked for, while the agent's thread is kept beside the loop, as the observer
does it, and while it may run anywhere; and how often the loop goes round, beside how often it does so alone. The loop
alone and the two ways take turns.
"""

from __future__ import annotations

import os
import statistics
import time

from pyobserver.attach.beside import Beside, agents_threads
from tests.agent.mirror import Mirror, bring, connect
from tests.support.interpreters import Interpreter, interpreters
from tests.support.targets import RunningTarget, launch

EVERY = (0.0002, 0.003)  # seconds from one question for events to the next
INTERVAL = 0.5
SECONDS = 4.0
ROUNDS = 3
LEAST = 0.5  # of the updates that were asked for


class Anywhere(Beside):
    """Leaves the thread where the scheduler puts it."""

    def look(self) -> None:
        pass

    def follow(self) -> None:
        pass


def rounds_a_second(target: RunningTarget, mirror: Mirror | None) -> float:
    """How often the loop goes round in some seconds, in which a mirror listens, if there is one."""
    before, begun = int(target.ask("rounds")["rounds"]), time.monotonic()
    while (left := begun + SECONDS - time.monotonic()) > 0.0:
        if mirror is None:
            time.sleep(left)
        else:
            mirror.hear(min(left, 0.1))
    return (int(target.ask("rounds")["rounds"]) - before) / (time.monotonic() - begun)


def measure(interpreter: Interpreter, every: float) -> bool:
    with launch(interpreter, "restless", "--every", every) as target:
        alone = [rounds_a_second(target, None)]
        begun = time.monotonic()
        bring(target.pid)
        mirror = Mirror(connect(target.pid), INTERVAL)
        mirror.wait_until_known()
        came_in = time.monotonic() - begun
        kept, client = mirror.client._beside, mirror.client
        found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for _ in range(ROUNDS):
            for helped in (True, False):
                client._beside = kept if helped else Anywhere(target.pid, list)
                for thread in () if helped else agents_threads(target.pid):
                    os.sched_setaffinity(thread, os.sched_getaffinity(target.pid))
                ticks = len(mirror.ticks)
                rate = rounds_a_second(target, mirror)
                found[helped].append((min(1.0, (len(mirror.ticks) - ticks) * INTERVAL / SECONDS), rate))
            client._beside = kept
        mirror.turn(2)
        client.detach()
        client.close()
        time.sleep(1.0)
        alone.append(rounds_a_second(target, None))
        target.stop()
    middle = statistics.median(alone)
    line = f"{interpreter!s:8} polls each {1000 * every:.1f} ms: known after {came_in:4.1f} s"
    for helped, name in ((True, "beside it"), (False, "anywhere")):
        updates = statistics.median(share for share, _ in found[helped])
        rate = statistics.median(rate for _, rate in found[helped])
        line += f"; {name} {updates:4.0%} of the updates, {rate / middle:.3f} of the rounds"
    print(line, flush=True)
    return statistics.median(share for share, _ in found[True]) >= LEAST


def main() -> int:
    if len(os.sched_getaffinity(0)) < 2:
        print("on a single processor whoever waits for the interpreter lock gets it: nothing to measure")
        return 0
    print(f"updates each {INTERVAL:g} s; {ROUNDS} times {SECONDS:g} s each way, in turns; medians")
    every = [measure(interpreter, each) for interpreter in (interpreters()[0], interpreters()[-1]) for each in EVERY]
    return int(not all(every))
