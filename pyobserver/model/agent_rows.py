"""What the agent says of rows, in its own words, as rows of the store: columns are checked, its text ids translated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..protocol import schema
from ..protocol.clean import clean
from .task_store import MAX_LABEL, TaskStore
from .tasks import COLUMNS, Array

MAX_AGENT_TEXTS = 100_000
_FITTING = {kind: "iubf" if issubclass(kind, np.floating) else "iub" for kind in set(COLUMNS.values())}


class AgentRows:
    """Brings rows of the agent that answers now into a store of rows."""

    def __init__(self, tasks: TaskStore) -> None:
        self._tasks = tasks
        self._texts = np.zeros(1, np.int32)  # the agent's text ids -> those of the store

    def clear(self) -> None:
        """Forget the texts: of another agent the ids mean something else."""
        self._texts = np.zeros(1, np.int32)

    def add_texts(self, first: int, items: Sequence[str]) -> None:
        """Texts with the agent's ids `first`, `first + 1`, ...; a gap cannot be: ids out of order are ignored."""
        if 0 < first <= len(self._texts):
            mine = [self._tasks.intern(clean(text, MAX_LABEL)) for text in items[: MAX_AGENT_TEXTS - first]]
            self._texts = np.concatenate([self._texts[:first], np.array(mine, np.int32)])

    def put(self, columns: Mapping[str, Array], names: Sequence[str | None], now: float) -> list[int]:
        """Put new or changed rows into the store, and return their ids.

        Unknown columns and ids that are not positive are left out. Raises ValueError, and changes nothing, when there
        are no ids, the lengths differ, or a type does not fit.
        """
        mine = {name: values for name, values in columns.items() if name in COLUMNS}
        if "id" not in mine or any(len(values) != len(names) for values in mine.values()):
            raise ValueError("rows without ids, or columns of different lengths")
        if any(values.dtype.kind not in _FITTING[COLUMNS[name]] for name, values in mine.items()):
            raise ValueError("a column of whole numbers has others")
        right = mine["id"].astype(np.int64) > 0
        if not right.all():
            mine = {name: values[right] for name, values in mine.items()}
            names = [name for name, ok in zip(names, right.tolist(), strict=True) if ok]
        for column in ("function", "waiting", "where"):
            if column in mine:
                mine[column] = self._translated(mine[column])
        kinds, states = mine.get("kind"), mine.get("state")
        if kinds is not None and states is not None and (kinds == schema.KIND_THREAD).any():
            mine = self._keep_outside_facts(mine)
        self._tasks.put(mine, [None if name is None else clean(name, MAX_LABEL) for name in names], now)
        ids: list[int] = mine["id"].tolist()
        return ids

    def _translated(self, numbers: Array) -> Array:
        index = numbers.astype(np.int64)
        known = len(self._texts)
        return np.where((index >= 0) & (index < known), self._texts[index.clip(0, known - 1)], 0)

    def _keep_outside_facts(self, columns: dict[str, Array]) -> dict[str, Array]:
        """What the agent cannot know of a thread (state, where, CPU) must not be overwritten with "unknown"."""
        mine = {name: column.copy() for name, column in columns.items()}
        for i in np.flatnonzero(mine["kind"] == schema.KIND_THREAD).tolist():
            number = int(mine["id"][i])
            if number not in self._tasks:
                continue
            for name in ("state", "waiting", "where", "cpu"):
                if name not in mine:
                    continue
                value = mine[name][i]
                if (value == 0 or value != value) and (old := self._tasks.value(number, name)) is not None:
                    mine[name][i] = old
        return mine
