"""Everything about what many rows retain together, of whatever kind, for who has asked for it.

They are looked at in an order made by chance, some in each slice. When the time is over before all were, those
that were are a fair sample: what each retains alone is scaled, and what they share is not told.
"""

from pyobserver.agent.group_choice import Choosing
from pyobserver.agent.group_pass import Pass, note_of, tell_sums
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
_SAFE_SHARE = 0.3  # of a slice that has to be left for another one
_FRESH_SHARE = 0.8
_FREED_AT_ONCE = 100
_NAMED = 10
_MEASURED = 40  # objects that others hold too
_TYPES_FROM = 6  # rows
_MOST_TYPES = 20
_LEAST_BYTES = 512  # of something worth naming: what a task awaits has some hundred


class Groups:
    """Answers the observers' questions about groups, one after the other.

    What is different from kind to kind is told by `agent.subjects`, from kind to `kinds.subject.Subject`.
    """

    def __init__(self, agent, search):
        self._agent = agent
        self._table = agent.table
        self._search = search

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
        chosen, now = yield from Choosing(self._agent, asked).work(now)
        answer = _nothing(asked["token"])
        answer["members"] = total = chosen.total
        note = chosen.note
        if self._agent.self_check != "ok":
            note = self._agent.self_check
        elif chosen.ids:
            one = Pass(chosen.ids, total, self._agent.scanner.together())
            one.naming = self._agent.scanner.naming(one.together)
            one.together.members = chosen.inner
            one.together.everybodys.update(self._hubs())
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
        chosen = None
        answer["note"] = note
        return answer, now

    def _hubs(self):
        """Return the ids of what everything hangs on, so that no group owns it: the loops of asyncio and of trio."""
        loops = [reference() for reference in self._agent.tasks.loops.references()]
        return set(map(id, loops + self._agent.trio.running()))

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
        """Measure one, in the slice that is or in the next ones."""
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
        row, thing, subject = self._member(member)
        if thing is None or self._search.is_walking_in(thing):
            return thing is None or is_whole
        if subject.is_executing(thing):
            return True
        is_fresh = now.left() > _FRESH_SHARE * now.seconds
        begun = now.clock()
        deadline = now.begun + _LONG_SECONDS if is_whole else now.deadline
        look = subject.look(one.together, thing, deadline)
        member.key = subject.standing(thing)
        thing = None
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
        if not subject.is_apart and not look.pairs.keys().isdisjoint(self._search.walked()) and not is_last:
            return False  # a walk over the heap goes through it as through everything, and refers to some of it
        if look.accuracy == schema.UNAVAILABLE:
            return True
        self._note(one, number, look, row, subject)
        return True

    def _note(self, one, number, look, row, subject):
        member = one.members[number]
        member.bytes, member.error, member.cyclic = look.bytes, look.error, look.cyclic
        accuracy = look.accuracy
        if accuracy == schema.AT_LEAST and row.accuracy in (schema.EXACT, schema.SAMPLED) and row.retained > look.bytes:
            # it was measured better before
            member.bytes, member.error, accuracy = row.retained, row.error, row.accuracy
        member.noted = one.together.note(number, look)
        one.add(member)
        look.accuracy = accuracy
        subject.judge(look)
        one.accuracies.add(look.accuracy)
        if not subject.is_seen_in_full:
            one.bounds.add(subject.note)

    def _member(self, member):
        """Return (row, what it stands for, how that is looked into), (None, None, None) when it has ended."""
        row = self._table.rows.get(member.id)
        thing = None if row is None else row.ref()
        return (None, None, None) if thing is None else (row, thing, self._agent.subjects[row.kind])

    def _has_moved(self, member):
        """Return whether one may have run since it was looked at; None when it has ended."""
        _, thing, subject = self._member(member)
        if thing is None:
            return None
        return not member.is_steady and subject.has_moved(thing, member.key)

    def _look_again(self, one, now):
        """Take those again that have run since; count those that have run or ended in the end.

        Where nothing tells whether one has run, it has not when the same is found twice.
        """
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
                member = one.members[number]
                before = member.found()
                one.take_back(member)
                now = yield from self._look_at(one, number, now)
                _, thing, subject = self._member(member)
                member.is_steady = thing is not None and not subject.tells_moves and member.is_as(before)
                thing = None
        return now

    def _close_cycles(self, one, now):
        """Search for what only cycles through shared objects keep alive, when all were looked at."""
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
            chosen = [(one.members[number], self._member(one.members[number])) for number in suspects[:_CYCLE_ROOTS]]
            chosen = [(m.cyclic, thing) for m, (_, thing, its) in chosen if thing is not None and its.is_seen_in_full]
            if not chosen:
                break
            roots, cyclic = [thing for _, thing in chosen], [size for size, _ in chosen]
            chosen = None
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
        if answer["together"] is None or one.is_unshared:
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
        """Return (what is found of the objects `wanted` in one, the slice): None when what was counted may be wrong.

        So it is when the slice was torn, or a walk over the heap stood inside what was measured, which it refers to.
        """
        now = yield WHOLE
        _, thing, subject = self._member(one.members[number]) if 0 <= number < len(one.members) else (None, None, None)
        if thing is None or subject.is_executing(thing):
            return {}, now
        begun = now.clock()
        deadline = now.begun + _LONG_SECONDS
        frames = subject.stack(thing)
        try:
            found = one.naming.describe(thing, wanted, deadline, self._search.walked(), frames)
        except Exception:  # a type in C whose size cannot be asked for, or no memory
            found = {}
        thing = frames = None
        spent = now.clock() - begun
        one.spent += spent
        if found is None or now.torn():
            one.torn += 1
            one.lost += spent
            now = yield  # to the walk, too
            return None, now
        return found, now

    def _sort_by_type(self, answer, one, now):
        """Tell of some what they retain alone by type, scaled to all."""
        sums = {}
        taken = 0
        for member in one.members[: 3 * _TYPES_FROM]:
            if taken == _TYPES_FROM or member.noted is None:
                continue
            now = yield WHOLE
            _, thing, subject = self._member(member)
            if thing is None or not subject.is_seen_in_full or subject.is_executing(thing):
                thing = None
                continue
            begun = now.clock()
            found = one.naming.by_type(thing, now.begun + _LONG_SECONDS)
            thing = None
            one.spent += now.clock() - begun
            if now.torn():
                continue
            taken += 1
            for kind, number, size in found:
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
