"""Things that a task can hold in one variable, each made of about so many bytes.

Every entry in a collection has a size of its own, so that an estimate of it has something to be wrong about.
"""

import array
import asyncio
import collections
import concurrent.futures
import contextvars
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import ipaddress
import itertools
import mmap
import operator
import pathlib
import queue
import random
import re
import sys
import threading
import types
import uuid
import weakref
from xml.etree import ElementTree

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


def _closure(payload):
    def inner():
        return payload

    return inner


@thing
def closures(size):
    return [_closure(body()) for _ in times(size, 450)]


@thing
def recursive_closure(size):
    payload = [body() for _ in times(size, 241)]

    def inner(n):
        return inner(n - 1) if n else payload

    return inner


@thing
def partials(size):
    return [functools.partial(print, body(), key=number(i)) for i in times(size, 620)]


@thing(flat=12000, why="the first thirty or so instances of a class have room for more values than they use")
def bound_methods(size):
    return [Node().__init__ for _ in times(size, 470)]


@thing
def defaults_of_functions(size):
    def made(payload):
        return lambda x=payload: x

    return [made(body()) for _ in times(size, 420)]


def _generator(payload):
    yield 1
    yield payload


def _started(generator):
    next(generator)
    return generator


@thing(flat=2000, why="up to 3.10 the code object keeps one frame for its next run")
def idle_generators(size):
    return [_started(_generator(body())) for _ in times(size, 460)]


async def _waiting(payload):
    await _Bare()
    return payload


class _Bare:
    __slots__ = ()

    def __await__(self):
        yield


def _sent(coroutine):
    coroutine.send(None)
    return coroutine


@thing(flat=2000, why="up to 3.10 the code objects keep a frame each for their next run")
def idle_coroutines(size):
    return [_sent(_waiting(body())) for _ in times(size, 950)]


async def _asynchronous(payload):
    yield payload


@thing(flat=2000, why="up to 3.10 the code object keeps one frame for its next run")
def asynchronous_generators_not_begun(size):
    return [_asynchronous(body()) for _ in times(size, 480)]


def _raised():
    payload = body()
    try:
        raise ValueError(payload)
    except ValueError as error:
        kept = error
    payload = kept  # a cycle: the error, its traceback, this frame
    return kept


@thing(flat=2000, why="the interpreter keeps some frames for its next calls")
def errors_in_cycles_with_their_frames(size):
    return [_raised() for _ in times(size, 900)]


@thing
def iterators(size):
    a = [body() for _ in times(size, 720)]
    b = [body() for _ in times(size, 720)]
    c = {word(i): body() for i in times(size, 1400)}
    return iter(a), zip(b, itertools.count()), map(len, iter(c.items())), filter(None, c.values())


@thing
def itertools_of_bytes(size):
    many = [body() for _ in times(size, 482)]
    rest = [body() for _ in times(size, 482)]
    return itertools.chain(many, itertools.cycle(rest)), itertools.islice(iter(many), 2, None), enumerate(rest)


@thing(flat=12000, why="the first thirty or so instances of a class have room for more values than they use")
def weak_values(size):
    nodes = [Node() for _ in times(size, 660)]
    return nodes, weakref.WeakValueDictionary(enumerate(nodes, 10**6))


@thing(flat=12000, why="the first thirty or so instances of a class have room for more values than they use")
def weak_keys(size):
    nodes = [Node() for _ in times(size, 800)]
    found = weakref.WeakKeyDictionary()
    for node in nodes:
        found[node] = body()
    del node
    return nodes, found


@thing
def memory_views(size):
    return [memoryview(body())[5:10] for _ in times(size, 600)]


@thing(flat=3000, why="a buffer that was written to may be kept larger than it says")
def written_buffers(size):
    found = []
    for _ in times(size, 1400):
        found.append(io.BytesIO())
        found[-1].write(bytes(RANDOM.randrange(2000)))
    return found


@thing
def buffers_of_bytes(size):
    return [io.BytesIO(body()) for _ in times(size, 350)]


@thing(missed="the text of a StringIO is in no size, and to ask for it would copy it")
def text_buffers(size):
    return [io.StringIO(word(i)) for i in times(size, 500)]


@thing(missed="up to 3.9, a match does not show its text to the collector" if sys.version_info < (3, 10) else "")
def matches(size):
    text = re.compile("-")
    return [text.search(word(i)) for i in times(size, 420)]


@thing(share=0.2, why="a date without a zone says that it has room for one, 8 bytes")
def dates(size):
    return [datetime.datetime.fromtimestamp(number(i)) for i in times(size, 56)]


@thing(missed="a date does not show its zone to the collector")
def dates_with_a_zone(size):
    zones = [datetime.timezone(datetime.timedelta(minutes=i % 1000, seconds=i % 7)) for i in times(size, 300)]
    return [datetime.datetime(2024, 1, 1, tzinfo=zone) for zone in zones]


@thing(share=0.02, why="digits beyond what fits the object")
def decimals(size):
    return [decimal.Decimal("1" * RANDOM.randrange(1, 200)) for _ in times(size, 190)]


@thing(share=0.05, why="from 3.11 on, an int of one digit says that it takes 28 bytes, and takes 32")
def fractions_of_large_numbers(size):
    return [fractions.Fraction(number(i), 10**20 + i * 2 + 1) for i in times(size, 170)]


@thing(share=0.03, why="a sum or shift takes a digit more than it turns out to need")
def large_numbers(size):
    return [1 << RANDOM.randrange(100, 3000) for _ in times(size, 240)]


@thing
def complex_numbers(size):
    return [complex(i, 1) for i in times(size, 40)]


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


@thing
def arrays(size):
    return [array.array("d", range(RANDOM.randrange(60))) for _ in times(size, 340)]


@thing
def anonymous_mapping(size):
    """Mapped memory is no heap: neither is it counted, nor is it among what is freed."""
    return mmap.mmap(-1, size)


@thing(missed="what ctypes allocates is in no object's size")
def buffers_of_ctypes(size):
    return [ctypes.create_string_buffer(RANDOM.randrange(200, 1000)) for _ in times(size, 700)]


@thing(flat=9000, why="the interpreter keeps up to 16 blocks of half a kilobyte for the next deque")
def pure_queue(size):
    found = asyncio.Queue()
    for _ in times(size, 241):
        found.put_nowait(body())
    return found


@thing(share=0.05, flat=3000, why="from 3.11 on, an int of one digit says that it takes 28 bytes, and takes 32")
def priority_queue(size):
    found = queue.PriorityQueue()
    for i in times(size, 330):
        found.put((number(i), body()))
    return found


@thing(share=0.07, why="from 3.13 on, the table of a SimpleQueue is in no size")
def simple_queue(size):
    found = queue.SimpleQueue()
    for _ in times(size, 241):
        found.put(body())
    return found


@thing
def stream_reader(size):
    reader = asyncio.StreamReader()
    reader.feed_data(bytes(size))
    return reader


@thing
def future_with_a_result(size):
    future = asyncio.get_running_loop().create_future()
    future.set_result([body() for _ in times(size, 241)])
    return future


@thing(flat=2000, why="the free lists of locks and conditions")
def future_of_a_job(size):
    future = concurrent.futures.Future()
    future.set_result([body() for _ in times(size, 241)])
    return future


@thing
def context(size):
    found = contextvars.Context()
    variable = contextvars.ContextVar("variable")
    found.run(variable.set, [body() for _ in times(size, 241)])
    return found


@thing(flat=600, why="the thread has a table of its own for it")
def thread_local(size):
    found = threading.local()
    found.payload = [body() for _ in times(size, 241)]
    return found


@thing(share=0.03, flat=1000, why="attributes and children are kept with room for more")
def elements(size):
    root = ElementTree.Element("root")
    for i in times(size, 560):
        ElementTree.SubElement(root, "item", {"name": word(i)}).text = word(-i)
    return root


@thing(share=0.2, flat=2000, why="decoders and locks tell no sizes")
def buffered_text_files(size):
    return [io.TextIOWrapper(io.BufferedReader(io.BytesIO(body()), 512)) for _ in times(size, 1400)]


@thing(flat=12000, why="the first thirty or so instances of a class have room for more values than they use")
def paths(size):
    return [pathlib.PurePosixPath("/srv/%d/%s" % (i, word(i))) for i in times(size, 400)]  # noqa: UP031


@thing(share=0.05, flat=12000, why="from 3.11 on, an int of one digit says that it takes 28 bytes, and takes 32")
def identifiers(size):
    return [uuid.UUID(int=number(i) << 70) for i in times(size, 200)]


@thing(share=0.05, why="from 3.11 on, an int of one digit says that it takes 28 bytes, and takes 32")
def addresses(size):
    return [ipaddress.IPv4Address(number(i)) for i in times(size, 100)]


@thing(share=0.05, why="from 3.11 on, an int of one digit says that it takes 28 bytes, and takes 32")
def item_getters(size):
    return [operator.itemgetter(word(i), number(i)) for i in times(size, 300)]


KEPT = []


@thing
def held_by_a_module_too(size):
    KEPT.append([body() for _ in times(size, 241)])
    return list(KEPT[-1])


@functools.lru_cache(maxsize=None)  # noqa: UP033 (3.9 and later)
def _remembered(payload):
    return len(payload)


@thing
def argument_of_a_cached_function(size):
    payload = bytes(size) + b"%d" % RANDOM.randrange(10**9)
    _remembered(payload)
    return payload
