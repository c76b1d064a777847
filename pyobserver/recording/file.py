"""The SQLite file of a recording: made anew with its tables, or opened to be read, whoever it comes from."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from .errors import RecordingError

FORMAT = 1
APPLICATION_ID = 0x70796F62  # "pyob"
PAGE_BYTES = 1024  # what is written in one tick is small, and has its last page to itself
WAIT_SECONDS = 2.0  # for another who writes or reads
MAX_CONTENT = 256 << 20  # bytes of one value
_QUERY_STEPS = 10_000  # between two looks at the clock
TABLES = {
    "note": "key TEXT PRIMARY KEY, value TEXT",
    "tick": "number INTEGER PRIMARY KEY, time REAL NOT NULL, is_key INTEGER NOT NULL",
    "detail": "number INTEGER PRIMARY KEY, rows BLOB NOT NULL, state BLOB NOT NULL",
    "text": "number INTEGER PRIMARY KEY, text TEXT NOT NULL",
    "series": "number INTEGER PRIMARY KEY, name TEXT NOT NULL, seconds REAL NOT NULL, begin REAL NOT NULL",
    "recent": "number INTEGER PRIMARY KEY, time REAL NOT NULL, cells BLOB NOT NULL",
    "block": "seconds REAL, begin REAL, until REAL NOT NULL, cells BLOB NOT NULL, PRIMARY KEY (seconds, begin)",
    "census": "number INTEGER PRIMARY KEY, time REAL NOT NULL, content BLOB NOT NULL",
    "containers": "number INTEGER PRIMARY KEY, time REAL NOT NULL, content BLOB NOT NULL",
}


def create(path: Path) -> sqlite3.Connection:
    """Make a new recording, readable by its owner alone. Raises RecordingError, also where there is a file already."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise RecordingError(f"{path} is there already, and is not written over; name another file") from None
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from None
    try:
        file = sqlite3.connect(path, WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        file.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = NORMAL")
        file.execute("PRAGMA wal_autocheckpoint = 0")
        file.execute("BEGIN")
        file.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        file.execute(f"PRAGMA user_version = {FORMAT}")
        for name, columns in TABLES.items():
            file.execute(f"CREATE TABLE {name} ({columns})")
        file.execute("COMMIT")
    except sqlite3.Error as error:
        raise RecordingError(f"{path} cannot be written: {error}") from None
    return file


def reopen(path: Path, interrupted: Callable[[], int]) -> sqlite3.Connection:
    """Open a recording to read it. Raises RecordingError where it is none, or one of a newer format.

    It may come from anybody: no trigger, view or function in it is used. `interrupted` is asked during long queries,
    and ends them by anything but 0.
    """
    if not path.is_file():
        raise RecordingError(f"{path} {'is no file' if path.exists() else 'is not there'}")
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from None
    if not head.startswith(b"SQLite format 3\0"):
        raise RecordingError(f"{path} is no recording of pyobserver{'' if head else ': it is empty'}")
    connection = _connected(path, interrupted)
    try:
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except (sqlite3.Error, TypeError) as error:
        connection.close()
        raise RecordingError(f"{path} is damaged, and nothing of it can be read: {error}") from None
    refusal = ""
    if identity != APPLICATION_ID:
        refusal = f"{path} is no recording of pyobserver, but another database"
    elif version > FORMAT:
        refusal = f"{path} has format {version}, and this pyobserver knows up to {FORMAT}: a newer one can read it"
    elif not {"tick", "detail"} <= tables:
        refusal = f"{path} is damaged: it has no ticks"
    if refusal:
        connection.close()
        raise RecordingError(refusal)
    return connection


def _connected(path: Path, interrupted: Callable[[], int]) -> sqlite3.Connection:
    """A connection that reads only.

    Where no files can be made beside it, only what is in the file itself is read. SQLite reads a file that was cut off
    only for those who may write the schema (`lockBtree` in its btree.c, up to 3.50 at least), which nobody does here.
    """
    address = f"file:{quote(str(path.absolute()))}"
    last: sqlite3.Error | None = None
    for options, schema in (("?mode=ro", "OFF"), ("?immutable=1", "OFF"), ("?immutable=1", "ON")):
        connection = sqlite3.connect(
            address + options, WAIT_SECONDS, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_CONTENT)
            connection.set_progress_handler(interrupted, _QUERY_STEPS)
            connection.execute(f"PRAGMA writable_schema = {schema}")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        except sqlite3.Error as error:
            connection.close()
            last = error
    if isinstance(last, sqlite3.OperationalError):
        raise RecordingError(f"{path} cannot be read: {last}") from None
    raise RecordingError(f"{path} is damaged, and nothing of it can be read: {last}") from None
