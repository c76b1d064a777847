"""The control of the demonstration: what one of its tasks really frees when it is cancelled.

This is the truth that the retained memory shown for `rudder.pipeline.Spawner.push_hash` is held against. It is measured
in a process of its own by tracemalloc, which the service itself runs without.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyobserver import demo

from .interpreters import Interpreter

SCRIPT = """
import argparse, asyncio, gc, json, sys, tracemalloc
sys.path.insert(0, sys.argv[1])
from rudder import service

async def main(payload):
    options = argparse.Namespace(fixed=False, limit=4, interval=0.02, payload=payload, until_eof=False)
    serving = asyncio.get_running_loop().create_task(service.main(options))
    settled = 0
    while settled < 20:
        await asyncio.sleep(0.05)
        held = [o for o in gc.get_objects() if type(o).__name__ == "Agent"]
        settled += len(held) == 4 and all(o._stopped._waiters for o in held)
        del held
    spawner = service.running.spawner
    spawner._limit = 0  # else a new child takes the place of the cancelled one
    await asyncio.sleep(0.1)
    child = min(spawner._children, key=lambda task: task.get_name())
    told = {"children": len(spawner._children), "function": child.get_coro().__qualname__, "name": child.get_name()}
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    child.cancel()
    while not child.done():
        await asyncio.sleep(0)
    del child
    await asyncio.sleep(0)
    gc.collect()
    told["freed"] = before - tracemalloc.get_traced_memory()[0]
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    print(json.dumps(told))

tracemalloc.start()
asyncio.run(main(int(sys.argv[2])))
"""


@dataclass(frozen=True)
class Control:
    """The cancelled task, and the bytes that went with it."""

    children: int
    function: str
    name: str
    freed: int


@contextlib.contextmanager
def service_folder(interpreter: Interpreter) -> Iterator[str]:
    """The folder of the service's package by the name that `interpreter` knows it by; a copy where it has to be."""
    if interpreter.root == Path("/"):
        yield str(demo.SERVICE)
        return
    scratch = interpreter.scratch("demo")
    try:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(demo.SERVICE / "rudder", scratch / "rudder", ignore=ignore)
        yield interpreter.inside(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def control(interpreter: Interpreter, payload: int = 7_000_000) -> Control:
    """Runs the leaking build with children of `payload` bytes, cancels one of four, and measures."""
    with service_folder(interpreter) as folder:
        done = subprocess.run(
            [*interpreter.command, "-W", "error", "-c", SCRIPT, folder, str(payload)],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    if done.returncode != 0:
        raise RuntimeError(f"the control run failed on {interpreter}: {done.stderr[-2000:]}")
    return Control(**json.loads(done.stdout))
