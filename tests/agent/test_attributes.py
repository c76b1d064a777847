"""What is read of foreign objects is exact and bounded, whatever their classes are."""

from __future__ import annotations

from pyobserver.agent.attributes import MAX_TEXT, integer, text


class Named(str):
    """A text that says it is another one."""

    def __str__(self) -> str:
        raise AssertionError("it was asked")

    __getitem__ = __len__ = __str__  # type: ignore[assignment]


def test_a_text_is_cut_and_exact() -> None:
    """An instance of a subclass, too; and of a long one no more is copied than is wanted."""
    for kind in (str, Named):
        for long in ("", "name", "x" * (MAX_TEXT + 5)):
            found = text(kind(long))
            assert type(found) is str and found == long[:MAX_TEXT]
    assert text(b"name", "missing") == "missing"


def test_numbers_have_room() -> None:
    """What has not would end whoever sends it."""
    assert integer(5) == 5 and integer(-(1 << 61)) == -(1 << 61)
    for other in (1 << 62, -(1 << 80), 10**5000, True, 5.0, "5", None):
        assert integer(other) is None and integer(other, 0) == 0
