"""What becomes of the agent when the target forks: in the child there is none, and the parent is not blamed for ours.

A hook for forks cannot be taken back. What stays in a target after the agent are two functions with nothing to do.
"""

import _thread
import posix
import sys

_WARNS = (3, 12)  # since then a fork of a process with several threads is warned of, by 3.13 after the hooks
_EXCUSE_SECONDS = 0.5
_LEAVE_TURNS, _TURN_SECONDS = 50, 0.001
_WARNING = "This process (pid=%d) is multi-threaded, use of "


def watch(slot, abandon, resume, clock, sleep, heirs):
    """Call `resume` and `abandon` in children, and run the script at the path `heirs` there if it is not None.

    Returns the hooks' state, for `hand_over`, `look` and `leave`. The hooks reach all that they need through the state,
    as long as there is an agent; afterwards it is empty.
    """
    state = {"excuse": None, "since": 0.0, "abandon": abandon, "resume": resume}
    warning = _WARNING % posix.getpid()
    stat, turns, turn_seconds, missing = posix.stat, range(_LEAVE_TURNS), _TURN_SECONDS, OSError

    def excuse():
        filters = _filters()
        if filters is not None and _threads() == 2:  # without us there would be one, and nothing to warn of
            take_back(state)
            state["excuse"], state["since"] = Excuse(warning), clock()
            state["excuse"].stand_in(filters)

    def forget():
        take_back(state)
        state["resume"]()
        sys.__dict__.pop(slot, None)
        state["abandon"]()
        if heirs is not None:
            _run(heirs)

    def before():
        if "leaving" in state:  # its thread is about to end, or has ended long ago
            thread = "/proc/self/task/%d" % state["leaving"]
            state.clear()
            for _ in turns:
                try:
                    stat(thread)
                except missing:
                    return
                sleep(turn_seconds)
        elif state:
            state["before"]()

    def after_in_child():
        if "in_child" in state:
            state["in_child"]()
        state.clear()

    state["before"], state["in_child"] = excuse, forget
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


def _run(path):
    """Run the script of an agent. A child that cannot read it, or where it cannot begin, does without."""
    try:
        file = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            source = posix.read(file, posix.fstat(file).st_size)
        finally:
            posix.close(file)
        exec(compile(source, "<pyobserver>", "exec", 0, True), {"__name__": "<pyobserver>"})
    except Exception:
        pass


def hand_over(state, abandon, resume):
    """From now on these are called in children."""
    state["abandon"], state["resume"] = abandon, resume


def look(state, now):
    """Withdraw what was not needed: the warning comes after other hooks, if it comes."""
    if state["excuse"] is not None and now - state["since"] > _EXCUSE_SECONDS:
        take_back(state)


def take_back(state):
    """Withdraw a filter that has not been used."""
    excuse = state.get("excuse")
    if excuse is not None:
        state["excuse"] = None
        excuse.withdraw()


def leave(state):
    """The agent's thread, which calls this, ends now."""
    take_back(state)
    state.clear()
    state["leaving"] = _thread.get_native_id()


def _filters():
    """The filters of warnings that are in force; None where the program has put something else in their place."""
    warnings = sys.modules.get("warnings") or sys.modules.get("_warnings")
    found = getattr(warnings, "__dict__", {}).get("filters")
    return found if type(found) is list else None


def _threads():
    """The threads of this process, counted as the interpreter does before it warns. 0 where the kernel does not tell:
    it counts those in `threading` then, where ours is not. What a hook raises would be printed by the interpreter."""
    try:
        file = posix.open("/proc/self/stat", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            told = posix.read(file, 4096)
        finally:
            posix.close(file)
        return int(told[told.rindex(b")") + 2 :].split()[17])
    except (OSError, ValueError, IndexError):
        return 0
