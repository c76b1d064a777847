"""The self-check, as it is and on interpreters that are made to seem broken. Prints JSON."""

import json
import sys
import time

from pyobserver.agent import facts
from pyobserver.agent.retention import selfcheck, walk
from pyobserver.agent.retention.scanner import Scanner


def checked():
    return Scanner(time.perf_counter).self_check()


def replaced(module, name, value):
    """What the check says while a name in a module stands for something else."""
    was = getattr(module, name)
    setattr(module, name, value)
    try:
        return checked()
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
            "again": checked(),
            "free-threaded": facts.is_free_threaded(),
        }
    )
)
