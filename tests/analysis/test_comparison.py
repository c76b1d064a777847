"""Two recordings side by side: each thing that grew has its verdict, and only growth in the later one counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyobserver.analysis.comparison import EARLY, FIXED, GONE, NEW, STILL, Side, Summary, compared, summary
from pyobserver.export.comparison import comparison_document, comparison_text
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import Story

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
