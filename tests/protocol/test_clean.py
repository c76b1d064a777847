"""Text from the target: whatever it is, it cannot reach beyond its cell."""

from __future__ import annotations

import pytest

from pyobserver.protocol.clean import ELLIPSIS, REPLACEMENT, clean, clean_tail

from . import rounds


@pytest.mark.parametrize(
    ("dirty", "cleaned"),
    [
        ("plain", "plain"),
        ("", ""),
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("\x1b]0;title\x07", "�]0;title�"),
        ("\x9b31m", "�31m"),
        ("a\nb\rc\td\x0be\x00f", "a�b�c�d�e�f"),
        ("\x7f\x80\x85", "���"),
        ("\u2028\u2029", "��"),
        ("\u202eabc\u202c", "�abc�"),
        ("\u2066x\u2069\u200f\u061c", "�x���"),
        ("a\u200bb\u200dc\ufeffd", "a�b�c�d"),
        ("\ud800x\udfff", "�x�"),
        ("\ue000\U000f0000", "��"),
        ("\u0378", "�"),
        ("a\u00adb", "a�b"),
        ("宽字符", "宽字符"),
        ("e\u0301", "e\u0301"),
        ("[bold]markup[/]", "[bold]markup[/]"),
        ("é ñ ß 😀", "é ñ ß 😀"),
    ],
)
def test_what_is_not_printable_is_replaced(dirty: str, cleaned: str) -> None:
    """One replacement for one character, so that what is left keeps its place."""
    assert clean(dirty) == cleaned
    assert clean_tail(dirty) == cleaned


def test_every_character_alone() -> None:
    """There is no code point that comes out as something that cannot be printed and encoded."""
    for number in range(0x110000):
        character = chr(number)
        cleaned = clean(character)
        assert cleaned.isprintable() and cleaned in (character, REPLACEMENT), hex(number)


@pytest.mark.parametrize("limit", [1, 2, 10, 200])
def test_long_texts_keep_one_end(limit: int) -> None:
    """The beginning or the end stays, with an ellipsis where something is missing."""
    text = "".join(chr(97 + i % 26) for i in range(limit + 7))
    assert clean(text, limit) == text[: limit - 1] + ELLIPSIS
    assert clean_tail(text, limit) == ELLIPSIS + text[len(text) - limit + 1 :]
    assert clean(text[:limit], limit) == clean_tail(text[:limit], limit) == text[:limit]


def test_a_very_long_text_is_cut_before_it_is_looked_at() -> None:
    """Ten million characters cost no more than the limit; what is cut off is not searched."""
    assert clean("\x1b" * 10_000_000, 20) == REPLACEMENT * 19 + ELLIPSIS


def test_random_texts() -> None:
    """What comes out can be printed, encoded, is short enough, and is left alone by a second cleaning."""
    rounds.cleaning(5, 3000)
