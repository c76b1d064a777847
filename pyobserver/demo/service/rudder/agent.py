"""Agents: each carries one specimen to the registry. The bug of this service, and its repair, are here."""

import asyncio
from concurrent.futures import Executor

from .specimen import Specimen


class Agent:
    """An actor: pushes the hash of its specimen, and then serves for ever.

    That is the leak. Nobody ever asks an agent anything, and nobody stops one, so each keeps its specimen as long as
    the process lives.
    """

    def __init__(self, specimen: Specimen, pool: Executor) -> None:
        self.specimen = specimen
        self._pool = pool
        self._stopped = asyncio.Event()

    async def serve(self) -> None:
        """Pushes the hash, and waits to be stopped."""
        await self.push()
        await self._stopped.wait()

    async def push(self) -> None:
        """Computes the hash and hands it to the registry."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, self.specimen.digest)
        await asyncio.sleep(0.2)  # the registry's answer


class OneShotAgent(Agent):
    """The repair: what was meant is a task that pushes once and ends."""

    async def serve(self) -> None:
        """Pushes the hash."""
        await self.push()
