"""What can be done about memory where the target's owner allows it: collect, give back, trace.

Each returns what follows it, or the reason why it is not done. Garbage is collected in a thread of the program, as
finalizers are its code. Memory is given back in the agent's thread, which gives up the interpreter lock for that.
"""

import sys

from pyobserver.agent import facts, foreign, trio_calls
from pyobserver.agent.attributes import attribute, class_name
from pyobserver.agent.collector import outside
from pyobserver.agent.loop_calls import call_soon
from pyobserver.protocol import schema

_FOLLOWED_SECONDS = 60.0
_NO_LOOP = (
    "no event loop runs in it that could do it: a collection runs finalizers, which are the program's code and belong "
    "in a thread of its own"
)


class Doing:
    """An action that was done, and what is seen of it."""

    followed_seconds = _FOLLOWED_SECONDS

    def wake(self):
        """Do what gives up the interpreter lock, after all else."""

    def follow(self, now):
        """Return (state, what more there is to say, and maybe the result)."""
        return schema.ACTION_ENDED, ""

    def leave(self):
        """Nobody follows any more."""


def prospects(agent):
    """What an update says of what could be done: it is shown in the question before one."""
    return {
        "collect": "" if _running_loops(agent) or agent.trio.is_running() else _NO_LOOP,
        "foreign": foreign.is_loaded(),
        "tracing": agent.tracing.is_foreign(),
        "creations": agent.creations.is_on,
        "creation_seconds": agent.creations.cost(),
    }


# -- collecting garbage -----------------------------------------------------------------------------------------------


def collect(agent, asked):
    """Let a thread of the program collect its garbage, by its event loop or its run of trio.

    That of the main thread does it if it has one of asyncio's.
    """
    try:
        functions = agent.original("gc", "collect"), agent.original("gc", "get_stats")
    except RuntimeError as error:
        return error.args[0]
    gate = [[]]
    callback = _collecting(gate, *functions, agent.clock)
    refused = _NO_LOOP
    ways = [(call_soon, loop) for loop in _running_loops(agent)]
    ways += [(trio_calls.call_soon, runner) for runner in agent.trio.running()]
    for call_it, loop in ways:
        call = call_it(loop, callback)
        if not call.refused:
            return Collected(gate, call)
        refused = call.refused
    return refused


def _running_loops(agent):
    """The loops that run, that of the main thread first."""
    threading = sys.modules.get("threading")
    main = attribute(threading.__dict__.get("_main_thread"), "_ident") if threading is not None else None
    first, others = [], []
    for reference in agent.tasks.loops.references():
        loop = reference()
        ident = attribute(loop, "_thread_id") if loop is not None else None
        if type(ident) is int or (loop is not None and class_name(type(loop)).startswith("uvloop.")):
            (first if ident == main else others).append(loop)
    return first + others


def _collecting(gate, collect, stats, clock):
    """Return what collects once, unless `gate` was emptied before. It uses nothing that goes away with the agent."""

    def collect_garbage():
        if not gate:
            return
        answer = gate.pop()
        before = stats()[2]
        begun = clock()
        found = collect()
        seconds = clock() - begun
        after = stats()[2]
        changes = [after[name] - before[name] for name in ("uncollectable", "collections")]
        answer.append((seconds, found, changes[0], changes[1]))

    return collect_garbage


class Collected(Doing):
    """A collection that a loop was given."""

    def __init__(self, gate, call):
        self._gate = gate
        self._answer = gate[0]
        self.wake = call.wake
        self._before = facts.resident()

    def follow(self, now):
        """Return what has come of it."""
        if not self._answer:
            said = "its loop has not come to it" if self._gate else "the collection is going on"
            return schema.ACTION_ASKED, said
        seconds, found, uncollectable, collections = self._answer[0]
        if not collections:
            return schema.ACTION_REFUSED, "a collection was going on already"
        return (
            schema.ACTION_ENDED,
            "",
            {
                "held": seconds,
                "found": max(0, found - uncollectable),
                "uncollectable": max(0, uncollectable),
                "rss_before": self._before,
                "rss_after": facts.resident(),
            },
        )

    def leave(self):
        """A loop that comes to it later does nothing."""
        del self._gate[:]


# -- giving memory back -----------------------------------------------------------------------------------------------


def trim(agent, asked):
    """Let malloc give back what it holds but nobody uses."""
    library, refused = foreign.opened(agent, asked.settings.get("load") is True)
    if refused:
        return refused
    ways = [(name, call) for name, call in _WAYS if library.has(call[0])]
    return Trimmed(agent, library, ways) if ways else "its malloc is none that can be told to give memory back (musl?)"


_WAYS = (  # the preloaded ones first; glibc's own has nothing to give back then, and costs nothing
    ("jemalloc", ("mallctl", b"arena.4096.purge", None, None, None, 0)),  # MALLCTL_ARENAS_ALL (jemalloc 5)
    ("tcmalloc", ("MallocExtension_ReleaseFreeMemory",)),
    ("mimalloc", ("mi_collect", 1)),
    ("glibc", ("malloc_trim", 0)),
)


class Trimmed(Doing):
    """Memory that was given back."""

    def __init__(self, agent, library, ways):
        self._agent = agent
        self._library = library
        self._ways = ways
        self._result = None

    def wake(self):
        """Do it. Other threads go on meanwhile, until they need what malloc has locked."""
        before, begun = facts.resident(), self._agent.clock()
        for _, (name, *arguments) in self._ways:
            outside(self._library.call, name, tuple(arguments))
        self._result = {
            "held": self._agent.clock() - begun,
            "way": ", ".join([name for name, _ in self._ways]),
            "rss_before": before,
            "rss_after": facts.resident(),
        }
        self._library = None

    def follow(self, now):
        """It is over when it has been done."""
        return schema.ACTION_ENDED, "", self._result


# -- tracing allocations ----------------------------------------------------------------------------------------------


def trace(agent, asked):
    """Trace allocations for some seconds."""
    seconds = asked.settings.get("seconds")
    if type(seconds) not in (int, float) or not 1 <= seconds <= schema.TRACE_MOST_SECONDS:
        return "allocations are traced for 1 to %d seconds" % schema.TRACE_MOST_SECONDS
    refused = agent.tracing.begin(asked.observer, float(seconds), asked.settings.get("load") is True)
    return refused or Traced(agent.tracing, seconds)


class Traced(Doing):
    """A trace that was begun."""

    def __init__(self, tracing, seconds):
        self._tracing = tracing
        self.followed_seconds = seconds + _FOLLOWED_SECONDS

    def follow(self, now):
        """Return what has come of it; it is ended here when its time is over."""
        return self._tracing.follow(now)

    def leave(self):
        """Nobody waits for it any more."""
        self._tracing.forget()
