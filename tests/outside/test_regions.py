"""Memory that nobody claims gets a name by what stands in it and by who points to it, on made-up address spaces."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyobserver.outside.mappings import PAGE, Mapping
from pyobserver.outside.regions import UNKNOWN, Part, Region, Regions

MB = 1 << 20
BASE = 0x7F0000000000
MEMKIND_OS = 4 | 1 << 40  # committed from the beginning
NATIVE = "/srv/lib/libnative.so.1"


class Space:
    """Memory as words at addresses; a page is present where there is one."""

    def __init__(self, words: dict[int, int]) -> None:
        self.words = words
        self.there = {address // PAGE for address in words}

    def present(self, low: int, high: int) -> NDArray[np.bool_]:
        return np.array([page in self.there for page in range(low // PAGE, -(-high // PAGE))], np.bool_)

    def present_each(self, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
        return np.array([int(at) // PAGE in self.there for at in addresses], np.bool_)

    def resident(self, low: int, high: int) -> int:
        return PAGE * sum(low // PAGE <= page < high // PAGE for page in self.there)

    def read_each(self, addresses: NDArray[np.uint64], size: int) -> NDArray[np.uint8]:
        found = [[self.words.get(int(at) + 8 * i, 0) for i in range(size // 8)] for at in addresses]
        return np.array(found, np.uint64).reshape(len(addresses), size // 8).view(np.uint8)


def part(low: int, size: int, name: str = "", permissions: str = "rw-p") -> Part:
    return Part(low, low + size, Mapping(low, low + size, permissions, name), size)


def tell(
    words: dict[int, int], parts: Sequence[Part], mappings: Sequence[Mapping] = (), foreign: bool = False
) -> list[tuple[Part, Region]]:
    space: Any = Space(words)
    return Regions(space).tell(parts, mappings, space, foreign)


def arena(at: int, size: int) -> dict[int, int]:
    return {at: at, at + 8: size, at + 16: MEMKIND_OS}


def library(pointers: Sequence[int], at: int = 0x500000, name: str = NATIVE) -> tuple[dict[int, int], Mapping]:
    """Static data with some pointers in it."""
    return {at + 8 * i: each for i, each in enumerate(pointers)}, Mapping(at, at + PAGE, "rw-p", name)


def test_an_arena_of_mimalloc_is_known_by_its_beginning() -> None:
    """Where it is, its size, and how it was got; the library that points to it is its owner."""
    data, mapping = library([5, BASE])
    ((_, region),) = tell({**arena(BASE, 64 * MB), **data}, [part(BASE, 64 * MB)], [mapping])
    assert region == Region("mimalloc", "libnative.so.1")
    ((_, alone),) = tell(arena(BASE, 64 * MB), [part(BASE, 64 * MB)])
    assert alone == Region("mimalloc")


@pytest.mark.parametrize(("offset", "value"), [(0, BASE + 8), (8, 64 * MB + 1), (8, 0), (16, 7), (16, 4 | 1 << 60)])
def test_what_only_looks_like_an_arena_is_none(offset: int, value: int) -> None:
    ((_, region),) = tell({**arena(BASE, 64 * MB), BASE + offset: value}, [part(BASE, 64 * MB)])
    assert region == UNKNOWN


def test_a_part_is_cut_where_an_arena_is() -> None:
    """The kernel makes neighbours one mapping; what is before and behind is somebody else's. The sum stays the same."""
    whole = Part(BASE, BASE + 100 * MB, Mapping(BASE, BASE + 100 * MB, "rw-p", ""), 10 * PAGE)
    words = {**arena(BASE + 8 * MB, 32 * MB), BASE: 1, BASE + MB: 1, BASE + 60 * MB: 1}
    found = tell(words, [whole])
    assert [(each.low - BASE, each.high - BASE, region.kind) for each, region in found] == [
        (0, 8 * MB, ""),
        (8 * MB, 40 * MB, "mimalloc"),
        (40 * MB, 100 * MB, ""),
    ]
    assert [each.resident for each, _ in found] == [2 * PAGE, PAGE, 7 * PAGE]


def test_mimalloc_2_has_addresses_of_its_own() -> None:
    """It asks the kernel for them between 2 and 30 TiB; there its segments begin at multiples of 32 MB."""
    low = 3 << 40
    ((_, region),) = tell({}, [part(low, 128 * MB)])
    assert region.kind == "mimalloc"
    for strange in (part(low + MB, 128 * MB), part(low, MB), part(40 << 40, 128 * MB)):
        assert tell({}, [strange])[0][1] == UNKNOWN


def test_memory_that_a_library_points_to_is_its_own() -> None:
    """A pointer to its beginning tells more than many into it; of those that point to everything only that counts."""
    inside = [BASE + 64 * i for i in range(1, 9)]
    many, one = library(inside, 0x600000, "/lib/libmany.so"), library([BASE], 0x700000, "/lib/libone.so")
    everybody = library(inside * 2, 0x800000, "/lib/libc.so.6")
    words = {**many[0], **one[0], **everybody[0]}
    space = [part(BASE, MB)]
    assert tell(words, space, [many[1], one[1], everybody[1]])[0][1] == Region("library", "libone.so")
    assert tell(words, space, [many[1], everybody[1]])[0][1] == Region("library", "libmany.so")
    assert tell(words, space, [everybody[1]])[0][1] == UNKNOWN
    assert tell(words, space, [many[1], one[1]], foreign=True)[0][1] == UNKNOWN


def test_names_and_machine_code() -> None:
    """What the program called it, and what can be executed."""
    named, code = part(BASE, MB, "[anon:cache]"), part(BASE + 8 * MB, MB, permissions="rwxp")
    labels = [region.label(each) for each, region in tell({}, [named, code])]
    assert labels == ["[anon:cache]", "machine code that was made at run time"]


def test_what_is_known_is_not_searched_again() -> None:
    """As long as it is there; what is new beside it is."""
    data, mapping = library([BASE, BASE + 8 * MB])
    space: Any = Space(data)
    regions = Regions(space)
    first = [part(BASE, MB)]
    assert regions.tell(first, [mapping], space)[0][1].owner == "libnative.so.1"
    assert regions.tell(first, [], space)[0][1].owner == "libnative.so.1"
    both = regions.tell([*first, part(BASE + 8 * MB, MB)], [mapping], space)
    assert [each.owner for _, each in both] == ["libnative.so.1"] * 2
    assert regions.tell([part(BASE + 16 * MB, MB)], [], space)[0][1] == UNKNOWN
    assert regions.tell(first, [], space)[0][1] == UNKNOWN


@given(
    st.dictionaries(
        st.integers(0, 4).map(lambda n: BASE + n * 8),
        st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([BASE, MB, 4, 2**63])),
    ),
    st.integers(1, 4 * MB // PAGE),
)
def test_whatever_is_in_memory_nothing_breaks(words: dict[int, int], pages: int) -> None:
    """The pieces are the part, without gaps, and their bytes are its bytes."""
    whole = part(BASE, pages * PAGE)
    found = sorted(tell(words, [whole]), key=lambda each: each[0].low)
    assert found[0][0].low == whole.low and found[-1][0].high == whole.high
    assert all(a.high == b.low for (a, _), (b, _) in itertools.pairwise(found))
    assert sum(each.resident for each, _ in found) <= whole.resident
