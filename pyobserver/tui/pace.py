"""How often the screen is drawn again: when there is news, not too often, and for a part of the time at most."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from ..model.snapshot import Phase, Snapshot

SHARE = 0.2  # of the time at most goes into showing what is new
JUDGING_PERIOD = 2.0  # seconds between two verdicts, at least
JUDGING_SHARE = 0.02


def is_whole(snapshot: Snapshot) -> bool:
    """Whether there is something for every part of the screen, or no more to be waited for. Until then news are urgent:
    a second is the time from one picture to the next, and not what the first one has to wait.
    """
    if snapshot.status.phase not in (Phase.CONNECTING, Phase.LIVE):
        return True
    return snapshot.memory is not None and snapshot.tick is not None and snapshot.tick.complete


class Pace:
    """Counts news from any thread, and says in the thread of the screen when it is time to show them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._has_news = True  # one flag, set on any thread: a thousand changes are one refresh
        self._shown_at = float("-inf")
        self._cost = 0.0
        self._judged_at = float("-inf")
        self._judging_cost = 0.0

    def news(self) -> None:
        """Something has changed. May be called on any thread, at any rate."""
        self._has_news = True

    def is_due(self, period: float) -> bool:
        """Whether there is something new to show, and it is time for it."""
        return self._has_news and self._clock() - self._shown_at >= max(period, self._cost / SHARE)

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Around the showing of what is new."""
        self._has_news = False  # before the snapshot is taken: what changes meanwhile is news again
        begun = self._shown_at = self._clock()
        yield
        self._cost = self._clock() - begun

    def is_judging_due(self) -> bool:
        """Whether it is time for another verdict."""
        return self._clock() - self._judged_at >= max(JUDGING_PERIOD, self._judging_cost / JUDGING_SHARE)

    def judge_soon(self) -> None:
        """The next time is right."""
        self._judged_at = float("-inf")

    @contextlib.contextmanager
    def judging(self) -> Iterator[None]:
        """Around the making of a verdict."""
        begun = self._judged_at = self._clock()
        yield
        self._judging_cost = self._clock() - begun
