"""The screen about one allocator: what is it made of, and is what it keeps room or fragments?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from ...analysis.allocators import AllocatorRow, collections_per_minute, table_rows
from ...analysis.format import UNKNOWN, bytes_text, count, duration, growth_bytes, percent
from ...model.readings import CArena, CHeap, Holding
from ...model.snapshot import Snapshot
from ..bar import StatusLine, TooSmall, TopBar, styled
from ..keys import BACK, COPY, HELP, QUIT, Key, KeysLine
from ..view import View
from ..widgets.text import fit, printable, shorten
from .about import AboutScreen
from .allocators import about
from .detail import PAUSE
from .help import HelpScreen

BAR = 10  # cells
MOST_ARENAS = 30
TASKS = Key("tasks", "enter", "Enter", "tasks", "the tasks, of which most of Python's objects are kept", 8)
KEYS = (HELP, BACK, COPY, PAUSE, QUIT)
WHAT = {
    "large_blocks": "Blocks of one size together",
    "native_other": "Mappings, the largest first",
    "stacks": "Threads",
    "files": "Files: code, data and what is mapped",
    "shared": "Shared mappings",
}


class AllocatorScreen(AboutScreen):
    """Everything about one allocator. All of it is in the readings: nothing is asked of the target."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in (BACK, COPY, TASKS)]

    class TasksWanted(Message):
        """The user wants to see the tasks."""

    def __init__(self, name: str, snapshot: Snapshot, view: View) -> None:
        super().__init__()
        self.name_of_allocator = name
        self._snapshot, self._view = snapshot, view

    def compose(self) -> ComposeResult:
        yield TopBar()
        with VerticalScroll(can_focus=True):
            for name in ("facts", "parts", "collector"):
                yield Static(id=name)
        yield StatusLine()
        yield KeysLine((TASKS, *KEYS) if self.name_of_allocator == "python" else KEYS)
        yield TooSmall()

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def present(self, snapshot: Snapshot, view: View) -> None:
        """Show what is known by now."""
        self._snapshot, self._view = snapshot, view
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        name, snapshot = self.name_of_allocator, self._snapshot
        width = self.size.width - 4  # the padding, and the bar for scrolling
        rows = table_rows(snapshot, self._view.window)
        row = next((each for each in rows if each.name == name), None)
        self._update("facts", _facts(snapshot, row, name))
        self._update("parts", _parts(snapshot, name, width))
        self._update("collector", _collector(snapshot, self._view.window, width) if name == "python" else [])

    def _update(self, name: str, lines: list[Content]) -> None:
        widget = self.query_one(f"#{name}", Static)
        widget.display = bool(lines)
        if lines:
            widget.update(Content("\n").join(lines))

    def action_tasks(self) -> None:
        """Leave, and show the tasks: only Python's objects are theirs."""
        if self.name_of_allocator == "python":
            self.app.post_message(self.TasksWanted())
            self.dismiss()

    def help(self) -> HelpScreen:
        """What explains this screen."""
        explanation = (
            "What one allocator is made of: size classes, arenas, blocks, files or mappings, each with what it holds. "
            "All of it is read from outside, at no cost to the target. Free bytes in whole pages can be given back to "
            "the system; those between blocks in use cannot: that is fragmentation."
        )
        return HelpScreen("One allocator", explanation, (), KEYS)


def _line(name: str, text: str, style: str = "") -> Content:
    return Content("").join([styled(f"  {fit(name, 12)}", "dim"), styled(text, style)])


def _facts(snapshot: Snapshot, row: AllocatorRow | None, name: str) -> list[Content]:
    """What the table says of it, and what it is."""
    if row is None:
        return [styled("the memory could not be read", "grow")]
    lines = [styled(row.label, "bold"), styled(f"  {about(row)}", "dim")]
    held = f"{'at most ' if row.held_is_most else ''}{bytes_text(row.held)}"
    if row.share is not None:
        held += f", {percent(row.share)} of the resident memory"
    if row.peak is not None:
        held += f", at most {bytes_text(row.peak)} so far"
    if row.in_use is not None:
        lines.append(_line("in use", bytes_text(row.in_use) + _error(snapshot, row)))
    lines.append(_line("held", held))
    if row.peak_in_use is not None:
        lines.append(_line("peak", f"{bytes_text(row.peak_in_use)} in use, by its own counter"))
    if row.kept is not None:
        lines.append(_line("kept", f"{bytes_text(row.kept)} freed by the program, but still held"))
    if row.growth is not None:
        lines.append(_line("growth", f"{growth_bytes(row.growth)}/min", "grow" if row.growing else ""))
    if row.reason:
        lines.append(_line("n/a", row.reason, "grow"))
    memory = snapshot.memory
    if not _is_said(snapshot, name) and name != "python" and memory is not None and memory.partition_age is not None:
        heap = memory.c_heap if name == "c_heap" else None
        age = max(memory.partition_age, heap.age if heap else 0.0) + max(0.0, snapshot.taken_at - memory.taken_at)
        lines.append(_line("read", f"{duration(age)} ago"))
    return lines


def _is_said(snapshot: Snapshot, name: str) -> bool:
    """Whether the agent tells of it, with every update; what it holds may show from outside, too."""
    said = snapshot.tick.allocators if snapshot.tick is not None else ()
    return any(each.name == name and each.held is not None for each in said)


def _error(snapshot: Snapshot, row: AllocatorRow) -> str:
    memory = snapshot.memory
    error: int | None = row.in_use_error
    if memory is not None and not error:
        error = {"python": memory.python_in_use_error, "c_heap": memory.c_in_use_error}.get(row.name)
    return f" ± {bytes_text(error)}" if error else ""


def _parts(snapshot: Snapshot, name: str, width: int) -> list[Content]:
    memory = snapshot.memory
    if memory is None:
        return []
    if name == "python":
        return _size_classes(memory.size_classes, width)
    if name == "c_heap":
        return _arenas(memory.c_heap, width) if memory.c_heap is not None else []
    return _holdings(name, [each for each in memory.holdings if each.allocator == name], width)


def _table(title: str, heads: Sequence[tuple[str, int]], rows: Sequence[Sequence[str]], width: int) -> list[Content]:
    """Columns of (label, width), all but the last flush right; the last one keeps its end where it is cut."""
    room = max(8, width - 2 - sum(each + 2 for _, each in heads[:-1]))

    def written(cells: Sequence[str]) -> str:
        firsts = (fit(cell, each, "right") for cell, (_, each) in zip(cells, heads[:-1], strict=False))
        return "  " + "  ".join([*firsts, shorten(cells[-1], room, "start")])

    lines = [styled(title, "dim"), styled(written([head for head, _ in heads]), "bold")]
    return [*lines, *(styled(written(row), "") for row in rows)]


def _bar(share: float) -> str:
    return "█" * round(BAR * min(1.0, max(0.0, share)))


def _size_classes(classes: Sequence[tuple[int, int, int]], width: int) -> list[Content]:
    """Blocks by their size: how many are in use, of how many there is room for."""
    if not classes:
        return []
    most = max(size * blocks for size, blocks, _ in classes) or 1
    rows = [
        (
            f"{size} B",
            count(blocks),
            count(room),
            percent(blocks / room if room else None),
            bytes_text(size * blocks),
            bytes_text(size * max(0, room - blocks)),
            _bar(size * blocks / most),
        )
        for size, blocks, room in classes
    ]
    heads = (("Blocks of", 9), ("in use", 12), ("room for", 12), ("Util", 6), ("In use", 9), ("Kept", 9), ("", 0))
    return _table("Objects by the size of their blocks (pymalloc's size classes)", heads, rows, width)


def _arenas(heap: CHeap, width: int) -> list[Content]:
    """The arenas of glibc, and whether what they keep is whole pages or fragments."""
    ordered = sorted(heap.arenas, key=lambda arena: arena.size, reverse=True)
    heads = (
        ("Size", 8),
        ("In use", 8),
        ("Free", 8),
        ("Util", 5),
        ("Chunks", 7),
        ("Largest", 8),
        ("Trimmable", 9),
        ("Arena", 0),
    )
    rows = [_arena(arena) for arena in ordered[:MOST_ARENAS]]
    title = f"Arenas: {count(len(ordered))}, of {count(sum(arena.heaps for arena in ordered))} heaps"
    lines = _table(title, heads, rows, width)
    if len(ordered) > MOST_ARENAS:
        lines.append(styled(f"  and {len(ordered) - MOST_ARENAS} smaller ones", "dim"))
    fragments = max(0, heap.free_resident - heap.trimmable)
    free, pages, rest = (bytes_text(size) for size in (heap.free_resident, heap.trimmable, fragments))
    lines.append(styled(f"  {free} is free and resident: {pages} in whole pages, which can be trimmed", ""))
    lines.append(styled(f"  (given back to the system), {rest} in fragments, which cannot.", ""))
    lines.append(styled("  What threads keep in caches counts as in use, as malloc itself counts.", "dim"))
    return lines


def _arena(arena: CArena) -> tuple[str, ...]:
    return (
        bytes_text(arena.size),
        bytes_text(arena.in_use),
        bytes_text(arena.free),
        percent(arena.in_use / arena.size if arena.size else None),
        count(arena.free_chunks),
        bytes_text(arena.largest_free),
        bytes_text(arena.trimmable),
        arena.name + (f", {bytes_text(arena.unread)} not read" if arena.unread else ""),
    )


def _holdings(name: str, holdings: Sequence[Holding], width: int) -> list[Content]:
    if not holdings:
        return []
    shared = any(each.pss is not None for each in holdings)
    heads = [("Resident", 9), ("Share (PSS)", 11), ("Address space", 13), ("Count", 7), ("What", 0)]
    rows = []
    for each in holdings:
        label = each.label or "smaller ones"
        if name == "large_blocks" and each.label:
            label = f"blocks of {bytes_text(int(each.label))}" if each.count > 1 else "block"
        pss = bytes_text(each.pss) if each.pss is not None else UNKNOWN
        row = [bytes_text(each.resident), pss, bytes_text(each.size), count(each.count), printable(label)]
        rows.append(row if shared else [row[0], *row[2:]])
    return _table(WHAT[name], heads if shared else [heads[0], *heads[2:]], rows, width)


def _collector(snapshot: Snapshot, window: float, width: int) -> list[Content]:
    """The garbage collector: how often it runs. Its pauses are not measured."""
    collector = snapshot.tick.collector if snapshot.tick is not None else None
    if collector is None:
        return []
    rows = [
        (str(number), count(runs), _rate(collections_per_minute(snapshot, number, window)), count(now))
        for number, (runs, now) in enumerate(zip(collector.collections, collector.counts, strict=False))
    ]
    heads = (("Generation", 10), ("Collections", 11), ("per minute", 10), ("Counted now", 0))
    said = f"{count(collector.collected)} objects collected, {count(collector.uncollectable)} uncollectable"
    return [*_table("Garbage collector", heads, rows, width), styled(f"  {said}", "")]


def _rate(per_minute: float | None) -> str:
    return UNKNOWN if per_minute is None else f"{per_minute:.1f}"
