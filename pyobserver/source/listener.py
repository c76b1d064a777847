"""Listens to one agent and feeds the store with what it says."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.actions import LOST, REFUSED, Progress, Settings
from ..model.details import DetailAnswer, GroupAnswer, GroupQuestion
from ..model.places import PlacesAnswer, PlacesQuestion
from ..model.snapshot import Phase
from ..model.store import Store
from ..protocol.frames import Frame
from . import answers, messages, past, rows
from .client import BYE_SECONDS, AgentClient
from .errors import ClientError, MessageError

_LOOK_SECONDS = 0.5
_SILENT_INTERVALS = 3.0
_MAX_QUESTIONS = 64
_SILENCE = (
    "the agent is silent: the process is stopped, or keeps its interpreter lock; what is read from outside goes on"
)

Answer = Callable[[DetailAnswer], None]
_PLACES_SECONDS = 180.0  # some seconds of work, at a tenth of the time
_CONTAINERS_SECONDS = 30.0  # from the end of one walk for containers to the next
_FIRST_CONTAINERS_SECONDS = 9.0  # after each of the first walks, so that a look of one minute tells growth
_FIRST_WALKS = 6
_CONTAINERS_DUTY = 50.0  # and so many times as long as it has worked in the target
_GROUP_SECONDS = 60.0  # an agent that is sparing with the target's time looks at some hundred tasks in a second


@dataclass(frozen=True)
class _Question:
    """One question that waits. `answer` gets what `refused` makes of a reason when there is no answer."""

    answer: Callable[[Any], None]
    refused: Callable[[str], object]
    until: float
    row_id: int | None  # None for what is not about a row
    seconds: float  # that it may take
    about: str


class Listener:
    """Feeds `store` with what the agent at the other end of `client` says, an update every `interval` seconds.

    `method`, `attach_seconds` and `held` are how the agent came in; "existing" when it was there already. With
    `leaves_agent` it is asked to stay when no observer is left. `listen` runs on one thread; everything else may be
    called on any.
    """

    def __init__(
        self,
        client: AgentClient,
        store: Store,
        interval: float,
        method: str,
        attach_seconds: float | None,
        held: float | None,
        *,
        leaves_agent: bool = False,
        silent_seconds: float = 3.0,
        detail_seconds: float = 10.0,
    ) -> None:
        self._client = client
        self._store = store
        self._interval = interval
        self._leaves_agent = leaves_agent
        self._pasts = 0  # series that the agent has told the history of
        self._facts = messages.facts(client.hello, method, attach_seconds, held)
        self._silent_seconds = max(silent_seconds, _SILENT_INTERVALS * interval)
        self._detail_seconds = detail_seconds
        self._tokens = itertools.count(1)
        self._questions: dict[int, _Question] = {}  # by token
        self._actions: dict[int, int] = {}  # token -> key in the store, of those that are not over
        self._lock = threading.Lock()
        self._closed = self._is_listening = self._over = False
        self._ended = threading.Event()
        self._heard_at = time.monotonic()
        self.wants_containers = 0  # from how many items on somebody looks at them
        self._containers_least = 0  # of the last question
        self._containers_due = 0.0
        self._walks = 0
        self._is_live = self._is_silent = self._has_told_limit = False

    def listen(self) -> str | None:
        """Feed the store until the agent says goodbye, and return its reason; None after `close`.

        Raises ClientError when the connection breaks, or when what comes is not the protocol.
        """
        self._is_listening = True
        self._store.greet(self._facts)
        self._heard_at = time.monotonic()
        try:
            if self._leaves_agent:
                self._client.stay()
            self._client.watch(self._interval)
            while True:
                for frame in self._client.receive(self._patience()):
                    self._heard_at = time.monotonic()
                    if frame.head["t"] == "bye":
                        return messages.farewell(frame)
                    self._hear(frame)
                self._look_at_the_clock()
        except MessageError as error:
            raise MessageError(f"the agent in process {self._client.pid} is not understood: {error}") from None
        except ClientError:
            if self._closed:
                return None
            raise
        finally:
            self._client.close()
            self._give_up("the agent is not connected any more")
            self._ended.set()

    def focus(self, ids: Sequence[int]) -> None:
        """Say which rows are on the screen."""
        try:
            self._client.focus(ids)
        except ClientError:
            pass  # the connection has ended, which listen() tells

    def request_detail(self, row_id: int, answer: Answer, values: bool = False) -> None:
        """Ask for everything about one row. `answer` is called once, on another thread, whatever happens."""
        until = time.monotonic() + self._detail_seconds
        question = _Question(
            answer, lambda why: DetailAnswer(row_id, problem=why), until, row_id, self._detail_seconds, f"row {row_id}"
        )
        self._ask(question, lambda token: self._client.detail(row_id, token, values))

    def request_group(self, asked: GroupQuestion, answer: Callable[[GroupAnswer], None]) -> None:
        """Ask what tasks retain together. `answer` is called once, on another thread, whatever happens."""
        until = time.monotonic() + _GROUP_SECONDS
        question = _Question(answer, lambda why: GroupAnswer(problem=why), until, None, _GROUP_SECONDS, "a group")
        self._ask(question, lambda token: self._client.group(asked, token))

    def request_places(self, asked: PlacesQuestion, answer: Callable[[PlacesAnswer], None]) -> None:
        """Ask where objects are held. `answer` is called once, on another thread, whatever happens."""
        if "places" not in self._facts.capabilities:
            unable = PlacesAnswer(problem="the agent in the process is an older one, which cannot tell")
            threading.Thread(target=answer, args=(unable,), name="pyobserver-refusal", daemon=True).start()
            return
        until = time.monotonic() + _PLACES_SECONDS
        question = _Question(
            answer, lambda why: PlacesAnswer(problem=why), until, None, _PLACES_SECONDS, "where objects are held"
        )
        self._ask(question, lambda token: self._client.places(asked, token))

    def _ask(self, question: _Question, send: Callable[[int], None]) -> None:
        token = next(self._tokens)
        with self._lock:
            refusal = "the agent is not connected any more" if self._over else ""
            if len(self._questions) >= _MAX_QUESTIONS:
                refusal = "the agent has not answered many questions before"
            if not refusal:
                self._questions[token] = question
        if not refusal:
            try:
                send(token)
                return
            except ClientError as error:
                refusal = str(error)
            with self._lock:
                if self._questions.pop(token, None) is None:  # listen() has just ended, and has answered
                    return
        refused = question.refused(refusal)
        threading.Thread(target=self._tell, args=(question, refused), name="pyobserver-refusal", daemon=True).start()

    def act(self, action: str, row_id: int, key: int, settings: Settings | None = None) -> None:
        """Ask for an action, which the store knows by `key`."""
        token = next(self._tokens)
        with self._lock:
            refusal = "the agent is not connected any more" if self._over else ""
            if not refusal:
                self._actions[token] = key
        if not refusal:
            try:
                self._client.act(action, row_id, token, settings)
                return
            except ClientError as error:
                refusal = str(error)
            with self._lock:
                self._actions.pop(token, None)
        self._store.report_actions([key], Progress(REFUSED, 0.0, True, refusal))

    def enough(self) -> None:
        """End the trace of allocations that was asked for."""
        try:
            self._client.enough()
        except ClientError:
            pass  # the connection has ended, and the trace with it

    def detach(self) -> None:
        """End the agent for everybody, and wait until it has ended. Raises ClientError when it does not in time."""
        self._client.ask_to_end()
        if not self._ended.wait(BYE_SECONDS):
            raise ClientError(f"the agent in process {self._client.pid} has not ended within {BYE_SECONDS:g} s")

    def close(self) -> None:
        """Leave the agent: `listen` returns soon, and every question is answered."""
        self._closed = True
        self._client.close()
        if not self._is_listening:
            self._give_up("the agent is not asked any more")

    # -- what comes -------------------------------------------------------------------------------------------------

    def _hear(self, frame: Frame) -> None:
        store = self._store
        name = frame.head["t"]
        if name == "rows":
            store.put_rows(*rows.changed(frame), rows.other_owners(frame))
        elif name == "strings":
            store.add_texts(*messages.strings(frame))
        elif name == "nodes":
            store.put_nodes(rows.nodes(frame))
        elif name == "gone":
            store.remove(rows.gone(frame))
        elif name == "tick":
            self._hear_tick(frame)
        elif name == "history":
            self._hear_past(frame)
        elif name == "detail":
            self._hear_answer(answers.token(frame), answers.detail(frame))
        elif name == "group":
            self._hear_answer(answers.token(frame), answers.group(frame))
        elif name == "places":
            self._hear_answer(answers.token(frame), answers.places(frame))
        elif name == "action":
            self._hear_action(frame)
        elif name == "problem":
            store.add_problem(messages.problem(frame))

    def _hear_tick(self, frame: Frame) -> None:
        tick = messages.tick(frame)
        if messages.row_limit_is_hit(frame) and not self._has_told_limit:
            self._has_told_limit = True
            self._store.add_problem(f"there are more tasks than the agent keeps: it follows {tick.total:,}")
        self._store.add_tick(tick)
        if not self._is_live or self._is_silent:
            self._is_live, self._is_silent = True, False
            self._store.set_status(Phase.LIVE)

    def _hear_past(self, frame: Frame) -> None:
        self._pasts += 1
        if self._pasts > past.MOST_MESSAGES:
            raise MessageError("more of its history than an agent keeps")
        self._store.add_past(past.history(frame))

    def _hear_answer(self, token: int, found: DetailAnswer | GroupAnswer | PlacesAnswer) -> None:
        with self._lock:
            question = self._questions.pop(token, None)
        if question is None:
            return  # its time was over
        if (found.id if isinstance(found, DetailAnswer) else None) != question.row_id:
            self._tell(question, question.refused("the agent has answered about another row"))
        else:
            self._tell(question, found)

    def _hear_action(self, frame: Frame) -> None:
        token, progress = answers.action(frame)
        with self._lock:
            key = self._actions.pop(token, None) if progress.final else self._actions.get(token)
        if key is not None:
            self._store.report_actions([key], progress)

    # -- what does not come -----------------------------------------------------------------------------------------

    def _patience(self) -> float:
        """Seconds to wait for frames: until the next question runs out of time, and not for long."""
        with self._lock:
            first = min((question.until for question in self._questions.values()), default=None)
        return _LOOK_SECONDS if first is None else max(0.0, min(_LOOK_SECONDS, first - time.monotonic()))

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        self._store.set_beside(self._client.beside)
        if not self._is_silent and now - self._heard_at > self._silent_seconds:
            self._is_silent = True
            self._store.set_status(Phase.LIVE if self._is_live else Phase.CONNECTING, _SILENCE)
        with self._lock:
            late = [self._questions.pop(token) for token, each in list(self._questions.items()) if now > each.until]
        for question in late:
            self._tell(question, question.refused(f"the agent has not answered within {question.seconds:g} s"))
        self._look_for_containers(now)

    def _look_for_containers(self, now: float) -> None:
        """Ask for the large containers when somebody looks at them, and the last answer is old enough."""
        least = self.wants_containers
        is_due = now >= self._containers_due or 0 < least < self._containers_least
        if not least or not is_due or not self._is_live:
            return
        self._containers_least = least
        self._containers_due = float("inf")  # until there is an answer
        self.request_places(PlacesQuestion(least), self._take_containers)

    def _take_containers(self, found: PlacesAnswer) -> None:
        self._store.add_containers(found)
        self._walks += 1
        period = _FIRST_CONTAINERS_SECONDS if self._walks < _FIRST_WALKS else _CONTAINERS_SECONDS
        self._containers_due = time.monotonic() + max(period, _CONTAINERS_DUTY * found.seconds)

    def _give_up(self, why: str) -> None:
        with self._lock:
            self._over = True
            questions, self._questions = self._questions, {}
            actions, self._actions = self._actions, {}
        self._store.report_actions(actions.values(), Progress(LOST, 0.0, True, why))
        for question in questions.values():
            self._tell(question, question.refused(why))

    def _tell(self, question: _Question, found: object) -> None:
        """Answer a question. Whoever has asked may be gone by now, which must not end the listening."""
        try:
            question.answer(found)
        except Exception as error:
            self._store.add_problem(f"an answer about {question.about} was not taken: {type(error).__name__}: {error}")
