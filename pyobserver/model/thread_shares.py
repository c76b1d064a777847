"""How much of a processor each thread uses, from two readings of its CPU time."""

from __future__ import annotations

from collections.abc import Sequence

from .readings import ThreadStack

LEAST_SECONDS = 1.0  # between the two: the kernel tells CPU time in steps of 10 ms


class ThreadShares:
    """Remembers the reading before of each thread, by the kernel's number of it."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[float, float]] = {}  # when, CPU seconds
        self._shares: dict[int, float] = {}

    def add(self, stacks: Sequence[ThreadStack], now: float) -> dict[int, float]:
        """Return the share of one core that each thread has used lately; those not known yet are left out."""
        before, shares = self._before, self._shares
        self._before, self._shares = {}, {}
        for stack in stacks:
            number, cpu = stack.thread_id, stack.cpu_seconds
            if number is None or cpu is None:
                continue
            since, used = before.get(number, (now, cpu))
            if cpu < used:  # the number of one that has ended
                since, used = now, cpu
            elif number in shares:
                self._shares[number] = shares[number]
            if now - since >= LEAST_SECONDS:
                self._shares[number] = min(1.0, (cpu - used) / (now - since))
                since, used = now, cpu
            self._before[number] = (since, used)
        return dict(self._shares)
