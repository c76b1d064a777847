"""What runs and can be suspended: coroutines, generators, asynchronous generators, and their functions' names."""

import sys
from gc import get_referents

from pyobserver.agent.attributes import Function, code_of, globals_of, text


def _generator():
    yield


async def _coroutine():
    pass


async def _async_generator():
    yield


def _types():
    made = _coroutine()
    made.close()
    return type(made), type(_generator()), type(_async_generator())


Coroutine, Generator, AsyncGenerator = _types()
Frame = type(sys._getframe())
# What an `await` has between a coroutine and what that awaits, by the names of their types.
WRAPPERS = frozenset(["coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "anext_awaitable"])
_code_of_frame = Frame.__dict__["f_code"].__get__
_globals_of_frame = Frame.__dict__["f_globals"].__get__
# By the id of the type: how to read the code and the qualified name.
GENERATORS = {
    id(kind): (kind.__dict__[prefix + "_code"].__get__, kind.__dict__["__qualname__"].__get__)
    for kind, prefix in ((Coroutine, "cr"), (Generator, "gi"), (AsyncGenerator, "ag"))
}


def run_name(thing):
    """Return the qualified name, with its module, of what a coroutine or generator runs, and the module alone.

    No frame object is made: from 3.11 on what it refers to leads to its function, before that to its frame.
    """
    read_code, read_name = GENERATORS[id(type(thing))]
    name = text(read_name(thing))
    for each in get_referents(thing):
        if type(each) is Function and code_of(each) is read_code(thing):
            return _joined(globals_of(each), name)
        if type(each) is Frame:
            return _joined(_globals_of_frame(each), name)
    return name, ""


def frame_name(frame):
    """Return the name, with its module, of the function of a frame that is there, and the module alone."""
    return _joined(_globals_of_frame(frame), text(_code_of_frame(frame).co_name))


def _joined(namespace, name):
    module = text(dict.get(namespace, "__name__"), "")
    return (module + "." + name if module else name), module
