"""Listens to one agent and feeds the store with what it says."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..model.details import DetailAnswer
from ..model.store import Phase, Store
from ..protocol.frames import Frame
from . import messages
from .client import AgentClient, ClientError

_LOOK_SECONDS = 0.25
_DETAIL_SECONDS = 10.0
_BYE_SECONDS = 5.0
_SILENT_SECONDS = 3.0
_SILENT_INTERVALS = 3.0

Answer = Callable[[DetailAnswer], None]


class Listener:
    """Feeds `store` with what the agent at the other end of `client` says, an update every `interval` seconds.

    `method`, `attach_seconds` and `held` are how the agent came in; "existing" when it was there already.
    """

    def __init__(
        self,
        client: AgentClient,
        store: Store,
        interval: float,
        method: str,
        attach_seconds: float | None,
        held: float | None,
    ) -> None:
        self._client = client
        self._store = store
        self._interval = interval
        self._facts = replace(
            client.hello.facts,
            method=client.hello.facts.method if method == "existing" and client.hello.facts.method else method,
            attach_seconds=attach_seconds,
            held_seconds=held,
        )
        self._tokens = itertools.count(1)
        self._waiting: dict[int, tuple[int, Answer, float]] = {}  # token -> (row, answer, until when)
        self._lock = threading.Lock()
        self._closing = False
        self._ended = threading.Event()
        self._heard_at = time.monotonic()
        self._is_live = False

    def listen(self) -> None:
        """Feed the store until the agent says goodbye or `close` is called. Raises ClientError when it breaks."""
        store, client = self._store, self._client
        store.greet(self._facts)
        try:
            client.watch(self._interval)
            self._heard_at = time.monotonic()
            while not self._closing:
                for frame in client.receive(_LOOK_SECONDS):
                    self._heard_at = time.monotonic()
                    if frame.head["t"] == "bye":
                        store.set_status(Phase.CONNECTING, f"the agent has ended: {messages.farewell(frame)}")
                        return
                    self._hear(frame)
                self._look_at_the_clock()
        except messages.MessageError as error:
            raise ClientError(f"the agent in process {client.pid} is not understood: {error}") from None
        except ClientError:
            if not self._closing:
                raise
        finally:
            client.close()
            self._ended.set()
            self._give_up_details("the agent is not connected any more")

    def focus(self, ids: Sequence[int]) -> None:
        """Say which rows are on the screen."""
        try:
            self._client.focus(ids)
        except ClientError:
            self.close()  # listen() tells why

    def request_detail(self, row_id: int, answer: Answer) -> None:
        """Ask for everything about one row; `answer` is called once, whatever happens."""
        token = next(self._tokens)
        with self._lock:
            self._waiting[token] = (row_id, answer, time.monotonic() + _DETAIL_SECONDS)
        try:
            self._client.detail(row_id, token)
        except ClientError as error:
            self._answer(token, DetailAnswer(row_id, problem=str(error)))

    def detach(self) -> None:
        """End the agent for everybody, and wait until it has said goodbye. Raises ClientError when it does not."""
        self._client.ask_to_end()
        if not self._ended.wait(_BYE_SECONDS):
            raise ClientError(f"the agent in process {self._client.pid} does not end within {_BYE_SECONDS:g} s")

    def close(self) -> None:
        """Stop listening; from any thread."""
        self._closing = True
        self._client.wake()

    # -- what comes -------------------------------------------------------------------------------------------------

    def _hear(self, frame: Frame) -> None:
        store = self._store
        name = frame.head["t"]
        if name == "rows":
            store.put_rows(*messages.rows(frame))
        elif name == "strings":
            store.add_texts(*messages.strings(frame))
        elif name == "nodes":
            store.put_nodes(messages.nodes(frame))
        elif name == "gone":
            store.remove(messages.gone(frame))
        elif name == "tick":
            store.add_tick(messages.tick(frame))
            if not self._is_live:
                self._is_live = True
                store.set_status(Phase.LIVE)
        elif name == "detail":
            token, answer = messages.detail(frame)
            self._answer(token, answer)
        elif name == "problem":
            store.add_problem(messages.problem(frame))

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        silent = now - self._heard_at
        if self._is_live and silent > max(_SILENT_SECONDS, _SILENT_INTERVALS * self._interval):
            self._is_live = False
            text = "the agent waits for the interpreter lock; what can be read from outside goes on"
            self._store.set_status(Phase.OUTSIDE, text)
        with self._lock:
            late = [(token, row) for token, (row, _, until) in self._waiting.items() if now > until]
        for token, row in late:
            self._answer(token, DetailAnswer(row, problem=f"no answer within {_DETAIL_SECONDS:g} s"))

    def _answer(self, token: int, answer: DetailAnswer) -> None:
        with self._lock:
            waiting = self._waiting.pop(token, None)
        if waiting is not None:
            waiting[1](answer)

    def _give_up_details(self, why: str) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for row, answer, _ in waiting.values():
            answer(DetailAnswer(row, problem=why))
