"""What a walk for containers counts in one that grows within its slices, as when other threads run in them.

changing.py
"""

import json
import time

from pyobserver.agent.heap_places import Survey


class Payload:
    def __init__(self):
        self.mine = []


STREAM = {number: Payload() for number in range(20000)}


class Clock:
    """Stands still for so many looks, then the slice is over; at every look a container may grow."""

    def __init__(self, looks, every):
        self.looks = looks
        self.every = every
        self.count = 0
        self.grown = 0

    def __call__(self):
        self.count += 1
        if self.count % self.every == 0 and len(STREAM) < 30000:
            STREAM[len(STREAM)] = Payload()
            self.grown += 1
        return 0.0 if self.count % self.looks else 1.0


def counted(looks, every):
    before = len(STREAM)
    clock = Clock(looks, every)
    walk = Survey(clock, 1000, "__main__.Payload", frozenset(), lambda: (), lambda task: None)
    begun = time.monotonic()
    while not walk.run(0.5):
        assert time.monotonic() - begun < 60
    found = {path: numbers for (path, _), numbers in walk.places.items()}
    told = found["__main__.STREAM"][0]
    return {"before": before, "told": told, "after": len(STREAM), "changed": walk.changed, "grown": clock.grown}


print(json.dumps([counted(looks, every) for looks, every in ((1, 1), (3, 2), (20, 5), (20, 20), (1000, 7))]))
