"""Instances of classes of one's own that a task can hold, and of subclasses of built-in types, as in `things`."""

import collections
import dataclasses
import enum
import types

from things import body, number, thing, times, word


@dataclasses.dataclass
class Point:
    x: int
    y: float
    name: str


@thing(flat=12000, why="the first thirty or so instances of a class have room for more values than they use")
def dataclasses_with_a_dict(size):
    return [Point(number(i), i / 7, word(i)) for i in times(size, 310)]


@dataclasses.dataclass
class SlottedPoint:
    __slots__ = ("name", "x", "y")
    x: int
    y: float
    name: str


@thing(share=0.05, why="from 3.11 on, an int of one digit says that it takes 28 bytes, and takes 32")
def dataclasses_with_slots(size):
    return [SlottedPoint(number(i), i / 7, word(i)) for i in times(size, 270)]


Pair = collections.namedtuple("Pair", "first second")


@thing(share=0.05, why="from 3.11 on, an int of one digit says that it takes 28 bytes, and takes 32")
def named_tuples(size):
    return [Pair(number(i), word(i)) for i in times(size, 205)]


class Node:
    def __init__(self, parent=None):
        self.parent = parent
        self.children = []
        self.payload = body()


@thing(flat=12000, why="the first thirty or so instances of a class have room for more values than they use")
def tree_with_parents(size):
    root = Node()
    for _ in times(size, 3600):
        child = Node(root)
        root.children.append(child)
        child.children += [Node(child) for _ in range(8)]
    return root


class Link:
    __slots__ = ("next", "payload")


@thing
def linked_list(size):
    first = None
    for _ in times(size, 280):
        link = Link()
        link.next, link.payload = first, body()
        first = link
    return first


class Ring:
    __slots__ = ("me", "payload")


@thing
def cycles(size):
    """Each entry refers to itself through a list."""
    found = []
    for _ in times(size, 345):
        ring = Ring()
        ring.me = [ring]
        ring.payload = body()
        found.append(ring)
    return found


class Many:
    pass


@thing(flat=12000, why="the first thirty or so instances of a class have room for more values than they use")
def instances_with_many_attributes(size):
    found = []
    for _ in times(size, 12000):
        one = Many()
        for j in range(40):
            setattr(one, "a%d" % j, body())  # noqa: UP031
        found.append(one)
    return found


@thing(
    flat=12000,
    share=0.25,
    why="from 3.13 on, the dict shows the values that lie inside the instance",
)
def instances_whose_dict_was_looked_at(size):
    found = [Point(number(i), i / 7, word(i)) for i in times(size, 450)]
    for one in found:
        vars(one)["more"] = 1
    return found


@thing
def name_spaces(size):
    return [types.SimpleNamespace(payload=body(), number=number(i)) for i in times(size, 500)]


@thing
def mapping_proxies(size):
    return [types.MappingProxyType({word(i): body()}) for i in times(size, 640)]


class Text(str):
    pass


class Number(int):
    pass


class Blob(bytes):
    __slots__ = ()


@thing(flat=3500, why="from 3.14 on, the first instances of a class take two kilobytes more together")
def subclasses_of_str(size):
    return [Text(word(i)) for i in times(size, 190)]


@thing
def subclasses_of_int(size):
    return [Number(number(i)) for i in times(size, 80)]


@thing
def subclasses_of_bytes(size):
    return [Blob(body()) for _ in times(size, 270)]


class Words(dict):
    pass


@thing(flat=12000, why="the first thirty or so instances of a class have room for more values than they use")
def subclasses_of_dict(size):
    found = []
    for i in times(size, 800):
        found.append(Words({word(i): body()}))
        found[-1].note = number(i)
    return found


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@thing
def members_of_an_enumeration(size):
    return [Colour.RED if i % 2 else Colour.GREEN for i in times(size, 8)]
