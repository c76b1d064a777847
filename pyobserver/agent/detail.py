"""Everything about one row, for who has asked for it."""

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.schedule import WHOLE
from pyobserver.agent.serve import OUT_FULL
from pyobserver.agent.values import preview
from pyobserver.protocol import schema
from pyobserver.protocol.frames import ProtocolError

_SHORTER = 20  # entries of each list in an answer that was too long for a frame

_MORE_TRIES = 2  # after a slice in which others may have run
_MOST_WAITS = 100  # slices, until a walk over the heap has left the task
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
                number, token, values = observer.wants.pop(0)
                for _ in range(_MOST_WAITS):
                    if not self._is_walked(number):
                        break
                    now = yield  # to the walk
                answer = self._answer(number, token, values, now)
                for _ in range(_MORE_TRIES):
                    if not now.torn():
                        break
                    now = yield WHOLE
                    answer = self._answer(number, token, values, now)
                for entry in answer["holders"]:
                    entry[2], now = yield from self._ownership.tasks_in(entry[2], now)
                _send(observer, answer)
                now = yield
        yield from ()

    def _is_walked(self, number):
        """Return whether a walk over the heap stands in a task: it refers to some of what that retains."""
        row = self._agent.table.rows.get(number)
        task = row.ref() if row is not None and row.ref is not None else None
        return task is not None and self._agent.search.is_walking_in(task)

    def _answer(self, number, token, values, now):
        answer = {
            "t": "detail",
            "token": token,
            "id": number,
            "chain": [],
            "waits": "",
            "by_type": [],
            "biggest": [],
            "locals": [],
            "retained": None,
            "accuracy": schema.UNAVAILABLE,
            "error": 0,
            "awaited_by": [],
            "holders": [],
            "created_at": None,
            "spawned_at": "",
            "spawned_by": [],
            "blocked": 0,
            "note": "",
        }
        row = self._agent.table.rows.get(number)
        task = row.ref() if row is not None and row.ref is not None else None
        if task is None:
            answer["note"] = "it has ended"
            return answer
        subject = self._agent.subjects.get(row.kind)
        if subject is None:
            answer["note"] = "only tasks are looked into here"
            return answer
        self._describe(answer, row, task, subject)
        self._measure(answer, subject, task, now, values)
        if subject.has_chain and not subject.is_executing(task):
            answer["locals"] = self._tasks.describer.variables(subject.coroutine(task), values)
        task = None
        return answer

    def _describe(self, answer, row, task, subject):
        notes = [subject.note] if subject.note else []
        describer = self._tasks.describer
        answer["chain"] = subject.frames(task)
        if row.kind == schema.KIND_TASK:
            answer["waits"] = describer.waits_in_full(subject.coroutine(task), known().awaited(task))
        if subject.has_chain and describer.unavailable:
            notes.append("current lines are not known: " + describer.unavailable)
        if subject.has_chain and not describer.slots.is_exact:
            notes.append("local variables are not known: /proc/self/mem cannot be read")
        answer["blocked"] = self._agent.blocking.hits(row)
        if not row.flags & schema.FLAG_AGE_IS_MINIMUM:
            answer["created_at"] = row.created
        answer["spawned_at"] = self._agent.table.texts.items[row.made] or subject.made(task)
        maker = self._agent.table.rows.get(row.spawner) or subject.maker(task)
        if maker is not None:
            answer["spawned_by"] = [[maker.id, self._label(maker)]]
        owner = self._ownership.owner(task) if row.kind == schema.KIND_TASK else None
        if owner is not None:
            waits = owner.obj if owner.kind == "awaits" else owner.via
            above = self._tasks.row_of(waits) if waits is not None else None
            if above is not None:
                answer["awaited_by"] = [[above.id, self._label(above)]]
        holders = self._ownership.holders_of(row)
        answer["holders"] = [[node.label, node.detail, node.id] for node in holders]  # counted in slices
        if not holders and not self._agent.search.complete:
            notes.append("who holds it is being looked for")
        answer["note"] = "; ".join(notes)

    def _label(self, row):
        return "%s  %s" % (self._agent.table.name_at(row.position), self._agent.table.texts.items[row.function])

    def _measure(self, answer, subject, task, now, values):
        if self._agent.self_check != "ok":
            answer["note"] = "; ".join(filter(None, [answer["note"], self._agent.self_check]))
            return
        if subject.is_executing(task):
            answer["note"] = "; ".join(filter(None, [answer["note"], "it is running: what it retains cannot be read"]))
            return
        if self._agent.search.is_walking_in(task):
            answer["note"] = "; ".join(filter(None, [answer["note"], "it is being walked through: ask again"]))
            return
        found = subject.breakdown(task, now.begun + _BREAKDOWN_SECONDS, preview if values else None)
        if now.torn():  # another thread may have run meanwhile: what was counted may be wrong
            self._agent.torn += 1
            answer["note"] = "; ".join(filter(None, [answer["note"], "other threads ran while it was measured"]))
            return
        answer["by_type"] = [list(entry) for entry in found.by_type]
        answer["biggest"] = [[*entry, shown] for entry, shown in zip(found.biggest, found.previews)]  # noqa: B905
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
        for name in ("chain", "by_type", "biggest", "locals"):
            del answer[name][_SHORTER:]
        answer["note"] = "; ".join(filter(None, [answer["note"], "some of it is too long to be told"]))
        observer.send(answer)
