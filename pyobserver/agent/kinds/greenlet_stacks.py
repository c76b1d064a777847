"""Where a greenlet is parked, in words: its function, the program's own line in its stack, and what is called there."""

import sys
from _weakref import ReferenceType

from pyobserver.agent.attributes import Code, Function, class_dict, class_module, class_name, mro_of, short_name, text
from pyobserver.agent.describe import folder_of
from pyobserver.agent.kinds.jobs import Method, called
from pyobserver.agent.runs import frame_name

LIBRARIES = ("gevent", "eventlet", "greenlet", "sqlalchemy")  # whose own functions are not where a program stands
_LIBRARY_NAMES = tuple([name + "." for name in LIBRARIES])
_PACKAGES = ("/site-packages/", "/dist-packages/")
_HAS_QUALNAME = sys.version_info >= (3, 11)  # of a code
_MAX_CODES = 4000
_MAX_SPAWNING = 20  # frames of where one was made
GetSet = type(Function.__dict__["__code__"])
_object_attribute = object.__getattribute__
_function_of_method = Method.__dict__["__func__"].__get__


class Stacks:
    """Reads frames that are there anyway, within a slice; `texts` interns what is told of them."""

    def __init__(self, texts):
        self._texts = texts
        self._files = {}  # name of a file -> whether it is the program's own
        self._folders = ()
        self._standard = folder_of("os")

    def begin_look(self):
        """Find out what has been loaded since the last look."""
        folders = tuple([folder for folder in map(folder_of, LIBRARIES) if folder])
        if folders != self._folders or len(self._files) > _MAX_CODES:
            self._folders = folders
            self._files.clear()

    def stand(self, frames):
        """Return (id of the text "file:line", id of the text of what is called there of a library) of a stack.

        That is where the program's own innermost function stands, or the outermost if none is the program's own.
        """
        if not frames:
            return 0, 0
        inner = ""
        for frame in frames:
            if self.is_own(text(frame.f_code.co_filename)):
                return self._place(frame), self._texts.intern(inner)
            inner = _name(frame.f_code)
        within = frames[-2] if len(frames) > 1 else frames[-1]
        return self._place(frames[-1]), self._texts.intern(_name(within.f_code))

    def made(self, thing):
        """Return "file:line function" of where a greenlet was made: gevent's keep that; "" for others."""
        frame = _kept(thing, "spawning_stack")
        for _ in range(_MAX_SPAWNING):
            if frame is None or short_name(type(frame)) != "_Frame":
                break
            names = class_dict(type(frame))
            code, line, above = [names[each].__get__(frame) for each in ("f_code", "f_lineno", "f_back")]
            if type(code) is Code and type(line) is int and self.is_own(text(code.co_filename)):
                return "%s:%d %s" % (text(code.co_filename), line, _name(code))
            frame = above
        return ""

    def chain(self, frames):
        """Return the stack, outermost first, as a list of [qualified name, file, line]."""
        return [[_full_name(each), text(each.f_code.co_filename), each.f_lineno] for each in reversed(frames)]

    def _place(self, frame):
        return self._texts.intern("%s:%d" % (text(frame.f_code.co_filename), frame.f_lineno or 0))

    def is_own(self, file):
        """Return whether a file is neither of the standard library nor of one that makes greenlets, nor in C."""
        known = self._files.get(file)
        if known is None:
            is_library = file.startswith((*self._folders, "<"))
            if not any(map(file.__contains__, _PACKAGES)):
                is_library = is_library or bool(self._standard and file.startswith(self._standard))
            known = self._files[file] = not is_library
        return known


def _name(code):
    return text(code.co_qualname if _HAS_QUALNAME else code.co_name)


def _full_name(frame):
    """Return `module.qualname` of the function of a frame, up to 3.10 with its plain name."""
    name = frame_name(frame)[0]
    plain = text(frame.f_code.co_name)
    return name[: len(name) - len(plain)] + _name(frame.f_code) if name.endswith(plain) else name


def function_of(greenlets, thing, frames, is_own):
    """Return `module.qualname` of what a greenlet runs; its class where that cannot be told, as of one that has ended.

    What it was given to run is known until it begins; gevent's keep what they run. A library's function, as eventlet
    gives, runs the program's: that is the outermost of the stack whose file `is_own`.
    """
    found = _given(greenlets, thing)
    name = "" if found is None else _called(found)
    if greenlets.has_chain and frames and (not name or name.startswith(_LIBRARY_NAMES)):
        for frame in reversed(frames):
            if is_own(text(frame.f_code.co_filename)):
                return _full_name(frame)
        return name or _full_name(frames[-1])
    return name or class_name(type(thing))


def _given(greenlets, thing):
    """Return what a greenlet was given to run, where it can be told without running code of the program's."""
    try:
        given = greenlets.run(thing)
    except AttributeError:
        given = None
    if given is not None:
        return given
    for name in ("_run", "run"):  # gevent's, a class's own
        for kind in mro_of(type(thing)) or ():
            found = class_dict(kind).get(name) if kind is not greenlets.base else None
            if found is None:
                continue
            if type(found) is Function and name == "run":
                return found
            if name == "_run" and (type(found) is Function or class_module(kind).startswith("gevent.")):
                given = _own_attribute(thing, name)
                if given is not None and not _is_default(given, found):
                    return given
            break
    return None


def spawner_of(thing):
    """Return the greenlet in which another was made, None where it is not known: gevent's keep a weak reference."""
    reference = _kept(thing, "spawning_greenlet")
    return reference() if type(reference) is ReferenceType else None


def _kept(thing, name):
    """Return what gevent's class keeps in C of one that it has made, None for those of other classes."""
    for kind in mro_of(type(thing)) or ():
        found = class_dict(kind).get(name)
        if found is not None:
            is_c = type(found) is GetSet and class_module(kind).startswith("gevent.")
            return found.__get__(thing) if is_c else None
    return None


def _own_attribute(thing, name):
    try:
        return _object_attribute(thing, name)  # a function's `__get__` is C
    except AttributeError:
        return None


def _is_default(given, found):
    """Whether this is what gevent's class has for those that were given nothing, or have ended."""
    return type(found) is not Function and type(given) is Method and _function_of_method(given) is found


def _called(function):
    """Return the name of what is called, of a function that was made by Cython, too."""
    inner = function
    while type(inner) is Method:
        inner = _function_of_method(inner)
    kind = type(inner)
    if short_name(kind) == "cython_function_or_method":
        names = class_dict(kind)
        module, name = [text(names[each].__get__(inner), "") for each in ("__module__", "__qualname__")]
        return module + "." + name if module else name
    return called(function)[0]
