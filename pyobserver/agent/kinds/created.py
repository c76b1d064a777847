"""Whether a coroutine has never begun to run, told without making a frame object.

Up to 3.10 a coroutine has its frame, which says so. Later the state is a byte in the coroutine's own memory
(`gi_frame_state` of `_PyGenObject_HEAD`), and no attribute tells "created" from "closed before it began", whose frame
stays, too (3.12 and later). Where that byte lies is found at the start, by coroutines whose states are known; 3.11 has
a second one that tells the same, and then both have to.
"""

import posix
import sys
from gc import get_referents

from pyobserver.agent import collector
from pyobserver.agent.attributes import Function, code_of
from pyobserver.agent.runs import Coroutine

HAS_FRAMES = sys.version_info < (3, 11)
_MOST_PLACES = 3  # more than that cannot be what is looked for
_HEAD = 16  # bytes: the count of references and the type
_running = Coroutine.__dict__["cr_running"].__get__
_code = Coroutine.__dict__["cr_code"].__get__
_frame = Coroutine.__dict__["cr_frame"].__get__
_suspended = None if HAS_FRAMES else Coroutine.__dict__["cr_suspended"].__get__
_BASIC_BYTES = type.__dict__["__basicsize__"].__get__(Coroutine)


def may_be_created(coroutine):
    """Return whether a coroutine has either not begun or been closed before it had: what costs little to tell."""
    if _running(coroutine):
        return False
    if HAS_FRAMES:
        frame = _frame(coroutine)
        return frame is not None and frame.f_lasti == -1
    if _suspended(coroutine):
        return False
    code = _code(coroutine)
    return any(type(each) is Function and code_of(each) is code for each in get_referents(coroutine))


class Beginnings:
    """Tells whether coroutines have begun. `memory` is a file descriptor of /proc/self/mem, -1 if that cannot be."""

    def __init__(self, memory):
        self._memory = memory
        self._places = []  # (offset of a byte, its value in a coroutine that has not begun)
        if not HAS_FRAMES and memory >= 0:
            try:
                self._places = self._find()
            except OSError:
                pass

    def can_tell(self):
        """Return whether it can be told on this interpreter, in this process."""
        return HAS_FRAMES or 0 < len(self._places) <= _MOST_PLACES

    def is_created(self, reference):
        """Return whether the coroutine behind a weak reference is there and has not begun.

        Other threads may run while its memory is read, so it is not held meanwhile, and looked at again afterwards.
        """
        coroutine = reference()
        if coroutine is None or not may_be_created(coroutine):
            return False
        if HAS_FRAMES:
            return True
        if not self.can_tell():
            return False
        address = id(coroutine)
        coroutine = None
        try:
            head = collector.outside(posix.pread, self._memory, _BASIC_BYTES, address)
        except OSError:
            return False
        if len(head) != _BASIC_BYTES or any(head[offset] != value for offset, value in self._places):
            return False
        coroutine = reference()
        return coroutine is not None and id(coroutine) == address and may_be_created(coroutine)

    def _find(self):
        """Return where such bytes lie and what they are: the same in all that have not begun, and in no others."""
        created, others, expected = _samples()
        try:
            heads = [self._head(each) for each in created]
            others_heads = [[self._head(each) for each in group] for group in others]
            found = []
            for offset in range(_HEAD, _BASIC_BYTES):
                values = {head[offset] for head in heads}
                rest = [{head[offset] for head in group} for group in others_heads]
                if len(values) == 1 and all(len(each) == 1 and each != values for each in rest):
                    found.append((offset, heads[0][offset]))
            return found
        finally:
            for each in expected:
                each.close()

    def _head(self, coroutine):
        return collector.outside(posix.pread, self._memory, _BASIC_BYTES, id(coroutine))


class _Pause:
    def __await__(self):
        yield self


def _samples():
    """Return (coroutines that have not begun; groups of others: suspended, closed unbegun, ended; all of them)."""

    async def short(pause=None):
        if pause is not None:
            await pause

    async def long(first, second, third=3):
        for each in (first, second, third):
            await each

    pause = _Pause()
    created = [short(), short(pause), long(1, 2), long(pause, pause), long(pause, [])]
    waiting = [short(pause), long(pause, pause), long(pause, 1)]
    for each in waiting:
        each.send(None)
    closed = [short(), short(pause), long(1, 2)]
    for each in closed:
        each.close()
    ended = [short(), short(pause), long(pause, pause)]
    for each in ended[1:]:
        each.send(None)
    try:
        ended[0].send(None)
    except StopIteration:
        pass
    for each in ended[1:]:
        each.close()
    return created, (waiting, closed, ended), created + waiting
