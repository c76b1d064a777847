"""How a target talks with the test that started it: a line in, a line of JSON out.

It prints READY, then answers each line on standard input with one JSON object, and ends at the end of the input.
Runs on every Python from 3.8 on, and adds neither a task nor a thread to the target while nothing is asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from typing import Any, Callable

Answer = Callable[..., Any]  # gets the words after the command; what it returns is printed


def say(value: Any) -> None:
    """Prints one line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def ready() -> None:
    """Tells the test that everything stands."""
    sys.stdout.write("READY\n")
    sys.stdout.flush()


def answer(answers: dict[str, Answer], line: str) -> Any:
    """The answer to one line; a command that fails says how."""
    name, *words = line.split()
    try:
        return answers[name](*words)
    except Exception as problem:
        return {"error": f"{type(problem).__name__}: {problem}"}


async def serve(answers: dict[str, Answer]) -> None:
    """Answers commands in the running loop until the input ends. An answer may be a coroutine."""
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 3600.0  # what a busy machine takes long for is not to be told, in the debug mode
    ended = loop.create_future()
    rest = bytearray()

    async def finish(value: Any) -> None:
        try:
            say(await value)
        except Exception as problem:
            say({"error": f"{type(problem).__name__}: {problem}"})

    def read() -> None:
        block = os.read(0, 65536)
        if not block:
            loop.remove_reader(0)
            ended.set_result(None)
        rest.extend(block)
        while b"\n" in rest:
            line, _, after = bytes(rest).partition(b"\n")
            rest[:] = after
            value = answer(answers, line.decode())
            if asyncio.iscoroutine(value):
                finishing.append(loop.create_task(finish(value)))
            else:
                say(value)

    finishing: list[asyncio.Task[None]] = []
    loop.add_reader(0, read)
    ready()
    await ended


def serve_blocking(answers: dict[str, Answer]) -> None:
    """The same for a program without a loop, in its main thread."""
    assert threading.current_thread() is threading.main_thread()
    ready()
    for line in sys.stdin:
        say(answer(answers, line))
