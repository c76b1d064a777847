"""The tree as it is shown: every row has one place, alike children are one line, and growth climbs to the root."""

from __future__ import annotations

import math
import random
from collections.abc import Hashable
from dataclasses import replace

import pytest

from pyobserver.analysis.supervision import Order, SupervisionTree, TreeNode, program_name, tree
from pyobserver.model.forest import PROCESS
from pyobserver.model.forest_sums import fold_key
from pyobserver.model.snapshot import Snapshot
from pyobserver.model.store import Store
from pyobserver.model.tasks import NO_TASKS
from pyobserver.protocol import schema
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import HOLDER, LOOP, MAIN_THREAD, Story
from tests.model import made
from tests.model.made import NOW, Clock, Values, node

WINDOW = 600.0
SPAWNED = fold_key(HOLDER, (schema.KIND_TASK, 1, False))


def told(shown: SupervisionTree, key: Hashable) -> TreeNode:
    found = shown.node(key)
    assert found is not None
    return found


def walk(shown: SupervisionTree, key: Hashable = PROCESS) -> list[Hashable]:
    """All keys, each before what is below it."""
    return [key, *(below for child in shown.children(key) for below in walk(shown, child))]


def snapshot_of(rows: list[Values], *nodes: object, texts: tuple[str, ...] = ("m.f", "m.g")) -> Snapshot:
    store = Store(Clock())
    store.add_texts(1, texts)
    made.put(store, rows)
    store.put_nodes(nodes)  # type: ignore[arg-type]
    return store.snapshot()


@pytest.fixture(scope="module")
def story() -> Snapshot:
    source = FakeSource(Story(tasks=100, per_minute=30))
    source.play(60)
    source.store.set_baseline()
    source.play(60)
    return source.store.snapshot()


def test_of_the_story(story: Snapshot) -> None:
    """Process, thread, loop, holder, and the leaking tasks as one line, with what grows marked up to the root."""
    shown = tree(story, WINDOW)
    assert shown.roots() == [PROCESS] and shown.parent(PROCESS) is None
    top = shown.children(PROCESS)[0]
    assert top == MAIN_THREAD and shown.children(top) == [LOOP]
    assert shown.children(LOOP)[0] == HOLDER and shown.children(HOLDER) == [SPAWNED]
    fold = told(shown, SPAWNED)
    assert (fold.kind, fold.label, fold.id, fold.children_count) == ("group", "push_hash", None, 160)
    assert fold.bytes == pytest.approx(160 * 7_020_000, rel=0.01)
    assert fold.count_growth == pytest.approx(30, rel=0.05)
    assert fold.bytes_growth == pytest.approx(30 * 7_020_000, rel=0.05)
    assert fold.marked_bytes == pytest.approx(30 * 7_020_000, rel=0.02)
    assert fold.oldest_is_minimum and fold.oldest_age is not None and fold.oldest_age > 200_000
    growing = [key for key in walk(shown) if told(shown, key).growing]
    assert growing == [PROCESS, MAIN_THREAD, LOOP, HOLDER, SPAWNED]
    process = told(shown, PROCESS)
    assert process.label == "rudder.main (pid 4711)" and process.tasks == 160 + 11


def test_one_task_that_grows_is_marked_itself() -> None:
    """The mark does not end at its supervisor; what stands beside it has none."""
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, ["m.f"])
    store.put_nodes([node(90, "loop")])
    for second in range(40):
        alike = [{"id": i, "parent": 90, "function": 1, "retained": 1000} for i in range(10, 22)]
        made.put(store, [*alike, {"id": 1, "parent": 90, "retained": 100_000 * second}, {"id": 2, "parent": 90}])
        store.add_tick(made.tick(clock.now, 14))
        clock.now += 1
    shown = tree(store.snapshot(), WINDOW)
    assert [key for key in walk(shown) if told(shown, key).growing] == [PROCESS, 90, 1]
    assert shown.growing_ends() == [1]


def test_nothing_grows_in_the_fixed_twin() -> None:
    """As many tasks that come and go: no mark anywhere."""
    source = FakeSource(Story(fixed=True))
    source.play(120)
    shown = tree(source.store.snapshot(), WINDOW)
    assert not [key for key in walk(shown) if told(shown, key).growing]


def test_too_early() -> None:
    """In the first seconds no growth is told anywhere, and nothing is marked."""
    source = FakeSource(Story())
    source.play(4)
    shown = tree(source.store.snapshot(), WINDOW)
    for key in walk(shown):
        line = told(shown, key)
        assert (line.count_growth, line.growing, line.marked_bytes) == (None, False, None)


@pytest.mark.parametrize(
    "sort", ["memory", "memory_growth", "children", "label", "oldest", "ended", "below_marked", "edge"]
)
@pytest.mark.parametrize("least", [3, 8, 10**9])
def test_every_row_has_one_place(story: Snapshot, sort: str, least: int) -> None:
    """Walking down meets every row and node once, and the way up from each is the way down to it."""
    shown = tree(story, WINDOW, sort, least)
    keys = walk(shown)
    assert len(keys) == len(set(keys))
    ids = {key for key in keys if isinstance(key, int)}
    assert ids == {PROCESS, *story.tasks["id"].tolist(), *story.nodes}
    for key in keys:
        children = shown.children(key)
        assert shown.has_children(key) == bool(children)
        assert all(shown.parent(child) == key for child in children)


@pytest.mark.parametrize("seed", range(10))
def test_hostile_trees(seed: int) -> None:
    """Circles, orphans and unknown parents: walking still meets every row once, and ends."""
    r = random.Random(seed)
    rows = [
        {"id": i, "parent": r.randrange(0, 130), "kind": r.randrange(3), "function": r.randrange(3), "retained": i}
        for i in range(1, 100)
    ]
    snapshot = snapshot_of(rows, *(node(i, "task_group", parent=r.randrange(0, 130)) for i in range(100, 120)))
    shown = tree(snapshot, WINDOW, least=2)
    keys = walk(shown)
    assert len(keys) == len(set(keys)) and {k for k in keys if isinstance(k, int)} == set(range(120))
    for key in keys:
        line = told(shown, key)
        assert line.children_count >= len(shown.children(key)) or line.kind == "group"


def test_what_is_alike_is_one_line() -> None:
    """More than so many rows of one kind and function under one parent; their sums are the line's."""
    many = [{"id": i, "parent": 900, "function": 1, "retained": 10, "created": NOW - i} for i in range(1, 11)]
    rows: list[Values] = [*many, {"id": 50, "parent": 900, "function": 2, "retained": 1}, {"id": 51, "parent": 3}]
    shown = tree(snapshot_of(rows, node(900)), WINDOW)
    fold = next(key for key in shown.children(900) if not isinstance(key, int))
    line = told(shown, fold)
    assert (line.children_count, line.descendants, line.tasks, line.bytes) == (10, 11, 11, 100)
    assert (line.label, line.detail, line.oldest_age) == ("f", "m.f", 10.0)
    assert shown.children(900) == [fold, 50] and shown.parent(3) == fold and shown.children(3) == [51]
    unfolded = tree(snapshot_of(rows, node(900)), WINDOW, least=10)
    assert len(unfolded.children(900)) == 11 and unfolded.version != shown.version


def test_a_fold_whose_rows_have_ended() -> None:
    """It is grey when all in it are, and says nothing that is not known."""
    store = Store(Clock())
    made.put(store, [{"id": i} for i in range(1, 11)])
    store.remove(range(1, 10))
    assert not told(tree(store.snapshot(), WINDOW), tree(store.snapshot(), WINDOW).children(PROCESS)[0]).ended
    store.remove([10])
    shown = tree(store.snapshot(), WINDOW)
    line = told(shown, shown.children(PROCESS)[0])
    assert line.ended and (line.bytes, line.oldest_age, line.bytes_growth) == (None, None, None)


def test_rows_that_finish_change_the_version() -> None:
    """A row that is done but held moves to another fold: whoever keeps the lines must list them anew."""
    rows = [{"id": i, "function": 1} for i in range(1, 22)]
    before = tree(snapshot_of(rows), WINDOW)
    done = [{**row, "state": schema.STATE_DONE_HELD} if row["id"] > 10 else row for row in rows]
    after = tree(snapshot_of(done), WINDOW)
    assert before.version != after.version
    assert {told(after, key).label for key in after.children(PROCESS)} == {"f", "f, done but held"}
    assert tree(snapshot_of(rows), WINDOW).version == before.version


@pytest.mark.parametrize(
    ("sort", "expected"),
    [("memory", [-77, 1, 4, 2, 3]), ("children", [4, -77, 1, 2, 3])],
)
def test_order_of_children(sort: str, expected: list[int]) -> None:
    """Largest first, as it is shown: a child process by its own memory; equal ones by id, unknown sizes as none."""
    store = Store(Clock())
    store.set_children([made.child(77, rss=1000)])
    made.put(store, [{"id": 1, "retained": 500}, {"id": 2, "retained": 5}, {"id": 3}, {"id": 9, "parent": 4}])
    made.put(store, [{"id": 10, "parent": 4, "retained": 50}])
    store.put_nodes([node(4)])
    assert tree(store.snapshot(), WINDOW, sort).children(PROCESS) == expected


def test_order_by_growth() -> None:
    """Rows by their own growth and supervisors by theirs, in one order; what is not known comes last."""
    clock = Clock()
    store = Store(clock)
    for i in range(10):
        rows = [{"id": 1, "retained": 1000}, {"id": 2, "retained": 1000 + 500 * i}, {"id": 3}]
        made.put(store, [*rows, {"id": 9, "parent": 4, "retained": 1000 + 100 * i}])
        store.put_nodes([node(4)])
        store.add_tick(made.tick(clock.now, 4))
        clock.now += 5
    made.put(store, [{"id": 5, "retained": 10**9}])
    shown = tree(store.snapshot(), WINDOW, "memory_growth")
    assert shown.children(PROCESS) == [2, 4, 1, 3, 5]
    assert told(shown, 2).bytes_growth == pytest.approx(6000, rel=0.15)
    assert told(shown, 4).bytes_growth == pytest.approx(1200, rel=0.15)


def test_kinds_and_labels() -> None:
    """A row is called by its name and function, a child process by its pid and command."""
    store = Store(Clock())
    store.add_texts(1, ["m.Spawner.push", ""])
    store.set_children([made.child(77, rss=1000)])
    made.put(
        store,
        [{"id": 1, "function": 1}, {"id": 2, "function": 1}, {"id": 3}, {"id": 4, "kind": 1, "function": 1}],
        ["Task-1", "push-7", "", "MainThread"],
    )
    store.put_nodes([replace(node(5, kind="loop", label="loop"), queue=3, detail="UVLoop")])
    shown = tree(store.snapshot(), WINDOW)
    lines = {key: (told(shown, key).kind, told(shown, key).label) for key in (1, 2, 3, 4, 5, -77)}
    assert lines[1] == ("task", "Task-1  push") and lines[2] == ("task", "push-7") and lines[3] == ("task", "")
    assert lines[4] == ("thread", "MainThread") and lines[5] == ("loop", "loop")
    assert lines[-77] == ("child process", "pid 77  python3 worker")
    assert (told(shown, 5).queue, told(shown, 5).detail) == (3, "UVLoop")
    assert told(shown, -77).bytes == 1000 and told(shown, PROCESS).bytes is None
    assert told(shown, PROCESS).label == "process"


def test_lines_keep_their_places_when_they_are_to() -> None:
    """While keys are pressed the order is that of before, and what is new comes last; then it is the right one."""
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, ["m.f"])
    made.put(store, [{"id": i, "retained": 100 * i} for i in range(1, 5)])
    many = [{"id": 50 + i, "function": 1, "retained": 1} for i in range(10)]
    made.put(store, many)
    fold = fold_key(PROCESS, (0, 1, False))
    before = tree(store.snapshot(), WINDOW)
    assert before.children(PROCESS) == [4, 3, 2, 1, fold]
    made.put(store, [{"id": 1, "retained": 10_000}, {"id": 9, "retained": 50_000}])
    store.remove([3])
    kept = SupervisionTree(store.snapshot(), WINDOW, Order(), before, steady=True)
    assert kept.children(PROCESS) == [4, 3, 2, 1, fold, 9]
    again = SupervisionTree(store.snapshot(), WINDOW, Order(), kept)
    assert again.children(PROCESS) == [9, 1, 4, 2, fold, 3]
    assert len({before.version, kept.version, again.version}) == 3


def test_unknown_comes_last_either_way() -> None:
    """Upwards as downwards."""
    store = Store(Clock())
    made.put(store, [{"id": 1}, {"id": 2, "retained": 5}, {"id": 3, "retained": 9}])
    for descending, expected in ((True, [3, 2, 1]), (False, [2, 3, 1])):
        shown = SupervisionTree(store.snapshot(), WINDOW, Order(descending=descending))
        assert shown.children(PROCESS) == expected


def test_the_filter_keeps_what_leads_there() -> None:
    """What is above and below a hit stays, in its order; hits are counted, and nothing else is there."""
    store = Store(Clock())
    store.add_texts(1, ["m.f"])
    made.put(store, [{"id": i, "parent": 90, "function": 1} for i in range(1, 12)])
    made.put(store, [{"id": 20, "parent": 91}], ["needle"])
    store.put_nodes([node(90, "loop"), node(91, "task_group", parent=90)])
    found = SupervisionTree(store.snapshot(), WINDOW, Order(text="NEEDLE"))
    assert walk(found) == [PROCESS, 90, 91, 20] and found.found is not None and found.found.count == 1
    folded = SupervisionTree(store.snapshot(), WINDOW, Order(text="task-7"))
    assert walk(folded) == [PROCESS, 90, fold_key(90, (0, 1, False)), 7]
    assert SupervisionTree(store.snapshot(), WINDOW, Order(text="task group")).children(91) == [20]
    assert SupervisionTree(store.snapshot(), WINDOW, Order(text="nowhere")).roots() == []


def test_since_the_baseline() -> None:
    """A row against itself, a fold against what was alike then, however few; what was not measured is not told."""
    store = Store(Clock())
    store.add_texts(1, ["m.f"])
    few = [{"id": i, "parent": 90, "function": 1, "retained": 10} for i in range(1, 4)]
    made.put(store, [*few, {"id": 50, "retained": 700}, {"id": 51}])
    store.put_nodes([node(90)])
    store.set_baseline()
    many = [{"id": i, "parent": 90, "function": 1, "retained": 10} for i in range(1, 13)]
    made.put(store, [*many, {"id": 50, "retained": 800}, {"id": 51, "retained": 5000}, {"id": 52, "retained": 3}])
    store.remove([1, 2])
    shown = tree(store.snapshot(), WINDOW)
    fold = told(shown, fold_key(90, (0, 1, False)))
    assert (fold.marked.children, fold.marked.memory, fold.marked.ended) == (7, 70, 2)
    assert told(shown, 90).marked.children == 7 and told(shown, 90).ended_count == 2
    assert [told(shown, n).marked_bytes for n in (50, 51, 52)] == [100, None, 3]


def test_what_is_not_in_the_tree() -> None:
    """Unknown keys have no line, no children and no place."""
    shown = tree(Snapshot(NOW, Store(Clock()).snapshot().status, Store(Clock()).history, tasks=NO_TASKS), WINDOW)
    for key in (404, ("fold", 1, (0, 1, False)), "text", 1.5):
        assert shown.node(key) is None and shown.children(key) == [] and shown.parent(key) is None
        assert not shown.has_children(key)
    assert shown.children(PROCESS) == []
    assert told(shown, PROCESS).bytes is None and not math.isnan(told(shown, PROCESS).children_count)


def test_since_a_baseline_that_a_new_agent_made_worthless() -> None:
    """Ids mean something else then: what changed since is not known, rather than everything."""
    store = Store(Clock())
    made.put(store, [{"id": 1, "parent": 2, "retained": 5}])
    store.put_nodes([node(2)])
    store.set_baseline()
    assert told(tree(store.snapshot(), WINDOW), 2).marked_bytes == 0
    store.greet(made.facts())
    made.put(store, [{"id": 1, "parent": 2, "retained": 500}])
    store.put_nodes([node(2)])
    assert told(tree(store.snapshot(), WINDOW), 2).marked_bytes is None


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("python3", "-m", "rudder.main", "--x"), "rudder.main"),
        (("python3", "-X", "dev", "/srv/app/run.py", "-m", "x"), "run.py"),
        (("/usr/bin/python3", "-c", "pass"), "python -c"),
        (("/usr/bin/python3",), "python3"),
        (("python3", "-m"), "python3"),
        (("python3", "-Im", "rudder", "x.py"), "rudder"),
        (("python3", "-mrudder", "x.py"), "rudder"),
        (("python3", "-Xdev", "-W", "error", "-bb", "--", "/srv/run.py"), "run.py"),
        (("python3", "--check-hash-based-pycs", "always", "-u", "run.py"), "run.py"),
        (("python3", "-Ic", "import x", "-m", "y"), "python -c"),
        (("python3", "-", "-m", "y"), "-"),
        (("gunicorn: worker [app/x]",), "gunicorn: worker [app/x]"),
        (("python3", "/srv/my app/run.py"), "run.py"),
        ((), "process"),
    ],
)
def test_what_a_person_calls_a_program(command: tuple[str, ...], name: str) -> None:
    """The module, the script, or the executable."""
    assert program_name(command) == name
