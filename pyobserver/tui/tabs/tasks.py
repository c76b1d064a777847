"""The tab of the tasks: who holds the memory, what multiplies. Groups first, then what is in them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import ContentSwitcher

from ...analysis.findings import Verdict
from ...analysis.format import count, percent
from ...analysis.group_facts import Scope
from ...analysis.groups import kind_counts, members
from ...model.groups import GroupKey
from ...model.snapshot import Phase, Snapshot
from ..bar import Piece
from ..view import CHILD, View
from ..widgets import VirtualTable
from .groups import GroupTable
from .ordered import OrderedTable
from .singles import Group, SingleTable
from .summary import Summary
from .table_tab import TableTab

MEASURED_FIRST = 256  # as many of the visible rows the agent measures before others
WORDS = {  # one and many
    "asyncio task": ("task", "tasks"),
    "thread": ("thread", "threads"),
    "child process": ("child process", "child processes"),
    "trio task": ("trio task", "trio tasks"),
    "greenlet": ("greenlet", "greenlets"),
    "executor job": ("waiting job", "waiting jobs"),
    "async generator": ("idle async generator", "idle async generators"),
    "coroutine never awaited": ("coroutine never awaited", "coroutines never awaited"),
}


class TasksTab(TableTab):
    """Groups by function, or single rows; Enter goes from the one to the other."""

    title = "Processes/Tasks"
    short_title = "Tasks"
    explanation: ClassVar[str] = (
        "What runs, what it retains, and what multiplies. Enter on a group opens its members, Enter on a task tells "
        "all about it. Threads and child processes are rows, too; a child's memory is its RSS, Enter attaches to it."
    )
    DEFAULT_CSS = "TasksTab > ContentSwitcher { height: 1fr; }"

    class VisibleRows(Message):
        """These rows are on the screen now: they should be measured first."""

        def __init__(self, ids: Sequence[int]) -> None:
            super().__init__()
            self.ids = tuple(ids)

    def __init__(self) -> None:
        super().__init__(id="tasks")
        self._is_single = False
        self._visible: tuple[int, ...] = ()
        self._groups = GroupTable()
        self._singles = SingleTable()

    def compose(self) -> ComposeResult:
        yield Summary()
        with ContentSwitcher(initial="groups"):
            yield self._groups
            yield self._singles

    @property
    def table(self) -> OrderedTable:
        """The table that is shown."""
        return self._singles if self._is_single else self._groups

    @property
    def is_single(self) -> bool:
        """Whether single rows are shown rather than groups."""
        return self._is_single

    # -- showing -----------------------------------------------------------------------------------------------------

    def present(self, snapshot: Snapshot, view: View) -> None:
        self._snapshot, self._view = snapshot, view
        table = self._singles if self._is_single else self._groups
        table.present(snapshot, view, self._filter)
        if self._filter:
            table.empty_text = f"nothing has “{self._filter}” in it; Esc shows all"
        elif self._is_single and self._singles.group is not None:
            table.empty_text = "none of this group is left; Esc shows the groups"
        else:
            table.empty_text = _nothing(snapshot)
        self.query_one(Summary).show(self._summary(snapshot))
        ids = self._singles.visible_ids()[:MEASURED_FIRST] if self._is_single else []
        if tuple(ids) != self._visible:
            self._visible = tuple(ids)
            self.post_message(self.VisibleRows(ids))

    def judge(self, verdict: Verdict) -> None:
        self._groups.verdict = verdict

    def _summary(self, snapshot: Snapshot) -> list[Piece]:
        counted = kind_counts(snapshot.tasks)
        counts = [Piece(f"{count(n)} {WORDS.get(kind, (kind, kind))[n != 1]}", "", 7) for kind, n in counted.items()]
        pieces = counts or [Piece("0 tasks", "", 7)]
        pieces[0] = Piece(pieces[0].text, "bold", 9, gap=" ")
        group = self._singles.group if self._is_single else None
        if group is not None:
            pieces = [Piece(f"members of {group.title}", "bold", 9, gap=" ")]
        held = 0 if self._is_single else self._groups.held
        if held:
            pieces.append(Piece(f"{count(held)} done, but still held", "grow", 4))
        shown, in_all = len(self._singles.lines), max(len(snapshot.tasks), sum(counted.values()))
        if not self._is_single:
            shown, in_all = len(self._groups.lines), self._groups.in_all
        if shown != in_all:
            pieces.append(Piece(f"showing {count(shown)} of {count(in_all)}", "", 8))
        if self._filter:
            pieces.append(Piece(f"with “{self._filter}”", "bold", 8))
        pieces.append(_measured(snapshot))
        pieces.append(Piece(self.table.sorted_words(), "dim", 5))
        return pieces

    # -- what the user does ------------------------------------------------------------------------------------------

    def on_virtual_table_row_activated(self, event: VirtualTable.RowActivated) -> None:
        event.stop()
        if self._is_single:
            if isinstance(event.key, int) and self._snapshot is not None:
                self.ask_for(self._snapshot, event.key)
            return
        row = self._groups.selected()
        if row is not None:
            self.open_group(Group(row.key, row.function or row.kind))

    def open_group(self, group: Group | None, row_id: int | None = None) -> None:
        """Show the members of a group, or all single rows, with the cursor on one of them."""
        self._singles.group = group
        self._show_table(True)
        if row_id is not None:
            self._singles.select(row_id)
        else:
            self._singles.go_to(0)

    def show_groups(self, key: Hashable | None = None) -> None:
        """Show the groups, with the cursor on one of them."""
        self._singles.group = None
        self._show_table(False)
        if key is not None:
            self._groups.select(key)

    def toggle(self) -> None:
        self._singles.group = None
        self._show_table(not self._is_single)

    def _show_table(self, single: bool) -> None:
        had_focus = self.table.has_focus
        self._is_single = single
        self.query_one(ContentSwitcher).current = "singles" if single else "groups"
        if had_focus:
            self.table.focus()
        self._again()

    def go_back(self) -> bool:
        if self._is_single and self._singles.group is not None:
            self._singles.group = None
            self._show_table(False)
            return True
        return False

    def jump(self) -> str:
        if self._is_single:
            key = self._singles.cursor_key
            if not isinstance(key, int):
                return "there is no row to show in the tree"
            self.post_message(self.PlaceWanted(key))
            return ""
        row = self._groups.selected()
        if row is None or self._snapshot is None:
            return "there is no group to show in the tree"
        found = self._ids(row.key)
        if not found:
            return "none of this group is left"
        self.post_message(self.PlaceWanted(found[0], as_group=len(found) > 1))
        return ""

    def about(self) -> str:
        if self._is_single:
            group = self._singles.group
            if group is None:
                return "no group is selected: g shows the groups"
            self.post_message(self.AboutWanted(Scope(group.key), group.title))
            return ""
        row = self._groups.selected()
        if row is None:
            return "there is no group"
        self.post_message(self.AboutWanted(Scope(row.key), row.function or row.kind))
        return ""

    def _ids(self, key: GroupKey) -> list[int]:
        """The first two members of a group: one to show, and whether there are more."""
        assert self._snapshot is not None
        tasks = self._snapshot.tasks
        return [int(number) for number in tasks["id"][members(tasks, key)][:2]]

    def hints(self) -> Mapping[str, str]:
        in_group = self._is_single and self._singles.group is not None
        hints = {
            **self.table_hints(),
            **({"open": self._opens()} if self.table.cursor_key is not None else {}),
            "groups": "groups" if self._is_single else "single",
            "jump": "in the tree",
            **({"about": "about it"} if in_group or not self._is_single else {}),
        }
        return {**hints, "back": "groups"} if in_group else hints

    def _opens(self) -> str:
        """What Enter leads to, in a word."""
        if not self._is_single:
            return "members"
        key = self._singles.cursor_key
        row = self._snapshot.tasks.find(key) if self._snapshot is not None and isinstance(key, int) else None
        return "attach to it" if row is not None and row.kind == CHILD else "details"

    def selected_row(self) -> int | None:
        key = self._singles.cursor_key
        return key if self._is_single and isinstance(key, int) else None


def _nothing(snapshot: Snapshot) -> str:
    """Why there is no row at all."""
    status = snapshot.status
    if status.phase is Phase.OUTSIDE:
        return f"tasks cannot be seen: {status.text}"
    if snapshot.tick is not None:
        return "there are no tasks"
    if status.phase is Phase.EXITED:
        return "the process has ended before its tasks were read"
    return "waiting for the first tasks"


def _measured(snapshot: Snapshot) -> Piece:
    facts, tick = snapshot.facts, snapshot.tick
    if facts is not None and facts.self_check != "ok":
        return Piece(f"memory n/a: {facts.self_check}", "grow", 6)
    if tick is None and snapshot.status.phase is Phase.OUTSIDE:
        return Piece("tasks n/a", "grow", 6)
    if tick is None or not tick.total:
        return Piece("")
    share = min(1.0, tick.measured / tick.total)
    return Piece(f"measured {percent(share)}", "" if share > 0.999 else "grow", 6)
