"""The report in its three forms: what was found, what was not, and why."""

from __future__ import annotations

import json

from pyobserver.export.report import Report, report_of
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import Story

FUNCTION = "rudder.pipeline.Spawner.push_hash"


def of_story(story: Story, seconds: float = 120, allowed: tuple[str, ...] = ()) -> Report:
    source = FakeSource(story)
    source.play(seconds)
    return report_of(source.store.snapshot(), allowed, seconds)


def test_as_text() -> None:
    """First who it is, then what was found with its evidence, what was not, and the figures; in 80 columns."""
    text = of_story(Story()).text()
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines)
    told = " ".join(text.split())
    for part in (
        "1 finding after watching for 2 min",
        f"Growing: 418 {FUNCTION}, +3.1 a minute",
        "- memory grows by ",
        "- not more than that: a leak takes 20 min of steady growth, and 2 min are known",
        "nothing found: python_objects, native, kept, memory, descriptors",
        "too early: container: ",
        "Python objects 2.96 GB",
    ):
        assert part in told, part
    assert lines[0].startswith("rudder.main  pid 4711")


def test_the_findings_alone() -> None:
    """One line for each, which machines can take apart: level, kind, sentence."""
    report = of_story(Story())
    (line,) = report.text(findings_only=True).splitlines()
    assert line == f"growing tasks: {report.findings[0].summary}"
    assert of_story(Story(fixed=True)).text(findings_only=True) == ""
    alone = report.document(findings_only=True)
    assert set(alone) == {"schema", "findings", "checks", "watched_seconds", "taken_at", "target"}
    assert alone["target"] == {"pid": 4711}


def test_as_a_document() -> None:
    """That of the snapshot, with the findings first, and with what was looked for."""
    whole = of_story(Story()).document()
    assert list(whole)[:2] == ["schema", "findings"] and whole["tasks"]["total"] > 400
    states = {each["kind"]: each["state"] for each in whole["checks"]}
    assert (states["tasks"], states["native"], states["container"]) == ("found", "nothing", "too early")
    assert json.loads(json.dumps(whole, allow_nan=False))["watched_seconds"] == 120


def test_as_markdown() -> None:
    """What the program has named means nothing to Markdown; figures are in a fence."""
    text = of_story(Story()).markdown()
    assert text.startswith("## rudder.main, pid 4711: 1 finding\n")
    assert "**growing** · Growing: 418 rudder.pipeline.Spawner.push\\_hash" in text
    assert text.count("```") == 2 and "- nothing found: python\\_objects" in text
    assert "```" not in of_story(Story()).markdown(findings_only=True)


def test_hostile_names_stay_text() -> None:
    """Also in Markdown, and none of the forms fails."""
    report = of_story(Story(hostile=True))
    assert "\x1b" not in report.text() + report.markdown()
    json.dumps(report.document(), allow_nan=False)


def test_what_is_allowed_is_told_as_that() -> None:
    """Switched off by kind, or silent by name."""
    report = of_story(Story(), allowed=("tasks",))
    assert not report.findings and "switched off: tasks" in report.text()
    assert not of_story(Story(), allowed=(FUNCTION,)).findings


def test_too_early_is_no_answer() -> None:
    """After some seconds nothing can be said, and that is not the same as steady."""
    report = of_story(Story(), 5)
    assert not report.is_judged and "s are known so far" in report.waits
    assert of_story(Story(), 60).is_judged and of_story(Story(fixed=True), 60).is_judged
