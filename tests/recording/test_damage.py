"""A file that is damaged, foreign, of another version or made to do harm: it says what could be read, and no more."""

from __future__ import annotations

import json
import random
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyobserver.recording.errors import Damaged, RecordingError
from pyobserver.recording.file import FORMAT
from pyobserver.recording.heap import packed_census, unpacked_census, unpacked_containers
from pyobserver.recording.packing import packed, unpacked
from pyobserver.recording.patches import difference, patched
from pyobserver.recording.reader import Recording
from pyobserver.recording.rows import Rows, RowsWriter
from pyobserver.recording.state import State, StateWriter

from .made import recorded, source_of

TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc0", max_size=2), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of two minutes with everything in it."""
    path = tmp_path_factory.mktemp("good") / "good.rec"
    recorded(path, 130, source_of(past=900.0))
    return path


def looked_at(path: Path) -> int:
    """Read it as a replay would; returns at how many of five moments there was something."""
    with Recording(path) as recording:
        seen = 0
        for place in np.linspace(0, len(recording) - 1, 5).astype(int).tolist():
            try:
                snapshot = recording.at(place)
            except RecordingError:
                continue
            seen += 1
            for name in snapshot.history.names():
                snapshot.history.curve(name, snapshot.taken_at - 600)
            for position in range(len(snapshot.tasks)):
                snapshot.tasks.row(position)
            assert len(snapshot.forest.ids) >= len(snapshot.tasks)
        return seen


def refused(path: Path) -> str:
    with pytest.raises(RecordingError) as caught:
        Recording(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- what is no recording -------------------------------------------------------------------------------------------


def test_what_is_no_recording(tmp_path: Path) -> None:
    """Each is refused in a sentence of its own."""
    path = tmp_path / "a"
    assert "is not there" in refused(path)
    assert "is no file" in refused(tmp_path)
    path.write_bytes(b"")
    assert "empty" in refused(path)
    path.write_bytes(b"hello" * 100)
    assert "is no recording" in refused(path)
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    assert "damaged" in refused(path)
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE tick (number, time, is_key)")
    other.commit()
    other.close()
    assert "another database" in refused(tmp_path / "other")


def altered(good: Path, path: Path, *statements: str) -> Path:
    path.write_bytes(good.read_bytes())
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def test_a_newer_format(good: Path, tmp_path: Path) -> None:
    """It says that a newer version is needed."""
    assert "a newer one can read it" in refused(altered(good, tmp_path / "a", f"PRAGMA user_version = {FORMAT + 1}"))


def test_without_a_tick(good: Path, tmp_path: Path) -> None:
    """Killed before the first one."""
    assert "nothing to be shown" in refused(altered(good, tmp_path / "a", "DELETE FROM tick"))
    assert "has no ticks" in refused(altered(good, tmp_path / "b", "DROP TABLE tick"))


@pytest.mark.parametrize("table", ["text", "series", "recent", "block", "census", "containers", "note"])
def test_a_file_of_a_version_without_a_table(good: Path, tmp_path: Path, table: str) -> None:
    """What an older or newer version does not have is missing, and said to be."""
    path = altered(good, tmp_path / "a", f"DROP TABLE {table}")
    assert looked_at(path) == 5
    with Recording(path) as recording:
        recording.at(0)
        assert recording.problems


def test_columns_and_fields_of_other_versions(good: Path, tmp_path: Path) -> None:
    """Those that are not known are passed over; those that are not there are not known."""
    writer, rows = RowsWriter(), Rows()
    tasks = source_of().store.snapshot().tasks
    head, arrays = unpacked(writer.changes(tasks, True))
    listed = [[name, which] for name, which in head["columns"]]
    at = next(i for i, (name, _) in enumerate(listed) if name == "retained")
    listed[at][0] = "something_new"
    rows.apply(packed({**head, "columns": listed}, arrays))
    columns, names = rows.settled(len(tasks.texts))
    assert names == tasks.names
    assert (columns["retained"] == -1).all()
    state = StateWriter().whole(source_of().store.snapshot())
    del state["cpu_share"]
    state["a_new_one"] = {"x": 1}
    state["process"]["of_a_newer_version"] = 7
    del state["tick"]["is_full"]
    values, lost = State(json.loads(json.dumps(state))).values()
    assert lost == [] and "cpu_share" not in values
    assert values["process"].rss and values["tick"].is_full is False


# -- damage ---------------------------------------------------------------------------------------------------------


@given(st.floats(0.0, 1.0), st.data())
def test_a_file_that_was_cut_off(
    good: Path, tmp_path_factory: pytest.TempPathFactory, share: float, data: st.DataObject
) -> None:
    """At any place: it is refused, or what is left of it is shown."""
    content = good.read_bytes()
    path = tmp_path_factory.mktemp("cut") / "a"
    path.write_bytes(content[: int(share * len(content))])
    try:
        looked_at(path)
    except RecordingError as error:
        assert str(path) in str(error)


@given(st.integers(0, 2**32), st.integers(1, 40), st.booleans())
def test_bytes_that_have_changed(
    good: Path, tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, zeros: bool
) -> None:
    """Anywhere: nothing but a refusal comes of it, and every moment that is shown fits together."""
    r, content = random.Random(seed), bytearray(good.read_bytes())
    for _ in range(count):
        at = r.randrange(len(content))
        length = r.choice([1, 1, 16, 1024])
        content[at : at + length] = bytes(length) if zeros else r.randbytes(length)
    path = tmp_path_factory.mktemp("changed") / "a"
    path.write_bytes(content)
    try:
        looked_at(path)
    except RecordingError as error:
        assert str(path) in str(error)


def test_a_moment_that_is_lost(good: Path, tmp_path: Path) -> None:
    """The last one before it stands for those up to the next whole one, and it is said."""
    path = altered(good, tmp_path / "a", "UPDATE detail SET rows = x'00' WHERE number = 30")
    with Recording(path) as recording, Recording(good) as whole:
        assert recording.at(28).taken_at == whole.times[28]
        assert recording.at(40).taken_at == whole.times[28]
        assert recording.at(20).taken_at == whole.times[20]
        assert "some moments could not be read" in recording.at(40).problems[-1]
        assert recording.at(129).taken_at == whole.times[129]


# -- harm -----------------------------------------------------------------------------------------------------------


def test_a_few_bytes_do_not_become_gigabytes() -> None:
    """What is compressed too well is refused."""
    bomb = zlib.compress(bytes(1 << 26), 9)
    with pytest.raises(Damaged):
        unpacked(bomb, 1 << 20)


def test_deep_trees_are_refused() -> None:
    """They would end the interpreter's patience."""
    text = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(Damaged):
        unpacked(zlib.compress(len(text).to_bytes(4, "little") + text))


@pytest.mark.parametrize(
    "statements",
    [
        (
            "DROP TABLE block",
            "CREATE VIEW block AS SELECT 1.0 AS seconds, 2.0 AS begin, 3.0 AS until, zeroblob(9) AS cells",
        ),
        (
            "DROP TABLE note",
            "CREATE VIEW note AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT i AS key, i AS value FROM n",
        ),
        ("UPDATE text SET text = char(27) || ']0;owned' || char(7)",),
        ("UPDATE series SET seconds = 0, begin = 'x'",),
        ("UPDATE tick SET time = -1 WHERE number % 2",),
        ("UPDATE tick SET time = 9e999",),
        ("UPDATE block SET begin = 'x', until = NULL WHERE 0", "UPDATE block SET cells = zeroblob(100)"),
        ("UPDATE census SET content = zeroblob(100)", "UPDATE containers SET content = 5"),
        ("UPDATE detail SET state = rows",),
        ("UPDATE detail SET rows = state",),
        ("DELETE FROM detail WHERE number % 3 = 0",),
    ],
)
def test_a_file_that_means_harm(good: Path, tmp_path: Path, statements: tuple[str, ...]) -> None:
    """It is refused, or shown without what does not fit; no text of it reaches a terminal as it is."""
    path = altered(good, tmp_path / "a", *statements)
    try:
        looked_at(path)
        with Recording(path) as recording:
            snapshot = recording.at(len(recording) - 1)
            assert all(text.isprintable() for text in snapshot.tasks.texts)
            assert all(text.isprintable() for text in snapshot.problems)
    except RecordingError as error:
        assert "\n" not in str(error)


@given(TREES, TREES)
def test_patches_lead_from_one_tree_to_another(old: object, new: object) -> None:
    """Whatever they are; and nothing is written where nothing has changed."""
    change = difference(old, new)
    again = json.loads(json.dumps(old))
    assert (again if change is None else patched(again, json.loads(json.dumps(change)))) == new
    assert (change is None) == (json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True))


@given(TREES, TREES)
def test_patches_that_fit_nothing(old: object, patch: object) -> None:
    """They raise Damaged, or change something."""
    try:
        patched(old, patch)
    except Damaged:
        pass


@pytest.mark.parametrize("decode", [lambda b: Rows().apply(b), unpacked_census, unpacked_containers])
@given(head=TREES, lengths=st.lists(st.integers(0, 5), max_size=12))
def test_contents_with_any_head(decode: Callable[[bytes], object], head: object, lengths: list[int]) -> None:
    """A head that cannot be, or other arrays: Damaged, and nothing else."""
    content = packed(head, [np.arange(n, dtype=np.uint32) for n in lengths])
    try:
        decode(content)
    except Damaged:
        pass


@given(st.integers(0, 10), st.integers(0, 2**32))
def test_a_census_whose_places_do_not_fit(which: int, seed: int) -> None:
    """One array with other numbers: what comes through can be counted with."""
    census = source_of().store.snapshot().heap.newest
    assert census is not None
    head, arrays = unpacked(packed_census(census))
    r = np.random.default_rng(seed)
    arrays[which] = r.integers(0, 1 << 40, max(0, len(arrays[which]) + int(r.integers(-1, 2)))).astype(
        arrays[which].dtype
    )
    try:
        found = unpacked_census(packed(head, arrays))
    except Damaged:
        return
    assert found.counts.type.max(initial=0) < len(found.names)
    assert found.counts.pool.max(initial=0) < len(found.counts.pools)


def test_what_is_left_of_a_file_that_was_cut_off(good: Path, tmp_path: Path) -> None:
    """Some of the moments before the cut: how many depends on which of the file's pages are gone."""
    content = good.read_bytes()
    path = tmp_path / "a"
    path.write_bytes(content[: int(0.8 * len(content))])
    with Recording(path) as recording:
        shown = {recording.at(place).taken_at for place in range(len(recording))}
        assert len(shown) > 4
        assert any("could not be read" in problem for problem in recording.problems)


def test_a_file_of_the_first_format() -> None:
    """One that was written when recordings were new opens in every later version, with all that was in it."""
    with Recording(Path(__file__).with_name("first_format.rec")) as recording:
        assert len(recording) == 12
        assert recording.notes["target"] == "made up"
        for place in (0, 11):
            snapshot = recording.at(place)
            assert snapshot.identity is not None and snapshot.identity.pid == 4711
            assert snapshot.memory is not None and snapshot.memory.c_heap is not None
            row = snapshot.tasks.find(1003)
            assert row is not None and row.function == "rudder.pipeline.Spawner.push_hash" and row.retained
            assert snapshot.nodes[3].label == "rudder.pipeline.Spawner._children"
            assert snapshot.heap.newest is not None and snapshot.containers.newest is not None
            assert len(snapshot.history.curve("rss", snapshot.taken_at - 600)) > 50
            assert len(snapshot.history.curve("group/0/1/0/bytes", snapshot.taken_at - 600)) > 0
        assert recording.problems == ()
