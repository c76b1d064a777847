"""Traces allocations for some seconds with the interpreter's own tracer, and counts what survives by line.

Bounded in time and memory, begun only where nobody else traces, and switched off whatever happens: when the observer
goes, when the agent ends, in forked children, and when whoever should have ended it does not.

Switching it off crashes up to 3.13.1 where another thread allocates without the interpreter lock in that moment (zlib
and lzma do; measured: within five times; CPython gh-128679, and others after it). So the raw allocator, which alone is
used without the lock, is put back right after the start, and nothing is switched off until all who had entered the
tracer before must have left it. What is allocated there is not seen.
"""

import sys

from pyobserver.agent import collector, foreign
from pyobserver.protocol import schema

MOST_BYTES = 8 << 20  # of the tracer's own: about 125,000 blocks
_TOO_MANY = 5 * MOST_BYTES  # were allocated before we could look: to count them would take too long
MOST_SITES = 50
_PART, _PART_SECONDS = 3000, 0.001  # counted in about a millisecond
_SETTLED_SECONDS = 0.5
_GRACE_SECONDS = 5.0
_RAW, _ALLOCATOR_BYTES = 0, 40  # PYMEM_DOMAIN_RAW, sizeof(PyMemAllocatorEx) (Include/cpython/pymem.h)
_FUNCTIONS = ("is_tracing", "start", "stop", "get_tracemalloc_memory", "get_traceback_limit", "_get_traces")
_FRAMES = 1
_OWN = "<pyobserver"


class Tracing:
    """The one trace that may be going on. `observer` is who has asked for it."""

    def __init__(self, agent):
        self._agent = agent
        self.observer = None
        self._functions = None  # of _tracemalloc, by name; while it is on
        self._begun = self._until = 0.0
        self._why = ""  # it was ended before its time
        self._found = None  # what is left to be counted

    @property
    def is_on(self):
        """Whether we are tracing."""
        return self._functions is not None

    def is_foreign(self):
        """Whether the program traces itself."""
        if self.is_on or "_tracemalloc" not in sys.modules:
            return False
        try:
            return self._agent.original("_tracemalloc", "is_tracing")()
        except RuntimeError:
            return False

    def begin(self, observer, seconds, load):
        """Switch it on; return why not, "" if it is on."""
        if self.is_on or self._found is not None:
            return "allocations are being traced already, for an observer"
        library, refused = foreign.opened(self._agent, load)
        if refused:
            return refused
        try:
            functions = self._loaded()
        except (ImportError, RuntimeError) as error:
            error.__traceback__ = None
            return "it cannot be traced: %s" % error
        if functions["is_tracing"]():
            return "the program traces its allocations itself"
        saved = bytes(bytearray(_ALLOCATOR_BYTES))
        library.call("PyMem_GetAllocator", (_RAW, saved))
        if saved[:8] != bytes(8):
            return "its raw allocator has a state of its own, as with PYTHONMALLOC=debug: it cannot be put back safely"
        self.observer, self._why = observer, ""
        self._begun = self._agent.clock()
        self._until = self._begun + seconds
        self._functions = functions
        functions["start"](_FRAMES)
        library.call("PyMem_SetAllocator", (_RAW, saved))
        return ""

    def _loaded(self):
        return {name: self._agent.original("_tracemalloc", name) for name in _FUNCTIONS}

    def end_soon(self, observer):
        """End it before its time."""
        if self.is_on and observer is self.observer:
            self._until, self._why = min(self._until, self._agent.clock()), "stopped early"

    def follow(self, now):
        """Return (state, text, and the result when it is over); the one who waits for it calls this again and again."""
        if self._found is not None:
            return self._rank(now)
        if not self.is_on:
            return schema.ACTION_REFUSED, "it was switched off, as it had not ended in time"
        if not self._is_ours():
            self.switch_off()
            return schema.ACTION_REFUSED, "the program has switched it off"
        clock = self._agent.clock()
        if clock - self._begun < _SETTLED_SECONDS:
            return schema.ACTION_ASKED, ""
        taken = self._functions["get_tracemalloc_memory"]()
        if taken > _TOO_MANY:
            self.switch_off()
            return schema.ACTION_REFUSED, "too many blocks were allocated at once to be counted"
        if taken > MOST_BYTES:
            self._why = "stopped early: there were more blocks than are followed"
        elif clock < self._until:
            return schema.ACTION_ASKED, ""
        self._count(clock - self._begun)
        now.deadline = now.begun
        return schema.ACTION_ASKED, ""

    def forget(self):
        """Nobody waits for it any more; `look` switches it off."""
        self.observer = self._found = None

    def look(self, now):
        """Switch it off when nobody waits for it any more, or whoever should have done that has not."""
        if not self.is_on or now - self._begun < _SETTLED_SECONDS:
            return
        is_left = self.observer not in self._agent.service.observers.values()
        if is_left or now > self._until + _GRACE_SECONDS:
            self.switch_off()

    def close(self):
        """Switch it off, as the agent ends."""
        if self.is_on:
            left = self._begun + _SETTLED_SECONDS - self._agent.clock()
            if left > 0.0:
                collector.outside(self._agent.sleep, left)
            self.switch_off()
        self._found = None

    def switch_off(self):
        """Switch it off at once, if it is ours: in a forked child there is nobody else to wait for."""
        functions, self._functions = self._functions, None
        self.observer = None
        if functions is not None and functions["is_tracing"]() and functions["get_traceback_limit"]() == _FRAMES:
            functions["stop"]()

    def _is_ours(self):
        """Whether it is on, and as we have switched it on: the program may have begun anew with more frames."""
        return self._functions["is_tracing"]() and self._functions["get_traceback_limit"]() == _FRAMES

    # -- counting -----------------------------------------------------------------------------------------------------

    def _count(self, seconds):
        """Take a copy, switch it off, and sum the blocks up by line.

        For the copy the interpreter lock is held throughout: 0.16 to 0.21 s for 320,000 blocks. It has a tuple for each
        block, which would make the program's next collection a long one: the collector stays off until the copy is
        gone, a part at a time, with the lock given up in between. Lines are told apart by the identity of the
        traceback, which `_get_traces` makes once for each.
        """
        begun = self._agent.clock()
        traces = self._functions["_get_traces"]()
        self.switch_off()
        held = self._agent.clock() - begun
        places, sizes, blocks = {}, {}, {}
        while traces:
            part = traces[-_PART:]
            del traces[-_PART:]
            for trace in part:
                traceback = trace[2]
                key = id(traceback)
                if key in blocks:
                    sizes[key] += trace[1]
                    blocks[key] += 1
                else:
                    places[key], sizes[key], blocks[key] = traceback, trace[1], 1
            part = trace = traceback = None
            self._agent.sleep(_PART_SECONDS)
        self._found = Found(places, sizes, blocks, seconds, held, self._why)

    def _rank(self, now):
        """Find the lines with most, in slices."""
        found = self._found
        while found.places:
            key, traceback = found.places.popitem()
            found.add(traceback[0], found.sizes.pop(key), found.blocks.pop(key))
            if now.over():
                return schema.ACTION_ASKED, ""
        self._found = None
        return schema.ACTION_ENDED, found.why, found.result()


class Found:
    """What a trace has found: tracebacks by their identity, with bytes and blocks; and the largest of them so far."""

    def __init__(self, places, sizes, blocks, seconds, held, why):
        self.places, self.sizes, self.blocks = places, sizes, blocks
        self.seconds, self.held, self.why = seconds, held, why
        self._largest = []
        self._bytes = self._blocks = self._count = 0

    def add(self, place, size, blocks):
        """Count one line, (file, line); our own are left out."""
        file, line = place
        if type(file) is not str or file.startswith(_OWN):
            return
        self._count += 1
        self._bytes += size
        self._blocks += blocks
        self._largest.append((size, blocks, file[-300:], line))
        if len(self._largest) >= 4 * MOST_SITES:
            self._cut()

    def _cut(self):
        self._largest.sort(reverse=True)
        del self._largest[MOST_SITES:]

    def result(self):
        """What the observer is told."""
        self._cut()
        return {
            "held": self.held,
            "traced": self.seconds,
            "bytes": self._bytes,
            "blocks": self._blocks,
            "places": self._count,
            "sites": [[file, line, size, blocks] for size, blocks, file, line in self._largest],
        }
