"""Everything about one task, as it was asked for: what it does, what it keeps, and who keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ChainFrame:
    """One coroutine of the chain of awaits. `line` is None where it could not be read."""

    function: str
    file: str
    line: int | None


@dataclass(frozen=True)
class Variable:
    """A local variable of one coroutine of the chain. `value` is how its value begins, where that was asked for."""

    function: str
    name: str
    type: str
    length: int | None
    value: str = ""


@dataclass(frozen=True)
class DetailAnswer:
    """The answer about the row `id`; sizes in bytes, texts cleaned. `problem` says why there is none, or is empty.

    `chain` begins with what the task was started with and ends with what it waits in. `accuracy` is one of
    `schema.ACCURACIES`, and `error` the 95 % error of `retained` where that is sampled.
    """

    id: int
    chain: tuple[ChainFrame, ...] = ()
    waits: str = ""  # what it waits on, with all that is known of that
    by_type: tuple[tuple[str, int, int], ...] = ()  # (type, count, bytes), largest first
    biggest: tuple[tuple[str, str, int | None, int, str], ...] = ()  # (path, type, length, bytes, value), largest first
    variables: tuple[Variable, ...] = ()  # of the innermost coroutines
    retained: int | None = None
    accuracy: str = "unavailable"
    error: int = 0
    awaited_by: tuple[tuple[int, str], ...] = ()  # (row id, label)
    holders: tuple[tuple[str, str, int | None], ...] = ()  # (path, type, length)
    created_at: float | None = None  # Unix time; None when it was created before anybody looked
    blocked: int = 0  # how often it was seen holding its loop, each time for 5 ms or more
    note: str = ""  # what could not be had, and why
    problem: str = ""
