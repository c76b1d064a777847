"""Tasks with something that is not counted as theirs: a class made in one, a job that an executor does for one."""

from __future__ import annotations

import asyncio
import threading

from conversation import serve

END = threading.Event()


async def plain() -> None:
    payload = bytearray(1000)
    await asyncio.Event().wait()
    del payload


async def with_a_class() -> None:
    class Local:
        big = bytearray(1 << 20)

    held = Local()
    await asyncio.Event().wait()
    del held


async def with_a_job() -> None:
    payload = bytearray(1 << 20)
    await asyncio.get_running_loop().run_in_executor(None, lambda held: END.wait(600), payload)


async def main() -> None:
    tasks = [asyncio.get_running_loop().create_task(f(), name=f.__name__) for f in (plain, with_a_class, with_a_job)]
    await asyncio.sleep(0.1)  # so that the executor's thread has begun
    await serve({})
    END.set()
    for task in tasks:
        task.cancel()


asyncio.run(main())
