"""Everything about one task, for who has asked for it."""

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.schedule import WHOLE
from pyobserver.agent.serve import OUT_FULL
from pyobserver.protocol import schema
from pyobserver.protocol.frames import ProtocolError

_SHORTER = 20  # entries of each list in an answer that was too long for a frame

_MORE_TRIES = 2  # after a slice in which others may have run
_BREAKDOWN_SECONDS = 0.002  # once for one who has asked: names and types take longer than the sum


class Details:
    """Answers the observers' questions about single rows, each in a slice of its own."""

    def __init__(self, agent, tasks, ownership):
        self._agent = agent
        self._tasks = tasks
        self._ownership = ownership

    def work(self, now):
        """Answer all that is asked."""
        for observer in list(self._agent.service.observers.values()):
            while observer.wants and observer.out_bytes < OUT_FULL:
                if now.left() < 0.8 * now.seconds:
                    now = yield WHOLE
                number, token = observer.wants.pop(0)
                answer = self._answer(number, token, now)
                for _ in range(_MORE_TRIES):
                    if not now.torn():
                        break
                    now = yield WHOLE
                    answer = self._answer(number, token, now)
                _send(observer, answer)
                now = yield
        yield from ()

    def _answer(self, number, token, now):
        answer = {
            "t": "detail",
            "token": token,
            "id": number,
            "chain": [],
            "by_type": [],
            "biggest": [],
            "retained": None,
            "accuracy": schema.UNAVAILABLE,
            "error": 0,
            "awaited_by": [],
            "holders": [],
            "created_at": None,
            "note": "",
        }
        row = self._agent.table.rows.get(number)
        task = row.ref() if row is not None and row.ref is not None else None
        if task is None:
            answer["note"] = "it has ended"
            return answer
        if row.kind != schema.KIND_TASK:
            answer["note"] = "only tasks are looked into here"
            return answer
        self._describe(answer, row, task)
        self._measure(answer, row, task, now)
        task = None
        return answer

    def _describe(self, answer, row, task):
        notes = []
        describer = self._tasks.describer
        answer["chain"] = describer.frames(known().coroutine(task))
        if describer.unavailable:
            notes.append("current lines are not known: " + describer.unavailable)
        if not row.flags & schema.FLAG_AGE_IS_MINIMUM:
            answer["created_at"] = row.created
        owner = self._ownership.owner(task)
        if owner is not None:
            waits = owner.obj if owner.kind == "awaits" else owner.via
            above = self._tasks.row_of(waits) if waits is not None else None
            if above is not None:
                function = self._agent.table.texts.items[above.function]
                answer["awaited_by"] = [[above.id, "%s  %s" % (above.name, function)]]
        holder = self._ownership.holder_of(row)
        if holder is not None:
            answer["holders"] = [[holder.label, holder.detail, self._ownership.tasks_in(holder)]]
        elif not self._ownership.complete:
            notes.append("who holds it is being looked for")
        answer["note"] = "; ".join(notes)

    def _measure(self, answer, row, task, now):
        if self._agent.self_check != "ok":
            answer["note"] = "; ".join(filter(None, [answer["note"], self._agent.self_check]))
            return
        if self._tasks.describer.is_running(known().coroutine(task)):
            answer["note"] = "; ".join(filter(None, [answer["note"], "it is running: what it retains cannot be read"]))
            return
        found = self._agent.scanner.breakdown(task, now.begun + _BREAKDOWN_SECONDS)
        if now.torn():  # another thread may have run meanwhile: what was counted may be wrong
            self._agent.torn += 1
            answer["note"] = "; ".join(filter(None, [answer["note"], "other threads ran while it was measured"]))
            return
        answer["by_type"] = [list(entry) for entry in found.by_type]
        answer["biggest"] = [list(entry) for entry in found.biggest]
        answer["retained"] = int(found.measure.bytes)
        answer["accuracy"] = found.measure.accuracy
        answer["error"] = int(found.measure.error or 0)
        notes = [answer["note"]]
        if known().awaits_job(task):
            notes.append("does not count what an executor's job holds for it")
        if found.classes:
            notes.append("does not count what classes made in functions hold: " + ", ".join(found.classes))
        answer["note"] = "; ".join(filter(None, notes))


def _send(observer, answer):
    try:
        observer.send(answer)
    except ProtocolError:
        for name in ("chain", "by_type", "biggest"):
            del answer[name][_SHORTER:]
        answer["note"] = "; ".join(filter(None, [answer["note"], "some of it is too long to be told"]))
        observer.send(answer)
