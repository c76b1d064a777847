"""An agent that says what a test tells it to: a real Unix socket in this process, and threads behind it.

    with ScriptedAgent(folder) as agent:
        client = AgentClient(agent.path, os.getpid())

What it does with a connection is a function of its `Peer`; the usual one greets, and answers a watch with one update.
"""

from __future__ import annotations

import contextlib
import copy
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyobserver.protocol import frames, schema

HELLO: dict[str, Any] = {
    "t": "hello",
    "protocol": schema.VERSION,
    "build": "0123456789abcdef",
    "pid": os.getpid(),
    "python": "3.12.1",
    "implementation": "cpython",
    "executable": "/usr/bin/python3.12",
    "argv": ["python3", "-m", "rudder"],
    "started_at": None,
    "platform": "linux",
    "free_threaded": False,
    "switch_interval": 0.005,
    "agent_started_at": 1_700_000_000.0,
    "capabilities": ["tasks", "detail", "places"],
    "self_check": "ok",
    "method": "auto",
    "followed": None,
}

TICK: dict[str, Any] = {
    "t": "tick",
    "seq": 1,
    "time": 1_700_000_001.0,
    "total": 2,
    "measured": 2,
    "complete": True,
    "holders_complete": True,
    "loops": [],
    "gc": {
        "counts": [1, 2, 3],
        "collections": [4, 5, 6],
        "collected": 7,
        "uncollectable": 0,
        "garbage": 2,
        "seconds": [0.5],
    },
    "agent": {
        "cpu_seconds": 0.5,
        "longest_hold_seconds": 0.001,
        "memory_bytes": 2_000_000,
        "dropped": 0,
        "torn": 0,
        "observers": 1,
        "stays": False,
        "rows_limit_hit": False,
    },
}

DETAIL: dict[str, Any] = {
    "t": "detail",
    "token": 1,
    "id": 7,
    "chain": [["app.main", "/srv/app.py", 10], ["app.wait", "/srv/app.py", None]],
    "waits": "queue get, 0 in it",
    "by_type": [["dict", 2, 900]],
    "biggest": [["self.cache", "dict", 4, 800, ""]],
    "locals": [["app.wait", "count", "int", None, "12"]],
    "retained": 1000,
    "accuracy": schema.SAMPLED,
    "error": 20,
    "awaited_by": [[8, "Task-2  app.main"]],
    "holders": [["app._tasks", "set", 12]],
    "created_at": 1_700_000_000.5,
    "blocked": 3,
    "note": "",
}

ACTION: dict[str, Any] = {
    "t": "action",
    "token": 1,
    "state": schema.ACTION_ASKED,
    "seconds": 0.25,
    "final": False,
    "text": "",
}

TRACED: dict[str, Any] = {
    **ACTION,
    "state": schema.ACTION_ENDED,
    "final": True,
    "result": {
        "held": 0.1,
        "traced": 10.0,
        "bytes": 5_000,
        "blocks": 12,
        "places": 2,
        "sites": [["/srv/app/main.py", 12, 4_000, 10], ["/srv/app/other.py", 3, 1_000, 2]],
        "rss_before": 9_000_000,
        "rss_after": None,
        "found": 3,
        "uncollectable": 0,
        "way": "glibc",
    },
}
"""A message with every field that a result may have; no action has all of them."""

GROUP: dict[str, Any] = {
    "t": "group",
    "token": 1,
    "members": 12,
    "looked_at": 11,
    "moved": 1,
    "ended": 1,
    "alone": 11_000,
    "alone_accuracy": schema.EXACT,
    "alone_error": 0,
    "together": 15_000,
    "together_accuracy": schema.SAMPLED,
    "together_error": 300,
    "common": [["locals: batch", "list", 40, 4000, 11]],
    "shared_bytes": 9000,
    "shared_objects": 2,
    "shared": [["locals: config", "dict", 4, 8000, 11], ["locals: self.pool", "app.Pool", None, 1000, 3]],
    "by_type": [["dict", 24, 9000]],
    "by_type_members": 6,
    "seconds": 0.02,
    "note": "1 have ended meanwhile",
}

PLACES: dict[str, Any] = {
    "t": "places",
    "token": 1,
    "containers": [["app.SESSIONS", "dict", 1, 5000, 5000], ["app.Room.lines", "list", 4, 4400, 1100]],
    "places": [["app.Room.members", "set", 40, 12, []], ["locals of app.main", "local", 1, None, [3]]],
    "references": 41,
    "seconds": 0.12,
    "note": "left out: 1 containers that kept changing",
}

STRINGS: dict[str, Any] = {"t": "strings", "first": 1, "items": ["app.work", "sleep", "/srv/app.py:12"]}

_ROW: dict[str, float] = {
    "state": schema.STATE_WAITING,
    "function": 1,
    "waiting": 2,
    "where": 3,
    "created": 1_700_000_000.0,
    "retained": 1000,
    "accuracy": schema.EXACT,
    "measured_at": 1_700_000_000.0,
    "cpu": float("nan"),
    "activity": 0.25,
    "queue": -1,
}


def row_columns(ids: Sequence[int], **values: Any) -> list[tuple[str, str, list[Any]]]:
    """The columns of rows with these ids; a value is one for all, or a list with one for each."""
    columns = []
    for name, code in schema.ROW_COLUMNS:
        value = list(ids) if name == "id" else values.get(name, _ROW.get(name, 0))
        columns.append((name, code, value if isinstance(value, list) else [value] * len(ids)))
    return columns


def rows_frame(ids: Sequence[int], names: Sequence[str | None] | None = None, **values: Any) -> bytes:
    """The frame of rows with these ids."""
    head = {"t": "rows", "names": [f"w-{n}" for n in ids] if names is None else list(names)}
    encoded: bytes = frames.encode(head, row_columns(ids, **values))
    return encoded


def node(number: int, **values: Any) -> dict[str, Any]:
    """One node as the protocol has it."""
    usual = {"kind": schema.NODE_LOOP, "label": "loop", "parent": 0, "edge": schema.EDGE_OWNS, "queue": None}
    return {"id": number, **usual, "detail": "", **values}


def update() -> bytes:
    """One whole update: texts, a node, two rows, the tick."""
    parts = [frames.encode(STRINGS), frames.encode({"t": "nodes", "items": [node(3)]})]
    return b"".join([*parts, rows_frame([7, 8], parent=3), frames.encode(TICK)])


def decoded(data: bytes) -> list[frames.Frame]:
    """The frames in these bytes."""
    found: list[frames.Frame] = frames.Decoder().feed(data)
    return found


def frame(head: dict[str, Any], columns: Any = ()) -> frames.Frame:
    """A message as it arrives."""
    return decoded(frames.encode(head, columns))[0]


def changed(message: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a message with one field changed: "agent.torn", "chain.0.1"."""
    found = copy.deepcopy(message)
    *above, last = path.split(".")
    inner: Any = found
    for part in above:
        inner = inner[int(part) if part.isdigit() else part]
    inner[int(last) if last.isdigit() else last] = value
    return found


class Peer:
    """The agent's side of one connection."""

    def __init__(self, connection: socket.socket, heard: list[dict[str, Any]]) -> None:
        self.socket = connection
        self.heard = heard
        self._decoder = frames.Decoder()
        self._waiting: list[frames.Frame] = []

    def next(self) -> dict[str, Any] | None:
        """The next message, None at the end of the connection."""
        while not self._waiting:
            data = self.socket.recv(65536)
            if not data:
                return None
            self._waiting += self._decoder.feed(data)
        head: dict[str, Any] = self._waiting.pop(0).head
        self.heard.append(head)
        return head

    def say(self, *messages: dict[str, Any] | bytes) -> None:
        """Send messages, or bytes as they are."""
        self.socket.sendall(b"".join(m if isinstance(m, bytes) else frames.encode(m) for m in messages))

    def greet(self, **changes: Any) -> None:
        """Wait for the observer's greeting, and answer it."""
        said = self.next()
        if said is None:
            raise ConnectionResetError("the observer has left before it greeted")
        assert said["t"] == "hello"
        self.say({**HELLO, **changes})


Script = Callable[[Peer], None]


def usual(peer: Peer) -> None:
    """Greet, send an update when asked to watch, answer questions, and say goodbye when asked to end."""
    peer.greet()
    while (said := peer.next()) is not None:
        if said["t"] == "watch":
            peer.say(update())
        elif said["t"] == "detail":
            peer.say({**DETAIL, "id": said["id"], "token": said["token"]})
        elif said["t"] == "group":
            peer.say({**GROUP, "token": said["token"]})
        elif said["t"] == "places":
            peer.say({**PLACES, "token": said["token"]})
        elif said["t"] == "detach":
            peer.say({"t": "bye", "reason": "asked to by an observer"})
            return
        elif said["t"] == "bye":
            return


class ScriptedAgent:
    """Listens at `path`, and runs the next script for each connection; the last one stays for all that follow."""

    def __init__(self, folder: Path, *scripts: Script) -> None:
        self.path = str(folder / "agent.sock")
        self.heard: list[dict[str, Any]] = []  # messages of all observers, in order
        self.failures: list[BaseException] = []
        self._scripts = list(scripts) or [usual]
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        bind(self._listener, self.path)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in [self._listener, *self._connections]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._thread.join(10)
        if kind is None and self.failures:
            raise self.failures[0]

    def words(self) -> list[str]:
        """The names of the messages that were heard so far."""
        return [said["t"] for said in list(self.heard)]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
            threading.Thread(target=self._serve, args=(connection, script), daemon=True).start()

    def _serve(self, connection: socket.socket, script: Script) -> None:
        try:
            script(Peer(connection, self.heard))
        except OSError:
            pass  # the observer has left in the middle of a word, as it may
        except BaseException as error:
            self.failures.append(error)
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def bind(listener: socket.socket, path: str) -> None:
    """Listen at a path of any length, as an agent does: closed to others."""
    folder, name = os.path.split(path)
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{handle}/{name}")
    finally:
        os.close(handle)
    os.chmod(path, 0o600)
    listener.listen(16)


def wait_for(condition: Callable[[], Any], what: str, within: float = 60.0) -> Any:
    """What `condition` returns once that is true."""
    end = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {within:g} s: {what}"
        time.sleep(0.005)
    return found


def pieces(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """`data` cut into pieces of these sizes; the rest is the last."""
    found = []
    for size in sizes:
        found.append(data[:size])
        data = data[size:]
    return [*found, data]
