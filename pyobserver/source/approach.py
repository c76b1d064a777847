"""How to get to the agent in a process: join the one that is there, or bring one in, and know when to leave it be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..agent import bundle
from ..attach import AttachError, Injection, inject
from ..attach.beside import Beside, agents_threads
from .client import AgentClient
from .errors import AgentEnded, AgentFailed, ClientError, OtherProtocol
from .find import find_agent
from .sweep import sweep

_APPEARS_SECONDS = 10.0  # from the end of an injection until the agent's greeting
_LOOK_SECONDS = 0.02
_BESIDE_LOOKS = 10  # from one look at who keeps the agent from coming up to the next
_FIRST_PAUSE, _LONGEST_PAUSE = 3.0, 60.0
_HEALTHY_SECONDS = 60.0
_INTRUSIVE = frozenset({"script", "failed", "no_safe_point"})  # failures after something was done in the target


class AgentLeft(ClientError):
    """There was an agent, and somebody has asked it to leave: it is not brought back behind their back."""


@dataclass(frozen=True)
class Contact:
    """A greeted agent, and how it came in: the seconds that took, and the longest that a thread was held for it."""

    client: AgentClient
    method: str  # "existing" when it was there
    attach_seconds: float
    held_seconds: float


class Approach:
    """Connects to the agent in process `pid`. One thread uses it.

    Each time that an agent was brought in and did not live for long, the next one waits longer: a program in production
    must not pay for an agent that cannot live in it.
    """

    def __init__(
        self,
        pid: int,
        method: str,
        actions: bool,
        stopping: threading.Event,
        on_stage: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        force: bool = False,
    ) -> None:
        self.pid = pid
        self.steps: tuple[str, ...] = ()  # what the last injection did
        self._method = method
        self._force = force  # also into a program that was told not to be debugged
        self._actions = actions
        self._stopping = stopping
        self._stage = on_stage
        self._clock = clock
        self._left: str | None = None
        self._ended = "the agent has ended"
        self._pause = 0.0
        self._not_before = 0.0

    def connect(self) -> Contact:
        """Return a greeted agent. Raises AttachError when none can be brought in, ClientError when none answers."""
        began = self._clock()
        self._stage("looking for an agent in the target")
        path = find_agent(self.pid)
        if path is not None:
            client = self._joined(path)
            if client is not None:
                return Contact(client, "existing", self._clock() - began, 0.0)
        elif self._left is not None:
            raise AgentLeft(f"the agent has left: {self._left}; attach again to bring it back")
        found = self._bring()
        client = self._appeared(replaces=path is not None)
        sweep(self.pid)
        return Contact(client, found.method, found.attach_seconds, found.held_seconds)

    def has_ended(self, lived: float) -> None:
        """The agent has broken off after so many seconds."""
        self._ended = "the agent has ended"
        if lived >= _HEALTHY_SECONDS:
            self._pause = 0.0

    def has_left(self, reason: str) -> None:
        """The agent has said goodbye: from now on one is joined where it is there, and none is brought in."""
        self._left = reason

    def _joined(self, path: str) -> AgentClient | None:
        """The agent at `path`; None when it is of another version, and makes room for ours."""
        try:
            client = AgentClient(path, self.pid, actions=self._actions)
        except OtherProtocol:
            client = None
        if client is not None and client.hello.build == bundle.digest():
            return client
        try:
            if self._left is not None:
                raise AgentLeft(f"the agent has left: {self._left}; there is one of another version now")
            self._stage("replacing an agent of another version")
            if client is not None:
                client.detach()
        finally:
            if client is not None:
                client.close()
        return None

    def _bring(self) -> Injection:
        wait = self._not_before - self._clock()
        if wait > 0.0:
            raise ClientError(f"{self._ended}; it is brought in again in {wait:.0f} s")
        try:
            found = inject(
                self.pid,
                bundle.script({"method": self._method}),
                method=self._method,
                force=self._force,
                on_stage=self._stage,
            )
        except AttachError as error:
            if error.kind in _INTRUSIVE:
                self._wait_longer()
            raise
        self._wait_longer()
        self.steps = found.steps
        return found

    def _wait_longer(self) -> None:
        self._pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2.0 * self._pause))
        self._not_before = self._clock() + self._pause

    def _appeared(self, replaces: bool) -> AgentClient:
        """Wait for the agent that was brought in.

        The one that it replaces may still be there for a moment, and say goodbye to whoever comes.
        """
        end = self._clock() + _APPEARS_SECONDS
        problem = "its socket has not appeared"
        beside, looks = Beside(self.pid, lambda: agents_threads(self.pid)), 0
        while not self._stopping.is_set() and self._clock() < end:
            path = find_agent(self.pid)
            if path is not None:
                try:
                    client = AgentClient(path, self.pid, actions=self._actions)
                except AgentEnded as ended:
                    problem = self._ended = str(ended)
                    if not replaces:
                        raise AgentFailed(self._ended) from None
                except ClientError as error:
                    problem = str(error)
                else:
                    if client.hello.build == bundle.digest():
                        return client
                    client.close()
                    problem = "one of another version is still there"
            looks += 1
            if looks % _BESIDE_LOOKS == 0:
                beside.look()
            self._stopping.wait(_LOOK_SECONDS)
        raise ClientError(f"the agent was brought in, but within {_APPEARS_SECONDS:g} s {problem}")
