"""Runs a program on a loop of asyncio or of uvloop, in the way that each version of Python has for that."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Coroutine


def run(main: Coroutine[Any, Any, Any], on_uvloop: bool) -> None:
    """Runs `main` to its end."""
    if not on_uvloop:
        asyncio.run(main)
        return
    import uvloop

    if sys.version_info >= (3, 12):  # policies are to go, and setting one is warned of
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)
    else:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        asyncio.run(main)
