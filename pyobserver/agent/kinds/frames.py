"""What the threads retain by the variables of the functions that they are in, up to Python 3.10.

There the frame of a running function is an object anyway. What lies on its stack of values is not shown, and what a C
function has is not either, so all of this is a lower bound. From 3.11 on a frame object would have to be made, and it
would stay: there is no value then.
"""

import sys

from pyobserver.agent.attributes import attribute
from pyobserver.agent.kinds.created import HAS_FRAMES
from pyobserver.agent.kinds.subject import Subject
from pyobserver.agent.retention.breakdown import Breakdown
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

MAX_FRAMES = 200
_SECONDS = 3.0
_SUSPENDABLE = 0x20 | 0x80 | 0x100 | 0x200  # generator, coroutine, iterable coroutine, async generator
_NO_FRAMES = "what a thread's functions hold cannot be seen from Python 3.11 on"


class ThreadSubject(Subject):
    """Threads, by their frames."""

    is_counted = False  # one without frames has no value, and is not waited for
    is_seen_in_full = False
    tells_moves = False
    has_chain = False
    note = "what its functions have among their variables and nobody else has"

    def coroutine(self, thing):
        """Return None: it runs functions."""
        return

    def is_executing(self, thing):
        """Return False: that its functions are being executed is why all of this is a lower bound."""
        return False

    def scan(self, thing, deadline):
        """Return the `Measure` of what its frames retain, at least."""
        frames = _frames_of(thing)
        found = self._agent.scanner.scan_together(frames, deadline)
        if not frames:
            found.accuracy = schema.UNAVAILABLE
        self.judge(found)
        return found

    def judge(self, measure):
        """Say of what was counted that it is at least so much."""
        if measure.accuracy != schema.UNAVAILABLE:
            measure.accuracy, measure.error = schema.AT_LEAST, 0

    def stack(self, thing):
        """Return its frames."""
        return _frames_of(thing)

    def look(self, together, thing, deadline):
        """Return the `Look` of a `Together` at what its frames retain."""
        frames = _frames_of(thing)
        found = together.scan(thing, deadline, frames)
        if not frames:
            found.accuracy = schema.UNAVAILABLE
        return found

    def breakdown(self, thing, deadline):
        """Return a `Breakdown` with nothing but the sum: it has no single root."""
        return Breakdown([], [], self.scan(thing, deadline))


class ThreadFrames:
    """Has the threads measured again and again, where that can be."""

    def __init__(self, agent):
        self.subject = ThreadSubject(agent)
        self._agent = agent

    def jobs(self):
        """What is done again and again: nothing where frames would have to be made."""
        return [Job("frames", _SECONDS, self._look, rests=True)] if HAS_FRAMES else []

    def subjects(self):
        """How the rows are looked into, by their kind."""
        return {schema.KIND_THREAD: self.subject} if HAS_FRAMES else {}

    def why_not(self, kind):
        """Return why the rows of this kind are not measured, if that is known here."""
        return "" if kind != schema.KIND_THREAD or HAS_FRAMES else _NO_FRAMES

    def _look(self, now):
        """Nothing tells whether a thread has moved: all may have."""
        for row in self._agent.threads.rows():
            thread = row.ref()
            if thread is not None:
                self._agent.measure.note_moved(row)
            thread = None
            if now.over():
                now = yield
        yield from ()


def _frames_of(thread):
    """Return the frames of a thread, outermost first, up to those of what a loop runs, which is a row of its own."""
    ident = attribute(thread, "_ident")
    frame = sys._current_frames().get(ident) if type(ident) is int else None
    found = []
    while frame is not None and len(found) < MAX_FRAMES:
        found.append(frame)
        frame = frame.f_back
    found.reverse()
    for count, each in enumerate(found):
        if each.f_code.co_flags & _SUSPENDABLE:
            return found[:count]
    return found
