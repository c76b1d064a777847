"""Tasks that fail: some of them are asked for their exception, some are not, and gc.garbage has something in it.

`fail` starts one that fails two seconds later; `retrieve` asks one of those that were not asked for its exception.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from conversation import serve

PyTask: Any = asyncio.tasks._PyTask  # type: ignore[attr-defined]


class Mine(asyncio.Task):  # type: ignore[type-arg]
    """A task of the program's own type."""


class Place:
    """Keeps the tasks."""

    silent: list[Any] = []
    asked: list[Any] = []
    ended: list[Any] = []
    late: list[Any] = []


async def fail() -> None:
    """What goes wrong."""
    raise ValueError("wrong")


async def fail_late() -> None:
    """What goes wrong after a while."""
    await asyncio.sleep(2)
    raise ValueError("late")


async def end() -> None:
    """What ends well."""


async def main() -> None:
    loop = asyncio.get_running_loop()
    Place.silent = [asyncio.ensure_future(fail()), PyTask(fail(), loop=loop), Mine(fail(), loop=loop)]
    Place.asked = [asyncio.ensure_future(fail())]
    Place.ended = [asyncio.ensure_future(end()), PyTask(end(), loop=loop)]
    await asyncio.wait([*Place.silent, *Place.asked, *Place.ended])
    for task in Place.asked:
        task.exception()
    gc.garbage.extend([object(), object()])

    def retrieve() -> dict[str, str]:
        return {"said": str(Place.silent[0].exception())}

    def fail_soon() -> dict[str, int]:
        Place.late.append(asyncio.ensure_future(fail_late()))
        return {"late": len(Place.late)}

    await serve({"retrieve": retrieve, "fail": fail_soon})
    for task in [*Place.silent, *Place.late]:
        task.exception()


asyncio.run(main())
