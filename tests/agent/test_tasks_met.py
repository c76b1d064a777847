"""Which references have been met is told at once, also after there are many more."""

from __future__ import annotations

import weakref
from typing import Any

from pyobserver.agent.rows import Table
from pyobserver.agent.tasks import Met
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
