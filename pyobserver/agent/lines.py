"""Where a suspended coroutine stands: its code, and the line, without making a frame object.

Up to 3.10 a coroutine has its frame object anyway. Later, `cr_frame` would make one that stays, so the word that points
to the next instruction is read from the coroutine's own memory. Where in it that word lies is found at the start, by
coroutines that stand on known lines, and nothing is assumed when that fails (`_PyInterpreterFrame.prev_instr` of 3.11
and 3.12, `instr_ptr` from 3.13; the code's bytes follow the fixed part of `PyCodeObject`).
"""

import posix
import sys
from gc import get_referents

from pyobserver.agent import collector

_WORD = 8
_LONGEST = 400  # bytes of a coroutine's fixed part that are looked at


async def _coroutine():
    pass


def _generator():
    yield


class _Pause:
    """Something to wait for, for ever."""

    def __await__(self):
        yield self


async def _first(pause):
    await pause


async def _second(pause):
    value = 1
    for _ in range(3):
        value += 1
        await pause
    return value


async def _async_generator():
    yield


async def _stops_once(pause):
    a, b, c, d = 1, 2.5, "x", None
    value = await pause
    return value, a, b, c, d


async def _stops_twice(pause):
    await pause
    await pause


def _stops_three_times(a):
    yield a
    b = yield a
    yield b


def _yield_value():
    """Return the number of YIELD_VALUE, at which everything is suspended; None where it is not found to be one."""
    found = set(range(1, 256))
    for stops, function in enumerate((_stops_once, _stops_twice, _stops_three_times), 1):
        instructions = function.__code__.co_code[::2]
        found = {one for one in found if instructions.count(one) == stops}
    return found.pop() if len(found) == 1 else None


def _type_of_coroutine():
    one = _coroutine()
    one.close()
    return type(one)


class Kind:
    """How one type of code that can be suspended is read: by its own descriptors."""

    __slots__ = ("awaited", "code", "frame", "is_running", "qualname")

    def __init__(self, kind, prefix, awaited):
        members = type.__dict__["__dict__"].__get__(kind)
        self.awaited = members[awaited].__get__
        self.code = members[prefix + "_code"].__get__
        self.frame = members[prefix + "_frame"].__get__
        self.is_running = members[prefix + "_running"].__get__
        self.qualname = members["__qualname__"].__get__


Coroutine = _type_of_coroutine()
# By the id of the type; `kind_of` asks it, and so does what is done for each of very many.
KINDS = {
    id(Coroutine): Kind(Coroutine, "cr", "cr_await"),
    id(type(_generator())): Kind(type(_generator()), "gi", "gi_yieldfrom"),
    id(type(_async_generator())): Kind(type(_async_generator()), "ag", "ag_await"),
}
_CODE_BYTES = type.__dict__["__basicsize__"].__get__(type(_coroutine.__code__))


def kind_of(thing):
    """Return how a coroutine, a generator or an async generator is read; None for everything else."""
    return KINDS.get(id(type(thing)))


def referents(suspended):
    """Return what a coroutine or generator refers to, its variables among it; no frame object is made."""
    if sys.version_info >= (3, 11):
        return get_referents(suspended)
    frame = kind_of(suspended).frame(suspended)
    return [] if frame is None else get_referents(frame)


class Lines:
    """Tells lines of suspended coroutines and generators. `close` gives its file back."""

    def __init__(self):
        self._memory = -1
        self._offset = self._shift = None
        self.unavailable = ""
        self._has_frames = sys.version_info < (3, 11)
        self._yield_value = None if self._has_frames else _yield_value()
        try:
            self._memory = collector.outside(posix.open, "/proc/self/mem", posix.O_RDONLY | posix.O_CLOEXEC)
            if not self._has_frames:
                self._calibrate()
        except OSError as error:
            if not self._has_frames:
                self.unavailable = "/proc/self/mem cannot be read: %s" % error.strerror

    @property
    def memory(self):
        """The file descriptor of this process's memory, -1 where it cannot be had."""
        return self._memory

    def close(self):
        """Let go of the file that the lines are read through."""
        if self._memory >= 0:
            collector.outside(posix.close, self._memory)
            self._memory = -1

    def position(self, suspended, code):
        """Return what tells this place from others in the same code, None if that is not known.

        Coroutines, generators and async generators begin with the same fields (`_PyGenObject_HEAD`).
        """
        if self._has_frames:
            frame = kind_of(suspended).frame(suspended)
            return None if frame is None else frame.f_lasti
        if self._offset is None:
            return None
        word = collector.outside(posix.pread, self._memory, _WORD, id(suspended) + self._offset)
        last = int.from_bytes(word, "little") - id(code) - _CODE_BYTES + self._shift
        return last if last >= 0 else None

    def has_one_stop(self, code):
        """Return whether there is only one place where this code is suspended, so that it need not be asked where.

        The interpreter keeps what is looked through here with the code, so it is for codes that many stand in.
        """
        return self._yield_value is not None and code.co_code[::2].count(self._yield_value) == 1

    def line(self, code, position):
        """Return the line of a position, None if there is none."""
        if position is None:
            return None
        if self._has_frames:
            return _line_in_table(code, position)
        for start, end, line in code.co_lines():
            if start <= position < end:
                return line
        return None

    def _calibrate(self):
        """Find the word in coroutines that stand on lines that are known, and how it relates to the line's."""
        pause = _Pause()
        samples = []
        for function, steps, line in ((_first, 1, 1), (_second, 1, 4), (_second, 2, 4)):
            coroutine = function(pause)
            for _ in range(steps):
                coroutine.send(None)
            samples.append((coroutine, function.__code__, function.__code__.co_firstlineno + line))
        found = None
        for offset in range(16, _LONGEST, _WORD):
            for shift in (0, -2, 2, -4, 4):
                if all(self._fits(sample, offset, shift) for sample in samples):
                    found = (offset, shift)
                    break
            if found:
                break
        for coroutine, _code, _line in samples:
            coroutine.close()
        if found:
            self._offset, self._shift = found
        else:
            self.unavailable = "this build keeps the current line elsewhere"

    def _fits(self, sample, offset, shift):
        coroutine, code, line = sample
        size = object.__sizeof__(coroutine)
        if offset + _WORD > size:
            return False
        word = collector.outside(posix.pread, self._memory, _WORD, id(coroutine) + offset)
        position = int.from_bytes(word, "little") - id(code) - _CODE_BYTES + shift
        return position >= 0 and self.line(code, position) == line


def _line_in_table(code, position):
    """The line of a position as `PyCode_Addr2Line` tells it, for interpreters whose frames are objects."""
    if hasattr(code, "co_lines"):  # 3.10
        found = None
        for start, end, line in code.co_lines():
            if start <= position < end:
                return line
            found = line
        return found
    table = code.co_lnotab
    line, address = code.co_firstlineno, 0
    for i in range(0, len(table), 2):
        address += table[i]
        if address > position:
            break
        step = table[i + 1]
        line += step - 256 if step >= 128 else step
    return line
