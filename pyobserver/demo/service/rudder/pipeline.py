"""The pipeline: one task for each specimen, started and kept by the spawner."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Executor

from .agent import Agent
from .metrics import Metrics
from .specimen import Specimen


class Spawner:
    """Starts one child for each specimen and keeps it until it has ended."""

    def __init__(self, agent: type[Agent], pool: Executor, metrics: Metrics, payload: int, limit: int) -> None:
        self._agent = agent
        self._pool = pool
        self._metrics = metrics
        self._payload = payload
        self._limit = limit
        self._full = False
        self._children: set[asyncio.Task[None]] = set()

    def spawn(self, name: str) -> None:
        """Starts the child of one specimen, unless there are as many as this demonstration may have."""
        if len(self._children) >= self._limit:
            if not self._full:
                self._full = True
                print(f"rudder: holds {self._limit} specimens and takes no more", file=sys.stderr, flush=True)
            return
        child = asyncio.get_running_loop().create_task(self.push_hash(name))
        child.set_name(f"push_hash-{self._metrics.count('spawned')}")
        self._children.add(child)
        child.add_done_callback(self._children.discard)

    async def push_hash(self, name: str) -> None:
        """What a child does: it reads the specimen and leaves the rest to an agent."""
        loop = asyncio.get_running_loop()
        specimen = await loop.run_in_executor(self._pool, Specimen.read, name, self._payload)
        agent = self._agent(specimen, self._pool)
        await agent.serve()
        self._metrics.count("pushed")

    async def close(self) -> None:
        """Ends all children."""
        children = list(self._children)
        for child in children:
            child.cancel()
        await asyncio.gather(*children, return_exceptions=True)
