"""What local variables of suspended frames are called; each holds its own name. Prints JSON: by shape what is told.

names.py
"""

import json
import os
import types

from pyobserver.agent.retention.slots import Slots

SHAPES = {}
EXPECTED = {}


def shape(*names):
    def note(function):
        SHAPES[function.__name__] = function
        EXPECTED[function.__name__] = sorted(names)
        return function

    return note


def named(text):
    return bytearray(text, "ascii")


@types.coroutine
def pause():
    yield


async def numbers():
    for number in range(3):
        yield number


def f(*_, **__):
    pass


@shape("argument", "first", "rest", "options")
async def arguments(argument, *rest, **options):
    first = named("first")
    await pause()
    later = argument
    f(later, first)


@shape("argument", "first")
async def within_async_for(argument):
    first = named("first")
    async for _number in numbers():
        del _number
        await pause()
        later = named("later")
        f(later, first)


@shape("argument", "last")
async def after_some_were_deleted(argument):
    gone = named("gone")
    last = named("last")
    del gone
    for _ in [1]:
        del _
        f(named("stack"), await pause())
    f(last)


@shape("argument", "second")
async def half_a_call(argument):
    if f():
        first = named("first")
    second = named("second")
    f(named("stack"), named("stack"), await pause())
    f(first, second)


@shape("argument", "captured", "plain")
async def with_cells(argument):
    plain = named("plain")
    captured = named("captured")

    async def inner():
        f(argument, captured)
        empty = named("empty")
        return lambda: empty

    if f():
        empty = inner
        f(empty)
    del inner
    f(named("stack"), await pause())
    f(plain)


@shape("argument", "each")
def generator(argument):
    for each in [named("each")]:
        yield
        f(each)
    later = argument
    f(later)


@shape("argument", "before")
async def asynchronous_generator(argument):
    before = named("before")
    yield before
    after = before
    f(after)


def begun(function):
    made = function(named("argument"), *([named("rest")] if function is SHAPES["arguments"] else ()))
    if type(made) is types.AsyncGeneratorType:
        try:
            made.__anext__().send(None)
        except StopIteration:
            pass
    else:
        made.send(None)
    return made


def main():
    slots = Slots(os.open("/proc/self/mem", os.O_RDONLY))
    answer = {}
    for name, function in SHAPES.items():
        suspended = begun(function)
        told = [
            (each, value.decode() if type(value) is bytearray else type(value).__name__)
            for each, value in slots.variables_of(suspended)
        ]
        ids = {
            bytes(value): slots.name_of(suspended, value)
            for _, value in slots.variables_of(suspended)
            if type(value) is bytearray
        }
        answer[name] = {
            "expected": EXPECTED[name],
            "told": sorted(told),
            "is_exact": slots.is_exact,
            "ids": {key.decode(): value for key, value in ids.items()},
        }
    unread = begun(SHAPES["generator"])
    answer["unread"] = [Slots(-1).variables_of(unread), Slots(-1).names_of(unread)]
    print(json.dumps(answer))


main()
