"""The threads that Python knows. What they do now is read from outside, as frame objects are not made here."""

import posix
from _weakref import ref

from pyobserver.agent import collector
from pyobserver.agent.attributes import Function, attribute, class_name, function_name, integer, namespace_of, text
from pyobserver.agent.schedule import Job
from pyobserver.protocol import schema

_SECONDS = 1.0
_Method = type(Job("", 0, None).run)


class ThreadProbe:
    """Keeps the rows of threads true: those in `threading._active`."""

    def __init__(self, agent):
        self._agent = agent
        self._rows = {}  # identity of the thread -> row

    def jobs(self):
        """What is done again and again."""
        return [Job("threads", _SECONDS, self._look, goes_on=True, rests=True)]

    def row_of(self, ident):
        """Return the row of the thread with this identity, None if it has none."""
        return self._rows.get(ident) if type(ident) is int else None

    def rows(self):
        """All rows of threads."""
        return list(self._rows.values())

    def _look(self, now):
        threading = namespace_of("threading") or {}
        active, main = threading.get("_active"), threading.get("_main_thread")
        found = dict(active) if type(active) is dict else {}
        main = id(main)
        for ident in [i for i in self._rows if i not in found]:
            self._end(self._rows.pop(ident))
        idents = [i for i in found if type(i) is int]
        found = None
        for ident in idents:
            thread = active.get(ident)
            if thread is not None:
                self._meet(ident, thread, id(thread) == main)
            thread = None
            if now.over():
                now = yield
        yield from ()

    def _end(self, row):
        self._agent.measure.forget(row)
        self._agent.table.remove(row.id)

    def _meet(self, ident, thread, is_main):
        row = self._rows.get(ident)
        if row is not None and row.ref() is not thread:  # the identity of one that has ended
            self._end(row)
            row = None
        if row is None:
            row = self._agent.table.add_row(schema.KIND_THREAD)
            if row is None:
                return
            self._rows[ident] = row
            row.ref = ref(thread)
            row.created = self._agent.wall()
            row.flags = schema.FLAG_MAIN if is_main else 0
            if not self._agent.tasks.complete:
                row.flags |= schema.FLAG_AGE_IS_MINIMUM
            row.function = self._agent.table.texts.intern(_function(thread, is_main))
            row.edge = schema.EDGE_RUNS
        name = text(attribute(thread, "_name"), "")
        native = integer(attribute(thread, "_native_id"), 0)
        if is_main and native != posix.getpid() and not _is_a_thread(native):
            native = posix.getpid()  # a forked child's, which up to 3.12 has the number that it had in its parent
        if name != row.name or native != row.os_id:
            row.name, row.os_id = name, native
            self._agent.table.touch(row)


def _is_a_thread(native):
    return collector.outside(posix.access, "/proc/self/task/%d" % native, posix.F_OK)


def _function(thread, is_main):
    """What a thread runs: its target, or its class's own `run`."""
    target = attribute(thread, "_target")
    while type(target) is _Method:
        target = target.__func__
    if type(target) is Function:
        return function_name(target)
    if is_main:
        return "main thread"
    name = class_name(type(thread))
    return "" if name in ("threading.Thread", "threading._DummyThread") else name + ".run"
