"""What a task does, in words: its function, where in the source it stands, and what it waits on."""

import sys
from _weakref import ref
from gc import get_referents

from pyobserver.agent import lines
from pyobserver.agent.attributes import (
    Function,
    Module,
    attribute,
    class_dict,
    class_name,
    code_of,
    function_name,
    inherits,
    integer,
    module_dict,
    namespace_of,
    short_name,
    text,
)
from pyobserver.agent.retention.slots import Slots
from pyobserver.agent.runs import WRAPPERS
from pyobserver.agent.values import variables
from pyobserver.agent.waits import Waits

MAX_CHAIN = 60
_MAX_CODES = 4000
_MAX_NAMES = 20  # of one code
_MANY = 50  # times that it was asked where something stands in one code
_ANYIOS = "_run_coro"
_LIBRARIES = ("trio", "anyio")  # whose own coroutines are, as asyncio's, not where a program stands


class Place:
    """One code object: whether it is asyncio's own or of a library like it, and the texts of the lines where tasks
    stand in it. `name` is the qualified name of the coroutine it was met by, as those of asyncio's functions all have
    it; `only` the text of the single place where it can be suspended, 0 if it has more, or is not known yet."""

    __slots__ = ("_module", "asked", "code", "file", "functions", "is_asyncio", "is_library", "name", "only", "texts")

    def __init__(self, code, name, asyncio_folder):
        self.code = ref(code)
        self.name = name
        self.file = text(code.co_filename)
        self.is_asyncio = bool(asyncio_folder) and self.file.startswith(asyncio_folder)
        self.is_library = self.is_asyncio or self.file.startswith(tuple(filter(None, map(folder_of, _LIBRARIES))))
        self.texts = {}
        self.only = self.asked = 0
        self.functions = {}  # by qualified name, as closures may share a code
        self._module = None

    def module(self):
        """The name of the module that was loaded from the same file, "" if there is none."""
        if self._module is None:
            self._module = ""
            folder, _, last = self.file.rpartition("/")
            last = (folder.rpartition("/")[2] if last == "__init__.py" else last).partition(".")[0]
            named = [name for name in list(sys.modules) if type(name) is str and name.rpartition(".")[2] == last]
            for name in ("__main__", *named):  # to look into thousands of modules would take milliseconds
                if self.file == text((namespace_of(name) or {}).get("__file__"), ""):
                    self._module = text(name, "")
                    break
        return self._module


class Describer:
    """Puts the words into rows. `unavailable` says why lines are not known, if they are not."""

    def __init__(self, table, clock):
        self.waits = Waits(self, clock)
        self._texts = table.texts
        self._lines = lines.Lines()
        self.slots = Slots(self._lines.memory)
        self._places = {}
        self._asyncio_folder = folder_of("asyncio")

    @property
    def unavailable(self):
        return self._lines.unavailable

    @property
    def memory(self):
        """The file descriptor of this process's memory, -1 where it cannot be had."""
        return self._lines.memory

    def close(self):
        """Let go of the file that lines are read through."""
        self._lines.close()

    def function(self, coroutine):
        """Return `module.qualname` of what a task runs."""
        coroutine = self._given(coroutine)
        chain = self.chain(coroutine)[0]
        return self._function_of(chain[0]) if chain else class_name(type(coroutine))

    def function_text(self, coroutine):
        """Return the number of the text that names what a task runs: `module.qualname`."""
        coroutine = self._given(coroutine)
        kind = lines.kind_of(coroutine)
        if kind is None:
            return self._texts.intern(self.function(coroutine))
        place = self._place(kind.code(coroutine), coroutine)
        name = self._qualname(coroutine)
        found = place.functions.get(name)
        if found is None:
            found = self._texts.intern(self.function(coroutine))
            if len(place.functions) < _MAX_NAMES:
                place.functions[name] = found
        return found

    def _given(self, coroutine):
        """Return the coroutine that one of anyio's runs for a task group (`TaskHandle._run_coro`), else the same."""
        kind = lines.kind_of(coroutine)
        code = None if kind is None else kind.code(coroutine)
        if code is None or code.co_name != _ANYIOS or not self._place(code, coroutine).is_library:
            return coroutine
        for each in lines.referents(coroutine):
            if short_name(type(each)) == "TaskHandle":
                found = attribute(each, "_coro")
                return coroutine if lines.kind_of(found) is None else found
        return coroutine

    def name(self, task):
        """Return the name of a task, without making asyncio make one."""
        for part in get_referents(task):
            if type(part) is str:
                return text(part)
            if integer(part) is not None:  # 3.12: the number of a name that nobody has asked for
                return "Task-%d" % part
        found = attribute(task, "_name", "")
        return "Task-%d" % found if integer(found) is not None else text(found)

    def is_running(self, coroutine):
        """Whether it is being executed right now."""
        kind = lines.kind_of(coroutine)
        return kind is not None and kind.is_running(coroutine)

    def chain(self, coroutine):
        """Return what awaits each other, outermost first, and what the innermost one awaits.

        These are coroutines, generators and async generators. The caller lets go of them within its slice.
        """
        found = []
        wrappers = 0
        kinds = lines.KINDS
        while coroutine is not None and len(found) + wrappers < MAX_CHAIN:
            kind = kinds.get(id(type(coroutine)))
            if kind is not None:
                found.append(coroutine)
                coroutine = kind.awaited(coroutine)
            elif short_name(type(coroutine)) in WRAPPERS:
                wrappers += 1
                coroutine = _wrapped(coroutine)
            else:
                break
        return found, coroutine

    def described(self, coroutine, waiter):
        """Return (where it stands and what it waits on, as the ids of texts; items in its queue or -1)."""
        chain = self.chain(coroutine)[0]
        inner, link, place = self._of_asyncio(chain)
        if link is None:
            where = self.where(chain[0]) if chain else 0
        elif place.only and (link is not chain[-1] or waiter is not None):  # suspended in its only place
            where = place.only
        else:
            where = self._where(link, lines.kind_of(link).code(link), place)
        words, queued = self.waits.words(inner, waiter)
        return where, self._texts.intern(words), queued

    def waits_in_full(self, coroutine, waiter):
        """Return all that is known of what a task waits on, "" if it waits on nothing."""
        return self.waits.in_full(self._of_asyncio(self.chain(coroutine)[0])[0], waiter)

    def variables(self, coroutine, with_values):
        """Return the local variables of the program's innermost coroutines, as `values.variables` does."""
        inner = []
        for link in reversed(self.chain(coroutine)[0]):
            place = self._place(self._code(link), link)
            if place is not None and not place.is_asyncio:
                inner.append(link)
        return variables(inner, self.slots, self._qualname, with_values)

    def _of_asyncio(self, chain):
        """Return ([(link, qualified name)] of asyncio's own from the innermost on, the link that awaits these, its
        `Place`).

        The latter two are None where all are asyncio's.
        """
        inner = []
        kinds, places = lines.KINDS, self._places
        for link in reversed(chain):
            code = kinds[id(type(link))].code(link)
            place = places.get(id(code))
            if place is None or place.code() is not code:
                place = self._place(code, link)
                if place is None:
                    continue
            if not place.is_asyncio:
                return inner, link, place
            inner.append((link, place.name))
        return inner, None, None

    def stand(self, coroutine):
        """Return ("file:line" as the id of a text, what is called there of trio or anyio, else ""): where the program's
        own innermost coroutine stands; where the first stands if none is the program's own."""
        chain = self.chain(coroutine)[0]
        called = ""
        for link in reversed(chain):
            code = self._code(link)
            place = self._place(code, link)
            if place is None:
                continue
            if not place.is_library:
                return self._where(link, code, place), called
            called = self._qualname(link)
        code = self._code(chain[0]) if chain else None
        place = self._place(code, chain[0]) if chain else None
        return (0, called) if place is None else (self._where(chain[0], code, place), called)

    def definition(self, link):
        """Return "file:line" of where the function of a coroutine or generator begins."""
        code = self._code(link)
        return "%s:%d" % (text(code.co_filename), code.co_firstlineno)

    def where(self, link):
        """Return "file:line" of one coroutine or generator as the id of a text, 0 if it has ended."""
        code = self._code(link)
        place = self._place(code, link)
        return 0 if place is None else self._where(link, code, place)

    def qualname(self, link):
        """Return the qualified name of one coroutine or generator."""
        return self._qualname(link)

    def spot(self, coroutine):
        """Return (qualified name, "file:line") of the program's own innermost coroutine of a chain."""
        for link in reversed(self.chain(coroutine)[0]):
            code = self._code(link)
            place = self._place(code, link)
            if place is not None and not place.is_library:
                return self._qualname(link), self._texts.items[self._where(link, code, place)]
        return "", ""

    def frames(self, coroutine):
        """Return the chain as a list of [qualified name, file, line or None]."""
        found = []
        for link in self.chain(coroutine)[0]:
            code = self._code(link)
            position = self._lines.position(link, code)
            file = text(code.co_filename)
            found.append([self._function_of(link), file, self._lines.line(code, position)])
        return found

    @staticmethod
    def _code(link):
        return lines.kind_of(link).code(link)

    @staticmethod
    def _qualname(link):
        return text(lines.kind_of(link).qualname(link))

    def _function_of(self, link):
        """Return `module.qualname` of a link."""
        code = self._code(link)
        for part in get_referents(link):
            if type(part) is Function and code_of(part) is code:
                return function_name(part)[: -len(text(_qualname(part)))] + self._qualname(link)
        name = ""
        frame = lines.kind_of(link).frame(link) if sys.version_info < (3, 11) else None
        if frame is not None:
            name = text(dict.get(frame.f_globals, "__name__"), "")
        else:  # it has ended: nothing leads to its function any more
            name = self._place(code, link).module()
        return (name + "." if name else "") + self._qualname(link)

    def _place(self, code, link):
        """Return the `Place` of a code in which this link of a chain stands, None if it has ended."""
        if code is None:
            return None
        found = self._places.get(id(code))
        if found is None or found.code() is not code:
            if len(self._places) >= _MAX_CODES:
                self._places.clear()
            found = self._places[id(code)] = Place(code, self._qualname(link), self._asyncio_folder)
        return found

    def _where(self, link, code, place):
        if place.only and lines.kind_of(link).awaited(link) is not None:
            return place.only
        position = self._lines.position(link, code)
        found = place.texts.get(position)
        if found is None:
            line = self._lines.line(code, position) or code.co_firstlineno
            found = place.texts[position] = self._texts.intern("%s:%d" % (place.file, line))
        place.asked += 1
        if place.asked == _MANY and position is not None and self._lines.has_one_stop(code):
            place.only = found if lines.kind_of(link).awaited(link) is not None else 0
        return found


def folder_of(package):
    """Return the folder of a package's sources with a slash at its end, "" if it is not loaded."""
    module = sys.modules.get(package)
    file = text(module_dict(module).get("__file__"), "") if inherits(type(module), Module) else ""
    return file.rpartition("/")[0] + "/" if file else ""


def _wrapped(wrapper):
    """What the object that awaits something refers to first, which is that; None if it is nothing to follow."""
    for each in get_referents(wrapper):
        if lines.kind_of(each) is not None or short_name(type(each)) in WRAPPERS:
            return each
    return None


_qualname = class_dict(Function)["__qualname__"].__get__
