"""What becomes of the agent when the target forks: in the child there is none, and the parent is not blamed for ours.

A hook for forks cannot be taken back. What stays in a target after the agent are two functions with nothing to do.
"""

import posix
import sys

_WARNS = (3, 12)  # since then a fork of a process with several threads is warned of, by 3.13 after the hooks
_WARNING = "This process (pid=%d) is multi-threaded, use of "


def watch(slot, abandon, resume):
    """Call `abandon` in children. Returns the hooks' state, for `take_back`; once it is empty, they do nothing."""
    state = {"pid": posix.getpid(), "abandon": abandon, "excuse": None}
    names, warning = sys.__dict__, _WARNING % posix.getpid()
    count, filters, excuse_type, withdraw = _threads, _filters, Excuse, take_back

    def before():
        if state and count() == 2:  # without us there would be one, and nothing to warn of
            withdraw(state)
            state["excuse"] = excuse = excuse_type(warning)
            excuse.stand_in(filters())

    def after_in_child():
        if state:
            withdraw(state)
            leave = state["abandon"]
            state.clear()
            resume()
            names.pop(slot, None)
            leave()

    if sys.version_info >= _WARNS:
        posix.register_at_fork(before=before)
    posix.register_at_fork(after_in_child=after_in_child)
    return state


class Excuse:
    """Takes the place of a pattern in a filter of warnings: keeps one back, and the filter is gone with it."""

    def __init__(self, beginning):
        self._beginning = beginning
        self._filters = None
        self._filter = ("ignore", self, DeprecationWarning, None, 0)

    def stand_in(self, filters):
        """Become the first of the filters."""
        self._filters = filters
        filters.insert(0, self._filter)

    def match(self, text):
        """Called by the interpreter with the text of a warning."""
        found = type(text) is str and text.startswith(self._beginning)
        if found:
            self.withdraw()
        return found

    def withdraw(self):
        """Be no filter any more."""
        filters, self._filters = self._filters, None
        for position in range(len(filters or ())):
            if filters[position] is self._filter:
                del filters[position]
                break
        self._filter = None


def take_back(state):
    """Withdraw a filter that has not been used."""
    excuse = state.get("excuse")
    if excuse is not None:
        state["excuse"] = None
        excuse.withdraw()


def _filters():
    """The filters of warnings that are in force."""
    warnings = sys.modules.get("warnings")
    return (sys.modules["_warnings"] if warnings is None else warnings).__dict__["filters"]


def _threads():
    """The threads of this process, counted as the interpreter does before it warns."""
    file = posix.open("/proc/self/stat", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        told = posix.read(file, 4096)
    finally:
        posix.close(file)
    return int(told[told.rindex(b")") + 2 :].split()[17])
