"""A running process as a source: the agent inside it, and what can be read from outside.

Two threads feed the store. One reads from outside, whatever the agent does; the other finds or brings the agent,
listens to it, and starts anew when it falls silent. Neither ever waits for the screens.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

from ..attach import AttachError
from ..model.actions import REFUSED, Progress, Settings
from ..model.details import DetailAnswer, GroupAnswer, GroupQuestion
from ..model.places import PlacesAnswer, PlacesQuestion
from ..model.snapshot import Phase
from ..model.store import Store
from ..outside import OutsideError, TargetGone
from .admission import examined, refusal
from .approach import AgentLeft, Approach
from .base import SourceError
from .client import BYE_SECONDS, AgentClient
from .errors import AgentEnded, AgentFailed, ClientError, Disconnected
from .find import find_agent
from .listener import Listener
from .watcher import Watcher

_RETRY_SECONDS = 3.0
_FIRST_RETRY_SECONDS = 0.2  # an agent that fails says why to whoever connects in the next second
_FRUITLESS = 3  # updates in which no more tasks were measured than before
_CONTAINERS_PATIENCE = 5.0  # seconds for the first large containers
_HOPELESS = frozenset({"gone", "not_python", "too_old", "unsupported", "denied", "opted_out"})


class LiveSource:
    """Observes the process `pid`.

    `exit_status` tells the exit status of a process of ours (as `Popen.poll` does); the kernel keeps that of others to
    itself in most cases. With `force` a program that was told not to be debugged is attached to as well. With
    `leaves_agent` the agent stays when no observer is left. `on_stage` gets what the attach is doing, on another
    thread.
    """

    def __init__(
        self,
        pid: int,
        *,
        interval: float = 1.0,
        method: str = "auto",
        force: bool = False,
        allow_actions: bool = False,
        leaves_agent: bool = False,
        exit_status: Callable[[], int | None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.pid = pid
        self.on_stage: Callable[[str], None] = lambda text: None
        self._store = Store(clock)
        self._interval = interval
        self._settings = (method, force, allow_actions)
        self._leaves_agent = leaves_agent
        self.opened: dict[int, bool] = {}  # children observed from here, and theirs: whether the agent stays there
        self._failure: str | None = None
        self._wait = 0.0  # seconds until the next attempt to connect
        self._stopping = threading.Event()
        self._watcher = Watcher(pid, self._store, interval, exit_status)
        self.allows_actions = allow_actions
        self._approach = Approach(pid, method, allow_actions, self._stopping, self._stage, force=force)
        self._listener: Listener | None = None
        self._wants_containers = 0  # from how many items on
        self._threads: list[threading.Thread] = []

    @property
    def store(self) -> Store:
        """Everything known so far."""
        return self._store

    @property
    def steps(self) -> tuple[str, ...]:
        """What the last attach did, a line each."""
        return self._approach.steps

    def start(self) -> None:
        """Begin to read from outside and to bring the agent in. A second call changes nothing."""
        if self._threads:
            return
        for name, work in (("outside", self._watch), ("agent", self._serve)):
            thread = threading.Thread(target=work, name=f"pyobserver-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Leave the target. The agent in it ends by itself when no other observer is there."""
        self._stopping.set()
        listener = self._listener
        if listener is not None:
            listener.close()
        for thread in self._threads:
            thread.join(2.0)
        self._watcher.close()
        if self.pid in self.opened:
            tick = self._store.snapshot().tick
            self.opened[self.pid] = tick is not None and tick.cost.stays

    def focus(self, ids: Sequence[int]) -> None:
        """Say which rows are on the screen: they are measured first."""
        listener = self._listener
        if listener is not None:
            listener.focus([n for n in ids if n > 0][:256])

    def count_objects(self, wanted: bool) -> None:
        """Count the objects by type from now on, or no longer."""
        self._watcher.wants_census = wanted

    def look_for_containers(self, wanted: bool, least: int = PlacesQuestion.least) -> None:
        """Look for the containers of so many items from now on, or no longer."""
        self._wants_containers = least if wanted else 0
        listener = self._listener
        if listener is not None:
            listener.wants_containers = self._wants_containers

    def request_detail(self, row_id: int, answer: Callable[[DetailAnswer], None], values: bool = False) -> None:
        """Ask for everything about one row; threads and child processes are answered from outside."""
        snapshot = self._store.snapshot()
        row = snapshot.tasks.find(row_id)
        listener = self._listener
        if row is not None and row.kind in ("thread", "child process"):
            threading.Thread(target=lambda: answer(self._watcher.detail(row)), daemon=True).start()
        elif listener is None:
            nobody = DetailAnswer(row_id, problem=self._no_agent())
            threading.Thread(target=answer, args=(nobody,), daemon=True).start()
        else:
            listener.request_detail(row_id, answer, values)

    def act(self, action: str, row_id: int = 0, settings: Settings | None = None) -> None:
        """Ask the agent for an action; the store tells what comes of it."""
        if not self.allows_actions:
            return
        key = self._store.begin_action(action, row_id, settings)
        listener = self._listener
        if listener is None:
            self._store.report_actions([key], Progress(REFUSED, 0.0, True, self._no_agent()))
        else:
            listener.act(action, row_id, key, settings)

    def enough(self) -> None:
        """End the trace of allocations that is going on before its time."""
        listener = self._listener
        if listener is not None:
            listener.enough()

    def request_group(self, asked: GroupQuestion, answer: Callable[[GroupAnswer], None]) -> None:
        """Ask what tasks retain together; where no agent is, that is the answer."""
        listener = self._listener
        if listener is None:
            nobody = GroupAnswer(problem=self._no_agent())
            threading.Thread(target=answer, args=(nobody,), daemon=True).start()
        else:
            listener.request_group(asked, answer)

    def request_places(self, asked: PlacesQuestion, answer: Callable[[PlacesAnswer], None]) -> None:
        """Ask where objects are held; where no agent is, that is the answer."""
        listener = self._listener
        if listener is None:
            nobody = PlacesAnswer(problem=self._no_agent())
            threading.Thread(target=answer, args=(nobody,), daemon=True).start()
        else:
            listener.request_places(asked, answer)

    def _no_agent(self) -> str:
        """Why nothing can be asked."""
        return f"there is no agent to ask: {self._store.snapshot().status.text or 'not connected'}"

    def child(self, pid: int) -> LiveSource:
        """Return a source on a child process, attached to as this one is."""
        method, force, allow_actions = self._settings
        found = examined(pid, method, force)
        if not found.ok:
            raise SourceError(refusal(found))
        source = LiveSource(
            pid,
            interval=self._interval,
            method=method,
            force=force,
            allow_actions=allow_actions,
            leaves_agent=self._leaves_agent,
        )
        source.opened = self.opened
        self.opened[pid] = False
        return source

    def detach(self) -> None:
        """Remove the agent from the target for everybody, and stop."""
        self._stopping.set()
        listener = self._listener
        try:
            if listener is not None:
                listener.detach()
            else:
                remove_agent(self.pid)
        finally:
            self.stop()

    def wait_until_known(self, patience: float = 30.0, settle: float = 10.0) -> None:
        """Wait until the first complete picture is there: tasks listed and measured, holders and threads looked for.

        Tasks that end sooner than they can be measured are not waited for. Gives up on completeness `settle` seconds
        after the agent has answered; what is known then is shown as it is. Raises SourceError when there is no agent
        within `patience` seconds, or when it cannot be.
        """
        begun = time.monotonic()
        answered: float | None = None
        most, fruitless = -1, 0  # tasks measured at once, and updates since then without more of them
        before = None
        while True:
            snapshot = self._store.snapshot()
            tick = snapshot.tick
            has_containers = snapshot.containers.newest is not None or bool(snapshot.containers.problem)
            now = time.monotonic()
            if snapshot.status.phase is Phase.EXITED:
                raise SourceError(f"{snapshot.status.text}; pyobserver ps lists those that run")
            if self._failure is not None:
                raise SourceError(self._failure)
            if tick is not None:
                answered = answered or now
                if tick.measured > most:
                    most, fruitless = tick.measured, 0
                fruitless += tick is not before
                before = tick
                is_measured = tick.measured >= tick.total or fruitless > _FRUITLESS
                known = tick.complete and tick.holders_complete and is_measured
                if (
                    self._wants_containers and not has_containers
                ):  # a walk over a large heap takes longer than one waits
                    known = known and now - answered > _CONTAINERS_PATIENCE
                if (known and self._watcher.has_read.is_set()) or now - answered > settle:
                    return
            elif now - begun > patience:
                why = f"no answer from process {self.pid} within {patience:g} s: {snapshot.status.text}"
                raise SourceError(f"{why}; try again when it is less busy")
            time.sleep(0.02)

    # -- the two threads --------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            self._watcher.run(self._stopping)
        except TargetGone as gone:
            self._end(gone)
        except OutsideError as error:
            self._store.add_problem(f"what can be read from outside is not read any more: {error}")

    def _end(self, gone: TargetGone) -> None:
        code, signal = self._watcher.ending(gone)
        why = self._watcher.killed_for_memory(signal) if code is None else ""
        self._store.set_status(Phase.EXITED, why or str(gone), code, signal)
        self._stopping.set()
        listener = self._listener
        if listener is not None:  # a child may have inherited the agent's end of the connection
            listener.close()

    def _fail(self, why: str) -> None:
        """Say that there will be no agent; what can be read from outside goes on."""
        self._failure = why
        self._store.set_status(Phase.OUTSIDE, why)

    def _serve(self) -> None:
        passing = {"interpreter_lock", "traced"}  # another observer may be attaching at this very moment, but not twice
        while not self._stopping.wait(self._wait):
            self._wait = _RETRY_SECONDS
            try:
                self._observe()
            except AttachError as error:
                if error.kind == "gone":
                    self._await_the_end(error)
                if error.kind in _HOPELESS:
                    self._fail(str(error))
                    return
                if error.kind not in passing:
                    self._failure = str(error)
                passing = {"interpreter_lock"}
                self._store.set_status(Phase.OUTSIDE, str(error))
            except AgentLeft as left:
                self._fail(str(left))
            except AgentEnded as ended:
                if isinstance(ended, AgentFailed):
                    self._failure = str(ended)
                self._store.add_problem(str(ended))
                self._store.set_status(Phase.CONNECTING, f"{ended}; connecting again")
            except (ClientError, OSError) as error:
                self._store.set_status(Phase.CONNECTING, f"{error}; connecting again")

    def _observe(self) -> None:
        """Connect to the agent, bringing it in if needed, and listen until it ends. Raises what went wrong."""
        contact = self._approach.connect()
        listener = Listener(
            contact.client,
            self._store,
            self._interval,
            contact.method,
            contact.attach_seconds,
            contact.held_seconds,
            leaves_agent=self._leaves_agent,
        )
        self._stage("connected")
        listener.wants_containers = self._wants_containers
        self._listener = listener
        if self._stopping.is_set():
            listener.close()
        self._failure = None
        began = time.monotonic()
        try:
            reason = listener.listen()
        finally:
            self._listener = None
            lived = time.monotonic() - began
            self._approach.has_ended(lived)
            if lived > _FIRST_RETRY_SECONDS:
                self._wait = _FIRST_RETRY_SECONDS
        if reason is not None:
            self._approach.has_left(reason)

    def _await_the_end(self, error: AttachError) -> None:
        """The process is gone: the watcher, who may know its exit status, has a moment to tell."""
        if not self._stopping.wait(2.0 + self._interval):
            self._store.set_status(Phase.EXITED, str(error))

    def _stage(self, text: str) -> None:
        self.on_stage(text)
        if self._failure is None and self._store.snapshot().status.phase is not Phase.LIVE:
            self._store.set_status(Phase.CONNECTING, text)


def remove_agent(pid: int) -> bool:
    """Remove the agent from a process, and return when it is gone, with its socket; False when there is none.

    Raises ClientError when it does not answer, or does not go.
    """
    path = find_agent(pid)
    if path is None:
        return False
    try:
        with AgentClient(path, pid) as client:
            client.detach()
    except Disconnected:
        pass  # it was leaving already
    end = time.monotonic() + BYE_SECONDS
    while find_agent(pid) is not None:
        if time.monotonic() > end:
            raise ClientError(f"there is still an agent in process {pid} after {BYE_SECONDS:g} s")
        time.sleep(0.01)
    while os.path.lexists(path) and time.monotonic() < end:  # it stops listening first, and removes the file then
        time.sleep(0.01)
    return True
