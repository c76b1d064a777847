"""Every kind of row has its words, wherever kinds are named."""

from __future__ import annotations

import pytest

from pyobserver.protocol import schema
from pyobserver.tui.tabs.tasks import WORDS
from pyobserver.tui.words import group_kind, others_words, short_kind


@pytest.mark.parametrize("kind", schema.KINDS)
def test_every_kind_has_words(kind: str) -> None:
    """One and many for the summary, one short word for a column, and a few behind a function."""
    one, many = WORDS[kind]
    assert one != many
    assert len(short_kind(kind)) <= 8 and " " not in short_kind(kind)
    assert 0 < len(group_kind(kind)) <= 16


def test_no_two_kinds_have_the_same_short_word() -> None:
    assert len(set(map(short_kind, schema.KINDS))) == len(schema.KINDS)


def test_second_owners() -> None:
    """By edge, with as many names as there is room for."""
    pairs = [("awaits", "Task-1"), ("holds", "holder a"), ("awaits", "Task-2"), ("awaits", "Task-3")]
    assert others_words(pairs, 2, True) == ["also awaited by Task-1, Task-2 and 1 more", "also held by holder a"]
    assert others_words([("awaits", "x")], 2, False) == ["also awaits x"]
    assert others_words([("spawned", "x")], 2, False, {"spawned": 900}) == ["also spawned x and 899 more"]
    assert others_words([("child process", "x")], 2, True) == ["also child process of x"]
