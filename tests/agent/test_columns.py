"""Numbers in columns, and the places of things in them, hold what a dict would hold."""

from __future__ import annotations

import random

from pyobserver.agent.columns import STEP, Columns, Places


def test_columns_keep_what_they_have_when_they_grow() -> None:
    """Growing replaces the views, and not the numbers."""
    columns = Columns((("small", "B"), ("large", "q")))
    columns.extend()
    columns.small[7], columns.large[7] = 200, -(1 << 60)
    columns.extend()
    assert columns.length == 2 * STEP
    assert (columns.small[7], columns.large[7]) == (200, -(1 << 60))
    assert columns.small[STEP + 7] == columns.large[STEP + 7] == 0
    assert columns.views == [columns.small, columns.large]
    assert columns.row_bytes == 9


def test_a_cleared_position_has_zeros() -> None:
    """What was there before leaves nothing to what comes."""
    columns = Columns((("small", "B"), ("time", "f")))
    columns.extend()
    columns.small[1], columns.time[1] = 3, 1.5
    columns.clear(1)
    assert (columns.small[1], columns.time[1]) == (0, 0.0)


def test_places_agree_with_a_dict_through_comings_and_goings() -> None:
    """Addresses that are used again, positions that are used again, and thousands of both."""
    chance = random.Random(3)
    owners: list[int | None] = []
    places = Places(lambda position: owners[position])
    truth: dict[int, int] = {}
    free: list[int] = []
    for _ in range(30_000):
        if truth and chance.random() < 0.45:
            address = chance.choice(list(truth)) if len(truth) < 50 else next(iter(truth))
            position = truth.pop(address)
            owners[position] = None
            free.append(position)
        else:
            address = chance.randrange(1, 6000) * 16
            if address in truth:
                assert places.find(address) == truth[address]
                continue
            assert places.find(address) == -1
            position = free.pop() if free else len(owners)
            owners[position : position + 1] = [address]
            places.put(address, position)
            truth[address] = position
    assert all(places.find(address) == position for address, position in truth.items())


def test_places_for_many_that_are_expected_are_made_once() -> None:
    """While they come, none of those that are there is asked for its id to put it somewhere else."""

    def asked(expected: int) -> int:
        chance = random.Random(2)
        ids = chance.sample(range(16, 16_000_000, 16), 40_000)
        count = 0

        def id_at(position: int) -> int:
            nonlocal count
            count += 1
            return ids[position]

        places = Places(id_at)
        places.expect(expected)
        for position, number in enumerate(ids):
            places.put(number, position)
        before, count = count, 0
        assert all(places.find(number) == position for position, number in enumerate(ids))
        return before

    assert asked(0) > 30_000
    assert asked(40_000) == 0


def test_places_of_what_has_ended_do_not_pile_up() -> None:
    """A million comings and goings of a few things take no more room than the few."""
    owners: list[int | None] = [None]
    places = Places(lambda position: owners[position])
    assert places.bytes == 0  # before anything has come
    for number in range(200_000):
        owners[0] = 16 * (number + 1)
        places.put(owners[0], 0)
    assert places.find(16 * 200_000) == 0
    assert places.bytes <= Places.SHARDS * (2 * 4 * 16 + 250)
