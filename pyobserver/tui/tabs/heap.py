"""The tab of the heap: live objects by type, and which of them become more; large containers by path."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.widgets import ContentSwitcher

from ...analysis.findings import Verdict
from ...analysis.format import bytes_text, count, duration, percent
from ...analysis.heap import NORMAL_95
from ...model.census import OTHER_TYPES, UNIDENTIFIED, Census
from ...model.places import PlacesQuestion
from ...model.snapshot import Phase, Snapshot
from ..bar import Piece
from ..view import View
from ..widgets import VirtualTable
from .containers import ContainerTable
from .memory import Sentence
from .ordered import OrderedTable
from .summary import Summary
from .table_tab import TableTab
from .types import TypeTable, exactly

LEAST_ITEMS = 10  # of a container that can be looked for
ONLY_SMALL = "small objects and headers only: blocks above 512 bytes are in the C heap"
NOT_SEEN = (
    "Objects above 512 bytes, the larger tables of dicts and items of lists, and texts of that size are in the C heap "
    "and not seen here; nor are the objects of sub-interpreters that have an allocator of their own"
)
ABOUT = {
    UNIDENTIFIED: "blocks in use that are no objects: small tables of dicts, items of lists, structures of C; also "
    "objects that wait in a free list to be used again",
    OTHER_TYPES: "objects of types for which there was no place in the list",
}


class HeapTab(TableTab):
    """One line about the census, the table of the types, and a sentence about the selected one.

    `g` leads to the containers and back, which the agent looks for while somebody looks at them.
    """

    title = "Heap"
    short_title = "Heap"
    period = 1.0
    counts_objects = True
    explanation: ClassVar[str] = (
        "Live objects by type, str and int included, counted from outside: pools of Python's small-object allocator "
        "are copied and looked through here, which costs the process nothing. Of a large heap a sample is read, always "
        "the same pools, so that growth is told much more closely than counts. All lines together are what the "
        f"allocator has in use. {NOT_SEEN}. Enter tells who holds the objects of a type. g shows the large containers "
        "by the path that leads to them: the agent finds them in the process by a walk in slices of a millisecond, "
        "every half minute; t shows the tasks that are in one."
    )
    DEFAULT_CSS = """
    HeapTab {
        & > ContentSwitcher { height: 1fr; }
        & > #about { height: 2; color: $foreground 60%; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="heap")
        self._types = TypeTable()
        self._containers = ContainerTable()
        self._shows_containers = False
        self._least = PlacesQuestion().least
        self._wanted: tuple[str, float] | None = None  # the path of a container to be shown, and since when

    def compose(self) -> ComposeResult:
        yield Summary()
        with ContentSwitcher(initial="types"):
            yield self._types
            yield self._containers
        yield Sentence(id="about")

    @property
    def table(self) -> OrderedTable:
        """The table that is shown."""
        return self._containers if self._shows_containers else self._types

    @property
    def looks_for_containers(self) -> int:
        return self._least if self._shows_containers else 0

    # -- showing -----------------------------------------------------------------------------------------------------

    def present(self, snapshot: Snapshot, view: View) -> None:
        self._snapshot, self._view = snapshot, view
        if self._shows_containers:
            self._present_containers(snapshot, view)
        else:
            self._present_types(snapshot, view)
        self._explain()

    def judge(self, verdict: Verdict) -> None:
        self._types.verdict = self._containers.verdict = verdict

    def _present_types(self, snapshot: Snapshot, view: View) -> None:
        table, heap = self._types, snapshot.heap
        if heap.newest is not None or heap.problem or snapshot.status.phase is Phase.EXITED:
            table.empty_text = (
                f"no type has “{self._filter}” in it; Esc shows all"
                if self._filter and heap.newest is not None
                else heap.problem or "the process has ended before its objects were counted"
            )
            table.present(snapshot, view, self._filter)
        self.query_one(Summary).show(self._about_types(snapshot))

    def _present_containers(self, snapshot: Snapshot, view: View) -> None:
        table, record = self._containers, snapshot.containers
        why_not = "" if snapshot.status.phase is Phase.LIVE else f"there is no agent to ask: {snapshot.status.text}"
        if record.newest is not None or record.problem or why_not:
            table.empty_text = (
                f"no container has “{self._filter}” in it; Esc shows all"
                if self._filter and record.newest is not None
                else record.problem or why_not or f"there is none with {count(self._least)} items or more"
            )
            table.present(snapshot, view, self._filter)
            self._look_for_wanted(snapshot)
        self.query_one(Summary).show(self._about_containers(snapshot))

    def _about_types(self, snapshot: Snapshot) -> list[Piece]:
        census = snapshot.heap.newest
        if census is None:
            return [Piece("objects by type", "bold", gap=" ")]
        pieces = [
            Piece(f"{count(census.count[UNIDENTIFIED + 1 :].sum())} small objects", "bold", 9, gap=" "),
            Piece(in_use_text(census), "", 8),
            Piece(f"{sample_text(census)}, {duration(snapshot.taken_at - census.taken_at)} ago", "", 7),
            Piece(f"cost {census.cost_seconds * 1000:.0f} ms here, nothing there", "dim", 4),
        ]
        if snapshot.heap.problem:
            pieces.append(Piece("not counted anew", "grow", 8))
        return pieces + self._about_rows(len(self._types.lines), self._types.in_all, "type")

    def _about_containers(self, snapshot: Snapshot) -> list[Piece]:
        reading = snapshot.containers.newest
        if reading is None:
            return [Piece("large containers", "bold", gap=" ")]
        pieces = [
            Piece(f"containers of {count(self._least)} items or more", "bold", 9, gap=" "),
            Piece(f"{duration(snapshot.taken_at - reading.taken_at)} ago", "", 7),
            Piece(f"cost {reading.answer.seconds * 1000:.0f} ms there, in slices of 1 ms", "dim", 4),
        ]
        if snapshot.containers.problem:
            pieces.append(Piece("not looked for anew", "grow", 8))
        return pieces + self._about_rows(len(self._containers.lines), self._containers.in_all, "path")

    def _about_rows(self, shown: int, in_all: int, what: str) -> list[Piece]:
        every = f"{count(in_all)} {what}{'' if in_all == 1 else 's'}"
        text = f"showing {count(shown)} of {count(in_all)}" if shown != in_all else every
        return [
            *([Piece(f"with “{self._filter}”", "bold", 8)] if self._filter else []),
            Piece(text, "", 5),
            Piece(self.table.sorted_words(), "dim", 3),
        ]

    def _explain(self) -> None:
        """Say what the selected line is, with its error."""
        snapshot = self._snapshot
        sentence = self.query_one("#about", Sentence)
        text = ""
        if snapshot is not None:
            text = self._about_container(snapshot) if self._shows_containers else self._about_type(snapshot)
        sentence.show("", text, "dim")

    def _about_type(self, snapshot: Snapshot) -> str:
        row, census = self._types.selected(), snapshot.heap.newest
        if row is None or census is None:
            return ""
        text = snapshot.heap.problem or (ONLY_SMALL if row.is_type else ABOUT[census.names.index(row.name)])
        return f"{exactly(row)} · {text}"

    def _about_container(self, snapshot: Snapshot) -> str:
        row, reading = self._containers.selected(), snapshot.containers.newest
        if row is None or reading is None:
            return ""
        parts = [f"{row.path}: {row.type} with {count(row.items)} items"]
        if row.containers > 1:
            parts = [f"{row.path}: {count(row.containers)} × {row.type}, {count(row.items)} items in all"]
        return " · ".join(filter(None, [*parts, snapshot.containers.problem or reading.answer.note]))

    # -- what the user does ------------------------------------------------------------------------------------------

    def on_virtual_table_cursor_moved(self) -> None:
        self._explain()

    def on_virtual_table_row_activated(self, event: VirtualTable.RowActivated) -> None:
        event.stop()
        row = None if self._shows_containers else self._types.selected()
        if row is not None and row.is_type:
            self.post_message(self.TypeWanted(row.name))

    def hints(self) -> Mapping[str, str]:
        hints = {**self.table_hints(), "groups": "types" if self._shows_containers else "containers"}
        row = None if self._shows_containers else self._types.selected()
        if row is not None and row.is_type:
            hints["open"] = "holders"
        if self._holder() is not None:
            hints["jump"] = "its tasks"
        return hints

    def show_container(self, path: str, items: int, now: float) -> None:
        """Show the containers, with the cursor on one of them as soon as it is found among those of its size.

        What has been read until `now` may not have it yet.
        """
        self._filter = ""
        self._least = min(self._least, max(LEAST_ITEMS, items // 2))
        self._wanted = (path, now)
        self._show_table(True)

    def _look_for_wanted(self, snapshot: Snapshot) -> None:
        """Put the cursor on the container that is wanted, or tell that it has not been found."""
        reading = snapshot.containers.newest
        if self._wanted is None or reading is None:
            return
        path, since = self._wanted
        if self._containers.select_path(path):
            self._wanted = None
        elif reading.taken_at > since:
            self._wanted = None
            self.notify(f"{path} is not among the containers that were found", timeout=6)

    def _holder(self) -> int | None:
        """The node of the tree that is the selected container, if tasks hang in it."""
        row = self._containers.selected() if self._shows_containers else None
        if row is None or self._snapshot is None:
            return None
        nodes = self._snapshot.forest.nodes
        return next((node.id for node in nodes if node.kind == "holder" and node.label == row.path), None)

    def jump(self) -> str:
        holder = self._holder()
        if holder is None:
            return "no tasks are known to be in it" if self._shows_containers else "g shows the containers"
        self.post_message(self.PlaceWanted(holder))
        return ""

    def show_containers(self, wanted: bool) -> None:
        """Show the containers, or the types."""
        if wanted != self._shows_containers:
            self.toggle()

    def select(self, key: Hashable) -> bool:
        """Put the cursor on a container or a type; False when it is not there."""
        return self.table.select(key)

    @property
    def has_read(self) -> bool:
        """Whether there is anything to select yet."""
        return bool(self.table.line_count())

    def toggle(self) -> None:
        self._show_table(not self._shows_containers)

    def _show_table(self, containers: bool) -> None:
        had_focus = self.table.has_focus
        self._shows_containers = containers
        self.query_one(ContentSwitcher).current = self.table.id
        if had_focus:
            self.table.focus()
        self._again()


def in_use_text(census: Census) -> str:
    """Return how much the small-object allocator has in use, with its error."""
    error = f" ± {bytes_text(NORMAL_95 * census.in_use_error)}" if census.in_use_error else ""
    return f"{bytes_text(census.in_use)}{error} in use"


def sample_text(census: Census) -> str:
    """Return how much of the heap was read."""
    if census.pools_read >= census.pools_offered:
        return "all of it read"
    share = census.sampled_share
    return f"{percent(share, 1 if share < 0.0995 else 0)} of it read"
