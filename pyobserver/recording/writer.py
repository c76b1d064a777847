"""Writes snapshots into a recording, one transaction a tick. All methods belong to one thread at a time."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import numpy as np

from ..model.history import History
from ..model.snapshot import Snapshot
from . import file
from .cells import Cells, packed_cells
from .errors import RecordingError
from .heap import packed_census, packed_containers
from .packing import packed
from .rows import RowsWriter
from .shares import Shares
from .state import StateWriter

KEY_TICKS = 120  # at most from one whole tick to the next: each is some work for who seeks
LEAST_KEY_TICKS = 20
LOG_TICKS = 30  # after which what is in the log beside the file is brought into it, as people copy one file
FINEST = 60.0  # seconds in a block of the finest cells
BLOCKS = ((10.0, 600.0), (60.0, 3600.0))  # seconds of a cell, and of a block of them
LATE = 5.0  # seconds after the end of a block in which readings of its time may still come
CENSUS_SECONDS = 10.0  # from one census to the next, at least,
CENSUS_RATE = 1000.0  # and this many bytes of them in a second, at most


class RecordingWriter:
    """A new recording. Raises RecordingError when the file cannot be made, or not be written any more.

    `max_bytes` is what it may come to need on the disk; None for any size. `notes` are kept with it.
    """

    def __init__(self, path: Path, notes: dict[str, str], max_bytes: int | None = None) -> None:
        self.path = path
        self._file = file.create(path)
        self._shares = Shares(self._file, path, max_bytes)
        self._state = StateWriter()
        self._number = 0
        self._rows = RowsWriter()
        self._key_bytes = self._since_key = self._ticks_since_key = 0
        self._texts = 0
        self._series: dict[str, int] = {}
        self._version = 0  # of the history, when its cells were last written
        self._told: dict[str, float] = {}  # where the last cell of each series begins that was written
        self._block_begin: float | None = None
        self._census_due = -math.inf
        self._census_at = self._containers_at = -math.inf
        try:
            self._file.executemany("INSERT INTO note VALUES (?, ?)", notes.items())
        except sqlite3.Error as error:
            raise self._failed(error) from None

    @property
    def size(self) -> int:
        """The bytes on the disk, with what is not yet in the file itself."""
        return self._shares.on_disk()

    def add(self, snapshot: Snapshot) -> None:
        """Write all that is new in a snapshot. Raises RecordingError."""
        try:
            self._file.execute("BEGIN IMMEDIATE")
            self._number += 1
            is_key = self._is_key_due()
            self._write_texts(snapshot.tasks.texts)
            self._write_detail(snapshot, is_key)
            self._write_history(snapshot.history, snapshot.taken_at)
            self._write_heap(snapshot)
            self._shares.make_room()
            self._file.execute("COMMIT")
            if self._number % LOG_TICKS == 0 or self._shares.is_log_large():
                self._file.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Finish the file: nothing is beside it any more, and it can be read where nothing can be written."""
        try:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._file.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error:
            pass  # somebody reads it, or there is no room: it stays as it is, which can be read as well
        self._file.close()

    def _failed(self, error: sqlite3.Error) -> RecordingError:
        return RecordingError(f"{self.path} cannot be written: {error}")

    # -- rows and state ----------------------------------------------------------------------------------------------

    def _is_key_due(self) -> bool:
        """Whether everything is written: seeking is quick then, and what came before can be removed."""
        if self._number == 1 or self._ticks_since_key >= KEY_TICKS:
            return True
        return self._ticks_since_key >= LEAST_KEY_TICKS and self._since_key > 4 * self._key_bytes

    def _write_detail(self, snapshot: Snapshot, is_key: bool) -> None:
        rows = self._rows.changes(snapshot.tasks, is_key)
        state = packed(self._state.whole(snapshot) if is_key else self._state.changes(snapshot))
        size = len(rows) + len(state)
        if is_key:
            self._key_bytes, self._since_key, self._ticks_since_key = size, 0, 0
        else:
            self._since_key += size
            self._ticks_since_key += 1
        self._file.execute("INSERT INTO tick VALUES (?, ?, ?)", (self._number, snapshot.taken_at, is_key))
        self._file.execute("INSERT INTO detail VALUES (?, ?, ?)", (self._number, rows, state))
        self._shares.grew("detail", size)

    def _write_texts(self, texts: object) -> None:
        listed = texts if isinstance(texts, list) else list(texts)  # type: ignore[call-overload]
        count = len(listed)  # it goes on growing, on another thread
        fresh = [(number, listed[number]) for number in range(self._texts, count)]
        if fresh:
            self._file.executemany("INSERT INTO text VALUES (?, ?)", fresh)
            self._texts = count

    # -- series ------------------------------------------------------------------------------------------------------

    def _write_history(self, history: History, now: float) -> None:
        if self._block_begin is None:
            self._block_begin = self._write_past(history, now)
        self._block_begin = begun = self._finish_blocks(history, now, self._block_begin)
        self._version, names = history.news(self._version)
        found: dict[int, tuple[float, Cells]] = {}
        for name in names:
            finest = history.widths_of(name)[0]
            cells = history.cells(name, finest, self._told.get(name, begun) + finest / 2)
            if cells is not None and len(cells):
                found[self._series_number(name, finest, float(cells[0, 0]))] = (finest, cells)
                self._told[name] = float(cells[-1, 0])
        content = packed_cells(_floor(now, FINEST), found, 1)
        self._file.execute("INSERT INTO recent VALUES (?, ?, ?)", (self._number, now, content))

    def _finish_blocks(self, history: History, now: float, begin: float) -> float:
        """Write the blocks of the minutes that are over, from `begin` on; returns when that begins which is not."""
        if now - begin > BLOCKS[0][1]:  # nobody has written for long: the finest cells are not there now
            begin = _floor(now - BLOCKS[0][1], FINEST)
        while now >= begin + FINEST + LATE:
            end = begin + FINEST
            self._write_block(history, None, begin, end)
            self._file.execute("DELETE FROM recent WHERE time < ?", (end,))
            for seconds, length in BLOCKS:
                if (block := _floor(begin, length)) != _floor(end, length):
                    self._write_block(history, seconds, block, block + length)
            begin = end
        return begin

    def _write_past(self, history: History, now: float) -> float:
        """Write what was known before: blocks of all that there is, the last ones not complete; returns their end."""
        widths = {name: history.widths_of(name) for name in history.names()}
        steps: tuple[tuple[float | None, float], ...] = (*reversed(BLOCKS), (None, FINEST))
        for seconds, length in steps:
            begins: set[float] = set()
            for name, own in widths.items():
                cells = history.cells(name, own[0] if seconds is None else seconds, -math.inf)
                if cells is not None:
                    begins.update((np.floor(cells[:, 0] / length) * length).tolist())
            for begin in sorted(begins):
                until = min(begin + length, _floor(now, FINEST))
                if until > begin:
                    self._write_block(history, seconds, begin, until)
        return _floor(now, FINEST)

    def _write_block(self, history: History, seconds: float | None, begin: float, until: float) -> None:
        """Write the cells from `begin` to `until` of all series; the finest that each has without `seconds`."""
        found: dict[int, tuple[float, Cells]] = {}
        for name in history.names():
            own = history.widths_of(name)[0] if seconds is None else seconds
            cells = history.cells(name, own, begin)
            if cells is not None:
                chosen = cells[(cells[:, 0] >= begin) & (cells[:, 0] < until)]
                if len(chosen):
                    finest = history.widths_of(name)[0]
                    found[self._series_number(name, finest, float(chosen[0, 0]))] = (own, chosen)
        if not found:
            return
        content = packed_cells(begin, found)
        stored = 1.0 if seconds is None else seconds
        old = self._file.execute("SELECT length(cells) FROM block WHERE seconds = ? AND begin = ?", (stored, begin))
        replaced = old.fetchone()
        self._file.execute("INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?)", (stored, begin, until, content))
        self._shares.grew(f"block {stored:g}", len(content) - (replaced[0] if replaced else 0))

    def _series_number(self, name: str, finest: float, begin: float) -> int:
        number = self._series.get(name)
        if number is None:
            number = self._series[name] = len(self._series) + 1
            self._file.execute("INSERT INTO series VALUES (?, ?, ?, ?)", (number, name, finest, begin))
        return number

    # -- the heap ----------------------------------------------------------------------------------------------------

    def _write_heap(self, snapshot: Snapshot) -> None:
        heap, containers = snapshot.heap, snapshot.containers
        for census in (*heap.earlier, heap.newest) if heap.newest is not None else ():
            if census is not None and census.taken_at > self._census_at and census.taken_at >= self._census_due:
                content = packed_census(census)
                self._insert("census", census.taken_at, content)
                self._census_at = census.taken_at
                self._census_due = census.taken_at + max(CENSUS_SECONDS, len(content) / CENSUS_RATE)
        for found in (*containers.earlier, containers.newest) if containers.newest is not None else ():
            if found is not None and found.taken_at > self._containers_at:
                self._insert("containers", found.taken_at, packed_containers(found))
                self._containers_at = found.taken_at

    def _insert(self, table: str, time: float, content: bytes) -> None:
        self._file.execute(f"INSERT INTO {table} (time, content) VALUES (?, ?)", (time, content))
        self._shares.grew(table, len(content))


def _floor(time: float, step: float) -> float:
    return math.floor(time / step) * step
