"""What the agent says of itself, as the model's objects. It comes from a foreign process: checked and cleaned here.

A message that is not as the contract has it raises MessageError; the connection ends then, as nothing behind it can be
trusted either. A measured number that cannot be becomes "not known".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..model.actions import Prospects
from ..model.readings import AgentCost, AgentFacts, Blocker, Collector, Tick
from ..protocol.clean import clean, clean_tail
from ..protocol.frames import Frame
from . import fields, inner
from .errors import MessageError
from .fields import MAX_COUNT, MAX_TEXT

MAX_TEXT_ID = 1 << 20
MOST_BLOCKING = 16


@dataclass(frozen=True)
class Hello:
    """The greeting of an agent: every field of the message, texts cleaned. `method` is how it says that it came in."""

    protocol: int
    build: str
    pid: int  # as the target knows itself
    python: str
    implementation: str
    executable: str
    argv: tuple[str, ...]
    started_at: float | None
    platform: str
    free_threaded: bool
    switch_interval: float | None
    agent_started_at: float
    capabilities: tuple[str, ...]
    self_check: str
    method: str
    followed: float | None  # seconds


def protocol_version(frame: Frame) -> int:
    """Return the version of the protocol that a greeting announces."""
    return fields.whole(frame.head, "protocol", 0, MAX_COUNT)


def hello(frame: Frame) -> Hello:
    """Read the first message, whose protocol is ours."""
    head = frame.head
    return Hello(
        protocol=protocol_version(frame),
        build=fields.text(head, "build", 60),
        pid=fields.whole(head, "pid", 1, 1 << 31),
        python=fields.text(head, "python", 60),
        implementation=fields.text(head, "implementation", 60),
        executable=fields.tail(head, "executable"),
        argv=tuple(clean(word, MAX_TEXT) for word in fields.entries(head, "argv", str)),
        started_at=fields.optional_number(head, "started_at", fields.MAX_TIME),
        platform=fields.text(head, "platform", 60),
        free_threaded=fields.flag(head, "free_threaded"),
        switch_interval=fields.optional_number(head, "switch_interval", fields.MAX_SECONDS),
        agent_started_at=fields.number(head, "agent_started_at", fields.MAX_TIME),
        capabilities=tuple(clean(word, 60) for word in fields.entries(head, "capabilities", str)),
        self_check=fields.text(head, "self_check", 500),
        method=fields.text(head, "method", 60),
        followed=fields.optional_number(head, "followed", fields.MAX_TIME),
    )


def facts(said: Hello, method: str, attach_seconds: float | None, held_seconds: float | None) -> AgentFacts:
    """Return what is to be known of an agent. `method` is how it came in, unless it was "existing" and says more."""
    return AgentFacts(
        python=said.python,
        implementation=said.implementation,
        executable=said.executable,
        command=said.argv,
        platform=said.platform,
        free_threaded=said.free_threaded,
        self_check=said.self_check,
        capabilities=said.capabilities,
        switch_interval=said.switch_interval,
        agent_started_at=said.agent_started_at,
        method=said.method if method == "existing" and said.method not in ("", "auto") else method,
        attach_seconds=attach_seconds,
        held_seconds=held_seconds,
        followed_seconds=said.followed,
    )


def strings(frame: Frame) -> tuple[int, list[str]]:
    """Return (the id of the first text, texts); what tells long ones apart is their end."""
    items = fields.entries(frame.head, "items", str)
    return fields.whole(frame.head, "first", 1, MAX_TEXT_ID), [clean_tail(text, MAX_TEXT) for text in items]


def tick(frame: Frame) -> Tick:
    """Return what closes an update."""
    head = frame.head
    said = fields.mapping(head, "agent")
    memory = said.get("memory_bytes")
    cost = AgentCost(
        cpu_seconds=fields.number(said, "cpu_seconds", fields.MAX_SECONDS),
        longest_hold_seconds=fields.number(said, "longest_hold_seconds", fields.MAX_SECONDS),
        memory_bytes=memory if type(memory) is int and 0 <= memory < fields.MAX_BYTES else None,
        dropped=fields.whole(said, "dropped", 0, MAX_COUNT),
        torn=fields.whole(said, "torn", 0, MAX_COUNT),
        observers=fields.whole(said, "observers", 0, MAX_COUNT),
        stays=fields.flag(said, "stays"),
    )
    return Tick(
        time=fields.number(head, "time", fields.MAX_TIME),
        total=fields.whole(head, "total", 0, MAX_COUNT),
        measured=fields.whole(head, "measured", 0, MAX_COUNT),
        complete=fields.flag(head, "complete"),
        holders_complete=fields.flag(head, "holders_complete"),
        collector=None if head.get("gc") is None else _collector(fields.mapping(head, "gc")),
        cost=cost,
        is_full=row_limit_is_hit(frame),
        prospects=None if head.get("remedies") is None else _prospects(fields.mapping(head, "remedies")),
        allocators=() if head.get("allocators") is None else inner.allocators(head),
        blocking=() if head.get("blocking") is None else _blocking(head),
    )


def _blocking(head: dict[str, Any]) -> tuple[Blocker, ...]:
    found = fields.parts(head, "blocking", 2)
    if len(found) > MOST_BLOCKING:
        raise MessageError(f"blocking: more than {MOST_BLOCKING}")
    return tuple(Blocker(fields.cleaned(function), fields.count(tasks)) for function, tasks in found)


def row_limit_is_hit(frame: Frame) -> bool:
    """Whether there are more tasks than the agent keeps; told with each tick."""
    return fields.flag(fields.mapping(frame.head, "agent"), "rows_limit_hit")


def _prospects(said: dict[str, Any]) -> Prospects:
    return Prospects(
        collect=fields.text(said, "collect"),
        foreign=fields.flag(said, "foreign"),
        tracing=fields.flag(said, "tracing"),
        creations=said.get("creations") is True,
        creation_seconds=fields.optional_number(said, "creation_seconds", fields.MAX_SECONDS),
    )


def _collector(said: dict[str, Any]) -> Collector:
    return Collector(
        counts=tuple(fields.count(n) for n in fields.entries(said, "counts", int, 10)),
        collections=tuple(fields.count(n) for n in fields.entries(said, "collections", int, 10)),
        collected=fields.whole(said, "collected", 0, MAX_COUNT),
        uncollectable=fields.whole(said, "uncollectable", 0, MAX_COUNT),
        seconds=None if said.get("seconds") is None else _seconds(said),
        garbage=None if said.get("garbage") is None else fields.whole(said, "garbage", 0, MAX_COUNT),
    )


def _seconds(said: dict[str, Any]) -> tuple[float, ...]:
    """How long collections have taken, by generation; one that cannot be makes all of them unknown."""
    found = fields.entries(said, "seconds", float, 10)
    if not all(0.0 <= number <= fields.MAX_SECONDS for number in found):
        raise MessageError("tick: a time that cannot be")
    return tuple(found)


def problem(frame: Frame) -> str:
    """Return what the agent could not do."""
    return fields.text(frame.head, "text", 500)


def farewell(frame: Frame) -> str:
    """Return why the agent ends."""
    return fields.text(frame.head, "reason", 500)
