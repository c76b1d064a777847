"""The service: its parts, how they are put together, and how they end."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

from . import metrics
from .agent import Agent, OneShotAgent
from .discover import Listener
from .pipeline import Spawner


class Service:
    """All parts of the service."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="rudder-disk")
        self.metrics = metrics.Metrics()
        agent = OneShotAgent if options.fixed else Agent
        self.spawner = Spawner(agent, self.pool, self.metrics, options.payload, options.limit)
        self.listener = Listener(self.spawner, self.metrics, options.interval)
        self._ending = False

    async def run(self) -> None:
        """Serves until it is cancelled, and leaves no child behind."""
        try:
            await asyncio.gather(self.listener.run(), metrics.flush(self.metrics, self.pool))
        finally:
            await self.spawner.close()
            self.pool.shutdown()

    def end(self, task: asyncio.Task[None]) -> None:
        """Cancels the `task` that runs the service, once: asked again, it does not disturb the ending."""
        if not self._ending:
            self._ending = True
            task.cancel()


running: Service | None = None


async def main(options: argparse.Namespace) -> None:
    """Runs the service as the process's only one, until it is told to end."""
    global running
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()
    assert this is not None
    service = running = Service(options)

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            service.end(this)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, service.end, this)
    if options.until_eof:
        loop.add_reader(sys.stdin.fileno(), read)
    build = "fixed" if options.fixed else "leaking"
    print(f"rudder: the {build} build runs as process {os.getpid()}", file=sys.stderr, flush=True)
    await service.run()
