"""What an observer can say to the agent in a process, and the greeting of both."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from .. import __version__
from ..attach.beside import Beside, agents_threads
from ..model.actions import Settings
from ..model.details import GroupQuestion
from ..model.places import PlacesQuestion
from ..protocol import schema
from ..protocol.frames import Frame
from . import messages
from .connection import Connection
from .errors import AgentEnded, ClientError, Disconnected, MessageError, OtherProtocol

__all__ = ["AgentClient", "ClientError"]

MAX_FOCUS = 256
MAX_LIKE = 16
MAX_IDS = 4096
BYE_SECONDS = 5.0
_SHAKE_SECONDS = 15.0  # the agent needs the interpreter lock to answer
_LATE_SECONDS = 0.25  # behind the time of an answer: the agent may be kept from that lock
_LATE_SHARE = 0.5  # of an interval, likewise
_LOOK_SECONDS = 0.1  # from one look at who keeps it to the next
_LOOK_DUTY = 0.05  # of the time for them, at most
_MOST_BEFORE_HELLO = 100


class AgentClient:
    """Connected to the agent that listens at `path` in process `pid`; `hello` is what it said of itself.

    All methods may be called on any thread, and none but `receive` and `detach` waits. The constructor waits at most
    `patience` seconds. Raises ClientError, and nothing else: AgentEnded for one that only says goodbye, OtherProtocol
    for one of another version, Disconnected when the connection has ended.
    """

    def __init__(self, path: str, pid: int, *, actions: bool = False, patience: float = _SHAKE_SECONDS) -> None:
        self.pid = pid
        self._early: list[Frame] = []
        self._early_lock = threading.Lock()
        self._beside = Beside(pid, lambda: agents_threads(pid))
        self._interval = 0.0  # of what it is to say, none while a single answer is waited for
        self._look_at = 0.0
        self._stays = False
        self._heard_at = time.monotonic()
        end = self._heard_at + patience
        self._connection = Connection(path, pid, patience)
        try:
            self._connection.send(
                {
                    "t": "hello",
                    "protocol": schema.VERSION,
                    "observer": f"pyobserver {__version__}",
                    "actions": actions,
                }
            )
            self.hello = self._greeting(end, patience)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def beside(self) -> int | None:
        """The kernel's number of the thread on whose processor the agent's is kept, as it never rests."""
        return self._beside.near

    def watch(self, interval: float) -> None:
        """Ask for updates, one every `interval` seconds."""
        self._interval = max(0.1, float(interval))
        self._connection.send({"t": "watch", "interval": self._interval})

    def focus(self, ids: Sequence[int]) -> None:
        """Say which rows are on the screen; at most the first 256 count, and only the last call does."""
        self._connection.send_latest({"t": "focus", "ids": [int(n) for n in ids[:MAX_FOCUS]]})

    def detail(self, row_id: int, token: int, values: bool = False) -> None:
        """Ask for everything about one row, also for values with `values`; the answer has the same `token`."""
        self._connection.send({"t": "detail", "id": int(row_id), "token": token, "values": values})

    def act(self, action: str, row_id: int, token: int, settings: Settings | None = None) -> None:
        """Ask for one of `schema.ACTIONS`; what is said of it has the same `token`. Refused unless `actions` is so."""
        self._connection.send({**(settings or {}), "t": action, "id": int(row_id), "token": token})

    def enough(self) -> None:
        """End the trace of allocations that was asked for, before its time."""
        self._connection.send({"t": "enough"})

    def group(self, question: GroupQuestion, token: int) -> None:
        """Ask what tasks retain together; the answer has the same `token`."""
        asked: dict[str, Any] = {"t": "group", "token": token, "done": question.done}
        if question.like:
            asked["like"] = [int(n) for n in question.like[:MAX_LIKE]]
        if question.node is not None:
            asked["node"] = int(question.node)
        if question.ids:
            asked["ids"] = [int(n) for n in question.ids[:MAX_IDS]]
        self._connection.send(asked)

    def places(self, question: PlacesQuestion, token: int) -> None:
        """Ask where objects are held; the answer has the same `token`."""
        self._connection.send({"t": "places", "token": token, "least": question.least, "type": question.type})

    def stay(self) -> None:
        """Ask the agent not to end when no observer is left."""
        self._stays = True
        self._connection.send({"t": "stay"})

    def ask_to_end(self) -> None:
        """Ask the agent to end for everybody; whoever receives will hear it say goodbye."""
        self._connection.send({"t": "detach"})

    def detach(self) -> None:
        """End the agent for everybody, and wait until it has. For a client that nobody else receives from.

        Raises ClientError when it has not within some seconds.
        """
        self.ask_to_end()
        end = time.monotonic() + BYE_SECONDS
        while (left := end - time.monotonic()) > 0.0:
            try:
                if any(frame.head["t"] == "bye" for frame in self.receive(left)):
                    return
            except Disconnected:
                return
        raise ClientError(f"the agent in process {self.pid} has not ended within {BYE_SECONDS:g} s")

    def receive(self, timeout: float) -> list[Frame]:
        """Return the frames that have come, waiting at most `timeout` seconds for one."""
        with self._early_lock:
            early, self._early = self._early, []
        return early or self._wait(timeout)

    def close(self) -> None:
        """Leave. A `receive` that waits on another thread ends at once."""
        try:
            self._connection.send({"t": "bye"})
        except ClientError:
            pass
        self._connection.close()
        if self._stays:  # one that is to end gets on with that where it is
            self._beside.end()

    def _wait(self, timeout: float) -> list[Frame]:
        """Wait for frames; see to it that the agent can answer when it is late."""
        end = time.monotonic() + timeout
        while True:
            found = self._connection.receive(min(_LATE_SECONDS, max(0.0, end - time.monotonic())))
            now = time.monotonic()
            if found:
                self._heard_at = now
                self._beside.follow()
            elif now - self._heard_at > _LATE_SECONDS + (1.0 + _LATE_SHARE) * self._interval and now >= self._look_at:
                self._beside.look()
                after = time.monotonic()
                self._look_at = after + max(_LOOK_SECONDS, (after - now) / _LOOK_DUTY)
            if found or now >= end:
                return found

    def _greeting(self, end: float, patience: float) -> messages.Hello:
        """Wait for the agent's hello; what comes behind it, and problems that it tells everybody, are kept."""
        while (left := end - time.monotonic()) > 0.0:
            found = self._wait(left)
            for position, frame in enumerate(found):
                name = frame.head["t"]
                if name == "hello":
                    self._early += found[position + 1 :]
                    return self._checked(frame)
                if name == "bye":
                    raise AgentEnded(f"the agent in process {self.pid} has ended: {messages.farewell(frame)}")
                if name != "problem" or len(self._early) >= _MOST_BEFORE_HELLO:
                    raise MessageError(f"the agent in process {self.pid} does not begin with a greeting")
                self._early.append(frame)
        raise ClientError(
            f"the agent in process {self.pid} has not answered within {patience:g} s:"
            " the process is stopped, or keeps its interpreter lock"
        )

    def _checked(self, frame: Frame) -> messages.Hello:
        """Read a greeting, the version first: all else may be different in another one."""
        version = messages.protocol_version(frame)
        if version != schema.VERSION:
            raise OtherProtocol(
                f"the agent in process {self.pid} speaks protocol {version}, and this observer {schema.VERSION}:"
                " another version of pyobserver has brought it"
            )
        return messages.hello(frame)
