"""The report: readable in eighty columns, and nothing in it that a terminal could take for anything but text."""

from __future__ import annotations

import unicodedata

import pytest

from pyobserver.export.cells import Column, cells, fit, table
from pyobserver.export.text import text
from pyobserver.model.store import Store
from pyobserver.source.fake import FakeSource, Situation
from pyobserver.source.story import Story
from tests.model import made
from tests.model.made import NOW, Clock, node

WIDTHS = (80, 100, 120, 200)


def of_story(story: Story, seconds: float = 120, width: int = 80, situation: Situation = "live") -> str:
    source = FakeSource(story, situation=situation)
    source.step()
    source.play(seconds)
    return text(source.store.snapshot(), width=width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "story",
    [Story(), Story(fixed=True), Story(empty=True), Story(hostile=True), Story(tasks=5000, per_minute=6000)],
    ids=["story", "fixed", "empty", "hostile", "large"],
)
@pytest.mark.parametrize("situation", ["live", "outside", "killed"])
def test_no_line_is_too_wide(story: Story, width: int, situation: Situation) -> None:
    """Whatever is in it; and every character is one that can be printed."""
    report = of_story(story, 60, width, situation)
    assert report.endswith("\n") and not report.endswith("\n\n")
    for line in report.splitlines():
        assert cells(line) <= width and line == line.rstrip()
        assert line.isprintable()


def test_of_the_story() -> None:
    """The head, the verdict, and then the figures, in the narrowest terminal."""
    lines = of_story(Story()).splitlines()
    assert lines[:3] == [
        "rudder.main  pid 4711 · Python 3.11.7 · up 3 d 4 h",
        "RSS 3.43 GB of 4.00 GB · +21.7 MB/min · full in about 26 min",
        "limit: cgroup /system.slice/rudder.service memory.max",
    ]
    verdict = " ".join(lines[4:8])
    assert verdict.startswith("Growing: 418 rudder.pipeline.Spawner.push_hash, +3.1 a minute, 7.02 MB each: 100 %")
    assert verdict.endswith("none has been seen to end; memory is full in about 26 min.")
    assert "▲ Python objects           2.96 GB   3.01 GB   98 %   3.01 GB    +21.4 MB   88 %" in lines
    assert "▲ …pipeline.Spawner.push_hash      418    +3.1   2.93 GB  +21.5 MB     ≥ 3 d 4 h" in lines
    assert "    waits: Event.wait  pipeline.py:88" in lines
    assert "  listener                 ~12.4 MB           0     ≥ 3 d 4 h  discover.py:41  …" in lines


def test_types_are_told_where_they_were_counted() -> None:
    """The largest ten with their errors, and what grows; without a census there is no such table."""
    for shift in (0, 2):
        source = FakeSource(Story(census_shift=shift))
        source.count_objects(True)
        source.step()
        source.play(120)
        lines = text(source.store.snapshot()).splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("  Objects by type"))
        rows = lines[at + 1 : at + 11]
        assert any(line.startswith("▲ coroutine") for line in rows) == (shift == 0)
        assert any("~" in line for line in rows) == (shift > 0)
    assert "Objects by type" not in of_story(Story())


def test_the_tree_of_the_story() -> None:
    """Kinds are named once, one child is one child, and what grows is marked up to the root."""
    lines = of_story(Story(), width=110).splitlines()
    tree = lines[next(i for i, line in enumerate(lines) if line.startswith("rudder.main (pid 4711)")) :]
    assert tree[1].startswith("├─ thread MainThread  1 child · ")
    assert tree[2].startswith("│  └─ loop MainThread  6 children · ")
    assert tree[3].startswith("│     ├─ holder rudder.pipeline.Spawner._children  418 children (+2.9/min) · ")
    assert tree[4].startswith("│     │  └─ push_hash × 418  (+2.9/min) · 2.93 GB (+20.4 MB/min)")
    assert all(line.endswith(" ▲") for line in tree[:5]) and not any("▲" in line for line in tree[5:])
    assert "└─ executor ThreadPoolExecutor-0  4 children" in tree and "loop loop" not in "\n".join(tree)


def test_wide_terminals_say_more_on_a_line() -> None:
    """Where most wait stands beside the figures then, and names are whole."""
    lines = of_story(Story(), width=140).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("  Function"))
    assert lines[head].endswith("Where most wait")
    assert lines[head + 1].startswith("▲ rudder.pipeline.Spawner.push_hash  ")
    assert lines[head + 1].endswith("  Event.wait  pipeline.py:88")
    assert not any(line.startswith("    waits:") for line in lines)


def columns_of(line: str) -> list[str]:
    return [part for part in line.split("  ") if part.strip()]


def test_ages_and_growth_do_not_run_together() -> None:
    """The widest age and the widest growth still have a gap between them."""
    clock = Clock()
    store = Store(clock)
    for second in range(30):
        row = {"id": 1, "created": NOW + 30 - (9 * 3600 + 59 * 60 + 10), "flags": 1, "retained": 10**9 + second * 10**9}
        made.put(store, [row], ["grows"])
        store.add_tick(made.tick(clock.now, 1))
        clock.now += 1
    lines = text(store.snapshot()).splitlines()
    (line,) = (line for line in lines if line.startswith("  grows"))
    assert [part.strip() for part in columns_of(line)][1:] == ["30.0 GB", "+58.0 GB", "≥ 9 h 59 min", "unknown"]


def test_nothing_is_known() -> None:
    """An empty store says so in words, and has no zeros."""
    report = text(Store(Clock()).snapshot())
    assert "RSS ·" in report and "Too early to tell whether memory grows." in report
    assert "no tasks, threads or child processes are known" in report
    assert "no agent: connecting" in report


def test_why_something_is_not_known() -> None:
    """Without an agent, and with one that may not measure, the reason stands in the head."""
    assert "no agent: ptrace is not permitted" in of_story(Story(), 20, situation="outside")
    store = Store(Clock())
    store.greet(made.facts(self_check="sizes differ by 8 bytes"))
    made.put(store, [{"id": 1, "retained": -1}], ["lonely"])
    report = text(store.snapshot())
    assert "memory of tasks is not available: sizes differ by 8 bytes" in report
    assert any(line.startswith("  lonely") and " n/a " in line for line in report.splitlines())


def test_much_is_cut_and_said() -> None:
    """More groups, children and levels than are shown are counted, not silently left out."""
    store = Store(Clock())
    store.add_texts(1, [f"m.f{i}" for i in range(40)])
    made.put(store, [{"id": i, "function": i, "retained": 1000 * i} for i in range(1, 41)])
    made.put(store, [{"id": 100 + i, "parent": 99 + i if i else 40} for i in range(60)])
    lines = text(store.snapshot()).splitlines()
    assert any(line.startswith("  … 26 more groups") for line in lines)
    assert "└─ … 28 more" in lines
    assert any(line.endswith("└─ … 1 more") and line.startswith("│") for line in lines)


def test_what_has_ended_is_not_listed() -> None:
    """What fades on the screen is gone from the report."""
    store = Store(Clock())
    made.put(store, [{"id": 1}, {"id": 2}], ["here", "gone"])
    store.put_nodes([node(3, label="m.gone")])
    store.remove([2, 3])
    report = text(store.snapshot())
    assert "here" in report and "gone" not in report


def test_the_same_every_time() -> None:
    """Two runs of the same feed write the same report."""
    assert of_story(Story(per_minute=100)) == of_story(Story(per_minute=100))


@pytest.mark.parametrize(
    ("written", "width"),
    [
        ("", 0),
        ("abc", 3),
        ("宽字符", 6),
        ("e\u0301", 1),
        ("a宽", 3),
        ("▲ …", 3),
        ("ﾊﾝ", 2),
        ("Ａ", 2),
        ("\u0e01\u0e31", 1),
    ],
)
def test_cells(written: str, width: int) -> None:
    """Wide characters take two, combining ones none."""
    assert cells(written) == width


@pytest.mark.parametrize("width", range(1, 14))
@pytest.mark.parametrize("cut", ["start", "end"])
@pytest.mark.parametrize(
    "written", ["", "short", "a longer text than fits", "宽字符任务名称", "ab宽cd宽ef", "e\u0301" * 20]
)
def test_fitting(written: str, width: int, cut: str) -> None:
    """Exactly so many cells, with an ellipsis on the side that lost something, and never half a character."""
    fitted = fit(written, width, cut=cut)  # type: ignore[arg-type]
    assert cells(fitted) == width
    if cells(written) <= width:
        assert fitted.rstrip() == written and fit(written, width, "right").lstrip() == written
    else:
        kept = fitted.strip().strip("…")
        assert "…" in fitted and (written.endswith(kept) if cut == "start" else written.startswith(kept))
        assert unicodedata.normalize("NFC", kept).isprintable()


def test_a_table_keeps_the_mark_of_a_cut_name() -> None:
    """What is in front of a name that loses its beginning stays."""
    columns = [Column("  Name", 8, cut="start"), Column("N", 3, "right")]
    assert table(columns, [("▲ abcdefghij", "1"), ("  b", "22")], 80) == [
        "  Name      N",
        "▲ …fghij    1",
        "  b        22",
    ]
