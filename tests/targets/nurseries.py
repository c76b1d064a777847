"""Tasks of trio in nurseries three deep: `first` has a nursery, a task in it too, and so has one in that.

nurseries.py [--anyio]
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import anyio
import trio
import trio.testing
from conversation import ready

DEPTH = 3


async def waits() -> None:
    """A task that sleeps."""
    await trio.sleep(3600)


async def opens(depth: int, with_anyio: bool) -> None:
    """A task with a nursery, in which another one is that does the same."""
    manager: Any = anyio.create_task_group() if with_anyio else trio.open_nursery()
    async with manager as nursery:
        nursery.start_soon(waits, name=f"leaf {depth}")
        if depth < DEPTH:
            nursery.start_soon(opens, depth + 1, with_anyio, name=f"branch {depth + 1}")


async def main(with_anyio: bool) -> None:
    """Has the outermost nursery."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(opens, 1, with_anyio, name="branch 1")
        await trio.testing.wait_all_tasks_blocked()
        ready()
        async with trio.lowlevel.FdStream(os.dup(0)) as stdin:
            async for _ in stdin:
                pass
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anyio", action="store_true")
    trio.run(main, parser.parse_args().anyio)
