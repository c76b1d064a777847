"""Requests to the servers of `services.py`, all the time and checked, while somebody attaches to them."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .conftest import wait_until


def ask(port: int, number: int) -> dict[str, Any]:
    """One request on a connection of its own. Raises OSError or HTTPException where it is not answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", f"/square/{number}", headers={"Connection": "close"})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    return answer


@contextlib.contextmanager
def traffic(port: int) -> Iterator[None]:
    """Within the block two clients ask one thing after the other; every answer must be there, and right."""
    over = threading.Event()
    wrong: list[object] = []
    answered: list[int] = []

    def keep_asking(numbers: Iterator[int]) -> None:
        for number in numbers:
            if over.is_set():
                return
            try:
                found = ask(port, number)["square"]
            except (OSError, ValueError, http.client.HTTPException) as error:
                found = error
            answered.append(number)
            if found != number * number:
                wrong.append((number, found))

    clients = [threading.Thread(target=keep_asking, args=(itertools.count(first),)) for first in (1, 100_000)]
    for client in clients:
        client.start()
    try:
        wait_until(lambda: len(answered) > 20)
        yield
        enough = len(answered) + 20
        wait_until(lambda: len(answered) > enough)
    finally:
        over.set()
        for client in clients:
            client.join()
    assert not wrong, wrong[:5]


def told_by(port: int, pids: list[int]) -> dict[int, list[int]]:
    """What scripts have left in each of the processes `pids` that serve together.

    While one is asked the others stand still, as it may always be the same one that takes a connection.
    """
    told: dict[int, list[int]] = {}
    for pid in pids:
        others = [other for other in pids if other != pid]
        try:
            for other in others:
                os.kill(other, signal.SIGSTOP)
            answer = ask(port, 2)
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)
        told[answer["pid"]] = answer["seen"]
    return told


def is_up(port: int) -> Callable[[], bool]:
    """A question whether the server answers already."""

    def answers() -> bool:
        try:
            return ask(port, 3)["square"] == 9
        except (OSError, http.client.HTTPException):
            return False

    return answers
