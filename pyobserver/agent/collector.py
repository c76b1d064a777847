"""Keeps the garbage collector out of the agent's thread.

A collection runs in the thread that allocates when it is due, and the finalizers of what it finds run there, too. They
are the program's code; one that has a single thread does not expect them in another, and Tk and Qt abort it for that.
So the collector is switched off while the agent works, and on again before it lets go of the interpreter lock.

What the agent has made by then may be what makes a collection due: the next object that is counted begins it. That must
be one of the program's. A call that lets go of the lock returns no more than a list or a few small tuples, which come
from the interpreter's free lists without being counted (Objects/listobject.c and tupleobject.c, 3.8 to 3.15).

As all that lets go of the lock goes through here, here it is known how long it was held without that.
"""

import gc

_BUILTIN = type("".join)
_paused = False
_clock = None  # like `time.thread_time`, once it is counted how long the lock is held
_since = _longest = 0.0


def pause():
    """Nothing is collected from here on. Nothing changes where the program has switched it off, or replaced it."""
    global _paused
    if type(gc.disable) is _BUILTIN and type(gc.enable) is _BUILTIN and not _paused and gc.isenabled():
        gc.disable()
        _paused = True


def resume():
    """Collect again, if that was so."""
    global _paused
    if _paused:
        _paused = False
        gc.enable()


def is_off():
    """Whether the program has switched it off, so that nothing that is made grows old."""
    return not _paused and not gc.isenabled()


def count_holds(clock):
    """Note from here on how long the lock is held without being let go of, in processor time.

    To wait for the lock takes some of that, too, where others let go of it again and again: that is no hold.
    """
    global _clock, _since
    _since = clock()
    _clock = clock


def longest_hold():
    """Return the longest so far, in seconds."""
    return max(_longest, _clock() - _since)


def outside(call, *arguments):
    """Call something that lets go of the interpreter lock, with the collector as the program has it."""
    global _paused, _since, _longest
    if _clock is not None and _clock() - _since > _longest:
        _longest = _clock() - _since
    if not _paused:
        try:
            return call(*arguments)
        finally:
            if _clock is not None:
                _since = _clock()
    stock = [[call], [call], (call,), (_paused,), (call, _BUILTIN), (call, _paused), (call, call)]
    del stock  # to the free lists they go
    _paused = False
    gc.enable()
    try:
        return call(*arguments)
    finally:
        if gc.isenabled() and type(gc.disable) is _BUILTIN and type(gc.enable) is _BUILTIN:
            gc.disable()  # as in `pause`, but up to 3.10 a first call of a function in Python makes an object
            _paused = True
        if _clock is not None:
            _since = _clock()


def bury(things):
    """Leave a list of things, which the program has dropped while they were held here, to its collector.

    As a cycle it is freed by the next collection, in a thread of the program, where their finalizers belong. Where the
    program has switched the collector off, they are freed when the caller returns.
    """
    if _paused:
        things.append(things)


def hand_over(other):
    """Let another copy of this module, of which this is the dict, be the one that collects again."""
    global _paused
    other["_paused"], _paused = _paused, False
