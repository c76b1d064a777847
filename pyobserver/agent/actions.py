"""What observers may ask to be done in the target, and what has come of it.

Only who has said in its greeting that it may ask is served. Each action is done once, within one slice, and then
followed by looks, with weak references only, until it is over. To add one: its name in `schema.ACTIONS`, a function in
`_DONE_BY` that does it and returns what follows it.
"""

from pyobserver.agent import creations, remedies
from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import Function, attribute, class_dict, class_name, inherits, mro_of, weakly
from pyobserver.agent.loop_calls import call_soon
from pyobserver.agent.serve import OUT_FULL
from pyobserver.protocol import schema

MAX_AT_ONCE = 64  # that are done or followed
_LOOK_SECONDS = 0.05
_IDLE_SECONDS = 3600.0
_MethodDescriptor = type(str.join)


class Asked:
    """One action: who has asked, by which token, and how it is followed once it has been done."""

    __slots__ = ("begun", "doing", "name", "number", "observer", "settings", "state", "token")

    def __init__(self, observer, name, number, token, settings, now):
        self.observer = observer
        self.name = name
        self.number = number
        self.token = token
        self.settings = settings  # the message itself
        self.begun = now
        self.doing = None
        self.state = None  # that the observer was told last


class Actions:
    """Does what is asked for, and tells who has asked what has come of it. `job` is set by who runs it."""

    def __init__(self, agent):
        self._agent = agent
        self._new = []
        self._followed = []
        self.job = None

    def ask(self, observer, name, number, token, settings):
        """Take note of a question; it is refused here when it may not be asked."""
        asked = Asked(observer, name, number, token, settings, self._agent.clock())
        if not observer.may_act:
            self._tell(asked, schema.ACTION_REFUSED, "this observer was started without --allow-actions", True)
        elif len(self._new) + len(self._followed) >= MAX_AT_ONCE:
            self._tell(asked, schema.ACTION_REFUSED, "%d actions are going on already" % MAX_AT_ONCE, True)
        else:
            self._new.append(asked)
            self.job.hurry()

    def work(self, now):
        """Do what is new, each in a slice with enough left, and look after what was done."""
        while self._new:
            if now.left() < 0.5 * now.seconds:
                now = yield
            self._do(self._new.pop(0))
            now.deadline = now.begun  # it may have given up the interpreter lock: nothing else belongs in this slice
            now = yield
        for asked in list(self._followed):
            self._look(asked, now)
            if now.over():
                now = yield
        self.job.period = _LOOK_SECONDS if self._followed or self._new else _IDLE_SECONDS
        yield from ()

    def _do(self, asked):
        done = _DONE_BY[asked.name](self._agent, asked)
        asked.begun = self._agent.clock()
        if type(done) is str:
            self._tell(asked, schema.ACTION_REFUSED, done, True)
            return
        asked.doing = done
        self._followed.append(asked)
        self._tell(asked, schema.ACTION_ASKED, "", False)
        done.wake()

    def _look(self, asked, now):
        state, text, *result = asked.doing.follow(now)
        is_late = self._agent.clock() - asked.begun > asked.doing.followed_seconds
        is_over = state in (schema.ACTION_ENDED, schema.ACTION_REFUSED) or is_late
        if is_over or state != asked.state:
            self._tell(asked, state, text, is_over, *result)
        if is_over or asked.observer not in self._agent.service.observers.values():
            self._followed.remove(asked)
            asked.doing.leave()

    def end_noting(self, observer):
        """End what notes for an observer where tasks are made; return whether there was such."""
        found = False
        for asked in self._followed:
            if asked.observer is observer and type(asked.doing) is creations.Noting:
                asked.doing.is_over = found = True
        return found

    def close(self):
        """Follow nothing any more."""
        for asked in self._followed:
            asked.doing.leave()
        self._followed = []

    def _tell(self, asked, state, text, is_final, result=None):
        observer = asked.observer
        if observer.out_bytes >= OUT_FULL:
            return
        asked.state = state
        said = {
            "t": "action",
            "token": asked.token,
            "state": state,
            "seconds": self._agent.clock() - asked.begun,
            "final": is_final,
            "text": text,
        }
        if result is not None:
            said["result"] = result
        observer.send(said)


# -- cancelling a task ------------------------------------------------------------------------------------------------


def _cancel(agent, asked):
    """Let the loop of a task cancel it; return what follows it, or why not."""
    row = agent.table.rows.get(asked.number)
    if row is not None and row.kind != schema.KIND_TASK:
        return "only asyncio tasks can be cancelled"
    task = row.ref() if row is not None else None
    types = known()
    if task is None or not types.is_pending(task):
        return "it has ended"
    loop = types.loop(task)
    cancel = _cancel_of(task)
    if loop is None or cancel is None:
        return "its class %s has no cancel() that can be called from here" % class_name(type(task))
    waiter = types.awaited(task)
    call = call_soon(loop, cancel)
    if call.refused:
        return call.refused
    runs = type(attribute(loop, "_thread_id")) is int or class_name(type(loop)).startswith("uvloop.")
    return Cancelled(row.ref, None if waiter is None else weakly(waiter), call, runs)


def _cancel_of(task):
    """Return the `cancel` of a task, bound; the loop calls it in its own thread, where the program's may run."""
    for kind in mro_of(type(task)):
        found = class_dict(kind).get("cancel")
        if found is not None:
            return found.__get__(task) if type(found) in (Function, _MethodDescriptor) else None
    return None


class Cancelled(remedies.Doing):
    """A task whose loop was given its cancel(): by weak references to it, to what it then awaited, and to the handle
    that the loop lets go of once it has called it."""

    def __init__(self, reference, before, call, runs):
        self._ref = reference
        self._before = before
        self._handle = call.handle
        self._runs = runs  # whether its loop did
        self.wake = call.wake

    def follow(self, now):
        """Return (state, what more there is to say)."""
        task = self._ref()
        if task is None:
            return schema.ACTION_ENDED, ""
        types = known()
        if not types.is_pending(task):
            return schema.ACTION_ENDED, "cancelled" if types.is_cancelled(task) else "returned or raised"
        if self._handle is not None and self._handle() is not None:
            return schema.ACTION_ASKED, "its loop has not come to it" if self._runs else "its loop does not run"
        waiter = types.awaited(task)
        if waiter is None or types.must_cancel(task) or types.is_cancelled(waiter):
            return schema.ACTION_ASKED, ""  # the exception is on its way
        if self._before is not None and self._before() is waiter:
            return schema.ACTION_ASKED, "it has not moved"
        if _passes_on(types, waiter):
            return schema.ACTION_ASKED, "what it awaits was asked to end, too"
        return schema.ACTION_MOVED, ""


def _passes_on(types, waiter):
    """Whether it was a future that does not end at once that was cancelled with the task: another task, a gather.

    Any other is cancelled at once, so that a task which awaits a pending one has come to it later. Up to 3.10 a task
    does not tell how often it was asked to end.
    """
    if types.gathering is not None and inherits(type(waiter), types.gathering):
        return attribute(waiter, "_cancel_requested") is True
    return types.is_task(waiter) and (types.must_cancel(waiter) or types.cancels_requested(waiter) > 0)


_DONE_BY = {
    "cancel": _cancel,
    "collect": remedies.collect,
    "trim": remedies.trim,
    "trace": remedies.trace,
    "creations": creations.note,
}
