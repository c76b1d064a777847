"""How greenlets are read: through the descriptors of greenlet's own type in C that only read, whoever's thread it is.

Not asked are `dead` (it frees the frames of one whose thread has ended, which runs code), `gr_context`, `getcurrent`
and `repr` (they make a state for the thread that asks, and let go of what waits for that) and `__dict__` (it makes
one). Rests on the sources of greenlet 2.0 to 3.5 (`PyGreenlet.cpp`, `TUserGreenlet.cpp`, `TMainGreenlet.cpp`).

`gr_frame` is a frame that is there anyway: every switch makes it (`PythonState::operator<<`). What called it is up to
3.10 an object, too. On 3.11 it is none, and asking would make one. From 3.12 on each switch makes them all
(`Greenlet::expose_frames`, since greenlet 3.0.3; before, there was no safe way), so that asking makes nothing.
Variables are seen up to 3.10 by what a frame refers to, and from 3.13 on by the proxy that is its `f_locals`; between
these, to ask would leave a dict that holds them all.
"""

import sys
from gc import get_referents

from pyobserver.agent.attributes import HEAP_TYPE, class_dict, flags_of, inherits, namespace_of, text

PARKED, RUNNING, NOT_STARTED, DEAD = "parked", "running", "not started", "dead"
MAX_FRAMES = 100
MAX_PARENTS = 20  # from a greenlet to the main one of its thread
OLDEST = (2, 0, 0)  # of greenlet: before, it is another type
_EXPOSING = (3, 0, 3)
_OPTIMIZED = 1  # a bit of `co_flags`: the variables are in the frame
_SUSPENDABLE = 0x20 | 0x80 | 0x100 | 0x200  # generator, coroutine, iterable coroutine, async generator
_VERSION = sys.version_info[:2]
HAS_FRAMES = _VERSION < (3, 11)
HAS_PROXIES = _VERSION >= (3, 13)
_MAY_BORROW = _VERSION >= (3, 14)  # a parameter may be the caller's reference


class Greenlets:
    """greenlet's type and its descriptors. `parent(g)` is None for the main greenlet of a thread.

    `has_chain` says whether the frames that have called the innermost one can be read, and `has_variables` whether what
    they hold can be.
    """

    def __init__(self, base, version):
        names = class_dict(base)
        self.base = base
        self.version = version
        self._is_active = names["__bool__"]
        self.parent = names["parent"].__get__
        self.run = names["run"].__get__
        self.saved = names["_stack_saved"].__get__  # bytes of a copy that was made of its stack in C
        self._frame = names["gr_frame"].__get__
        self.has_chain = HAS_FRAMES or (_VERSION >= (3, 12) and version >= _EXPOSING)
        self._has_frame = self.has_chain or _VERSION == (3, 11)
        self.has_variables = self.has_chain and (HAS_FRAMES or HAS_PROXIES)

    def is_greenlet(self, thing):
        """Return whether something is a greenlet."""
        return inherits(type(thing), self.base)

    def main_of(self, thing):
        """Return the main greenlet of the thread that a greenlet belongs to, None if the way is too long."""
        for _ in range(MAX_PARENTS):
            above = self.parent(thing)
            if above is None:
                return thing
            thing = above
        return None

    def is_active(self, thing):
        """Return whether it has begun and not ended."""
        return self._is_active(thing)

    def running_in(self, main):
        """Return the greenlet that runs in the thread of a main greenlet, that one itself included; None if it is not
        known.

        A main greenlet shows the collector the current one, unless it is that itself.
        """
        for each in get_referents(main):
            if self.is_greenlet(each):
                return each
        return main

    def state(self, thing):
        """Return one of the states. Of an active one without a frame only `running_in` its thread's can tell whether it
        runs, or is parked in C: it is said to be running here."""
        if self._is_active(thing):
            return RUNNING if self._frame(thing) is None and not self.saved(thing) else PARKED
        try:
            self.run(thing)
        except AttributeError:
            return DEAD if self._was_started(thing) else NOT_STARTED
        return NOT_STARTED

    def _was_started(self, thing):
        """Whether one that is not active has been: it refers to the main greenlet of its thread since then."""
        above = self.parent(thing)
        left = above is not None and self.parent(above) is None
        for each in get_referents(thing):
            if self.is_greenlet(each) and self.parent(each) is None:
                if not (left and each is above):
                    return True
                left = False
        return False

    def frame(self, thing):
        """Return the innermost frame of a suspended greenlet; None if it has none, or it cannot be read."""
        return self._frame(thing) if self._has_frame else None

    def frames(self, thing):
        """Return the frames of a suspended greenlet, innermost first. The caller lets go of them within its slice."""
        frame = self.frame(thing)
        found = []
        while frame is not None and len(found) < MAX_FRAMES:
            found.append(frame)
            frame = frame.f_back if self.has_chain else None
        return found

    def variables(self, thing):
        """Return [(name, value)] of the variables of a suspended greenlet's functions, the innermost one's first."""
        found = []
        if self.has_variables:
            for frame in self.frames(thing):
                found += named_variables(frame)
        return found


def named_variables(frame):
    """Return [(name, value)] of the variables of a frame that is being executed, but those that closures share."""
    code = frame.f_code
    if not code.co_flags & _OPTIMIZED:
        return []
    if HAS_PROXIES:
        names = frozenset(code.co_varnames).difference(code.co_cellvars)
        return [(name, value) for name, value in frame.f_locals.items() if type(name) is str and name in names]
    return [("?", value) for value in get_referents(frame)]


def own_variables(frames):
    """Return {id of a frame: ids of variables that are not to be counted there} for frames whose variables are.

    Those of generators and coroutines are left out: these may show what is among their variables themselves.
    """
    found = {id(frame): () for frame in frames if not frame.f_code.co_flags & _SUSPENDABLE}
    found.update(borrowed_by([frame for frame in frames if id(frame) in found]))
    return found


def borrowed_by(frames):
    """Return the ids of variables that may hold no reference of their own, by the ids of their frames.

    From 3.14 on what is passed on may be counted once for the caller and the function that it calls. Who counts it in
    the caller alone counts too little at worst.
    """
    found = {}
    above = set()
    for frame in reversed(frames) if _MAY_BORROW else ():
        named = named_variables(frame)
        code = frame.f_code
        flags = code.co_flags
        parameters = code.co_argcount + code.co_kwonlyargcount + bool(flags & 4) + bool(flags & 8)
        names = code.co_varnames[:parameters]
        mine = {id(value) for name, value in named if name in names and id(value) in above}
        if mine:
            found[id(frame)] = mine
        above.update([id(value) for _, value in named])
    return found


_known = None


def known():
    """Return the `Greenlets` of this process, None while greenlet is not loaded, or is too old. Imports nothing."""
    global _known
    if _known is None and "greenlet" in sys.modules:
        _known = _found()
    return _known


def _found():
    package = namespace_of("greenlet") or {}
    base = package.get("greenlet")
    if type(base) is not type or flags_of(base) & HEAP_TYPE:
        return None
    version = _numbers(text(package.get("__version__"), ""))
    names = class_dict(base)
    if version < OLDEST or any(name not in names for name in ("__bool__", "parent", "run", "gr_frame", "_stack_saved")):
        return None
    return Greenlets(base, version)


def _numbers(version):
    """Return the numbers that a version begins with: 3.1.0rc1 is (3, 1, 0)."""
    found = []
    for part in version.split(".")[:3]:
        digits = ""
        for letter in part:
            if not "0" <= letter <= "9":
                break
            digits += letter
        found.append(int(digits) if digits else 0)
    return tuple(found)
