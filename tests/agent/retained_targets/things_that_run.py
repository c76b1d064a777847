"""Functions, generators, coroutines, errors and iterators that a task can hold, as in `things`."""

import functools
import itertools

from things import body, number, thing, times, word
from things_of_classes import Node


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
