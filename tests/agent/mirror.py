"""Brings the agent into a target, and mirrors what it says, with nothing of the observer's model in between.

with launch(interpreter, "workers") as target, observed(target.pid) as mirror:
    mirror.wait(lambda: mirror.named("worker-1"))
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pyobserver.agent import bundle
from pyobserver.attach import Injection, inject
from pyobserver.attach.beside import Beside, agents_threads
from pyobserver.attach.procfs import start_ticks
from pyobserver.model.details import GroupQuestion
from pyobserver.model.places import PlacesQuestion
from pyobserver.protocol import schema
from pyobserver.protocol.frames import Frame
from pyobserver.source.client import AgentClient, ClientError
from pyobserver.source.errors import AgentEnded
from pyobserver.source.find import find_agent

from ..support.interpreters import Interpreter, interpreters

Found = TypeVar("Found")
Row = dict[str, Any]

_FEW = (interpreters()[0], interpreters()[-1])

on_interpreters = pytest.mark.parametrize(
    "interpreter",
    [pytest.param(i, id=str(i), marks=() if i in _FEW else pytest.mark.every) for i in interpreters()],
)
"""The oldest and the newest interpreter, and the others with `make test-all`."""

on_newest = pytest.mark.parametrize("interpreter", [pytest.param(_FEW[-1], id=str(_FEW[-1]))])
"""For what does not depend on the version."""


def bring(pid: int, *, method: str = "auto", **config: Any) -> Injection:
    """Bring the agent in."""
    return inject(pid, bundle.script({"method": method, **config}), method=method)


def wait_for(find: Callable[[], Found | None], what: str, within: float = 60.0) -> Found:
    """What `find` returns as soon as that is something."""
    deadline = time.monotonic() + within
    while True:
        found = find()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not come within {within:g} s"
        time.sleep(0.01)


def connect(pid: int, within: float = 60.0, *, actions: bool = False) -> AgentClient:
    """A client of the agent in the process, which may ask for `actions`; one just brought in may need a moment."""
    deadline = time.monotonic() + within
    beside, looked = Beside(pid, lambda: agents_threads(pid)), time.monotonic()
    while True:
        path = find_agent(pid)
        try:
            if path is not None:
                return AgentClient(path, pid, actions=actions)
        except AgentEnded:
            raise
        except ClientError:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"no agent answers in process {pid}"
        if time.monotonic() - looked > 0.2:
            beside.look()
            looked = time.monotonic()
        time.sleep(0.01)


@contextlib.contextmanager
def observed(pid: int, *, interval: float = 0.1, **config: Any) -> Iterator[Mirror]:
    """Brings the agent in, mirrors it, and asks it to end, which it must do."""
    bring(pid, **config)
    mirror = Mirror(connect(pid), interval)
    try:
        yield mirror
        if mirror.farewell is None and Path(f"/proc/{pid}").exists():
            mirror.client.detach()
            wait_for(lambda: find_agent(pid) is None, "the end of the agent")
    finally:
        mirror.client.close()


class Mirror:
    """What one observer has been told: rows and nodes by id, ticks, problems, and the agent's last word."""

    def __init__(self, client: AgentClient, interval: float = 0.1) -> None:
        self.client = client
        self.rows: dict[int, Row] = {}
        self.others: dict[int, list[tuple[int, str]]] = {}
        self.nodes: dict[int, dict[str, Any]] = {}
        self.ticks: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.actions: dict[int, list[dict[str, Any]]] = {}
        self.details: dict[int, dict[str, Any]] = {}
        self.farewell: str | None = None
        self.gone = 0
        self.texts = [""]
        client.watch(interval)

    @property
    def tasks(self) -> list[Row]:
        """The rows of tasks."""
        return [row for row in self.rows.values() if row["kind"] == schema.KIND_TASK]

    @property
    def threads(self) -> list[Row]:
        """The rows of threads."""
        return [row for row in self.rows.values() if row["kind"] == schema.KIND_THREAD]

    def named(self, name: str) -> Row | None:
        """The row of this name, if there is one."""
        found = [row for row in self.rows.values() if row["name"] == name]
        assert len(found) < 2, found
        return found[0] if found else None

    def hear(self, seconds: float = 0.05) -> None:
        """Take in what comes; returns early when something does."""
        for frame in self.client.receive(seconds):
            self._take(frame)

    def wait(self, find: Callable[[], Found | None], what: str = "", within: float = 60.0) -> Found:
        """Listen until `find` returns something."""
        deadline = time.monotonic() + within
        while True:
            found = find()
            if found:
                return found
            assert self.farewell is None, f"the agent has left: {self.farewell}"
            assert time.monotonic() < deadline, f"{what or find} did not come within {within:g} s; {self.problems}"
            self.hear()

    def turn(self, count: int = 1, within: float = 60.0) -> None:
        """Listen until `count` more updates are complete."""
        wanted = len(self.ticks) + count
        self.wait(lambda: len(self.ticks) >= wanted, f"{count} updates", within)

    def wait_until_known(self, within: float = 60.0) -> None:
        """Listen until all tasks are listed, measured, and their holders looked for."""

        def known() -> bool:
            tick = self.ticks[-1] if self.ticks else None
            return bool(tick and tick["complete"] and tick["holders_complete"] and tick["measured"] >= tick["total"])

        self.wait(known, "the first complete picture", within)
        self.turn()

    def wait_until_exact(self, rows: Callable[[], list[Row]], within: float = 90.0) -> list[Row]:
        """Listen until all of these rows, if there are any, have exact sizes; returns them.

        Where other processes have the processor a measurement may be cut short, and a lower bound stays for half a
        minute.
        """

        def exact() -> list[Row]:
            found = rows()
            return found if all(row["accuracy"] == schema.EXACT for row in found) else []

        return self.wait(exact, "exact sizes", within)

    def group(self, question: GroupQuestion, within: float = 60.0) -> dict[str, Any]:
        """What the agent says of a group."""
        token = 1000 + len(self.details)
        self.client.group(question, token)
        return self.wait(lambda: self.details.get(token), "the group", within)

    def places(self, question: PlacesQuestion, within: float = 60.0) -> dict[str, Any]:
        """What the agent says of where objects are held."""
        token = 5000 + len(self.details)
        self.client.places(question, token)
        return self.wait(lambda: self.details.get(token), "the places", within)

    def detail(self, row: Row, within: float = 60.0) -> dict[str, Any]:
        """Everything about one row."""
        token = len(self.details) + 1
        self.client.detail(row["id"], token)
        return self.wait(lambda: self.details.get(token), "the detail", within)

    def _take(self, frame: Frame) -> None:
        head = frame.head
        kind = head["t"]
        if kind == "strings":
            assert head["first"] == len(self.texts)
            self.texts += head["items"]
        elif kind == "rows":
            self._take_rows(frame)
        elif kind == "nodes":
            self.nodes.update({node["id"]: node for node in head["items"]})
        elif kind == "gone":
            for number in _column(frame, "id"):
                self.rows.pop(number, None)
                self.nodes.pop(number, None)
                self.gone += 1
        elif kind == "tick":
            self.ticks.append(head)
        elif kind in ("detail", "group", "places"):
            self.details[head["token"]] = head
        elif kind == "action":
            self.actions.setdefault(head["token"], []).append(head)
        elif kind == "problem":
            self.problems.append(head["text"])
        elif kind == "bye":
            self.farewell = head["reason"]

    def _take_rows(self, frame: Frame) -> None:
        columns = {name: _column(frame, name) for name in schema.ROW_NAMES}
        for position, name in enumerate(frame.head["names"]):
            row = {key: values[position] for key, values in columns.items()}
            for key in ("function", "waiting", "where"):
                row[key] = self.texts[row[key]]
            row["state"] = schema.STATES[row["state"]]
            row["name"] = self.rows[row["id"]]["name"] if name is None else name
            self.rows[row["id"]] = row
            self.others.pop(row["id"], None)
        if schema.OTHERS_COLUMNS[0][0] in frame.columns:
            told = [_column(frame, name) for name, _ in schema.OTHERS_COLUMNS]
            for number, owner, edge in zip(*told, strict=True):
                self.others.setdefault(number, []).append((owner, schema.EDGES[edge]))


def _column(frame: Frame, name: str) -> tuple[Any, ...]:
    code, count, data = frame.columns[name]
    return struct.unpack(f"<{count}{code}", data)


def files_of(pid: int) -> dict[str, str]:
    """The open files of a process: number and what it leads to."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[number] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


def threads_of(pid: int) -> set[str]:
    """The kernel's threads of a process."""
    return set(os.listdir(f"/proc/{pid}/task"))


def sockets_of(interpreter: Interpreter, pid: int) -> list[Path]:
    """The socket files of agents of this process, listened at or left behind; not those of an earlier one."""
    found: list[Path] = []
    for base in ("tmp", "var/tmp", "dev/shm"):
        for ticks in (start_ticks(pid), 0):
            found += (interpreter.root / base).glob(f"pyobserver-*/{pid}-{ticks}.sock")
    return found


def silence(stopped: tuple[int, str]) -> None:
    """The target has ended well, and has not complained about anything."""
    assert stopped == (0, "")
