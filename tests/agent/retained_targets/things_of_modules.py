"""Things of the standard library that a task can hold, as in `things`."""

import array
import asyncio
import concurrent.futures
import contextvars
import ctypes
import datetime
import decimal
import fractions
import functools
import io
import ipaddress
import itertools
import mmap
import operator
import pathlib
import queue
import re
import sys
import threading
import uuid
import weakref
from xml.etree import ElementTree

from things import RANDOM, body, number, thing, times, word
from things_of_classes import Node


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
