"""Functions of C that the interpreter or malloc has, called through `_ctypes` without the Python package around it.

`call_cdeclfunction` gives up the interpreter lock (Modules/_ctypes/callproc.c, 3.8 to 3.15). Arguments are int of C, or
bytes and None, which are pointers. Loading it brings _struct along from 3.15 on, which stays.
"""

import sys

NEEDED = "it takes _ctypes, which the program has not loaded, and nobody has allowed to load it"


def is_loaded():
    """Whether the program has loaded it itself, or it was loaded for it before."""
    return "_ctypes" in sys.modules


def opened(agent, load):
    """Return (Library, ""), or (None, why not). With `load` the extension is loaded where it is not."""
    if not load and not is_loaded():
        return None, NEEDED
    try:
        return Library(*[agent.original("_ctypes", name) for name in ("dlopen", "dlsym", "call_cdeclfunction")]), ""
    except (ImportError, AttributeError, RuntimeError) as error:
        error.__traceback__ = None
        return None, "_ctypes cannot be used: %s" % error


class Library:
    """What is visible in the process by name."""

    def __init__(self, dlopen, dlsym, call):
        self._handle = dlopen(None, 0)
        self._dlsym = dlsym
        self._call = call

    def has(self, name):
        """Whether there is such a function."""
        try:
            return bool(self._dlsym(self._handle, name))
        except OSError:
            return False

    def call(self, name, arguments):
        """Call a function with a tuple of arguments; its result is an int of C."""
        return self._call(self._dlsym(self._handle, name), arguments)
