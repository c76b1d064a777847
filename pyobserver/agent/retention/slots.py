"""Which local variable of a suspended coroutine or generator refers to an object, read from its frame's own memory.

A frame begins its variables with a word for each, in the order of `co_varnames`, `co_cellvars` and `co_freevars` (from
3.11 on without those cells that are arguments, which lie in the argument's place). Where in a coroutine, or up to 3.10
in its frame object, these words begin is found at the start, by coroutines whose variables are known. A tag in the
lowest bits of a word (3.14) is left out.
"""

import posix

from pyobserver.agent import collector
from pyobserver.agent.retention.borrowed import SUSPENDED
from pyobserver.agent.retention.variables import HAS_FRAMES, names_of

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
    """Names variables. `memory` is a file descriptor of /proc/self/mem, -1 if that cannot be read."""

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
        """Return the name of the variable that refers to `thing`, which may be its cell; None if there is none.

        Where the memory cannot be read, variables are known by their order, while that is certain.
        """
        number = id(thing)
        if self._offset is None:
            return names_of(suspended).get(number)
        code = SUSPENDED[id(type(suspended))][2](suspended)
        names = _names(code)[:MAX_SLOTS]
        base = _base(suspended)
        if base is None or not names:
            return None
        try:
            words = collector.outside(posix.pread, self._memory, _WORD * len(names), base + self._offset)
        except OSError:
            return None
        for place, name in enumerate(names):
            word = int.from_bytes(words[place * _WORD : place * _WORD + _WORD], "little")
            if word & ~_TAG == number:
                return name
        return None

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
        words = posix.pread(self._memory, 2 * _WORD, _base(coroutine) + offset)
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
