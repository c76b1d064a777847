"""A Unix socket to one process: frames in, messages out. Nothing is trusted, and nothing waited for without end."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from typing import Any

from ..attach.errors import AttachError
from ..attach.procfs import status
from ..protocol import frames
from .errors import ClientError, Disconnected, MessageError

_RECEIVE = 128 * 1024
_UNSENT = 64 * 1024  # bytes that may wait for a process that reads nothing
_AGAIN_SECONDS = 0.02
_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid (Linux include/linux/socket.h)


def dial(path: str, patience: float) -> socket.socket:
    """Return a socket that is connected to `path`, however long it is, and does not block.

    The kernel takes paths of at most 108 bytes. It does not count the folder when that is opened first. Raises OSError;
    ConnectionRefusedError where nobody listens, TimeoutError where nobody accepts for `patience` seconds.
    """
    folder, name = os.path.split(path)
    end = time.monotonic() + patience
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.setblocking(False)
        while True:
            try:
                connected.connect(f"/proc/self/fd/{handle}/{name}")
                return connected
            except BlockingIOError:  # its queue is full (unix(7)): it may be stopped
                if time.monotonic() > end:
                    raise TimeoutError(f"it takes no connection within {patience:g} s") from None
                time.sleep(_AGAIN_SECONDS)
    except BaseException:
        connected.close()
        raise
    finally:
        os.close(handle)


def uids(pid: int) -> tuple[int, ...]:
    """Return the real, effective, saved and file system uid of a process as seen here. Raises AttachError."""
    try:
        return tuple(int(word) for word in status(pid)["Uid"].split())
    except (KeyError, ValueError):
        raise AttachError("gone", f"process {pid} has ended") from None


def check_peer(connected: socket.socket, pid: int) -> None:
    """Make sure that it is process `pid` that listens at the other end. Raises ClientError.

    The kernel has noted who called listen(). It gives the pid as 0 where that process is not visible from here; then
    its user must be the target's, or root.
    """
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    peer, uid, _ = _CREDENTIALS.unpack(raw)
    try:
        trusted = {0, *uids(pid)}
    except AttachError as error:
        raise ClientError(str(error)) from None
    if peer not in (0, pid) or uid not in trusted:
        raise ClientError(f"what listens for process {pid} is another process: {peer}, of user {uid}")


class Connection:
    """A connection to the process `pid`, which listens at `path`. All methods may be called on any thread.

    Sending never waits: what the other side does not take at once leaves with the next `receive`. Raises ClientError,
    and nothing else.
    """

    def __init__(self, path: str, pid: int, patience: float) -> None:
        self.pid = pid
        self._decoder = frames.Decoder()
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._unsent = b""
        self._latest = b""
        self._broken = False
        self._closed = False
        try:
            self._socket = dial(path, patience)
        except OSError as error:
            why = error.strerror or str(error)
            raise ClientError(f"the agent in process {pid} cannot be reached: {why}") from None
        try:
            check_peer(self._socket, pid)
        except BaseException:
            self._socket.close()
            raise

    def send(self, head: dict[str, Any]) -> None:
        """Send a message. Raises ClientError when too many wait already."""
        frame = frames.encode(head)
        with self._writing:
            self._check_open()
            if len(self._unsent) + len(frame) > _UNSENT:
                raise ClientError(f"the agent in process {self.pid} takes no messages")
            self._unsent += frame
            self._flush()

    def send_latest(self, head: dict[str, Any]) -> None:
        """Send a message instead of the one given here before, if that has not begun to leave yet."""
        frame = frames.encode(head)
        with self._writing:
            self._check_open()
            self._latest = frame
            self._flush()

    def receive(self, timeout: float) -> list[frames.Frame]:
        """Return the frames that have come, waiting at most `timeout` seconds for one that is complete.

        Raises Disconnected when the connection has ended, MessageError when what comes is not the protocol.
        """
        end = time.monotonic() + timeout
        with self._reading:
            while True:
                self._check_open()
                left = max(0.0, end - time.monotonic())
                found = self._receive_once(left)
                if found or time.monotonic() >= end:
                    return found

    def close(self) -> None:
        """End the connection. A `receive` that waits on another thread ends at once."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with self._reading, self._writing:
            self._socket.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Disconnected("the connection was closed")
        if self._broken:
            raise self._ended()

    def _ended(self) -> Disconnected:
        return Disconnected(f"the agent in process {self.pid} has ended the connection")

    def _receive_once(self, timeout: float) -> list[frames.Frame]:
        """Wait for one event; `_reading` is held, so that the socket stays open."""
        poll = select.poll()
        with self._writing:
            self._flush()
            waits = bool(self._unsent)
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if waits else 0))
        events = poll.poll(timeout * 1000.0)
        if not events or events[0][1] == select.POLLOUT:
            return []
        try:
            received = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            return []
        except OSError:
            received = b""
        if not received:
            raise Disconnected("the connection was closed") if self._closed else self._ended()
        try:
            found: list[frames.Frame] = self._decoder.feed(received)
            return found
        except (frames.ProtocolError, ValueError, OverflowError, RecursionError) as error:
            self._broken = True
            raise MessageError(f"the agent in process {self.pid} does not keep to the protocol: {error}") from None

    def _flush(self) -> None:
        """Send what the socket takes at once; `_writing` is held. That it is broken is found by who receives."""
        while self._unsent or self._latest:
            if not self._unsent:
                self._unsent, self._latest = self._latest, b""
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self._unsent = self._latest = b""
                return
            self._unsent = self._unsent[sent:]
