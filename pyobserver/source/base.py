"""What all sources have in common: a running process, a recording, or one that was made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..model.actions import Settings
from ..model.details import DetailAnswer, GroupAnswer, GroupQuestion
from ..model.places import PlacesAnswer, PlacesQuestion
from ..model.store import Store


class SourceError(Exception):
    """A process cannot be observed; the text says what, why, and what would help."""


class Source(Protocol):
    """Feeds `store` from threads of its own, between `start` and `stop`.

    Screens read snapshots of the store and call the methods here; none of them waits for the target.
    """

    @property
    def store(self) -> Store:
        """Everything known so far. It outlives the source: after `stop` it can still be read."""

    def start(self) -> None:
        """Begin to feed the store, if that was not begun before.

        What cannot be done becomes a status of the store, not an exception.
        """

    def stop(self) -> None:
        """End the feeding. The target goes on untouched; an agent in it stays for the next observer."""

    def focus(self, ids: Sequence[int]) -> None:
        """Say which rows are on the screen: they are measured first. At most the first 256 count."""

    def count_objects(self, wanted: bool) -> None:
        """Say whether somebody wants to see the objects by type: only then they are counted, every some seconds."""

    def look_for_containers(self, wanted: bool, least: int = PlacesQuestion.least) -> None:
        """Say whether somebody wants to see the large containers: only then they are looked for.

        `least` is from how many items on they are large. Every half minute, and sooner at first, so that a look of one
        minute tells which of them grow.
        """

    def request_detail(self, row_id: int, answer: Callable[[DetailAnswer], None], values: bool = False) -> None:
        """Ask for everything about one row, with `values` also for beginnings of values: data of the program.

        `answer` is called once, on another thread, also when there is none.
        """

    @property
    def allows_actions(self) -> bool:
        """Whether the user has allowed actions that change the target."""

    def act(self, action: str, row_id: int = 0, settings: Settings | None = None) -> None:
        """Ask for one of `schema.ACTIONS`; what comes of it is told by the store. Does nothing unless it is allowed."""

    def enough(self) -> None:
        """End the trace of allocations that this source has asked for, before its time."""

    def request_group(self, asked: GroupQuestion, answer: Callable[[GroupAnswer], None]) -> None:
        """Ask what tasks retain together. `answer` is called once, on another thread, also when there is none."""

    def request_places(self, asked: PlacesQuestion, answer: Callable[[PlacesAnswer], None]) -> None:
        """Ask where objects are held. `answer` is called once, on another thread, also when there is none."""

    def child(self, pid: int) -> Source:
        """Return a source on a child process, not started yet. Raises SourceError where it cannot be observed."""

    def detach(self) -> None:
        """Remove the agent from the target for everybody, and stop."""
