"""The document: the keys that the interface promises, null for what is not known, and the same text every time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pyobserver.export.document import FOLD_ABOVE, SCHEMA, document
from pyobserver.model.forest import DEEPEST
from pyobserver.model.readings import InnerAllocator, MemoryPressure
from pyobserver.model.snapshot import Snapshot
from pyobserver.model.store import Store
from pyobserver.protocol import schema
from pyobserver.source.fake import FakeSource, Situation
from pyobserver.source.story import HOLDER, MB, Story
from tests.model import made
from tests.model.made import NOW, Clock, node

# The interface, name by name; behind the bar what we add to it.
KEYS = {
    "": "schema taken_at target agent memory tasks groups tree findings | problems heap containers",
    "target": "pid python implementation executable command started_at host free_threaded"
    " | status status_text exit_code signal",
    "agent": "method attach_seconds held_seconds cpu_seconds longest_hold_seconds memory_bytes dropped self_check |",
    "memory": "rss pss uss swap limit limit_source allocators categories | unavailable"
    " oom_score divided_seconds_ago unnamed c_heap holdings pressure",
    "memory.allocators": "name label in_use held peak | in_use_error within held_is_most inactive_split why",
    "memory.c_heap": "| age_seconds cost_seconds size in_use free unread free_resident trimmable arenas",
    "memory.c_heap.arenas": "| name heaps size in_use free unread resident free_resident free_chunks largest_free"
    " trimmable",
    "memory.holdings": "| allocator label count size resident pss",
    "memory.categories": "name label bytes |",
    "tasks": "total measured shown rows |",
    "tasks.rows": "id kind name function state waiting_on where age_seconds age_is_minimum retained_bytes"
    " retained_accuracy retained_error_bytes cpu_seconds activity queue supervisor holder |",
    "groups": "kind function count retained_bytes mean_bytes measured_share count_growth bytes_growth"
    " oldest_age_seconds waiting_at | ages held ended waiting_on count_is_minimum",
    "tree": "id kind label queue edge children_count descendants_count retained_bytes count_growth bytes_growth"
    " children | function growing ended_count oldest_age_seconds other_owners",
    "heap": "types sampled_share | taken_at cost_seconds in_use in_use_error objects unidentified_bytes types_total"
    " problem",
    "heap.types": "name count count_error bytes bytes_error count_growth count_growth_error bytes_growth"
    " bytes_growth_error growing | share",
    "containers": "rows | taken_at cost_seconds note problem",
    "containers.rows": "path type items growth | containers largest growing",
    "findings": "level kind summary function holder bytes_growth window_seconds seconds_to_limit evidence"
    " | name growth_share reason",
}
CATEGORIES = "python_live python_free c_live c_free large_blocks native_other stacks files shared"


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node of the tree and all below it."""
    yield node
    for child in node["children"]:
        yield from nodes(child)


def of_story(story: Story, seconds: float = 120, situation: Situation = "live") -> dict[str, Any]:
    source = FakeSource(story, situation=situation)
    source.count_objects(True)
    source.look_for_containers(True)
    source.step()
    source.play(seconds)
    return document(source.store.snapshot())


@pytest.fixture(scope="module")
def story() -> dict[str, Any]:
    return of_story(Story())


def objects(whole: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """All objects at a place of the document."""
    if path == "tree":
        return list(nodes(whole["tree"]))
    found: Any = whole
    for name in filter(None, path.split(".")):
        found = found[name]
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("path", KEYS)
def test_the_keys_of_the_interface(story: dict[str, Any], path: str) -> None:
    """All of them, in every object, and nothing beside what is listed here."""
    promised, _, added = KEYS[path].partition("|")
    expected = promised.split() + added.split()
    found = objects(story, path)
    assert found
    for each in found:
        assert sorted(each) == sorted(expected)


def test_of_the_story(story: dict[str, Any]) -> None:
    """What a script would look for."""
    assert story["schema"] == SCHEMA == "pyobserver/1"
    assert (story["target"]["pid"], story["target"]["python"], story["agent"]["method"]) == (4711, "3.11.7", "ptrace")
    assert [each["name"] for each in story["memory"]["categories"]] == CATEGORIES.split()
    assert sum(each["bytes"] or 0 for each in story["memory"]["categories"]) == story["memory"]["rss"]
    group = story["groups"][0]
    assert (group["function"], group["count"]) == ("rudder.pipeline.Spawner.push_hash", 418)
    assert group["waiting_at"] == "/srv/rudder/rudder/pipeline.py:88" and group["measured_share"] == 1.0
    finding, other = story["findings"]
    assert (other["kind"], other["holder"]) == ("container", "rudder.pipeline.Spawner._seen")
    assert (finding["level"], finding["kind"]) == ("growing", "tasks")
    assert finding["function"] == group["function"]
    assert finding["holder"] == "rudder.pipeline.Spawner._children"
    assert finding["window_seconds"] == pytest.approx(120, abs=1) and 600 < finding["seconds_to_limit"] < 3600
    assert all(isinstance(sentence, str) and sentence for sentence in finding["evidence"])
    assert finding["summary"].startswith("Growing: 418 ")


def test_allocators_of_libraries_are_in_others(story: dict[str, Any]) -> None:
    """Those that are part of none add up; the others say of which they are part, and why something is not known."""
    source = FakeSource(Story())
    source.step()
    source.play(20)
    reading = source.store.snapshot().memory
    assert reading is not None
    arrow = InnerAllocator("arrow", "Arrow", "native_other", None, 22 * MB, why="it does not tell")
    source.store.add_memory(replace(reading, inner=(arrow,), unnamed=MB))
    source.store.set_pressure(MemoryPressure("/a", 1, 2, 0, 0, "cgroup", 0.25, 0.0, 1.5, 0.0))
    found = document(source.store.snapshot())["memory"]
    assert sum(each["held"] for each in found["allocators"] if each["within"] is None) == reading.rss
    (inner,) = (each for each in found["allocators"] if each["within"] is not None)
    assert (inner["name"], inner["within"], inner["in_use"], inner["held"]) == ("arrow", "native_other", None, 22 * MB)
    assert (inner["why"], inner["held_is_most"], found["unnamed"]) == ("it does not tell", False, MB)
    assert (found["pressure"]["group"], found["pressure"]["some"], found["pressure"]["oom"]) == ("/a", 0.25, 0)
    assert found["c_heap"]["in_use"] + found["c_heap"]["free"] + found["c_heap"]["unread"] == found["c_heap"]["size"]
    by_size = [each["resident"] for each in found["holdings"] if each["allocator"] == "files"]
    assert by_size and found["oom_score"] == source.store.snapshot().process.oom_score  # type: ignore[union-attr]


def test_sums_agree(story: dict[str, Any]) -> None:
    """Rows, groups and tree are three views of the same tasks."""
    tasks = story["tasks"]
    assert tasks["shown"] == len(tasks["rows"]) == 50
    assert sum(group["count"] for group in story["groups"]) == tasks["total"]
    sizes = [row["retained_bytes"] for row in tasks["rows"]]
    assert sizes == sorted(sizes, reverse=True)
    below = list(nodes(story["tree"]))
    for each in below:
        folded = [child["children_count"] for child in each["children"] if child["kind"] == "group"]
        single = [child for child in each["children"] if child["kind"] != "group"]
        if each["kind"] != "group":
            assert each["children_count"] == sum(folded) + len(single)
    assert {each["kind"] for each in below} <= set(schema.NODE_KINDS)
    assert {each["edge"] for each in below} <= {*schema.EDGES, None}
    ids = [each["id"] for each in below]
    assert len(ids) == len(set(ids)) and story["tree"]["id"] == 0
    supervisors = {row["supervisor"] for row in tasks["rows"]}
    assert supervisors <= set(ids)
    held = next(row for row in tasks["rows"] if row["supervisor"] == HOLDER)
    assert held["holder"] == "rudder.pipeline.Spawner._children"
    for row in tasks["rows"]:
        assert row["retained_accuracy"] in schema.ACCURACIES
        assert (row["retained_error_bytes"] is None) == (row["retained_accuracy"] not in ("sampled", "exact"))


def test_alike_children_are_folded_and_counted(story: dict[str, Any]) -> None:
    """More than twenty are one node with a negative id, their count and their function; fewer are listed."""
    groups = [each for each in nodes(story["tree"]) if each["kind"] == "group"]
    assert [(g["children_count"], g["function"]) for g in groups] == [(418, "rudder.pipeline.Spawner.push_hash")]
    assert groups[0]["id"] < 0 and groups[0]["children"] == []
    store = Store(Clock())
    made.put(store, [{"id": i} for i in range(1, FOLD_ABOVE + 1)])
    assert len(document(store.snapshot())["tree"]["children"]) == FOLD_ABOVE


def test_a_child_process(story: dict[str, Any]) -> None:
    """A process whose label has its PID and whose size is its RSS, which is in no sum above it."""
    child = next(each for each in story["tree"]["children"] if each["kind"] == "process")
    assert "4720" in child["label"] and child["retained_bytes"] == 61 * MB and child["edge"] == "child process"
    others = sum(each["retained_bytes"] or 0 for each in story["tree"]["children"] if each is not child)
    assert story["tree"]["retained_bytes"] == others


@pytest.mark.parametrize("situation", ["live", "connecting", "outside", "exited", "killed"])
@pytest.mark.parametrize(
    "story", [Story(), Story(fixed=True), Story(empty=True), Story(hostile=True)], ids=["", "fixed", "empty", "hostile"]
)
def test_there_and_back(story: Story, situation: Situation) -> None:
    """It is JSON without NaN, and reading it gives the same document; the same feed gives the same text."""
    one, two = (json.dumps(of_story(story, 30, situation), allow_nan=False) for _ in range(2))
    assert one == two
    assert json.loads(one) == of_story(story, 30, situation)


def test_nothing_is_known() -> None:
    """The document of an empty store has every key, and null or nothing behind each; no zero stands for unknown."""
    whole = document(Store(Clock()).snapshot())
    json.dumps(whole, allow_nan=False)
    assert whole["agent"] is None
    assert [whole["memory"][key] for key in ("rss", "pss", "uss", "swap", "limit", "limit_source")] == [None] * 6
    assert [whole["target"][key] for key in ("pid", "python", "executable", "started_at", "host")] == [None] * 5
    assert whole["tasks"] == {"total": 0, "measured": 0, "shown": 0, "rows": []}
    assert whole["groups"] == whole["findings"] == whole["tree"]["children"] == []
    assert whole["tree"]["retained_bytes"] is None and whole["tree"]["bytes_growth"] is None


def test_the_ages_of_a_group() -> None:
    """Each bucket ends where the next begins, the last one nowhere; together they are the whole group."""
    source = FakeSource(Story())
    source.play(60)
    group = document(source.store.snapshot())["groups"][0]
    assert [bucket["below_seconds"] for bucket in group["ages"]] == [1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0, None]
    assert sum(bucket["count"] for bucket in group["ages"]) == group["count"]
    assert all(bucket["minimum"] <= bucket["count"] for bucket in group["ages"])


def test_what_is_not_known_of_a_row() -> None:
    """Null in every member that nobody measured, and infinities are not numbers."""
    store = Store(Clock())
    made.put(store, [{"id": 1, "cpu": math.inf, "created": math.inf}, {"id": 2, "kind": 200}])
    store.add_process(made.process(rss=None))
    store.add_memory(made.memory(python=(None, None)))
    whole = document(store.snapshot())
    json.dumps(whole, allow_nan=False)
    row = next(each for each in whole["tasks"]["rows"] if each["id"] == 1)
    unknown = "function waiting_on where retained_bytes retained_error_bytes cpu_seconds activity queue holder"
    assert [row[key] for key in unknown.split()] == [None] * 9
    (group, _) = sorted(whole["groups"], key=lambda each: each["kind"] != "asyncio task")
    growth = ["retained_bytes", "mean_bytes", "count_growth", "bytes_growth", "oldest_age_seconds", "waiting_at"]
    assert [group[key] for key in growth] == [None] * 6 and group["measured_share"] == 0.0
    python = whole["memory"]["allocators"][0]
    assert (python["in_use"], python["held"], python["peak"]) == (None, None, None)
    assert whole["memory"]["unavailable"] == {"c_heap": "not told"} and whole["memory"]["rss"] is None


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def test_hostile_names_are_cleaned() -> None:
    """No control character, no escape, no override and no surrogate in any text of the document."""
    for text in strings(of_story(Story(hostile=True), 30)):
        assert text.isprintable() and len(text) < 1000
        text.encode("utf-8")


def test_what_has_ended_is_not_listed() -> None:
    """Rows, nodes and folds that still fade on the screen are gone from the document."""
    store = Store(Clock())
    made.put(store, [{"id": i, "retained": 5} for i in range(1, 60)])
    store.put_nodes([node(100, "loop"), node(101, "loop")])
    store.remove([*range(1, 55), 101])
    whole = document(store.snapshot())
    assert whole["tasks"]["total"] == whole["tasks"]["shown"] == 5
    assert sorted(each["children_count"] for each in whole["tree"]["children"]) == [0, 5]
    assert whole["tree"]["retained_bytes"] == 25
    store.remove(range(55, 60))
    assert [each["id"] for each in document(store.snapshot())["tree"]["children"]] == [100]


def test_a_tree_as_deep_as_it_gets() -> None:
    """A chain without end is written to its end, in parts."""
    store = Store(Clock())
    made.put(store, [{"id": i, "parent": i - 1} for i in range(1, 3 * DEEPEST)])
    whole = document(store.snapshot())
    assert len(list(nodes(whole["tree"]))) == 3 * DEEPEST
    json.loads(json.dumps(whole))


def snapshot_of(rows: int) -> Snapshot:
    store = Store(Clock())
    made.put(store, [{"id": i, "retained": i, "created": NOW - i} for i in range(1, rows + 1)])
    return store.snapshot()


@pytest.mark.parametrize(
    ("top", "sort", "ids"),
    [
        (3, "memory", [9, 8, 7]),
        (3, "name", [1, 2, 3]),
        (2, "age", [9, 8]),
        (0, "memory", []),
        (-1, "memory", []),
        (99, "id", list(range(1, 10))),
    ],
)
def test_the_rows_asked_for(top: int, sort: str, ids: list[int]) -> None:
    """So many, by the column asked for: numbers begin with the largest, texts with the first."""
    whole = document(snapshot_of(9), top, sort)
    assert [row["id"] for row in whole["tasks"]["rows"]] == ids
    assert whole["tasks"]["total"] == 9 and whole["tasks"]["shown"] == len(ids)


def test_an_exit_is_told() -> None:
    """How it ended is in the document."""
    whole = of_story(Story(), 10, "killed")
    assert (whole["target"]["status"], whole["target"]["signal"], whole["target"]["exit_code"]) == ("EXITED", 9, None)


def test_a_finding_without_tasks() -> None:
    """Memory that grows, and is in no single allocator, is a finding of its own kind."""
    clock = Clock()
    store = Store(clock)
    for second in range(60):
        heap = replace(made.memory().allocators[1], held=second * MB)
        store.add_memory(replace(made.memory(clock.now, rss=(100 + second) * MB), allocators=(heap,)))
        store.add_process(made.process(clock.now, rss=(100 + second) * MB))
        clock.now += 1
    (finding,) = document(store.snapshot())["findings"]
    assert (finding["kind"], finding["function"], finding["holder"]) == ("memory", None, None)
    assert finding["bytes_growth"] == pytest.approx(60 * MB) and finding["seconds_to_limit"] is None


def test_the_objects_by_type_add_up(story: dict[str, Any]) -> None:
    """All types, and what is none, are what the allocator has in use; the leak is told apart."""
    heap = story["heap"]
    assert sum(row["bytes"] for row in heap["types"]) + heap["unidentified_bytes"] == heap["in_use"]
    assert heap["sampled_share"] == 1.0
    assert heap["problem"] is None
    growing = {row["name"] for row in heap["types"] if row["growing"]}
    assert {"rudder.agent.Agent", "bytearray"} <= growing
    assert "function" not in growing


def test_errors_are_those_of_the_sample() -> None:
    """Two standard errors, and none where all was read."""
    sampled = of_story(Story(census_shift=3))["heap"]
    row = next(row for row in sampled["types"] if row["name"] == "str")
    assert 0 < row["count_error"] < row["count"]
    assert row["count_growth_error"] > 0
    assert not row["growing"]


def test_no_census_is_said() -> None:
    """Null and a reason, never zeros."""
    source = FakeSource(Story())
    source.step()
    heap = document(source.store.snapshot())["heap"]
    assert heap["types"] == []
    assert heap["in_use"] is None
    assert heap["problem"] == "the objects were not counted"


def test_the_containers_grow(story: dict[str, Any]) -> None:
    """The largest come first, and what grows is told."""
    rows = story["containers"]["rows"]
    assert [row["items"] for row in rows] == sorted((row["items"] for row in rows), reverse=True)
    assert rows[0]["path"] == "rudder.pipeline.Spawner._seen"
    assert rows[0]["growth"] > 100
    assert rows[0]["growing"]
    assert not rows[-1]["growing"]
