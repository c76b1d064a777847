"""Which references have been met is told at once, also after there are many more."""

from __future__ import annotations

import weakref
from typing import Any

from pyobserver.agent.met import Met
from pyobserver.agent.rows import Table
from pyobserver.protocol import schema


class Thing:
    pass


def met(number: int) -> tuple[Any, Table, list[Any], list[Any]]:
    """So many references that have been met, and their things."""
    table = Table(0.0)
    known = Met(table)
    things: list[Any] = [Thing() for _ in range(number)]
    references = [weakref.ref(thing) for thing in things]
    for reference in references:
        note(known, table, reference)
    return known, table, references, things


def note(known: Any, table: Table, reference: Any) -> None:
    row: Any = table.add_row(schema.KIND_TASK)
    row.ref = reference
    known.note(reference, row.position)


def test_what_has_not_been_met_is_always_told() -> None:
    """Whatever has come to the same place before."""
    known, _, references, things = met(5000)
    others = [weakref.ref(thing) for thing in [Thing() for _ in range(3000)]]
    assert [each for each in known.new(references + others) if each in others] == others
    assert len(things) == 5000


def test_what_was_met_last_is_not_told_again() -> None:
    """As long as nothing else has come to its place."""
    known, _, references, _ = met(100)
    assert references[-1] not in known.new(references)
    assert len(known.new(references)) < 50


def test_hardly_any_is_asked_about_again() -> None:
    """Of many references, which lie as the allocator puts them, after a round in which all were noted."""
    known, _, references, things = met(60_000)
    for position, reference in enumerate(references):
        if known.new([reference]):
            known.note(reference, position)
    assert len(known.new(references)) < 0.1 * len(things)


def test_what_is_expected_is_met_once() -> None:
    """There are places enough from the beginning, so that nothing is forgotten when more come than before."""
    known, table, _, _ = met(0)
    things = [Thing() for _ in range(20_000)]
    references = [weakref.ref(thing) for thing in things]
    known.expect(len(things))
    for start in range(0, len(references), 256):
        for reference in known.new(references[start : start + 256]):
            note(known, table, reference)
    assert len(known.new(references)) < 0.1 * len(things)


def test_it_takes_memory_when_it_is_needed() -> None:
    """Nothing at first, and more with what has been met."""
    assert met(0)[0].bytes == 0
    known = met(20000)[0]
    assert 0 < known.bytes <= 4 * 6 * 20000
    known.drop()
    assert known.bytes == 0


def test_a_row_that_is_gone_is_not_taken_for_another() -> None:
    """Its reference is told as new."""
    known, table, references, _ = met(10)
    for number in table.ids(0, 10):
        table.remove(number)
    assert known.new(references) == references


def test_what_is_listed_as_before_is_not_told_again() -> None:
    """In the same order; once there is another among them, or the list was cut, all are asked about as ever."""
    known, _table, references, _things = met(600)
    other = Thing()
    another = weakref.ref(other)
    for at in (0, 256):
        known.keep("set", at, references[at : at + 256])
    assert list(known.new_in("set", 256, references[256:512])) == []
    assert another in known.new_in("set", 256, [*references[256:300], another, *references[301:512]])
    assert another in known.new_in("set", 512, [another])
    assert another in known.new_in("other set", 0, [another])
    known.keep_until("set", 300)
    assert another in known.new_in("set", 256, [*references[256:300], another])
    assert list(known.new_in("set", 256, references[256:300])) == []


def test_the_order_of_very_many_takes_no_more_memory() -> None:
    """Beyond a number of tasks nothing is kept of it."""
    known, table, references, _things = met(1)
    before = known.bytes
    for at in range(0, 3000, 1000):
        known.keep("set", at, references * 1000)
    assert known.bytes - before == 8 * 3000
    table.count = Met.MOST_IN_ORDER + 1
    known.keep("set", 3000, references * 1000)
    assert known.bytes == before
