"""What the local variables of a suspended coroutine or generator are called, read from its frame's own memory.

The collector shows what a frame refers to, but not in which slot it lies, and leaves out empty slots; to make a frame
object, which would tell, is not for us from 3.11 on.

A frame begins its variables with a word for each, in the order of `co_varnames`, `co_cellvars` and `co_freevars` (from
3.11 on without those cells that are arguments, which lie in the argument's place). Where in a coroutine, or up to 3.10
in its frame object, these words begin is found at the start, by coroutines whose variables are known. A tag in the
lowest bits of a word (3.14) is left out.
"""

import posix
import sys
from gc import get_referents

from pyobserver.agent import collector
from pyobserver.agent.attributes import MISSING, Cell, cell_contents
from pyobserver.agent.retention.borrowed import SUSPENDED

HAS_FRAMES = sys.version_info < (3, 11)  # every coroutine has a frame object
Frame = type(sys._getframe()) if HAS_FRAMES else None
MAX_SLOTS = 200  # of one frame that are read
_WORD = 8
_LONGEST = 600  # bytes that are looked at
_TAG = 7
_frame_of = dict.fromkeys(SUSPENDED)
if HAS_FRAMES:
    for _number, (_kind, *_) in SUSPENDED.items():
        _members = type.__dict__["__dict__"].__get__(_kind)
        _frame_of[_number] = next(_members[name].__get__ for name in _members if name.endswith("_frame"))


class Slots:
    """Names variables. `memory` is a file descriptor of /proc/self/mem, -1 if that cannot be read.

    Then none has a name: by their order alone, which the collector shows, names would be wrong beside `async for` and
    whatever else leaves slots empty or something on the stack.
    """

    def __init__(self, memory):
        self._memory = memory
        self._offset = None
        if memory >= 0:
            try:
                self._offset = self._find()
            except OSError:
                pass

    @property
    def is_exact(self):
        """Whether what has no name here is certainly no variable."""
        return self._offset is not None

    def name_of(self, suspended, thing):
        """Return the name of the variable that refers to `thing`, which may be its cell; None if there is none."""
        return self.names_of(suspended).get(id(thing))

    def names_of(self, suspended):
        """Return {id of an object, or of the cell that it is in: name of the variable} of a coroutine or generator."""
        names = {}
        for number, name in self._filled(suspended):
            names.setdefault(number, name)
        return names

    def variables_of(self, suspended):
        """Return [(name, value)] of the local variables that have a value."""
        held = suspended if not HAS_FRAMES else _frame_of[id(type(suspended))](suspended)
        objects = {id(o): o for o in get_referents(held)} if held is not None else {}
        found = []
        for number, name in self._filled(suspended):
            value = objects.get(number, MISSING)
            if type(value) is Cell:
                value = cell_contents(value)
            if value is not MISSING:
                found.append((name, value))
        return found

    def names_in_frame(self, frame):
        """Return [(id of an object, or of the cell that it is in, name)] of a frame object's variables, up to 3.10."""
        return self._read(id(frame), frame.f_code) if self._offset is not None else []

    def _filled(self, suspended):
        """Return [(id of what lies there, name)] of the slots that are not empty."""
        base = None if self._offset is None else _base(suspended)
        return [] if base is None else self._read(base, SUSPENDED[id(type(suspended))][2](suspended))

    def _read(self, base, code):
        names = _names(code)[:MAX_SLOTS]
        if not names:
            return []
        try:
            words = collector.outside(posix.pread, self._memory, _WORD * len(names), base + self._offset)
        except OSError:
            return []
        found = []
        for place, name in enumerate(names):
            number = int.from_bytes(words[place * _WORD : place * _WORD + _WORD], "little") & ~_TAG
            if number:
                found.append((number, name))
        return found

    def _find(self):
        """Return where the variables begin: at the same place in coroutines whose variables are known."""
        samples = []
        for count in range(2):
            pause = _Pause()
            coroutine = _sample(pause, [count]) if count else _sample_with_cell(pause, [count])
            coroutine.send(None)
            samples.append((coroutine, pause))
        found = None
        for offset in range(16, _LONGEST, _WORD):
            if all(self._begins_at(coroutine, pause, offset) for coroutine, pause in samples):
                found = offset
                break
        for coroutine, _ in samples:
            coroutine.close()
        return found

    def _begins_at(self, coroutine, pause, offset):
        words = collector.outside(posix.pread, self._memory, 2 * _WORD, _base(coroutine) + offset)
        first, second = (int.from_bytes(words[at : at + _WORD], "little") & ~_TAG for at in (0, _WORD))
        return first == id(pause) and second == id(pause.second)


class _Pause:
    second = None

    def __await__(self):
        yield self


async def _sample(pause, second):
    pause.second = second
    third = second
    await pause
    return third


async def _sample_with_cell(pause, second):
    pause.second = second
    third = second
    await pause
    return lambda: third


def _base(suspended):
    """Return the address that the variables are counted from, None for what has ended."""
    if not HAS_FRAMES:
        return id(suspended)
    frame = _frame_of[id(type(suspended))](suspended)
    return None if frame is None else id(frame)


def _names(code):
    """Return the names of all slots."""
    cells = code.co_cellvars
    if not HAS_FRAMES:
        cells = tuple([name for name in cells if name not in code.co_varnames])
    return code.co_varnames + cells + code.co_freevars
