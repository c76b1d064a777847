"""The modules that a walk for holders begins at, in an order: what is looked at first gives names to what it holds."""

import sys

from pyobserver.agent.attributes import namespace_of

PROCESSES = ("billiard.process", "billiard.util", "multiprocessing.process", "multiprocessing.util", "subprocess")
SKIPPED = ("_asyncio", "_weakref", "_weakrefset", "asyncio", "gc", "sys", "threading", "weakref", *PROCESSES)
SKIPPED_PACKAGES = ("asyncio.", "pyobserver.agent.", "pyobserver.protocol.")
_AT_ONCE = 64


class Modules:
    """Sorts them in steps: applications come before libraries, and packages before what is in them.

    `is_application(name)` tells the two kinds apart. `namespaces` are the ids of all that are sorted.
    """

    def __init__(self, is_application):
        self.namespaces = set()
        self._is_application = is_application
        self._unsorted = list(sys.modules)
        self._applications = []
        self._libraries = []

    def stop(self):
        """Leave out what is left."""
        self._unsorted = []

    def is_sorted(self):
        """Return whether all have been sorted."""
        return not self._unsorted

    def sort_some(self):
        """Take some more."""
        some = self._unsorted[-_AT_ONCE:]
        del self._unsorted[-_AT_ONCE:]
        for name in some:
            if type(name) is str:
                self._take(name)
        if not self._unsorted:
            for names in (self._applications, self._libraries):
                names.sort(key=lambda name: (name != "__main__", name.count("."), name), reverse=True)

    def _take(self, name):
        namespace = namespace_of(name)
        if namespace is None:
            return
        self.namespaces.add(id(namespace))
        if name == "__mp_main__" and namespace is namespace_of("__main__"):  # multiprocessing's second name for it
            return
        if name in SKIPPED or name.startswith(SKIPPED_PACKAGES):
            return
        (self._applications if self._is_application(name) else self._libraries).append(name)

    def next(self):
        """Return the name of the next one, None when there is none."""
        names = self._applications or self._libraries
        return names.pop() if names else None
