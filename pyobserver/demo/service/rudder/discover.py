"""Discovery: asks the feeds in rounds, and hands what is new to the pipeline."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import OrderedDict

from .metrics import Metrics
from .pipeline import Spawner

FEEDS = ("archive", "live", "partner")


class Lookups:
    """Answers of the registry that are asked for again and again: a cache which fills up to its limit and stays."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._answers: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes:
        """The answer for `key`, remembered in exchange for the one that was not asked for longest."""
        answer = self._answers.pop(key, None)
        if answer is None:
            answer = (key * 200).encode()
        self._answers[key] = answer
        if len(self._answers) > self._limit:
            self._answers.popitem(last=False)
        return answer


class Listener:
    """Asks every feed, once per interval, and spawns a child for the specimen that was found."""

    def __init__(self, spawner: Spawner, metrics: Metrics, interval: float) -> None:
        self._spawner = spawner
        self._metrics = metrics
        self._interval = interval
        self._lookups = Lookups()
        self._numbers = itertools.count(1)

    async def run(self) -> None:
        """Discovers specimens until it is cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for name in await self._round():
                self._spawner.spawn(name)
            due = max(due + self._interval, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _round(self) -> list[str]:
        """One round over all feeds, at the same time; returns the names that are new."""
        if hasattr(asyncio, "TaskGroup"):  # 3.11
            async with asyncio.TaskGroup() as group:
                for feed in FEEDS:
                    group.create_task(self.ask(feed))
        else:
            await asyncio.gather(*map(self.ask, FEEDS))
        return [f"specimen-{next(self._numbers):05d}"]

    async def ask(self, feed: str) -> None:
        """Asks one feed: a short-lived task."""
        self._metrics.count("asked")
        for _ in range(8):
            self._lookups.get(f"{feed}/{random.randrange(400)}")
        await asyncio.sleep(random.uniform(0.02, 0.08) * min(1.0, self._interval))
