"""Which rows are shown, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from ..model.tasks import Tasks
from ..protocol import schema

NUMERIC = frozenset({"age", "memory", "growth", "cpu", "activity", "queue"})  # of whose columns one asks for the most

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]


def matches(tasks: Tasks, text: str, kinds: Collection[int] | None = None) -> Mask:
    """Return which rows have `text`, in any case, in their name, function, place, or what they wait on.

    `kinds` leaves only rows of these kinds.
    """
    mask = np.ones(len(tasks), bool)
    if kinds is not None:
        mask &= np.isin(tasks["kind"], list(kinds))
    text = text.strip().casefold()
    if text:
        found = _names_with(tasks.names, text)
        hits = np.array([text in each.casefold() for each in tasks.texts], bool)
        for column in ("function", "where", "waiting"):
            found |= hits[tasks[column].astype(np.int64)]
        kinds_found = [i for i, kind in enumerate(schema.KINDS) if text in kind]
        states_found = [i for i, state in enumerate(schema.STATES) if text in state]
        found |= np.isin(tasks["kind"], kinds_found) | np.isin(tasks["state"], states_found)
        mask &= found
    return mask


def _names_with(names: Sequence[str], text: str) -> Mask:
    return np.fromiter((text in name.casefold() for name in names), bool, len(names))


def order(tasks: Tasks, column: str, descending: bool, mask: Mask | None = None) -> Positions:
    """Return the positions of the rows chosen by `mask` in the order of `column`.

    What is not known comes last either way; equal rows keep the order of their ids. Columns: kind, name, function,
    state, waiting, where, age, memory, growth, cpu, activity, queue; any other name sorts by id.
    """
    chosen = np.arange(len(tasks)) if mask is None else np.flatnonzero(mask)
    keys = _KEYS.get(column, _by_id)(tasks)[chosen].astype(np.float64)
    unknown = np.isnan(keys)
    keys = np.where(unknown, 0.0, -keys if descending else keys)
    return chosen[np.lexsort((tasks["id"][chosen], keys, unknown))]


def _text_rank(column: str) -> Callable[[Tasks], NDArray[np.float64]]:
    def ranks(tasks: Tasks) -> NDArray[np.float64]:
        used = np.flatnonzero(np.bincount(tasks[column].astype(np.int64))).tolist()
        keys = {i: tasks.texts[i].casefold() for i in used}
        places = {key: place for place, key in enumerate(sorted(set(keys.values()) - {""}))}
        table = np.full(len(tasks.texts), np.nan)
        for i, key in keys.items():
            table[i] = places.get(key, np.nan)
        return table[tasks[column].astype(np.int64)]

    return ranks


def _number(column: str, unknown_below: float | None = None) -> Callable[[Tasks], NDArray[np.float64]]:
    def values(tasks: Tasks) -> NDArray[np.float64]:
        numbers = tasks[column].astype(np.float64)
        return numbers if unknown_below is None else np.where(numbers < unknown_below, np.nan, numbers)

    return values


def _by_id(tasks: Tasks) -> NDArray[np.float64]:
    return tasks["id"].astype(np.float64)


def _by_age(tasks: Tasks) -> NDArray[np.float64]:
    created = tasks["created"].astype(np.float64)
    until = np.where(tasks.alive, tasks.taken_at, tasks["ended_at"])
    return np.where(created > 0, until - created, np.nan)


_KEYS: dict[str, Callable[[Tasks], NDArray[np.float64]]] = {
    "kind": _number("kind"),
    "name": lambda tasks: tasks.name_ranks,
    "function": _text_rank("function"),
    "state": _number("state"),
    "waiting": _text_rank("waiting"),
    "where": _text_rank("where"),
    "age": _by_age,
    "memory": _number("retained", 0),
    "growth": lambda tasks: tasks.growth,
    "cpu": _number("cpu"),
    "activity": _number("activity"),
    "queue": _number("queue", 0),
}
