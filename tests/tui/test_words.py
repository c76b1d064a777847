"""Every kind of row has its words, wherever kinds are named."""

from __future__ import annotations

import pytest

from pyobserver.protocol import schema
from pyobserver.tui.tabs.tasks import WORDS
from pyobserver.tui.words import group_kind, short_kind


@pytest.mark.parametrize("kind", schema.KINDS)
def test_every_kind_has_words(kind: str) -> None:
    """One and many for the summary, one short word for a column, and a few behind a function."""
    one, many = WORDS[kind]
    assert one != many
    assert len(short_kind(kind)) <= 8 and " " not in short_kind(kind)
    assert 0 < len(group_kind(kind)) <= 16


def test_no_two_kinds_have_the_same_short_word() -> None:
    assert len(set(map(short_kind, schema.KINDS))) == len(schema.KINDS)
