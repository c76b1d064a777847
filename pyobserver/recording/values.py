"""Frozen values of the model as trees of JSON and back: fields by name, checked against their types when read.

A recording may come from anybody. A tree that does not fit the type raises Damaged; texts are cleaned, numbers bounded.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Any

from ..protocol.clean import clean
from .errors import Damaged

MAX_TEXT = 10_000
MAX_ITEMS = 300_000
MAX_WHOLE = 1 << 63
MAX_TIME = 1e11  # Unix seconds: the year 5138
MAX_NUMBER = 1e18

Decoder = Callable[[Any], Any]


def plain(value: Any) -> Any:
    """Return a value as a tree of JSON: dataclasses as objects, tuples as lists, members of enumerations by name."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, collections.abc.Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"a {type(value).__name__} has no place in a recording")


def read(kind: Any, tree: Any) -> Any:
    """Return the value of type `kind` that `plain` made this tree of. Raises Damaged where it does not fit.

    Fields of a dataclass that are not there get their defaults; those that are not known are passed over.
    """
    return decoder(kind)(tree)


@cache
def decoder(kind: Any) -> Decoder:
    """Return what makes values of a type. Raises TypeError for types that no recording has."""
    simple: dict[Any, Decoder] = {bool: _flag, int: _whole, float: _number, str: _text, type(None): _nothing}
    if kind in simple:
        return simple[kind]
    if kind is typing.Any or kind is object:
        raise TypeError("a type that can be anything cannot be checked")
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is typing.Literal:
        return _literal(arguments)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return _many(decoder(arguments[0]))
        return _fixed([decoder(each) for each in arguments])
    if origin in (collections.abc.Mapping, dict):
        return _mapping(arguments[0], decoder(arguments[1]))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _member(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _record(kind)
    raise TypeError(f"{kind} has no place in a recording")


def _flag(tree: Any) -> bool:
    if type(tree) is not bool:
        raise Damaged("a flag is none")
    return tree


def _whole(tree: Any) -> int:
    if type(tree) is not int or not -MAX_WHOLE <= tree < MAX_WHOLE:
        raise Damaged("a whole number is none")
    return tree


def _number(tree: Any) -> float:
    if type(tree) not in (int, float) or not abs(tree) <= MAX_NUMBER:  # nan is refused here, too
        raise Damaged("a number is none")
    return float(tree)


def _text(tree: Any) -> str:
    if type(tree) is not str:
        raise Damaged("a text is none")
    return clean(tree, MAX_TEXT)


def _nothing(tree: Any) -> None:
    if tree is not None:
        raise Damaged("something where nothing is expected")


def _union(arguments: tuple[Any, ...]) -> Decoder:
    optional = type(None) in arguments
    others = [decoder(each) for each in arguments if each is not type(None)]

    def read_union(tree: Any) -> Any:
        if tree is None and optional:
            return None
        for each in others[:-1]:
            try:
                return each(tree)
            except Damaged:
                continue
        return others[-1](tree)

    return read_union


def _literal(values: tuple[Any, ...]) -> Decoder:
    def read_literal(tree: Any) -> Any:
        if tree not in values:
            raise Damaged("a word that is not known")
        return tree

    return read_literal


def _items(tree: Any) -> list[Any]:
    if type(tree) is not list or len(tree) > MAX_ITEMS:
        raise Damaged("a list is none")
    return tree


def _many(one: Decoder) -> Decoder:
    return lambda tree: tuple([one(item) for item in _items(tree)])


def _fixed(each: list[Decoder]) -> Decoder:
    def read_fixed(tree: Any) -> tuple[Any, ...]:
        if len(_items(tree)) != len(each):
            raise Damaged("a list of another length")
        return tuple([one(item) for one, item in zip(each, tree, strict=True)])

    return read_fixed


def _mapping(kind: Any, one: Decoder) -> Decoder:
    def key(text: str) -> Any:
        if kind is not int:
            return clean(text, MAX_TEXT)
        if len(text) > 20 or not text.removeprefix("-").isdecimal():
            raise Damaged("a key that is no number")
        return _whole(int(text))

    if kind not in (int, str):
        raise TypeError(f"keys of {kind} have no place in a recording")

    def read_mapping(tree: Any) -> dict[Any, Any]:
        if type(tree) is not dict or len(tree) > MAX_ITEMS:
            raise Damaged("a mapping is none")
        return {key(name): one(item) for name, item in tree.items()}

    return read_mapping


def _member(kind: type[enum.Enum]) -> Decoder:
    members = dict(kind.__members__)

    def read_member(tree: Any) -> enum.Enum:
        if type(tree) is not str or tree not in members:
            raise Damaged(f"no {kind.__name__} is called so")
        return members[tree]

    return read_member


def _time(tree: Any) -> float:
    value = _number(tree)
    if not 0 <= value <= MAX_TIME:
        raise Damaged("a time that cannot be")
    return value


def _record(kind: type[Any]) -> Decoder:
    hints = typing.get_type_hints(kind)
    fields = [field for field in dataclasses.fields(kind) if field.init]
    needed = {
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    decoders = {field.name: _of_field(field.name, hints[field.name]) for field in fields}

    def read_record(tree: Any) -> Any:
        if type(tree) is not dict:
            raise Damaged(f"a {kind.__name__} is none")
        values = {name: each(tree[name]) for name, each in decoders.items() if name in tree}
        if not needed <= values.keys():
            raise Damaged(f"a {kind.__name__} without {', '.join(sorted(needed - values.keys()))}")
        return kind(**values)

    return read_record


def _of_field(name: str, kind: Any) -> Decoder:
    """Times go into calendars, which do not take any number."""
    if name.endswith("_at") or name in ("time", "since"):
        if kind is float:
            return _time
        if type(None) in typing.get_args(kind):
            return lambda tree: None if tree is None else _time(tree)
    return decoder(kind)
