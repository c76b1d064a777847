"""The tree shows what is open, keeps it open, and finds its way to any node."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence

from pyobserver.tui.widgets import Cell, Column, VirtualTree

from .stage import Clock, lines, stage

COLUMNS = (Column("children", "children", 8, align="right"), Column("growth", "+/min", 8, align="right", priority=2))


class Forest:
    """Nodes by name; a star at the end says that there are children which are not loaded."""

    def __init__(self, children: dict[str, list[str]], roots: Sequence[str] = ("process",), version: int = 1) -> None:
        self.below = children
        self.version = version
        self.tops = roots
        self.above = {child: parent for parent, kids in children.items() for child in kids}
        self.asked = 0

    def roots(self) -> Sequence[Hashable]:
        return self.tops

    def children(self, key: Hashable) -> Sequence[Hashable]:
        return self.below.get(str(key), [])

    def has_children(self, key: Hashable) -> bool:
        return bool(self.children(key)) or str(key).endswith("*")

    def parent(self, key: Hashable) -> Hashable | None:
        return self.above.get(str(key))

    def label(self, key: Hashable) -> Cell | Sequence[Cell]:
        self.asked += 1
        if key == "holder":
            return [("holder ", "dim"), "rudder.pipeline.Spawner._children", (" (set)", "dim")]
        return ("ended task", "dim") if key == "ended" else str(key)

    def cells(self, key: Hashable) -> Sequence[Cell]:
        return [str(len(self.children(key))), ("+3.1", "grow")]

    def style(self, key: Hashable) -> str:
        return "dim" if key == "ended" else ""


SERVICE = {
    "process": ["loop", "executor", "child 4720*"],
    "loop": ["holder", "task group", "unowned"],
    "holder": ["push_hash-1", "push_hash-2"],
    "unowned": ["ended"],
}


def tree(open_at_first: int = 1) -> VirtualTree:
    return VirtualTree(COLUMNS, "Owner", open_at_first=open_at_first, clock=Clock())


def labels(widget: VirtualTree) -> list[str]:
    """The lines below the header without their columns."""
    return [line[: widget.size.width - 20].rstrip() for line in lines(widget)[1:] if line.strip()]


async def test_lines() -> None:
    """Guides and labels at the left, numbers at the right; a label loses what is dim before its name."""
    widget = tree(open_at_first=3)
    async with stage(widget, size=(64, 11)) as (pilot, _):
        widget.show(Forest(SERVICE))
        await pilot.pause()
        assert lines(widget) == [
            " Owner                                       children     +/min ",
            " ▾ process                                          3      +3.1 ",
            " ├─▾ loop                                           3      +3.1 ",
            " │ ├─▾ rudder.pipeline.Spawner._children            2      +3.1 ",
            " │ │ ├── push_hash-1                                0      +3.1 ",
            " │ │ └── push_hash-2                                0      +3.1 ",
            " │ ├── task group                                   0      +3.1 ",
            " │ └─▾ unowned                                      1      +3.1 ",
            " │   └── ended task                                 0      +3.1 ",
            " ├── executor                                       0      +3.1 ",
            " └─▸ child 4720*                                    0      +3.1 ",
        ]


async def test_keys_open_and_close() -> None:
    """Right opens, then goes in; left closes, then goes out; what was open below a closed node is open again."""
    widget = tree()
    async with stage(widget, VirtualTree.NodeExpanded) as (pilot, posted):
        widget.show(Forest(SERVICE))
        await pilot.press("right")
        assert widget.cursor_key == "loop"
        await pilot.press("right", "right", "right", "right")
        assert widget.cursor_key == "push_hash-1"
        await pilot.press("right")
        assert widget.cursor_key == "push_hash-1"
        await pilot.press("left", "left", "left", "left")
        assert widget.cursor_key == "loop"
        assert labels(widget) == [" ▾ process", " ├─▸ loop", " ├── executor", " └─▸ child 4720*"]
        await pilot.press("right")
        assert labels(widget)[:4] == [
            " ▾ process",
            " ├─▾ loop",
            " │ ├─▸ …der.pipeline.Spawner._children",
            " │ ├── task group",
        ]
        await pilot.press("down", "right", "up", "left", "right")
        assert labels(widget)[3] == " │ │ ├── push_hash-1"
        await pilot.press("left", "left", "left", "left", "left")
        assert widget.cursor_key == "process"
        assert [m.key for m in posted if isinstance(m, VirtualTree.NodeExpanded)] == [
            *("loop", "holder", "loop", "holder", "loop")
        ]


async def test_closing_above_the_cursor_takes_it_along() -> None:
    """The cursor is never on a line that is not there."""
    widget = tree(open_at_first=9)
    async with stage(widget, VirtualTree.CursorMoved) as (pilot, posted):
        widget.show(Forest(SERVICE))
        assert widget.expand_to("push_hash-2")
        widget.close_node("loop")
        await pilot.pause()
        assert widget.cursor_key == "loop"
        widget.close_node("executor")
        widget.open_node("no such node")
        assert [m.key for m in posted if isinstance(m, VirtualTree.CursorMoved)] == ["process", "push_hash-2", "loop"]


async def test_a_refresh_keeps_what_is_open_and_where_the_cursor_is() -> None:
    """Nodes that come above the cursor move neither it nor its line of the screen."""
    widget = tree()
    async with stage(widget, size=(60, 8)) as (pilot, _):
        service = {**SERVICE, "holder": [f"push_hash-{n}" for n in range(30)]}
        widget.show(Forest(service))
        assert widget.expand_to("push_hash-20")
        await pilot.press("up", "down", "up")
        assert widget.cursor_line is not None
        line = widget.cursor_line - widget.scroll_offset.y
        grown = {**service, "process": ["new loop", *service["process"]], "new loop": ["a", "b"]}
        widget.show(Forest(grown, version=2))
        await pilot.pause()
        assert widget.cursor_key == "push_hash-19"
        assert widget.cursor_line - widget.scroll_offset.y == line
        assert "push_hash-19" in lines(widget)[line + 1]
        widget.show(Forest({**grown, "holder": service["holder"][:3]}, version=3))
        await pilot.pause()
        assert widget.cursor_key == "child 4720*"


async def test_new_values_paint_and_do_not_walk_the_tree() -> None:
    """A refresh whose structure is the same asks only for visible nodes."""
    widget = tree(open_at_first=2)
    async with stage(widget) as (pilot, _):
        children = {
            "process": [f"g{n}" for n in range(100)],
            **{f"g{n}": [f"t{n}.{m}" for m in range(50)] for n in range(100)},
        }
        widget.show(Forest(children))
        await pilot.pause()
        again = Forest(children)
        walked: list[Hashable] = []
        again.children = lambda key: walked.append(key) or children.get(str(key), [])  # type: ignore[method-assign,func-returns-value]
        widget.show(again)
        await pilot.pause()
        assert 0 < again.asked <= 4 * widget.size.height
        assert len(walked) <= 10 * widget.size.height


async def test_expand_to_opens_the_way() -> None:
    """Also to a node far down among many siblings; and says when there is no such node, changing nothing."""
    widget = tree()
    async with stage(widget) as (pilot, _):
        widget.show(Forest({**SERVICE, "unowned": [f"u{n}" for n in range(1000)]}))
        assert widget.expand_to("u700")
        await pilot.pause()
        assert widget.cursor_key == "u700"
        assert any(line.strip("│ ├─└").startswith("u700 ") for line in lines(widget))
        before = widget.line_count()
        assert not widget.expand_to("no such node")
        assert (widget.line_count(), widget.cursor_key) == (before, "u700")
        assert widget.expand_to("process")
        assert widget.cursor_key == "process"


async def test_wide_nodes_are_shown_in_parts() -> None:
    """The line behind the first 200 says how many there are, and Enter shows the next 200 in its place."""
    widget = tree(open_at_first=1)
    async with stage(widget, VirtualTree.NodeActivated, VirtualTree.CursorMoved) as (pilot, posted):
        widget.show(Forest({"process": [f"t{n}" for n in range(10_000)]}))
        assert widget.line_count() == 202
        await pilot.press("end")
        assert "… 9,800 more, Enter shows 200 more" in lines(widget)[-1]
        assert widget.cursor_key is None
        top = widget.scroll_offset.y
        await pilot.press("enter")
        await pilot.pause()
        assert (widget.cursor_key, widget.line_count(), widget.scroll_offset.y) == ("t200", 402, top)
        assert posted.pop().key == "t200"  # type: ignore[attr-defined]
        await pilot.press("enter")
        assert posted.pop().key == "t200"  # type: ignore[attr-defined]
        widget.show(Forest({"process": [f"t{n}" for n in range(401)]}, version=2))
        await pilot.press("end")
        assert "… 1 more, Enter shows 1 more" in lines(widget)[-1]
        await pilot.press("enter", "end")
        assert (widget.cursor_key, widget.line_count()) == ("t400", 402)


async def test_children_that_are_not_loaded_yet_leave_a_line() -> None:
    """It is no node: Enter does nothing there, and it is gone when the children are there."""
    widget = tree()
    async with stage(widget, VirtualTree.NodeActivated) as (pilot, posted):
        widget.show(Forest(SERVICE))
        await pilot.press("end", "right", "down", "enter", "right")
        assert lines(widget)[5].strip() == "└── loading …"
        assert widget.cursor_key is None
        assert posted == []
        widget.show(Forest({**SERVICE, "child 4720*": ["MainThread"]}, version=2))
        await pilot.pause()
        assert widget.cursor_key == "MainThread"


async def test_a_tree_that_runs_in_a_circle_ends() -> None:
    """What comes from a target may be nonsense; each key is shown once."""
    widget = tree(open_at_first=99)
    async with stage(widget) as (pilot, _):
        widget.show(Forest({"process": ["a", "a"], "a": ["b", "process"], "b": ["a", "c"], "c": ["c"]}))
        assert widget.line_count() == 4
        await pilot.press("asterisk", "left", "right", "end", "asterisk")
        assert widget.line_count() == 4
        assert widget.expand_to("nowhere") is False
        widget.expand_to("b")
        assert widget.line_count() == 4


async def test_clicks() -> None:
    """On the marker they open and close, elsewhere they take the cursor, twice they activate."""
    widget = tree()
    async with stage(widget, VirtualTree.NodeActivated) as (pilot, posted):
        widget.show(Forest(SERVICE))
        await pilot.click(widget, offset=(3, 2))
        assert widget.line_count() == 7
        await pilot.click(widget, offset=(3, 2))
        assert widget.line_count() == 4
        await pilot.click(widget, offset=(10, 3), times=2)
        assert widget.cursor_key == "executor"
        assert [m.key for m in posted if isinstance(m, VirtualTree.NodeActivated)] == ["executor"]


async def test_deep_and_wide_nodes_stay_readable() -> None:
    """Fifty levels down the label is still there, at any width, and hostile labels stay on their line."""
    chain = {f"n{n}": [f"n{n + 1}"] for n in range(50)}
    chain["n50"] = ["日本語のタスク名です" * 5 + "終", "esc\x1b[2J"]
    for size in ((60, 60), (30, 60), (12, 9), (1, 1)):
        widget = tree(open_at_first=99)
        async with stage(widget, size=size) as (pilot, _):
            widget.show(Forest(chain, roots=("n0",)))
            await pilot.press("down", "end")
            text = lines(widget)
            assert "".join(text).isprintable()
            if size[1] == 60:
                assert any("n50" in line for line in text)
                assert any("終" in line for line in text)


async def test_an_empty_tree_says_so() -> None:
    """And no key does anything in it."""
    widget = tree()
    async with stage(widget) as (pilot, _):
        assert "waiting for data" in "".join(lines(widget))
        widget.show(Forest({}, roots=()))
        await pilot.press("down", "right", "left", "enter", "asterisk", "end")
        assert "nothing to show" in "".join(lines(widget))
        assert widget.cursor_key is None


async def test_partial_rebuilding_equals_a_full_one() -> None:
    """After any sequence of opening and closing, the lines are those that a new walk would give."""
    chance = random.Random(5)
    children: dict[str, list[str]] = {}
    for n in range(1, 300):
        children.setdefault(f"n{chance.randrange(max(0, n - 40), n)}", []).append(f"n{n}")
    widget = VirtualTree(COLUMNS, open_at_first=2, children_at_once=3)
    async with stage(widget) as (pilot, _):
        widget.show(Forest(children, roots=("n0",)))
        for _ in range(300):
            key = f"n{chance.randrange(300)}"
            chance.choice([widget.open_node, widget.close_node, widget.expand_to])(key)
            if chance.random() < 0.2:
                widget.go_to(chance.randrange(widget.line_count()))
                widget.action_activate()
            keys = [widget.key_at(line) for line in range(widget.line_count())]
            widget.show(Forest(children, roots=("n0",), version=chance.randrange(10**9)))
            assert [widget.key_at(line) for line in range(widget.line_count())] == keys
        await pilot.pause()


async def test_the_cursor_follows_what_moves() -> None:
    """To a later page, which is shown then; to what is above it where that is closed; what is gone leaves its line."""
    wide = [f"task-{i}" for i in range(12)]
    widget = VirtualTree(COLUMNS, "Owner", open_at_first=2, children_at_once=5, clock=Clock())
    async with stage(widget, size=(64, 20)) as (pilot, _):
        widget.show(Forest({"process": ["loop", "group"], "loop": wide, "group": ["other"]}))
        await pilot.press("down", "down", "down")
        assert widget.cursor_key == "task-1"
        widget.show(Forest({"process": ["loop", "group"], "loop": wide[2:] + wide[:2], "group": ["other"]}, version=2))
        assert widget.cursor_key == "task-1" and labels(widget)[-3].endswith("─ task-1")
        widget.close_node("group")
        moved = {"process": ["loop", "group"], "loop": wide[2:], "group": ["other", "task-1"]}
        widget.show(Forest(moved, version=3))
        assert widget.cursor_key == "group"
        widget.show(Forest({"process": ["loop"], "loop": wide[2:]}, version=4))
        assert widget.cursor_key is not None
