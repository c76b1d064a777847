"""Reads a recording: which moments there are, and all that was known at one of them.

All methods may be called on any thread, one at a time. Whatever of the file cannot be read is passed over and counted:
`problems` says what is missing.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..model.census import Census, HeapRecord
from ..model.forest import Node
from ..model.history import History
from ..model.names import NameOrder
from ..model.places import ContainerRecord, Containers
from ..model.snapshot import Phase, Snapshot, Status
from ..model.task_store import MAX_TEXTS
from ..model.tasks import Tasks
from ..protocol.clean import clean
from . import file
from .cells import Cells, unpacked_cells
from .errors import Damaged, RecordingError
from .heap import unpacked_census, unpacked_containers
from .packing import unpacked
from .past import Block, Blocks, RecordedHistory
from .rows import Rows
from .state import State

QUERY_SECONDS = 10.0  # after which a query is given up: a file may be made to be slow
MAX_TICKS = 2_000_000
MAX_SERIES = 20_000
MAX_TEXT = 300
CONTAINERS = 20  # earlier readings of the containers that are kept, beside the first
NOT_COUNTED = "objects were not counted for this recording"
NOT_YET = "not yet, at this moment of the recording"
NOT_LOOKED_FOR = "large containers were not looked for in this recording"
KEPT = 64  # readings of the heap that are kept decoded
LOST = (sqlite3.Error, Damaged, RecursionError, MemoryError, OverflowError, ValueError)
Read = TypeVar("Read", Census, Containers)


class _Moment:
    """The rows and the state after one tick."""

    def __init__(self, place: int, rows: Rows, state: State) -> None:
        self.place, self.rows, self.state = place, rows, state


class Recording:
    """A recording that is read. Raises RecordingError where nothing of it can be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._until = float("inf")
        self._lost: dict[str, int] = {}
        with self._lock:
            self._begin_query()
            self._file = file.reopen(path, lambda: int(time.monotonic() > self._until))
        self.notes = dict(self._rows("SELECT key, value FROM note LIMIT 100", "the notes"))
        self.times: NDArray[np.float64] = np.empty(0)  # of the ticks, ascending
        self._numbers: NDArray[np.int64] = np.empty(0, np.int64)
        self._keys: NDArray[np.bool_] = np.empty(0, bool)
        self._texts: list[str] = [""]
        self._broken: set[int] = set()  # places of moments that cannot be read
        self._recent_at = -1.0  # up to when the cells that are in no block have been read
        self._moment: _Moment | None = None
        self._order = NameOrder()
        self._blocks = Blocks(self._load_block)
        self._heap: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self.refresh()
        if not len(self.times):
            self.close()
            why = "it is damaged" if self._lost else "it ended before the first tick was written"
            raise RecordingError(f"there is nothing to be shown in {path}: {why}")

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._file.close()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read, a sentence each; empty when all could so far."""
        return tuple(
            f"the recording is damaged: {what} could not be read" + (f" ({count} times)" if count > 1 else "")
            for what, count in self._lost.items()
        )

    def refresh(self) -> bool:
        """Look for what was written since; returns whether there are more moments now."""
        with self._lock:
            last = int(self._numbers[-1]) if len(self._numbers) else -1
            fresh = self._ticks(last)
            if not fresh:
                return False
            self._numbers = np.concatenate([self._numbers, [row[0] for row in fresh]]).astype(np.int64)
            self.times = np.maximum.accumulate(np.concatenate([self.times, [row[1] for row in fresh]]))
            self._keys = np.concatenate([self._keys, [bool(row[2]) for row in fresh]]).astype(bool)
            self._read_texts()
            self._list_history()
            return True

    # -- queries -----------------------------------------------------------------------------------------------------

    def _begin_query(self) -> None:
        self._until = time.monotonic() + QUERY_SECONDS

    def _rows(self, query: str, what: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, as far as they can be read; `what` they are is said where they cannot."""
        found: list[tuple[Any, ...]] = []
        self._begin_query()
        try:
            for row in self._file.execute(query, values):
                found.append(row)
        except LOST:
            self._miss(what)
        return found

    def _miss(self, what: str) -> None:
        self._lost[what] = self._lost.get(what, 0) + 1

    def _ticks(self, after: int) -> list[tuple[int, float, int]]:
        """The moments; of a damaged list what can be read from both of its ends."""
        query = "SELECT number, time, is_key FROM tick WHERE number > ? ORDER BY number"
        lost = self._lost.get("the list of moments", 0)
        rows = self._rows(f"{query} LIMIT {MAX_TICKS}", "the list of moments", (after,))
        if self._lost.get("the list of moments", 0) > lost:
            back = self._rows(f"{query} DESC LIMIT {MAX_TICKS}", "the list of moments", (after,))
            rows = sorted({row[0]: row for row in (*rows, *back)}.values())
        good = [row for row in rows if type(row[0]) is int and type(row[1]) is float and 0 <= row[1] < 1e11]
        return [(row[0], row[1], 1 if row[2] else 0) for row in good]

    def _read_texts(self) -> None:
        query = f"SELECT number, text FROM text WHERE number >= ? ORDER BY number LIMIT {MAX_TEXTS}"
        for number, text in self._rows(query, "some texts", (len(self._texts),)):
            if type(number) is int and type(text) is str and len(self._texts) <= number < MAX_TEXTS:
                self._texts += ["?"] * (number - len(self._texts))  # those between are lost
                self._texts.append(clean(text, MAX_TEXT))

    # -- moments -----------------------------------------------------------------------------------------------------

    def place(self, at: float) -> int:
        """Return the place of the last moment that is not after a time; 0 where all are."""
        return max(0, int(np.searchsorted(self.times, at, side="right")) - 1)

    def at(self, place: int, with_heap: bool = True) -> Snapshot:
        """Return what was known at a moment. Where it cannot be read it is the nearest one before that can.

        The objects by type are read only `with_heap`. Raises RecordingError where none can be read.
        """
        with self._lock:
            place = min(max(0, place), len(self) - 1)
            moment = self._seek(place)
            values, lost = moment.state.values()
            for name in lost:
                self._miss(f"{name} of some moments")
            taken_at = float(self.times[moment.place])
            columns, names = moment.rows.settled(len(self._texts))
            values["nodes"] = _told_apart(values.get("nodes", {}), columns["id"])
            state = moment.state
            tasks = Tasks(taken_at, columns, names, self._texts, state.ended, state.known_share, self._order)
            status = values.get("status") or Status(Phase.REPLAY)
            rest = {name: value for name, value in values.items() if name not in ("status", "taken_at")}
            heap = HeapRecord(problem="" if with_heap else "not looked at")
            return Snapshot(
                **{
                    **rest,
                    "taken_at": taken_at,
                    "status": status,
                    "history": self.history(taken_at),
                    "tasks": tasks,
                    "heap": self._heap_record(taken_at) if with_heap else heap,
                    "containers": self._container_record(taken_at),
                    "problems": (*values.get("problems", ()), *self.problems),
                }
            )

    def _seek(self, place: int) -> _Moment:
        """The state after a tick: from the one that is there, or from the last whole tick before it.

        Behind a tick that cannot be read nothing is known until the next whole one: the last moment before it stands
        for these. Where there is none before, the first one after does.
        """
        while True:
            key = self._key_for(place)
            broken = [each for each in self._broken if key < each <= place]
            place = max(key, min(broken) - 1 if broken else place)
            moment, self._moment = self._moment, None
            try:
                if moment is None or not key <= moment.place <= place:
                    at = key
                    moment = self._whole(key)
                while moment.place < place:
                    at = moment.place + 1
                    rows, state = self._detail(at)
                    moment.rows.apply(rows)
                    moment.state.apply(unpacked(state)[0])
                    moment.place = at
                self._moment = moment
                return moment
            except LOST:
                self._broken.add(at)
                self._miss("some moments")

    def _key_for(self, place: int) -> int:
        """The place of the whole tick from which a moment is told."""
        good = np.flatnonzero(self._keys)
        good = good[~np.isin(good, list(self._broken))]
        if not len(good):
            raise RecordingError(f"{self.path} is damaged: no moment of it can be read")
        return int(good[max(0, int(np.searchsorted(good, place, side="right")) - 1)])

    def _whole(self, place: int) -> _Moment:
        rows_content, state_content = self._detail(place)
        rows = Rows()
        rows.apply(rows_content)
        return _Moment(place, rows, State(unpacked(state_content)[0]))

    def _detail(self, place: int) -> tuple[Any, Any]:
        self._begin_query()
        found = self._file.execute(
            "SELECT rows, state FROM detail WHERE number = ?", (int(self._numbers[place]),)
        ).fetchone()
        if found is None:
            raise Damaged("a moment without content")
        return found[0], found[1]

    # -- series ------------------------------------------------------------------------------------------------------

    def history(self, until: float) -> History:
        """Return all series as they were known at a moment."""
        return RecordedHistory(self._blocks, until, self._lock)

    def _list_history(self) -> None:
        series = self._rows(
            f"SELECT name, number, seconds, begin FROM series LIMIT {MAX_SERIES}", "the list of the series"
        )
        self._blocks.series = {
            clean(name, MAX_TEXT): (number, float(seconds), begin)
            for name, number, seconds, begin in series
            if type(name) is str and type(number) is int and seconds in (1.0, 2.0) and type(begin) is float
        }
        blocks = self._rows("SELECT seconds, begin, until FROM block ORDER BY seconds, begin", "the list of the series")
        self._blocks.list_all(
            Block(seconds, begin, until)
            for seconds, begin, until in blocks
            if all(type(value) is float for value in (seconds, begin, until))
        )
        for time_, content in self._rows(
            "SELECT time, cells FROM recent WHERE time > ? ORDER BY number", "the last minute", (self._recent_at,)
        ):
            try:
                self._blocks.recent.append((float(time_), unpacked_cells(content)))
                self._recent_at = float(time_)
            except LOST:
                self._miss("the last minute")
        newest = max((block.until for block in self._blocks.listed.get(1.0, ())), default=0.0)
        self._blocks.recent = [each for each in self._blocks.recent if each[0] >= newest - 60.0]

    def _load_block(self, block: Block) -> dict[int, Cells] | None:
        self._begin_query()
        try:
            found = self._file.execute(
                "SELECT cells FROM block WHERE seconds = ? AND begin = ?", (block.seconds, block.begin)
            ).fetchone()
            return unpacked_cells(found[0]) if found is not None else None
        except LOST:
            self._miss("a part of the charts")
            return None

    # -- the heap ----------------------------------------------------------------------------------------------------

    def _heap_record(self, until: float) -> HeapRecord:
        """The censuses up to a moment, as they would have been kept."""
        record = HeapRecord(problem=NOT_YET if self._has("census") else NOT_COUNTED)
        for number, _ in self._listed("census", until):
            census = self._read_heap("census", number, unpacked_census)
            if census is not None:
                record = record.with_census(census)
        return record

    def _container_record(self, until: float) -> ContainerRecord:
        record = ContainerRecord(problem=NOT_YET if self._has("containers") else NOT_LOOKED_FOR)
        listed = self._listed("containers", until)
        for number, _ in [*listed[:1], *listed[1:][-CONTAINERS:]]:
            found = self._read_heap("containers", number, unpacked_containers)
            if found is not None:
                record = record.with_answer(found.answer, found.taken_at)
        return record

    def _has(self, table: str) -> bool:
        return bool(self._rows(f"SELECT 1 FROM {table} LIMIT 1", "the list of the heap"))

    def _listed(self, table: str, until: float) -> list[tuple[int, float]]:
        rows = self._rows(
            f"SELECT number, time FROM {table} WHERE time <= ? ORDER BY number", "the list of the heap", (until,)
        )
        return [(number, at) for number, at in rows if type(number) is int and type(at) is float]

    def _read_heap(self, table: str, number: int, decode: Callable[[object], Read]) -> Read | None:
        known = (table, number)
        if known not in self._heap:
            self._begin_query()
            try:
                row = self._file.execute(f"SELECT content FROM {table} WHERE number = ?", (number,)).fetchone()
                self._heap[known] = decode(row[0] if row else None)
            except LOST:
                self._miss("a reading of the heap")
                self._heap[known] = None
            while len(self._heap) > KEPT:
                self._heap.popitem(last=False)
        found: Read | None = self._heap.get(known)
        return found


def _told_apart(nodes: dict[int, Node], rows: NDArray[np.generic]) -> dict[int, Node]:
    """The nodes whose ids no row has, and not the process: else the tree would have no end."""
    ids = np.fromiter(nodes, np.int64, len(nodes))
    wrong = set(ids[(ids <= 0) | np.isin(ids, rows)].tolist())
    return {number: node for number, node in nodes.items() if number not in wrong} if wrong else nodes
