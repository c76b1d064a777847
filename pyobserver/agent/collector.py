"""Keeps the garbage collector out of the agent's thread.

A collection runs in the thread that allocates when it is due, and the finalizers of what it finds run there, too. They
are the program's code; one that has a single thread does not expect them in another, and Tk and Qt abort it for that.
So the collector is switched off while the agent works, and on again before it lets go of the interpreter lock.
"""

import gc

_BUILTIN = type("".join)
_paused = False


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


def outside(call, *arguments):
    """Call something that lets go of the interpreter lock, with the collector as the program has it."""
    was_paused = _paused
    resume()
    try:
        return call(*arguments)
    finally:
        if was_paused:
            pause()
