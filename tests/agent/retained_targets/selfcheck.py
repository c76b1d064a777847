"""The self-check, as it is and on interpreters that are made to seem broken. Prints JSON."""

import json
import sys
import time

from pyobserver.agent import facts
from pyobserver.agent.retention import cycles, selfcheck, walk
from pyobserver.agent.retention.scanner import Scanner


def checked(clock=time.perf_counter):
    return Scanner(clock).self_check()


class Interrupted:
    """A clock of a machine that is busy at first: each time it is asked, a tenth of a second has gone by."""

    def __init__(self, times):
        self.times = times
        self.now = 0.0

    def __call__(self):
        self.times -= 1
        self.now += 0.1 if self.times >= 0 else 1e-6
        return self.now


def replaced(module, name, value, clock=time.perf_counter):
    """What the check says while a name in a module stands for something else."""
    was = getattr(module, name)
    setattr(module, name, value)
    try:
        return checked(clock)
    finally:
        setattr(module, name, was)


class Other:
    name = "otherpython"


print(
    json.dumps(
        {
            "ok": checked(),
            "wrong sizes": replaced(walk, "getsizeof", lambda o: sys.getsizeof(o) // 2),
            "wrong counts": replaced(walk, "IN_LOOP", walk.IN_LOOP + 1),
            "without the lock": replaced(selfcheck, "is_free_threaded", lambda: True),
            "another implementation": replaced(selfcheck.sys, "implementation", Other),
            "interrupted": replaced(cycles, "CHECK", 0, Interrupted(20)),  # it asks for the time at each object
            "always interrupted": replaced(cycles, "CHECK", 0, Interrupted(1_000_000)),
            "again": checked(),
            "free-threaded": facts.is_free_threaded(),
        }
    )
)
