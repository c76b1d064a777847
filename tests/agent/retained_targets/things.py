"""Things that a task can hold in one variable, each made of about so many bytes.

Every entry in a collection has a size of its own, so that an estimate of it has something to be wrong about.
"""

import collections
import functools
import random

THINGS = {}
TOLERANCE = {}  # name -> (bytes, share, why so much)
MISSED = {}  # name -> why what is said is too little
RANDOM = random.Random(7)


def thing(function=None, flat=400, share=0.01, why="", missed=""):
    """Note a thing: by how much a measure of it may differ from what is freed, and why, or why it is too little."""
    if function is None:
        return functools.partial(thing, flat=flat, share=share, why=why, missed=missed)
    name = function.__name__
    THINGS[name] = function
    TOLERANCE[name] = (flat, share, why or "free lists of the interpreter and the unused end of its blocks")
    if missed:
        MISSED[name] = missed
    return function


def body():
    """From 20 to 380 bytes."""
    return bytes(RANDOM.randrange(20, 380))


def word(i):
    return "word-%d" % i + "x" * RANDOM.randrange(100)  # noqa: UP031


def number(i):
    return i + 10**6


def times(size, each):
    return range(max(2, size // each))


@thing
def one_bytearray(size):
    return bytearray(size)


@thing
def one_text(size):
    return "\u20ac" * (size // 2)


@thing
def list_of_bytes(size):
    return [body() for _ in times(size, 241)]


@thing
def tuple_of_bytearrays(size):
    return tuple(bytearray(RANDOM.randrange(400)) for _ in times(size, 264))


@thing
def dict_of_lists(size):
    return {word(i): [body(), number(i)] for i in times(size, 580)}


@thing(share=0.05, why="from 3.11 on, an int of one digit says that it takes 28 bytes, and takes 32")
def dict_of_numbers(size):
    return {number(i): float(i) for i in times(size, 110)}


@thing
def records(size):
    return [{"id": number(i), "name": word(i), "tags": [word(i), word(-i)]} for i in times(size, 750)]


@thing(share=0.05, why="from 3.11 on, an int of one digit says that it takes 28 bytes, and takes 32")
def set_of_tuples(size):
    return {(number(i), word(i)) for i in times(size, 240)}


@thing
def frozen_set_of_texts(size):
    return frozenset(word(i) for i in times(size, 160))


@thing(flat=9000, why="the interpreter keeps up to 16 blocks of half a kilobyte for the next deque")
def deque_of_bytes(size):
    return collections.deque(body() for _ in times(size, 241))


@thing
def ordered_dict(size):
    return collections.OrderedDict((word(i), body()) for i in times(size, 460))


@thing
def counter(size):
    return collections.Counter(word(i) for i in times(size, 190))


@thing
def default_dict(size):
    found = collections.defaultdict(list)
    for i in times(size, 480):
        found[word(i)].append(body())
    return found


@thing
def chain_of_maps(size):
    return collections.ChainMap({word(i): body() for i in times(size, 900)}, {word(i): i for i in times(size, 360)})


@thing
def user_list(size):
    return collections.UserList([body() for _ in times(size, 241)])
