"""Two recordings side by side: each thing that grew has its verdict, and only growth in the later one counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyobserver.analysis.comparison import EARLY, FIXED, GONE, NEW, STILL, Side, Summary, compared, summary
from pyobserver.export.comparison import comparison_document, comparison_text
from pyobserver.model.places import ContainerPlace, PlacesAnswer
from pyobserver.model.readings import Allocator
from pyobserver.model.snapshot import Phase
from pyobserver.model.store import Store
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import Story
from tests.model import made
from tests.model.made import Clock, node

FLAT = Side(3, 100, 0.0, 0.0, False)
GROWS = replace(FLAT, bytes_growth=10.0, growing=True)
UNTOLD = Side(3, 100, None, None, False)
NAME = ("asyncio task", "app.work", "")


def of(side: Side | None) -> Summary:
    return Summary("a.rec", "app, pid 1", 1000.0, 600.0, {"groups": {NAME: side} if side is not None else {}})


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (GROWS, FLAT, FIXED),
        (GROWS, None, GONE),
        (GROWS, UNTOLD, EARLY),
        (GROWS, GROWS, STILL),
        (FLAT, GROWS, NEW),
        (None, GROWS, NEW),
        (FLAT, FLAT, ""),
        (None, FLAT, ""),
        (FLAT, None, ""),
    ],
)
def test_verdicts(before: Side | None, after: Side | None, verdict: str) -> None:
    """What it did before, and what it does now."""
    found = compared(of(before), of(after))
    assert [line.verdict for line in found.lines] == [verdict]
    document = comparison_document(found)
    assert document["groups"][0]["verdict"] == (verdict or None)
    assert (document["groups"][0]["before"] is None) == (before is None)
    assert verdict in comparison_text(found)


def seen(story: Story, seconds: int = 120) -> Summary:
    source = FakeSource(story)
    source.step()
    source.count_objects(True)
    source.look_for_containers(True)
    first = source.store.snapshot()
    source.play(seconds)
    return summary("x.rec", first, source.store.snapshot(), seconds)


def test_the_leak_and_its_repair() -> None:
    """The group, its holder and the allocator grew, and do not any more; nothing else is said to have changed."""
    found = compared(seen(Story(per_minute=60)), seen(Story(fixed=True)))
    verdicts = {(line.section, line.name): line.verdict for line in found.lines if line.verdict}
    assert verdicts["groups", ("asyncio task", "rudder.pipeline.Spawner.push_hash", "")] == FIXED
    assert verdicts["supervisors", ("holder", "rudder.pipeline.Spawner._children")] == FIXED
    assert verdicts["allocators", ("python", "Python objects")] == FIXED
    assert verdicts["types", ("bytearray",)] == FIXED
    assert set(verdicts.values()) == {FIXED}
    assert not found.grows
    text = comparison_text(found)
    assert "In the later recording no growth is found" in text
    assert all(len(line) <= 160 for line in text.splitlines())


def begun(seconds: int, count: int = 40) -> Summary:
    """A program that has just begun: it loads what it needs, starts its tasks and fills what it keeps, a little more
    each second, which is as much as nothing."""
    clock = Clock()
    store = Store(clock)
    store.set_status(Phase.LIVE)
    store.greet(made.facts())
    store.add_texts(1, ["app.work"])
    store.put_nodes([node(900, label="app.kept")])
    first = store.snapshot()
    for second in range(seconds):
        more = second * 20_000
        rss = 60_000_000 + more
        python = Allocator("python", "Python objects", 20_000_000 + more, 25_000_000 + more)
        heap = Allocator("c_heap", "C heap", 10_000_000 + more // 2, 10_000_000 + more // 2)
        reading = replace(made.memory(clock.now, rss=rss), allocators=(python, heap))
        store.add_memory(replace(reading, partition_age=float(second % 10)))
        store.add_process(made.process(clock.now, rss=rss))
        if second % 10 == 0:
            store.add_containers(PlacesAnswer((ContainerPlace("app.CACHE", "dict", 1, 2000 + second // 6, 9),)))
        rows = [{"id": i, "function": 1, "parent": 900, "retained": 5000 + 50 * second} for i in range(1, count)]
        made.put(store, rows)
        store.add_tick(made.tick(clock.now, count - 1))
        clock.now += 1
    return summary("b.rec", first, store.snapshot(), seconds)


def test_what_warms_up_is_not_marked() -> None:
    """Small rises of a first minute have a slope each, and no finding: then they have no mark either."""
    after = begun(60)
    found = compared(begun(60, count=20), after)
    assert not found.grows and not after.judged.findings
    slopes = [side.bytes_growth for sides in after.things.values() for side in sides.values()]
    assert sum((slope or 0) > 64_000 for slope in slopes) >= 4  # what would be marked by its slope alone
    assert {line.verdict for line in found.lines} == {""}
    text = comparison_text(found)
    assert "▲" not in text and "In the later recording no growth is found." in text


def test_too_short_to_tell() -> None:
    """A few seconds show a slope, which says nothing: what grew before is not called fixed by them."""
    found = compared(seen(Story(per_minute=60)), seen(Story(fixed=True), seconds=9))
    verdicts = {line.verdict for line in found.lines if line.section in ("groups", "allocators") and line.verdict}
    assert verdicts == {EARLY}
    assert "no growth is found, but it is too early: whether memory grows: 9 s are known" in comparison_text(found)


def test_the_other_way_round() -> None:
    """What has begun to grow is a reason to fail."""
    found = compared(seen(Story(fixed=True)), seen(Story(per_minute=60)))
    assert found.grows
    assert {line.verdict for line in found.lines if line.verdict} == {NEW}
    text = comparison_text(found)
    assert (
        "In the later recording is found:" in text
        and "rudder.pipeline.Spawner.push_hash" in text.rpartition("found:")[2]
    )
    assert comparison_document(found)["findings"][0]["kind"] == "tasks"
