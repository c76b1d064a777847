"""Keeps a recording below its largest size: each kind of content has its share of it, and loses its oldest first."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_SHARES = {"detail": 0.55, "census": 0.1, "containers": 0.05, "block 1": 0.15, "block 10": 0.05, "block 60": 0.1}
_FILLED = 0.7  # of the size may be content: pages are not full, and one tick more is written before it is looked at
_KEPT_KEYS = 2  # whole ticks that stay, with what follows each


class Shares:
    """What is in a file, in bytes by kind of content. `max_bytes` None is no limit."""

    def __init__(self, connection: sqlite3.Connection, path: Path, max_bytes: int | None) -> None:
        self._file = connection
        self._path = path
        self._max_bytes = max_bytes
        self._bytes = dict.fromkeys(_SHARES, 0)

    def grew(self, kind: str, size: int) -> None:
        """Say that so many bytes were written."""
        self._bytes[kind] += size

    def on_disk(self) -> int:
        """The bytes of the file, and of its log beside it."""
        size = 0
        for path in (self._path, Path(f"{self._path}-wal")):
            try:
                size += path.stat().st_size
            except OSError:
                pass
        return size

    def make_room(self) -> None:
        """Remove the oldest of what has more than its share, while all of it is too much."""
        if self._max_bytes is None:
            return
        room = self._max_bytes * _FILLED - self._log_bytes()
        while sum(self._bytes.values()) > room:
            over = sorted(_SHARES, key=lambda kind: self._bytes[kind] / _SHARES[kind], reverse=True)
            removed = next((size for kind in over if (size := self._remove(kind))), 0)
            if not removed:
                return

    def is_log_large(self) -> bool:
        """Whether it is time to bring into the file what is in the log beside it."""
        return self._max_bytes is not None and self._log_bytes() > self._max_bytes / 8

    def _log_bytes(self) -> int:
        try:
            return Path(f"{self._path}-wal").stat().st_size
        except OSError:
            return 0

    def _remove(self, kind: str) -> int:
        """Remove the oldest of a kind; returns the bytes, 0 where nothing may go."""
        if kind == "detail":
            removed = self._remove_ticks()
        else:
            table, _, seconds = kind.partition(" ")
            where, values = (" WHERE seconds = ?", (float(seconds),)) if seconds else ("", ())
            order, column = ("begin", "cells") if seconds else ("number", "content")
            oldest = self._file.execute(
                f"SELECT rowid, length({column}) FROM {table}{where} ORDER BY {order} LIMIT 2", values
            ).fetchall()
            if len(oldest) < 2:
                return 0
            removed = oldest[0][1]
            self._file.execute(f"DELETE FROM {table} WHERE rowid = ?", oldest[0][:1])
        self._bytes[kind] -= removed
        return int(removed)

    def _remove_ticks(self) -> int:
        """Remove the first whole tick, and all up to the next one."""
        keys = self._file.execute(
            "SELECT number FROM tick WHERE is_key ORDER BY number LIMIT ?", (_KEPT_KEYS + 1,)
        ).fetchall()
        if len(keys) <= _KEPT_KEYS:
            return 0
        until = keys[1]
        size = self._file.execute(
            "SELECT sum(length(rows) + length(state)) FROM detail WHERE number < ?", until
        ).fetchone()[0]
        self._file.execute("DELETE FROM detail WHERE number < ?", until)
        self._file.execute("DELETE FROM tick WHERE number < ?", until)
        return int(size or 0)
