"""Growth by type is told from the same pools of two censuses, and marked only beyond the error of the sample."""

from __future__ import annotations

import numpy as np
import pytest

from pyobserver.analysis.heap import TypeRow, change, sort_types, type_rows
from pyobserver.model.census import Census, HeapRecord, PoolCounts, census_of, in_sample, thinned
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import Story

SIZE = 16384
FIRST = 0x7F00_0000_0000
NAMES = ("(none)", "(further)", "app.Leaked", "app.Still", "app.Moved")


def census(content: dict[int, dict[int, int]], carved: int, shift: int = 0, at: float = 0.0, salt: int = 0) -> Census:
    """A census of a heap of `carved` pools; `content` is, by pool and type, how many blocks of 64 bytes there are."""
    numbers = np.uint64(FIRST // SIZE) + np.arange(carved, dtype=np.uint64)
    numbers = numbers[in_sample(numbers, shift, salt)]
    place = {int(number) - FIRST // SIZE: i for i, number in enumerate(numbers.tolist())}
    entries = [
        (place[pool], kind, count)
        for pool, kinds in sorted(content.items())
        if pool in place
        for kind, count in sorted(kinds.items())
    ]
    table = np.array(entries, np.int32).reshape(-1, 3)
    return census_of(
        PoolCounts(
            pool_size=SIZE,
            shift=shift,
            first=np.array([FIRST], np.uint64),
            carved=np.array([carved], np.int64),
            pools=numbers * np.uint64(SIZE),
            block_sizes=np.full(len(numbers), 64, np.int64),
            pool=table[:, 0],
            type=table[:, 1],
            count=table[:, 2],
            salt=salt,
        ),
        names=NAMES,
        taken_at=at,
        bytes_read=len(numbers) * SIZE,
        cost_seconds=0.1,
    )


def heap(pools: int, leaked: int = 0) -> dict[int, dict[int, int]]:
    """Pools with something that stands still, and `leaked` pools behind them."""
    return {i: {3: 50 + i % 7} for i in range(pools)} | {pools + i: {2: 200} for i in range(leaked)}


def test_a_heap_that_is_read_whole_has_no_error() -> None:
    """Every object is counted, and every change."""
    before, after = census(heap(100), 100), census(heap(100, 3), 103)
    grown = change(after, before)
    assert grown.count.tolist() == [0, 0, 600, 0, 0]
    assert grown.bytes[2] == 600 * 64
    assert not grown.count_error.any()
    assert after.in_use == after.bytes.sum()


@pytest.mark.parametrize("salt", range(5))
def test_what_grows_by_new_pools_is_told_closely(salt: int) -> None:
    """How many pools are new is known exactly, however few of them are in the sample."""
    before = census(heap(4000), 4000, shift=4, salt=salt)
    after = census(heap(4000, 400), 4400, shift=4, salt=salt)
    grown = change(after, before)
    assert grown.count[2] == pytest.approx(80_000, rel=0.01)
    assert grown.count[2] > 3 * grown.count_error[2]
    assert abs(grown.count[3]) <= grown.count_error[3]


def test_a_sample_that_became_thinner_is_compared_with_its_part() -> None:
    """When the heap has doubled, the newer census looks at half of the pools of the older one."""
    before, after = census(heap(2000), 2000, shift=2), census(heap(2000, 2000), 4000, shift=3)
    grown = change(after, before)
    assert grown.count[2] == pytest.approx(400_000, rel=0.05)
    assert grown.count[3] == pytest.approx(0, abs=3 * grown.count_error[3] + 1)


def test_pools_that_were_given_back_count_as_less() -> None:
    """Arenas that are gone took their objects with them."""
    grown = change(census(heap(2000), 2000, shift=2), census(heap(2000, 800), 2800, shift=2))
    assert grown.count[2] == pytest.approx(-160_000, rel=0.05)


def test_one_pool_proves_nothing() -> None:
    """What was found in a single pool of a sample is not growth yet."""
    before, after = heap(4000), heap(4000)
    numbers = np.uint64(FIRST // SIZE) + np.arange(4000, dtype=np.uint64)
    after[int(np.flatnonzero(in_sample(numbers, 4))[5])] = {3: 50, 4: 30}
    grown = change(census(after, 4000, 4), census(before, 4000, 4))
    assert 0 < grown.count[4] < 3 * grown.count_error[4]


def played(seconds: float = 300.0, **options: object) -> FakeSource:
    source = FakeSource(Story(**options))  # type: ignore[arg-type]
    source.count_objects(True)
    source.play(seconds)
    return source


def rows(source: FakeSource, window: float = 600.0) -> dict[str, TypeRow]:
    return {row.name: row for row in type_rows(source.store.snapshot(), window)}


def test_the_leak_is_marked_and_nothing_that_stands_still() -> None:
    """Few objects more each minute are worth a mark, as each keeps what it refers to."""
    found = rows(played())
    assert {name for name, row in found.items() if row.growing} == {
        "rudder.agent.Agent",
        "rudder.specimen.Specimen",
        "asyncio.Task",
        "bytearray",
        "coroutine",
    }
    assert found["rudder.agent.Agent"].count_growth == pytest.approx(3.1, abs=0.3)
    assert not found["code"].growth_is_certain


def test_the_fixed_service_marks_nothing() -> None:
    """Tasks that end make room for the next."""
    assert not any(row.growing for row in rows(played(fixed=True)).values())


def test_growth_takes_two_censuses() -> None:
    """Before that it is not known, and never a zero."""
    source = played(seconds=5)
    assert {row.count_growth for row in rows(source).values()} == {None}
    source.play(20)
    assert None not in {row.count_growth for row in rows(source).values()}


def test_the_baseline_is_the_census_of_that_moment() -> None:
    """Every type is compared with it."""
    source = played(seconds=60)
    assert rows(source)["str"].marked_count is None
    source.store.set_baseline()
    assert rows(source)["str"].marked_count == 0
    source.play(120)
    row = rows(source)["rudder.agent.Agent"]
    assert row.marked_count == pytest.approx(6, abs=1)
    assert row.marked_is_certain


def test_order_and_filter() -> None:
    """By any column, equal ones by name; what is not known comes last."""
    found = list(rows(played(seconds=5)).values())
    by_bytes = sort_types(found, "bytes", descending=True)
    assert [row.bytes for row in by_bytes] == sorted((row.bytes for row in found), reverse=True)
    names = [row.name for row in sort_types(found, "name", descending=False, text="RUDDER")]
    assert names == ["rudder.agent.Agent", "rudder.discover.Answer", "rudder.specimen.Specimen"]
    assert len(sort_types(found, "count_growth", descending=True)) == len(found)


def test_earlier_censuses_are_bounded_and_get_sparser() -> None:
    """The first one stays, and the last ones are close together."""
    record = HeapRecord()
    for second in range(0, 24 * 3600, 60):
        record = record.with_census(census({0: {3: 1}}, 1, at=float(second)))
    times = [each.taken_at for each in record.earlier]
    assert len(times) <= 24
    assert times[0] == 0.0
    gaps = np.diff(times)
    assert gaps[0] > 20 * gaps[-1]
    assert thinned(record.earlier, 1e6, most=5)[0].taken_at == 0.0
