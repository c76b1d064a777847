"""Fields of a message from a foreign process: of the type, and within the bounds, that the contract has for them.

Each function raises MessageError when the field is not so.
"""

from __future__ import annotations

from typing import Any

from ..protocol.clean import clean, clean_tail
from .errors import MessageError

MAX_TEXT = 300
MAX_LIST = 5000  # entries of any list within a message
MAX_COUNT = (1 << 53) - 1
MAX_ID = 1 << 50
MAX_BYTES = 1 << 48  # no address space is larger
MAX_TIME = 1e11  # Unix seconds: the year 5138
MAX_SECONDS = 1e12


def _raw_text(head: dict[str, Any], name: str) -> str:
    value = head.get(name)
    if type(value) is not str:
        raise MessageError(f"{name} is no text")
    return value


def text(head: dict[str, Any], name: str, limit: int = MAX_TEXT) -> str:
    """Return a text, cleaned and cut to `limit`."""
    return clean(_raw_text(head, name), limit)


def tail(head: dict[str, Any], name: str) -> str:
    """Return a text, cleaned; a long one keeps its end."""
    return clean_tail(_raw_text(head, name), MAX_TEXT)


def cleaned(value: Any) -> str:
    """Return an entry of a list that is a text, cleaned; a long one keeps its end."""
    if type(value) is not str:
        raise MessageError("a text in a list is none")
    return clean_tail(value, MAX_TEXT)


def flag(head: dict[str, Any], name: str) -> bool:
    """Return what is true or false."""
    value = head.get(name)
    if type(value) is not bool:
        raise MessageError(f"{name} is neither true nor false")
    return value


def whole(head: dict[str, Any], name: str, least: int, most: int) -> int:
    """Return a whole number from `least` to `most`."""
    value = head.get(name)
    if type(value) is not int or not least <= value <= most:
        raise MessageError(f"{name} is no whole number from {least} to {most}")
    return value


def count(value: Any) -> int:
    """Return an entry of a list that counts something."""
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise MessageError("a count in a list is none")
    return value


def length(value: Any) -> int | None:
    """Return an entry of a list that is a length, or None."""
    return None if value is None else count(value)


def number(head: dict[str, Any], name: str, most: float) -> float:
    """Return a number from 0 to `most`."""
    value: Any = head.get(name)
    if type(value) not in (int, float) or not 0 <= value <= most:  # NaN is not, either
        raise MessageError(f"{name} is no number from 0 to {most:g}")
    return float(value)


def optional_number(head: dict[str, Any], name: str, most: float) -> float | None:
    """Return a number from 0 to `most`, or None."""
    return None if head.get(name) is None else number(head, name, most)


def mapping(head: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object."""
    value = head.get(name)
    if type(value) is not dict:
        raise MessageError(f"{name} is no object")
    return value


def entries(head: dict[str, Any], name: str, kind: type, most: int = MAX_LIST) -> list[Any]:
    """Return a list of at most `most` entries of one type."""
    value = head.get(name)
    if type(value) is not list or len(value) > most or not all(type(entry) is kind for entry in value):
        raise MessageError(f"{name} is no list of at most {most} {kind.__name__}")
    return value


def parts(head: dict[str, Any], name: str, length: int) -> list[list[Any]]:
    """Return a list of lists that all have this length."""
    value: list[list[Any]] = entries(head, name, list)
    if not all(len(entry) == length for entry in value):
        raise MessageError(f"{name}: an entry has not {length} parts")
    return value
