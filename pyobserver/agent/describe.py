"""What a task does, in words: its function, where in the source it stands, and what it waits on."""

import sys
from _weakref import ref
from gc import get_referents

from pyobserver.agent import lines
from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import (
    Function,
    attribute,
    class_dict,
    class_name,
    code_of,
    function_name,
    short_name,
    text,
)

MAX_CHAIN = 60
_MAX_CODES = 4000


class Place:
    """One code object: its name, whether it is asyncio's own, and the texts of the lines where tasks stand in it."""

    __slots__ = ("code", "file", "is_asyncio", "texts")

    def __init__(self, code, asyncio_folder):
        self.code = ref(code)
        self.file = text(code.co_filename)
        self.is_asyncio = bool(asyncio_folder) and self.file.startswith(asyncio_folder)
        self.texts = {}


class Describer:
    """Puts the words into rows. `unavailable` says why lines are not known, if they are not."""

    def __init__(self, table):
        self._texts = table.texts
        self._lines = lines.Lines()
        self._places = {}
        module = sys.modules.get("asyncio")
        file = text(module.__dict__.get("__file__"), "") if module is not None else ""
        self._asyncio_folder = file.rpartition("/")[0] + "/" if file else ""

    @property
    def unavailable(self):
        return self._lines.unavailable

    def close(self):
        """Let go of the file that lines are read through."""
        self._lines.close()

    def function(self, coroutine):
        """Return `module.qualname` of what a task runs."""
        kind = type(coroutine)
        if kind is lines.Coroutine:
            code, name = lines.code_of_coroutine(coroutine), text(lines.qualname_of_coroutine(coroutine))
        elif kind is lines.Generator:
            code, name = lines.code_of_generator(coroutine), text(lines.qualname_of_generator(coroutine))
        else:
            return class_name(kind)
        return _module_of(coroutine, code) + name

    def name(self, task):
        """Return the name of a task, without making asyncio make one."""
        for part in get_referents(task):
            if type(part) is str:
                return text(part)
            if type(part) is int:  # 3.12: the number of a name that nobody has asked for
                return "Task-%d" % part
        found = attribute(task, "_name", "")
        return "Task-%d" % found if type(found) is int else text(found)

    def is_running(self, coroutine):
        """Whether it is being executed right now."""
        if type(coroutine) is lines.Coroutine:
            return lines.is_coroutine_running(coroutine)
        return type(coroutine) is lines.Generator and lines.is_generator_running(coroutine)

    def chain(self, coroutine):
        """Return the coroutines that await each other, outermost first, and what the innermost one awaits.

        The caller lets go of them within its slice.
        """
        found = []
        while coroutine is not None and len(found) < MAX_CHAIN:
            kind = type(coroutine)
            if kind is lines.Coroutine:
                found.append(coroutine)
                coroutine = lines.awaited_by_coroutine(coroutine)
            elif kind is lines.Generator:
                found.append(coroutine)
                coroutine = lines.awaited_by_generator(coroutine)
            else:
                name = short_name(kind)
                if name not in ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow"):
                    break
                inner = None
                for each in get_referents(coroutine):
                    if type(each) is lines.Coroutine or short_name(type(each)) == "async_generator":
                        inner = each
                if inner is not None and type(inner) is not lines.Coroutine:
                    inner = class_dict(type(inner))["ag_await"].__get__(inner)
                coroutine = inner
        return found, coroutine

    def describe(self, row, coroutine, waiter):
        """Set `where` and `waiting` of a row; return whether they have changed."""
        chain, _awaited = self.chain(coroutine)
        where, words = 0, ""
        for link in reversed(chain):
            code = self._code(link)
            place = self._place(code)
            if place is None:
                continue
            if not place.is_asyncio:
                where = self._where(link, code, place)
                break
            name = self._qualname(link).rpartition(".")
            if not words and (not name[2].startswith("_") or name[2].startswith("__")):
                words = self._qualname(link)
        if not where and chain:
            code = self._code(chain[0])
            place = self._place(code)
            where = self._where(chain[0], code, place) if place is not None else 0
        words = self._waits_on(waiter) or words or ("" if waiter is None else "future")
        waiting = self._texts.intern(words)
        changed = where != row.where or waiting != row.waiting
        row.where, row.waiting = where, waiting
        return changed

    def spot(self, coroutine):
        """Return (qualified name, "file:line") of the innermost coroutine of a chain that is not asyncio's own."""
        for link in reversed(self.chain(coroutine)[0]):
            code = self._code(link)
            place = self._place(code)
            if place is not None and not place.is_asyncio:
                return self._qualname(link), self._texts.items[self._where(link, code, place)]
        return "", ""

    def frames(self, coroutine):
        """Return the chain as a list of [qualified name, file, line or None]."""
        found = []
        for link in self.chain(coroutine)[0]:
            code = self._code(link)
            position = self._lines.position(link, code)
            file = text(code.co_filename)
            found.append([_module_of(link, code) + self._qualname(link), file, self._lines.line(code, position)])
        return found

    @staticmethod
    def _code(link):
        return lines.code_of_coroutine(link) if type(link) is lines.Coroutine else lines.code_of_generator(link)

    @staticmethod
    def _qualname(link):
        if type(link) is lines.Coroutine:
            return text(lines.qualname_of_coroutine(link))
        return text(lines.qualname_of_generator(link))

    def _place(self, code):
        if code is None:
            return None
        found = self._places.get(id(code))
        if found is None or found.code() is not code:
            if len(self._places) >= _MAX_CODES:
                self._places.clear()
            found = self._places[id(code)] = Place(code, self._asyncio_folder)
        return found

    def _where(self, link, code, place):
        position = self._lines.position(link, code)
        found = place.texts.get(position)
        if found is None:
            line = self._lines.line(code, position) or code.co_firstlineno
            found = place.texts[position] = self._texts.intern("%s:%d" % (place.file, line))
        return found

    def _waits_on(self, waiter):
        """What a future is, in words; "" for one of which nothing is known."""
        if waiter is None:
            return ""
        kind = type(waiter)
        name = short_name(kind)
        if name == "_GatheringFuture":
            children = attribute(waiter, "_children")
            return "gather of %d" % len(children) if type(children) in (list, tuple) else "gather"
        types = known()
        if types.is_task(waiter):
            return "task " + self.name(waiter)
        for callback in (types.callbacks(waiter) or ())[:4] if types.is_future(waiter) else ():
            function = callback[0] if type(callback) is tuple and callback else callback
            if type(function) is Function and code_of(function).co_name == "_call_check_cancel":
                return "executor job"
        return ""


def _module_of(coroutine, code):
    """The module of a coroutine's function with a dot, "" if nothing leads to the function any more."""
    for part in get_referents(coroutine):
        if type(part) is Function and code_of(part) is code:
            return function_name(part)[: -len(text(_qualname(part)))]
    frame = None
    if sys.version_info < (3, 11):
        kind = type(coroutine)
        frame = class_dict(kind)["cr_frame" if kind is lines.Coroutine else "gi_frame"].__get__(coroutine)
    if frame is not None:
        name = dict.get(frame.f_globals, "__name__")
        return text(name) + "." if type(name) is str else ""
    return ""


_qualname = class_dict(Function)["__qualname__"].__get__
