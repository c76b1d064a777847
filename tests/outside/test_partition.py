"""How mappings are shared out among owners, told on small made-up address spaces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pyobserver.outside.glibc import _chunk_lengths
from pyobserver.outside.layout import static_data
from pyobserver.outside.mappings import PAGE, Mapping, parse_mappings
from pyobserver.outside.partition import Partition, carry, divide, merge, overlap, runs, split

K = PAGE


def mapping(low: int, high: int, name: str = "", permissions: str = "rw-p", resident: int | None = None) -> Mapping:
    """A mapping in pages, wholly resident unless said otherwise."""
    return Mapping(low * K, high * K, permissions, name, (high - low) * K if resident is None else resident * K)


def test_smaps_is_read_with_its_sizes() -> None:
    """Names with blanks, and the sizes that matter."""
    text = b"""55-66 rw-p 00000000 08:01 12   /srv/my app (deleted)
Size:                  8 kB
Rss:                   4 kB
Pss:                   2 kB
Pss_Dirty:             9 kB
Private_Clean:         1 kB
Private_Dirty:         2 kB
VmFlags: rd wr mr mw me ac
a000-b000 ---p 00000000 00:00 0
Rss:                   0 kB
"""
    first, second = parse_mappings(text)
    assert (first.low, first.high, first.name) == (0x55, 0x66, "/srv/my app (deleted)")
    assert (first.resident, first.proportional, first.private) == (4096, 2048, 3072)
    assert (first.writable, first.anonymous) == (True, False)
    assert (second.size, second.resident, second.anonymous, second.writable) == (0x1000, 0, True, False)


def test_owners_by_name_and_neighbour() -> None:
    """Files, bss, brk, stacks, shared memory, guard pages and what is left."""
    space = [
        mapping(1, 3, "/usr/bin/python3", "r-xp"),
        mapping(3, 4, "/usr/bin/python3"),
        mapping(4, 6),  # bss
        mapping(10, 20, "[heap]"),
        mapping(100, 101, "", "---p", 0),
        mapping(101, 105),  # a stack behind its guard
        mapping(200, 210),  # a stack by its pointer
        mapping(300, 307),
        mapping(400, 401, "/dev/shm/x", "rw-s"),
        mapping(500, 502, "", "rw-s"),
        mapping(600, 603, "[stack]"),
        mapping(700, 701, "[vdso]", "r-xp"),
        mapping(800, 802, "[anon:cpython:pymalloc]"),
    ]
    parts = divide(space, [], {205 * K: 7}, None, None)
    assert parts == Partition(
        c_heap=10 * K, native_other=9 * K, stacks=(4 + 10 + 3) * K, files=(2 + 1 + 2 + 1) * K, shared=3 * K
    )
    assert parts.total == sum(each.resident for each in space)


def test_arenas_are_cut_out_wherever_they_lie() -> None:
    """In the middle of a mapping, across two of them, and in brk."""
    space = [mapping(10, 20), mapping(20, 30), mapping(50, 60, "[heap]")]
    arenas = [(18 * K, 22 * K), (12 * K, 14 * K), (51 * K, 53 * K)]
    assert divide(space, arenas, {}, None, None) == Partition(python=8 * K, c_heap=8 * K, native_other=14 * K)


def test_only_resident_bytes_are_given() -> None:
    """A mapping that is partly resident gives no more than it has, and nothing is lost."""
    space = [mapping(10, 20, resident=5)]
    parts = divide(space, [(10 * K, 18 * K)], {}, None, None)
    assert parts == Partition(python=4 * K, native_other=1 * K)


def test_a_stack_that_merged_with_others_is_only_its_own_part() -> None:
    """The kernel joins what lies next to each other; the pointer tells which part is the stack."""
    space = [mapping(10, 40)]
    parts = divide(space, [(20 * K, 24 * K)], {15 * K: 7}, None, None)
    assert parts == Partition(stacks=10 * K, python=4 * K, native_other=16 * K)


def test_runs_join_what_a_block_can_span() -> None:
    """Writable anonymous neighbours with the same permissions; nothing else."""
    space = [mapping(1, 2), mapping(2, 3), mapping(3, 4, "", "---p"), mapping(4, 5), mapping(5, 6, "/x"), mapping(7, 8)]
    assert [len(run) for run in runs(space)] == [2, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("before", "size", "expected"),
    [
        (0, 0x301000 | 2, 0x301000),  # up to glibc 2.42
        (0, 0x300FF0 | 2, 0x301000),  # glibc 2.43
        (0, 0x301000 | 3, 0),  # not mapped by itself
        (0, 0x301000 | 6, 0),
        (8, 0x301000 | 2, 0),
        (0, 0x301010 | 2, 0),
        (0, 0, 0),
    ],
)
def test_the_header_of_a_large_block(before: int, size: int, expected: int) -> None:
    """Both layouts of glibc, and what only resembles them."""
    assert _chunk_lengths(np.array([[before, size]], dtype=np.uint64)).tolist() == [expected]


def test_merge_and_overlap() -> None:
    """Spans that touch become one; parts are cut at the borders asked for."""
    merged = merge([(5, 7), (1, 2), (2, 4), (6, 9)])
    assert merged == [(1, 4), (5, 9)]
    assert overlap(merged, 3, 6) == [(3, 4), (5, 6)]
    assert overlap(merged, 4, 5) == []
    assert overlap([], 0, 9) == []


def test_split_covers_everything_once() -> None:
    """The pieces follow each other without a gap, whatever the claims are."""
    for first, second in itertools.product(itertools.combinations(range(0, 12, 2), 2), repeat=2):
        claims = sorted([(*first, "a"), (*second, "b")])
        pieces = list(split(3, 9, claims))
        assert pieces[0][0] == 3
        assert pieces[-1][1] == 9
        assert all(low < high for low, high, _ in pieces)
        assert all(one[1] == other[0] for one, other in itertools.pairwise(pieces))


@pytest.mark.parametrize("rss", [0, 1, 50, 99, 100, 101, 500, 10**9])
@pytest.mark.parametrize("python", [0, 10, 90, 5000])
@pytest.mark.parametrize("files", [-50, 0, 50])
def test_carrying_always_adds_up(rss: int, python: int, files: int) -> None:
    """Whatever the kernel counts now, the parts make the whole and none is negative."""
    old = Partition(python=30, c_heap=20, large_blocks=15, native_other=10, stacks=5, files=12, shared=8)
    new = carry(old, python, files, 3, rss)
    assert new.total == rss
    assert all(getattr(new, name) >= 0 for name in Partition.__dataclass_fields__)


def test_carrying_gives_new_memory_to_nobody_yet() -> None:
    """What grew since the last division is not guessed at."""
    old = Partition(python=30, c_heap=20, large_blocks=15, native_other=10, stacks=5, files=12, shared=8)
    new = carry(old, 35, 2, 1, 150)
    assert new == Partition(python=35, c_heap=20, large_blocks=15, native_other=150 - 98, stacks=5, files=14, shared=9)


def test_static_data_of_the_interpreter_comes_first() -> None:
    """libpython and the executable with their bss, then other files; neither code nor shared memory."""
    space = [
        mapping(1, 2, "/usr/bin/python3", "r-xp"),
        mapping(2, 3, "/usr/bin/python3"),
        mapping(3, 4),
        mapping(4, 5),
        mapping(10, 11, "/lib/libz.so"),
        mapping(20, 21, "/lib/libpython3.9.so"),
        mapping(21, 22),
        mapping(30, 31, "/data", "rw-s"),
        mapping(40, 41),
    ]
    found = [each.low // K for each in static_data(space, "/usr/bin/python3")]
    assert found == [2, 3, 20, 21, 10]
