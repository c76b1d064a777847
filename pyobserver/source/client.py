"""A connection to the agent in a process: messages out, frames in, nothing trusted and nothing waited for without end."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from .. import __version__
from ..protocol import frames, schema
from ..protocol.clean import clean
from .messages import Hello, MessageError, hello

_RECEIVE = 256 * 1024
_SHAKE_SECONDS = 15.0
_SEND_SECONDS = 5.0
_BYE_SECONDS = 5.0


class ClientError(Exception):
    """The agent cannot be reached or understood; the text says why."""


class AgentClient:
    """Connected to the agent whose socket is at `path`; `hello` is what it said of itself.

    Sending is possible from any thread; `receive` belongs to one. Raises ClientError when the agent does not answer, is
    not the process `pid`, or speaks another protocol.
    """

    def __init__(self, path: str, pid: int) -> None:
        self.pid = pid
        self._decoder = frames.Decoder()
        self._sending = threading.Lock()
        self._pending: list[frames.Frame] = []
        self._wake_reader, self._wake_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._closed = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_SHAKE_SECONDS)
            _connect(self._socket, path)
            _check_peer(self._socket, pid)
            self._socket.settimeout(_SEND_SECONDS)
            self._send({"t": "hello", "protocol": schema.VERSION, "observer": __version__, "actions": False})
            self.hello = self._greeting()
        except (OSError, ClientError) as error:
            self.close()
            if isinstance(error, ClientError):
                raise
            raise ClientError(f"the agent in process {pid} cannot be reached: {error.strerror or error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def watch(self, interval: float) -> None:
        """Ask for updates, one every `interval` seconds."""
        self._send({"t": "watch", "interval": max(0.1, float(interval))})

    def focus(self, ids: Sequence[int]) -> None:
        """Say which rows are on the screen; at most the first 256 count."""
        self._send({"t": "focus", "ids": [int(n) for n in ids[:256]]})

    def detail(self, row_id: int, token: int) -> None:
        """Ask for everything about one row; the answer has the same `token`."""
        self._send({"t": "detail", "id": row_id, "token": token})

    def detach(self) -> None:
        """End the agent for everybody, and wait until it has said goodbye. Raises ClientError when it does not."""
        self.ask_to_end()
        end = time.monotonic() + _BYE_SECONDS
        while (left := end - time.monotonic()) > 0:
            try:
                found = self.receive(left)
            except ClientError:
                return  # it has closed the connection
            if any(frame.head["t"] == "bye" for frame in found):
                return
        raise ClientError(f"the agent in process {self.pid} does not end: it has said nothing for {_BYE_SECONDS:g} s")

    def ask_to_end(self) -> None:
        """End the agent for everybody; its goodbye is the last thing that it says."""
        self._send({"t": "detach"})

    def receive(self, timeout: float) -> list[frames.Frame]:
        """Return the frames that have come, waiting at most `timeout` seconds for some.

        Raises ClientError when the connection has ended, or when what comes is not the protocol.
        """
        if self._pending:
            found, self._pending = self._pending, []
            return found
        if self._closed:
            raise ClientError("the connection was closed")
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        poll.register(self._wake_reader, select.POLLIN)
        ready = {handle for handle, _ in poll.poll(max(0.0, timeout) * 1000)}
        if self._wake_reader in ready or self._closed:
            raise ClientError("the connection was closed")
        if not ready:
            return []
        try:
            data = self._socket.recv(_RECEIVE)
            if not data:
                raise ClientError(f"the agent in process {self.pid} has ended the connection")
            found = self._decoder.feed(data)
        except (OSError, frames.ProtocolError) as error:
            raise ClientError(f"the agent in process {self.pid} is not understood: {error}") from None
        return list(found)

    def wake(self) -> None:
        """Make `receive` raise, on whatever thread it waits."""
        self._closed = True
        try:
            os.write(self._wake_writer, b".")
        except OSError:
            pass

    def close(self) -> None:
        """End the connection."""
        self.wake()
        self._socket.close()
        with self._sending:
            for handle in (self._wake_reader, self._wake_writer):
                if handle >= 0:
                    os.close(handle)
            self._wake_reader = self._wake_writer = -1

    def _send(self, head: dict[str, Any]) -> None:
        try:
            with self._sending:
                self._socket.sendall(frames.encode(head))
        except OSError as error:
            raise ClientError(f"the agent in process {self.pid} takes no messages: {error.strerror or error}") from None

    def _greeting(self) -> Hello:
        end = time.monotonic() + _SHAKE_SECONDS
        while (left := end - time.monotonic()) > 0:
            found = self.receive(left)
            for position, frame in enumerate(found):
                name = frame.head["t"]
                if name == "bye":
                    reason = frame.head.get("reason")
                    raise ClientError(clean(reason, 500) if isinstance(reason, str) else "the agent has ended")
                if name != "hello":
                    raise ClientError(f"the agent in process {self.pid} does not greet")
                self._pending = found[position + 1 :]
                try:
                    said = hello(frame)
                except MessageError as error:
                    raise ClientError(f"the greeting of the agent in process {self.pid}: {error}") from None
                if said.protocol != schema.VERSION:
                    raise ClientError(
                        f"the agent in process {self.pid} speaks protocol {said.protocol}, this observer"
                        f" {schema.VERSION}; pyobserver detach {self.pid} removes it"
                    )
                return said
        raise ClientError(
            f"the agent in process {self.pid} does not answer within {_SHAKE_SECONDS:g} s: waiting for the interpreter lock"
        )


def _connect(connection: socket.socket, path: str) -> None:
    """Connect to a path of any length: the kernel's limit of 108 bytes does not count the folder, which is opened."""
    folder, _, name = path.rpartition("/")
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{handle}/{name}")
    finally:
        os.close(handle)


def _check_peer(connection: socket.socket, pid: int) -> None:
    """Make sure that the listener is the process, as far as namespaces let the kernel tell."""
    found, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        raise ClientError(f"there is no process {pid}") from None
    if found not in (0, pid) or uid not in (0, owner):
        raise ClientError(f"what listens for process {pid} is another process ({found}, user {uid})")
