"""Everything about what many tasks retain together, for who has asked for it.

The tasks are looked at in an order made by chance, some in each slice. When the time is over before all were, those
that were are a fair sample: what each retains alone is scaled, and what they share is not told.
"""

from itertools import islice

from pyobserver.agent.asyncio_types import known
from pyobserver.agent.attributes import weakly
from pyobserver.agent.group_pass import Pass, note_of, tell_sums
from pyobserver.agent.retention.containers import Chance
from pyobserver.agent.schedule import WHOLE
from pyobserver.protocol import schema
from pyobserver.protocol.frames import ProtocolError

_WORK_SECONDS = 0.4  # for one pass; with a slice of 1 ms in 10, it takes ten times as long
_SHARED_SECONDS = 0.04  # for naming and measuring what others hold too
_ROUNDS = 2  # of taking those again that have run meanwhile
_CYCLE_ROUNDS = 3
_CYCLE_ROOTS = 12
_LONG_SECONDS = 0.0016  # a slice for who has asked
_TRIES = 3  # of one slice that was too short
_LATE = 1.3  # times what it was given: somebody else had the processor, and there is more than was found
_TORN_TRIES = 12  # of one slice that was torn: on a busy machine one in four is
_TORN_NAMES = 30  # in one pass, in which names were looked for
_SAFE_SHARE = 0.3  # of a slice that has to be left for another task
_FRESH_SHARE = 0.8
_AT_ONCE = 500
_FREED_AT_ONCE = 100
_MOST_LIKE = 16
_MOST_IDS = 4096
_MOST_CHOSEN = 20000  # more than there is time for
_NAMED = 10
_MEASURED = 40  # objects that others hold too
_TYPES_FROM = 6  # tasks
_MOST_TYPES = 20
_LEAST_BYTES = 512  # of something worth naming: what a task awaits has some hundred


class Groups:
    """Answers the observers' questions about groups, one after the other."""

    def __init__(self, agent, tasks, ownership):
        self._agent = agent
        self._table = agent.table
        self._tasks = tasks
        self._ownership = ownership

    def work(self, now):
        """Answer all that is asked."""
        service = self._agent.service
        for handle, observer in list(service.observers.items()):
            while observer.groups and service.observers.get(handle) is observer:
                asked = observer.groups.pop(0)
                answer, now = yield from self._answer(asked, now, observer)
                if service.observers.get(handle) is observer:
                    _send(observer, answer)
        yield from ()

    def _answer(self, asked, now, observer):
        ids, total, note, now = yield from self._chosen(asked, now)
        answer = _nothing(asked["token"])
        answer["members"] = total
        if self._agent.self_check != "ok":
            note = self._agent.self_check
        elif ids:
            one = Pass(ids, total, self._agent.scanner.together())
            now = yield from self._look_at_all(one, now, observer)
            now = yield from self._look_again(one, now)
            now = yield from self._close_cycles(one, now)
            now = yield WHOLE
            tell_sums(answer, one)
            now = yield from self._name_common(answer, one, now)
            now = yield from self._name_shared(answer, one, now)
            now = yield from self._sort_by_type(answer, one, now)
            answer["seconds"] = one.spent
            note = "; ".join(filter(None, [note, note_of(one)]))
            now = yield from self._let_go(one, now)
        ids = None
        answer["note"] = note
        return answer, now

    # -- which tasks --------------------------------------------------------------------------------------------------

    def _chosen(self, asked, now):
        """Return (ids of tasks' rows, how many there are, a note, the slice): more than `_MOST_CHOSEN` by chance."""
        rows = self._table.rows
        if type(asked.get("ids")) is list:
            every = iter([rows.get(number) for number in asked["ids"][:_MOST_IDS] if type(number) is int])
        else:
            every = self._tasks.rows()
        like = None
        if type(asked.get("like")) is list:
            living = [rows.get(number) for number in asked["like"][:_MOST_LIKE] if type(number) is int]
            like = next((row for row in living if row is not None), None)
            if like is None:
                return [], 0, "none of them lives any more", now
            if like.kind != schema.KIND_TASK:
                return [], 0, "only tasks are looked into here", now
        function = None if like is None else like.function
        node = asked.get("node")
        chance = Chance()
        found = []
        total = 0
        while True:
            count = 0
            for row in islice(every, _AT_ONCE):
                count += 1
                if row is None or row.kind != schema.KIND_TASK:
                    continue
                if function is not None and row.function != function:
                    continue
                if type(node) is int and row.parent != node:
                    continue
                if (row.state == schema.STATE_DONE_HELD) is (asked.get("done") is True):
                    total += 1
                    place = len(found) if len(found) < _MOST_CHOSEN else chance.below(total)
                    if place < _MOST_CHOSEN:
                        found[place : place + 1] = [row.id]
            if not count:
                return found, total, "" if found else "there is no task of them", now
            if now.over():
                now = yield

    # -- one after the other ------------------------------------------------------------------------------------------

    def _look_at_all(self, one, now, observer):
        observers = self._agent.service.observers
        while len(one.members) < len(one.ids) and one.spent - min(one.lost, _WORK_SECONDS) < _WORK_SECONDS:
            if observer not in observers.values():
                break
            number = one.next()
            now = yield from self._look_at(one, number, now)
        return now

    def _look_at(self, one, number, now):
        """Measure one task, in the slice that is or in the next ones."""
        if now.left() < _SAFE_SHARE * now.seconds:
            now = yield
        member = one.members[number]
        if not self._measure(one, number, member, now, False):
            now = yield WHOLE
            for turn in range(_TORN_TRIES):
                if self._measure(one, number, member, now, True, turn >= _TRIES - 1):
                    break
                now = yield WHOLE
        return now

    def _measure(self, one, number, member, now, is_whole, is_last=False):
        """Return False when it needs a slice of its own, or when that was torn or cut short by another process.

        With `is_last`, what was cut short is taken as it is.
        """
        row = self._table.rows.get(member.id)
        task = self._task(member)
        if task is None or self._ownership.is_walking_in(task):
            return task is None or is_whole
        types = known()
        if self._tasks.describer.is_running(types.coroutine(task)):
            return True
        is_fresh = now.left() > _FRESH_SHARE * now.seconds
        one.together.everybodys.add(id(types.loop(task)))
        begun = now.clock()
        deadline = now.begun + _LONG_SECONDS if is_whole else now.deadline
        look = one.together.scan(task, deadline)
        waiter = types.awaited(task)
        member.key = None if waiter is None else weakly(waiter)
        task = waiter = None
        spent = now.clock() - begun
        one.spent += spent
        if now.torn():
            self._agent.torn += 1
            one.lost += spent
            return False
        if (look.accuracy != schema.EXACT or look.is_bound) and not is_whole and not is_fresh:
            return False
        is_late = spent > _LATE * (deadline - begun)
        if look.accuracy == schema.AT_LEAST and is_late and not is_last:
            return False
        if look.accuracy == schema.UNAVAILABLE:
            return True
        member.bytes, member.error, member.cyclic = look.bytes, look.error, look.cyclic
        accuracy = look.accuracy
        if accuracy == schema.AT_LEAST and row.accuracy in (schema.EXACT, schema.SAMPLED) and row.retained > look.bytes:
            member.bytes, member.error, accuracy = (
                row.retained,
                row.error,
                row.accuracy,
            )  # it was measured better before
        member.noted = one.together.note(number, look)
        one.add(member)
        one.accuracies.add(accuracy)
        return True

    def _task(self, member):
        """Return the task of a member, None when it has ended."""
        row = self._table.rows.get(member.id)
        return None if row is None else row.ref()

    def _has_moved(self, member):
        """Return whether a task may have run since it was looked at; None when it has ended."""
        task = self._task(member)
        types = known()
        if task is None:
            return None
        if not types.is_pending(task):
            return None if member.key is not None else False
        return member.key is None or member.key() is not types.awaited(task)

    def _look_again(self, one, now):
        """Take those again that have run since; count those that have run or ended in the end."""
        for turn in range(_ROUNDS + 1):
            again = []
            one.ended = one.running = 0
            for number in range(len(one.members)):
                member = one.members[number]
                moved = self._has_moved(member)
                if moved is None:
                    one.ended += 1
                    one.take_back(member)
                elif moved:
                    again.append(number)
                elif member.noted is None:
                    one.running += 1
                if number % 50 == 0 and now.over():
                    now = yield
            one.moved = len(again)
            if not again or turn == _ROUNDS or one.spent > 2 * _WORK_SECONDS:
                return now
            for number in again:
                one.take_back(one.members[number])
                now = yield from self._look_at(one, number, now)
        return now

    def _close_cycles(self, one, now):
        """Search for what only cycles through shared objects keep alive, when all tasks were looked at."""
        if not one.is_whole():
            return now
        for _ in range(_CYCLE_ROUNDS):
            now = yield WHOLE
            begun = now.clock()
            suspects = one.together.suspects()
            if suspects is None:
                one.is_bound = True
            if not suspects:
                break
            chosen = [one.members[number] for number in suspects[:_CYCLE_ROOTS]]
            chosen = [member for member in chosen if self._task(member) is not None]
            roots = [self._task(member) for member in chosen]
            cyclic = [member.cyclic for member in chosen]
            look = one.together.close_cycles(roots, cyclic, now.begun + _LONG_SECONDS)
            roots = None
            one.spent += now.clock() - begun
            if now.torn():
                self._agent.torn += 1
                one.is_bound = True
                continue
            one.is_bound = look.is_bound or look.accuracy == schema.UNAVAILABLE
            if look.accuracy == schema.UNAVAILABLE or not look.owned:
                break
            one.together.note(-1, look)
        return now

    def _let_go(self, one, now):
        """Free what the pass has kept, a little at a time: thousands at once would hold the interpreter for long."""
        for kept in (one.members, one.ids, one.together.objects):
            while kept:
                for _ in range(min(_FREED_AT_ONCE, len(kept))):
                    kept.popitem() if type(kept) is dict else kept.pop()
                if now.over():
                    now = yield
        return now

    # -- names --------------------------------------------------------------------------------------------------------

    def _name_common(self, answer, one, now):
        """Tell the largest of what only they share."""
        if answer["together"] is None:
            return now
        now = yield WHOLE
        for i, common in one.together.owned()[:_NAMED]:
            if common.bytes < _LEAST_BYTES:
                break
            found, now = yield from self._described(one, {i: False}, common.last, now)
            while found is None and one.torn < _TORN_NAMES:
                found, now = yield from self._described(one, {i: False}, common.last, now)
            if found is not None and i in found:
                path, kind, length, _ = found[i]
                answer["common"].append([path, kind, length, int(common.bytes), common.members])
        return now

    def _name_shared(self, answer, one, now):
        """Tell what others hold too, measured as far as there is time; of a sample, those may be of the group."""
        if not one.is_whole():
            return now
        by_member = {}
        now = yield WHOLE
        chosen = one.together.shared()
        for i, common in chosen[:_MEASURED]:
            by_member.setdefault(common.last, {})[i] = True
        limit = one.spent - one.lost + _SHARED_SECONDS
        told = []
        for number, wanted in by_member.items():
            tries = _TRIES
            while wanted and tries and one.torn < _TORN_NAMES and one.spent - one.lost < limit:
                found, now = yield from self._described(one, wanted, number, now)
                if found is None:
                    continue
                tries -= not found
                for i, (path, kind, length, measure) in found.items():
                    del wanted[i]
                    told.append([path, kind, length, measure[0], one.together.objects[i].members])
            one.unnamed += bool(wanted) and one.torn >= _TORN_NAMES
        told = [entry for entry in told if entry[3] >= _LEAST_BYTES]
        told.sort(key=lambda entry: -entry[3])
        answer["shared"] = told[:_NAMED]
        answer["shared_bytes"] = sum([entry[3] for entry in told])
        answer["shared_objects"] = len(told)
        return now

    def _described(self, one, wanted, number, now):
        """Return (what is found of the objects `wanted` in a task, the slice): None when what was counted may be wrong.

        So it is when the slice was torn, or a walk over the heap stood inside what was measured, which it refers to.
        """
        now = yield WHOLE
        task = self._task(one.members[number]) if 0 <= number < len(one.members) else None
        if task is None or self._tasks.describer.is_running(known().coroutine(task)):
            return {}, now
        begun = now.clock()
        try:
            found = one.together.describe(task, wanted, now.begun + _LONG_SECONDS, self._ownership.walked())
        except Exception:  # a type in C whose size cannot be asked for, or no memory
            found = {}
        task = None
        spent = now.clock() - begun
        one.spent += spent
        if found is None or now.torn():
            one.torn += 1
            one.lost += spent
            now = yield  # to the walk, too
            return None, now
        return found, now

    def _sort_by_type(self, answer, one, now):
        """Tell of some tasks what they retain alone by type, scaled to all."""
        sums = {}
        taken = 0
        for member in one.members[: 3 * _TYPES_FROM]:
            if taken == _TYPES_FROM or member.noted is None:
                continue
            now = yield WHOLE
            task = self._task(member)
            if task is None or self._tasks.describer.is_running(known().coroutine(task)):
                task = None
                continue
            begun = now.clock()
            found = self._agent.scanner.breakdown(task, now.begun + _LONG_SECONDS)
            task = None
            one.spent += now.clock() - begun
            if now.torn():
                continue
            taken += 1
            for kind, number, size in found.by_type:
                entry = sums.setdefault(kind, [kind, 0, 0])
                entry[1] += number
                entry[2] += size
        factor = (one.total - one.ended) / taken if taken else 0
        largest = sorted(sums.values(), key=lambda entry: -entry[2])[:_MOST_TYPES]
        answer["by_type"] = [[kind, int(number * factor), int(size * factor)] for kind, number, size in largest]
        answer["by_type_members"] = taken
        return now


def _nothing(token):
    answer = {"t": "group", "token": token, "note": "", "together": None, "seconds": 0.0}
    for name in ("members", "looked_at", "moved", "ended", "alone", "alone_error", "together_error"):
        answer[name] = 0
    for name in ("shared_bytes", "shared_objects", "by_type_members"):
        answer[name] = 0
    answer["alone_accuracy"] = answer["together_accuracy"] = schema.UNAVAILABLE
    answer["common"], answer["shared"], answer["by_type"] = [], [], []
    return answer


def _send(observer, answer):
    try:
        observer.send(answer)
    except ProtocolError:
        for name in ("common", "shared", "by_type"):
            del answer[name][3:]
        observer.send(answer)
