"""The store is fed with what an agent says, and stays whole whatever that is."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyobserver.model.details import DetailAnswer, GroupAnswer, GroupQuestion, SharedObject
from pyobserver.model.places import ContainerPlace, ObjectPlace, PlacesAnswer, PlacesQuestion
from pyobserver.model.snapshot import Phase
from pyobserver.model.store import Store
from pyobserver.protocol import frames, schema
from pyobserver.source.client import AgentClient
from pyobserver.source.errors import ClientError, Disconnected, MessageError
from pyobserver.source.listener import Listener

from .scripted import (
    ACTION,
    DETAIL,
    HELLO,
    STRINGS,
    TICK,
    Peer,
    Script,
    ScriptedAgent,
    node,
    rows_frame,
    update,
    wait_for,
)

PID = os.getpid()


class Listening:
    """A listener on a thread of its own; `outcome` is what listen() has returned or raised."""

    def __init__(self, path: str, store: Store, **options: Any) -> None:
        self.store = store
        self.listener = Listener(AgentClient(path, PID), store, 0.1, "ptrace", 0.5, 0.01, **options)
        self.outcome: Any = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.outcome = self.listener.listen()
        except BaseException as error:
            self.outcome = error

    def ended(self) -> Any:
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.outcome

    def is_live(self) -> bool:
        return self.store.snapshot().status.phase is Phase.LIVE


@contextlib.contextmanager
def listening(agent: ScriptedAgent, store: Store | None = None, **options: Any) -> Iterator[Listening]:
    found = Listening(agent.path, store or Store(time.time), **options)
    found.thread.start()
    try:
        yield found
    finally:
        found.listener.close()
        found.thread.join(60)


def until_the_end(peer: Peer) -> None:
    while peer.next() is not None:
        pass


def says(*messages: dict[str, Any] | bytes) -> Script:
    """Greet, wait for the watch, say these, and listen until the observer leaves."""

    def script(peer: Peer) -> None:
        peer.greet()
        peer.next()
        peer.say(*messages)
        until_the_end(peer)

    return script


# -- the usual course -----------------------------------------------------------------------------------------------


def test_an_update_reaches_the_store(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path) as agent, listening(agent) as found:
        wait_for(found.is_live, "the first update")
        snapshot = found.store.snapshot()
        assert snapshot.status.text == ""
        assert snapshot.facts is not None
        assert (snapshot.facts.method, snapshot.facts.attach_seconds, snapshot.facts.held_seconds) == (
            "ptrace",
            0.5,
            0.01,
        )
        assert snapshot.tick is not None and snapshot.tick.total == 2
        row = snapshot.tasks.find(7)
        assert row is not None
        assert (row.name, row.function, row.waiting_on, row.where) == ("w-7", "app.work", "sleep", "/srv/app.py:12")
        assert (row.retained, row.accuracy, row.parent) == (1000, "exact", 3)
        assert snapshot.nodes[3].label == "loop"
        assert agent.heard[1] == {"t": "watch", "interval": 0.1}


def test_rows_change_and_go(tmp_path: Path) -> None:
    changed = rows_frame([7], [None], parent=3, retained=5000)
    gone = frames.encode({"t": "gone"}, [("id", "q", [3, 8])])
    with ScriptedAgent(tmp_path, says(update(), changed, gone, TICK)) as agent, listening(agent) as found:
        wait_for(lambda: (row := found.store.snapshot().tasks.find(8)) and row.ended, "the end of a row")
        row = found.store.snapshot().tasks.find(7)
        assert row is not None
        assert (row.name, row.retained) == ("w-7", 5000)


def test_problems_are_shown_and_unknown_messages_are_not_minded(tmp_path: Path) -> None:
    script = says({"t": "problem", "text": "a \x1b[31mproblem"}, {"t": "weather", "sun": [1]}, update())
    with ScriptedAgent(tmp_path, script) as agent, listening(agent) as found:
        wait_for(found.is_live, "the update behind them")
        assert found.store.snapshot().problems == ("a \ufffd[31mproblem",)


def test_more_rows_than_the_agent_keeps_are_told_once(tmp_path: Path) -> None:
    full = {**TICK, "agent": {**TICK["agent"], "rows_limit_hit": True}, "total": 250000}
    with ScriptedAgent(tmp_path, says(full, full, {**full, "total": 250001})) as agent, listening(agent) as found:
        wait_for(lambda: (tick := found.store.snapshot().tick) and tick.total == 250001, "the last tick")
        assert len(found.store.snapshot().problems) == 1


def test_the_agent_says_goodbye(tmp_path: Path) -> None:
    def ends(peer: Peer) -> None:
        peer.greet()
        peer.next()
        peer.say(update(), {"t": "bye", "reason": "asked to\x07"})

    with ScriptedAgent(tmp_path, ends) as agent, listening(agent) as found:
        assert found.ended() == "asked to\ufffd"


def test_detaching_ends_it_for_everybody(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path) as agent, listening(agent) as found:
        wait_for(found.is_live, "the first update")
        found.listener.detach()
        assert found.ended() == "asked to by an observer"


def test_detaching_from_an_agent_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyobserver.source.listener.BYE_SECONDS", 0.2)
    with ScriptedAgent(tmp_path, says(update())) as agent, listening(agent) as found:
        wait_for(found.is_live, "the first update")
        with pytest.raises(ClientError, match="has not ended"):
            found.listener.detach()


def test_another_agent_after_the_first_has_gone(tmp_path: Path) -> None:
    """What the first one said is forgotten, and its ids may mean something else."""

    def breaks(peer: Peer) -> None:
        peer.greet()
        peer.next()
        peer.say(update())

    again = says({**STRINGS, "items": ["other.work"]}, rows_frame([7], ["new"], waiting=0, where=0), TICK)
    with ScriptedAgent(tmp_path, breaks, again) as agent:
        store = Store(time.time)
        with listening(agent, store) as first:
            assert isinstance(first.ended(), Disconnected)
            assert store.snapshot().tasks.find(8) is not None
        with listening(agent, store) as second:
            wait_for(lambda: (row := store.snapshot().tasks.find(7)) and row.name == "new", "the new row")
            row = store.snapshot().tasks.find(7)
            assert row is not None and (row.function, row.waiting_on) == ("other.work", "")
            assert store.snapshot().tasks.find(8) is None
            assert second.outcome is None


# -- silence --------------------------------------------------------------------------------------------------------


def test_a_silent_agent_is_told_of_and_listened_to(tmp_path: Path) -> None:
    speak = threading.Event()

    def pauses(peer: Peer) -> None:
        peer.greet()
        peer.next()
        peer.say(update())
        speak.wait(30)
        while True:  # until the observer has left: each time it is silent for a moment only
            peer.say({**TICK, "total": 3})
            time.sleep(0.02)

    with ScriptedAgent(tmp_path, pauses) as agent, listening(agent, silent_seconds=0.0) as found:
        wait_for(lambda: "silent" in found.store.snapshot().status.text, "the word of its silence")
        snapshot = found.store.snapshot()
        assert snapshot.status.phase is Phase.LIVE
        assert snapshot.tasks.find(7) is not None
        speak.set()
        snapshot = wait_for(lambda: (s := found.store.snapshot()).status.text == "" and s, "the end of the silence")
        assert snapshot.tick is not None and snapshot.tick.total == 3


def test_an_agent_that_is_silent_from_the_first_is_not_connected(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path, says()) as agent, listening(agent, silent_seconds=0.0) as found:
        wait_for(lambda: "silent" in found.store.snapshot().status.text, "the word of its silence")
        assert found.store.snapshot().status.phase is Phase.CONNECTING


# -- details --------------------------------------------------------------------------------------------------------


class Answers:
    """Takes answers, with the thread that each came on."""

    def __init__(self) -> None:
        self.all: list[DetailAnswer] = []
        self.threads: set[threading.Thread] = set()

    def __call__(self, answer: DetailAnswer) -> None:
        self.all.append(answer)
        self.threads.add(threading.current_thread())

    def of(self, count: int) -> list[DetailAnswer]:
        wait_for(lambda: len(self.all) >= count, f"{count} answers")
        assert threading.current_thread() not in self.threads
        return self.all


def test_a_detail_is_answered(tmp_path: Path) -> None:
    answers = Answers()
    with ScriptedAgent(tmp_path) as agent, listening(agent) as found:
        found.listener.request_detail(7, answers)
        found.listener.request_detail(9, answers)
        assert [answer.id for answer in answers.of(2)] == [7, 9]
        assert answers.all[0].retained == 1000 and not answers.all[0].problem
    assert len(answers.all) == 2


def test_a_group_is_answered(tmp_path: Path) -> None:
    """With what its members share beside what each retains; a question after the end is answered as well."""
    answers: list[GroupAnswer] = []
    with ScriptedAgent(tmp_path) as agent, listening(agent) as found:
        found.listener.request_group(GroupQuestion(like=(7, 9), node=3), answers.append)
        wait_for(lambda: answers, "the answer")
    assert (answers[0].together, answers[0].together_accuracy, answers[0].alone) == (15_000, "sampled", 11_000)
    assert answers[0].shared[0] == SharedObject("locals: config", "dict", 4, 8000, 11)
    found.listener.request_group(GroupQuestion(), answers.append)
    wait_for(lambda: len(answers) == 2, "the refusal")
    assert answers[1].problem


def test_places_are_told(tmp_path: Path) -> None:
    """Large containers and holders of a type; an agent that does not know the question is not asked."""
    answers: list[PlacesAnswer] = []
    with ScriptedAgent(tmp_path) as agent, listening(agent) as found:
        found.listener.request_places(PlacesQuestion(type="app.Member"), answers.append)
        wait_for(lambda: answers, "the answer")
        asked = next(said for said in agent.heard if said["t"] == "places")
    assert (asked["least"], asked["type"]) == (1000, "app.Member")
    assert answers[0].containers[1] == ContainerPlace("app.Room.lines", "list", 4, 4400, 1100)
    assert answers[0].places[1] == ObjectPlace("locals of app.main", "local", 1, None, (3,))


def test_an_agent_that_cannot_tell_places_is_not_asked(tmp_path: Path) -> None:
    """One that another version has brought may be there already."""

    def older(peer: Peer) -> None:
        peer.greet(capabilities=["tasks"])
        until_the_end(peer)

    answers: list[PlacesAnswer] = []
    with ScriptedAgent(tmp_path, older) as agent, listening(agent) as found:
        found.listener.request_places(PlacesQuestion(), answers.append)
        wait_for(lambda: answers, "the refusal")
    assert "older" in answers[0].problem
    assert all(said["t"] != "places" for said in agent.heard)


def test_containers_are_asked_for_while_they_are_wanted(tmp_path: Path) -> None:
    """Not before, once at first, and what was found is in the store."""
    store = Store(time.time)
    with ScriptedAgent(tmp_path) as agent, listening(agent, store) as found:
        wait_for(lambda: store.snapshot().tick, "an update")
        assert store.snapshot().containers.newest is None
        found.listener.wants_containers = 1000
        wait_for(lambda: store.snapshot().containers.newest, "the containers")
        assert sum(said["t"] == "places" for said in agent.heard) == 1
        found.listener.wants_containers = 50  # smaller ones than it has been asked for: it does not wait its turn

        def least() -> list[int]:
            return [said["least"] for said in agent.heard if said["t"] == "places"]

        wait_for(lambda: least() == [1000, 50], "the question for smaller ones")
    newest = store.snapshot().containers.newest
    assert newest is not None
    assert newest.items["app.SESSIONS", "dict"] == 5000


def test_a_detail_that_does_not_come(tmp_path: Path) -> None:
    """One that comes too late is not given again."""
    answers = Answers()
    go_on = threading.Event()

    def late(peer: Peer) -> None:
        peer.greet()
        asked = peer.next()
        while asked is not None and asked["t"] != "detail":
            asked = peer.next()
        go_on.wait(30)
        assert asked is not None
        peer.say({**DETAIL, "id": asked["id"], "token": asked["token"]}, update())
        until_the_end(peer)

    with ScriptedAgent(tmp_path, late) as agent, listening(agent, detail_seconds=0.1) as found:
        found.listener.request_detail(7, answers)
        assert "not answered within 0.1 s" in answers.of(1)[0].problem
        go_on.set()
        wait_for(found.is_live, "what is said behind the late answer")
        assert len(answers.all) == 1


def test_a_detail_about_another_row(tmp_path: Path) -> None:
    answers = Answers()
    script = says({**DETAIL, "id": 8, "token": 1}, {**DETAIL, "id": 8, "token": 99})
    with ScriptedAgent(tmp_path, script) as agent:
        found = Listening(agent.path, Store(time.time))
        found.listener.request_detail(7, answers)
        found.thread.start()
        assert [(a.id, a.problem) for a in answers.of(1)] == [(7, "the agent has answered about another row")]
        found.listener.close()
        assert found.ended() is None


@pytest.mark.parametrize("how", ["close", "breaks", "never listened"])
def test_questions_are_answered_when_the_connection_ends(tmp_path: Path, how: str) -> None:
    answers = Answers()
    asked = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet()
        peer.next()
        asked.wait(30)
        if how != "breaks":
            until_the_end(peer)

    with ScriptedAgent(tmp_path, script) as agent:
        found = Listening(agent.path, Store(time.time))
        if how != "never listened":
            found.thread.start()
        for row in range(5):
            found.listener.request_detail(row, answers)
        asked.set()
        if how != "breaks":
            threading.Thread(target=found.listener.close).start()
        assert all(answer.problem for answer in answers.of(5))
        if how != "never listened":
            found.ended()
        found.listener.request_detail(5, answers)
        assert "not connected" in answers.of(6)[5].problem
        assert sorted(answer.id for answer in answers.all) == list(range(6))
        found.listener.close()


def test_what_comes_of_actions_reaches_the_store(tmp_path: Path) -> None:
    """Each by its token; what is said of one that is over, or that nobody has asked for, changes nothing."""

    def script(peer: Peer) -> None:
        peer.greet()
        asked = []
        while len(asked) < 2:
            said = peer.next()
            assert said is not None
            asked += [said] if said["t"] == "cancel" else []
        first, second = (said["token"] for said in asked)
        assert [said["id"] for said in asked] == [7, 8]
        over = {**ACTION, "token": first, "state": schema.ACTION_ENDED, "final": True, "text": "cancelled"}
        late = {**ACTION, "token": first, "state": schema.ACTION_MOVED}
        peer.say({**ACTION, "token": 99}, {**ACTION, "token": second}, over, late, update())
        until_the_end(peer)

    with ScriptedAgent(tmp_path, script) as agent, listening(agent) as found:
        store = found.store
        for row in (7, 8):
            found.listener.act("cancel", row, store.begin_action("cancel", row))
        wait_for(found.is_live, "what is said behind it")
        first, second = store.snapshot().actions
        assert (first.row_id, first.state, first.final, first.text) == (7, "ended", True, "cancelled")
        assert (second.row_id, second.state, second.final) == (8, "asked", False)
        found.listener.close()
        found.ended()
        first, second = store.snapshot().actions
        assert (first.state, second.state, second.final) == ("ended", "lost", True)
        found.listener.act("cancel", 9, store.begin_action("cancel", 9))
        assert store.snapshot().actions[-1].state == "refused"


def test_too_many_questions(tmp_path: Path) -> None:
    answers = Answers()
    with ScriptedAgent(tmp_path, says()) as agent, listening(agent) as found:
        for row in range(70):
            found.listener.request_detail(row, answers)
        assert all("many questions" in answer.problem for answer in answers.of(6))
    assert len(answers.of(70)) == 70


def test_an_answer_that_nobody_takes_does_not_end_the_listening(tmp_path: Path) -> None:
    def gone(answer: DetailAnswer) -> None:
        raise RuntimeError("the screen is closed")

    answers = Answers()
    with ScriptedAgent(tmp_path) as agent, listening(agent) as found:
        found.listener.request_detail(7, gone)
        found.listener.request_detail(8, answers)
        assert answers.of(1)[0].id == 8
        assert any("the screen is closed" in problem for problem in found.store.snapshot().problems)


# -- the end --------------------------------------------------------------------------------------------------------


def test_closing_ends_the_listening(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path) as agent, listening(agent) as found:
        wait_for(found.is_live, "the first update")
        found.listener.close()
        assert found.ended() is None
        found.listener.focus([1])
        found.listener.close()
    wait_for(lambda: agent.words()[-1] == "bye", "the goodbye")


def test_closing_before_listening(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path) as agent:
        found = Listening(agent.path, Store(time.time))
        found.listener.close()
        found.thread.start()
        assert found.ended() is None


def test_closing_from_many_threads_at_any_moment(tmp_path: Path) -> None:
    """Whatever the moment, listening ends without an error, and every question is answered once."""
    chance = random.Random(5)
    with ScriptedAgent(tmp_path, _talkative) as agent:
        for _ in range(40):
            answers = Answers()
            found = Listening(agent.path, Store(time.time))
            threads = [threading.Thread(target=found.listener.close) for _ in range(3)]
            threads.append(threading.Thread(target=found.listener.request_detail, args=(7, answers)))
            chance.shuffle(threads)
            found.thread.start()
            time.sleep(chance.random() * 0.004)
            for thread in threads:
                thread.start()
            assert found.ended() is None
            assert len(answers.of(1)) == 1


def _talkative(peer: Peer) -> None:
    peer.greet()
    for _ in range(500):
        peer.say(update())


# -- what a hostile agent says --------------------------------------------------------------------------------------

HOSTILE: dict[str, dict[str, Any] | bytes] = {
    "rows of no columns": {"t": "rows", "names": ["a"]},
    "rows of no names": frames.encode({"t": "rows", "names": None}, [("id", "q", [1])]),
    "an id below 0": rows_frame([-5]),
    "an id that is no number": frames.encode({"t": "rows", "names": ["a"]}, [("id", "d", [float("nan")])]),
    "a kind of no table": rows_frame([5], None, kind=99),
    "gone, below 0": frames.encode({"t": "gone"}, [("id", "q", [-(1 << 40)])]),
    "texts of a huge id": {**STRINGS, "first": 1 << 62},
    "texts that are none": {**STRINGS, "items": [1, None, {}]},
    "a node of its own kind": {"t": "nodes", "items": [node(3, kind=99)]},
    "a node that is none": {"t": "nodes", "items": [5]},
    "a tick of nothing": {"t": "tick"},
    "a tick of a huge count": {**TICK, "total": 10**40},
    "a detail of nothing": {"t": "detail"},
    "a goodbye of nothing": {"t": "bye"},
    "another greeting with garbage behind it": frames.encode(HELLO) + b"\xff" * 8,
}


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_against_the_contract_ends_the_listening(tmp_path: Path, message: dict[str, Any] | bytes) -> None:
    with ScriptedAgent(tmp_path, says(update(), message)) as agent, listening(agent) as found:
        assert isinstance(found.ended(), MessageError)
        assert str(found.outcome).isprintable() and len(str(found.outcome)) < 500
        _use(found.store)


def _use(store: Store) -> None:
    """Read everything that screens read."""
    snapshot = store.snapshot()
    for position in range(len(snapshot.tasks)):
        row = snapshot.tasks.row(position)
        texts = (row.name, row.function, row.state, row.waiting_on, row.where, row.kind, row.edge, row.accuracy)
        assert all(text.isprintable() for text in texts)
    forest = snapshot.forest
    for position in range(len(forest.ids)):
        forest.totals(position)
    assert all(text.isprintable() for text in (*snapshot.problems, snapshot.status.text))


def test_texts_out_of_range_are_no_texts(tmp_path: Path) -> None:
    strange = rows_frame([7, 8, 9], function=[-1, 99, (1 << 31) - 1], waiting=[2, -(1 << 31), 4], where=3)
    with ScriptedAgent(tmp_path, says(STRINGS, strange, TICK)) as agent, listening(agent) as found:
        wait_for(found.is_live, "the update")
        rows = [found.store.snapshot().tasks.find(n) for n in (7, 8, 9)]
        assert [(row.function, row.waiting_on) for row in rows if row] == [("", "sleep"), ("", ""), ("", "")]


def test_a_tree_of_circles_and_of_parents_that_are_not_there(tmp_path: Path) -> None:
    items = [node(1, parent=2), node(2, parent=1), node(3, parent=3), node(4, parent=999), node(5, parent=7)]
    strange = rows_frame([7, 8, 9], parent=[8, 7, 5])
    script = says({"t": "nodes", "items": items}, strange, TICK)
    with ScriptedAgent(tmp_path, script) as agent, listening(agent) as found:
        wait_for(found.is_live, "the update")
        _use(found.store)


def _endless(make: Callable[[int], bytes]) -> Script:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.next()
        n = 1
        while True:
            peer.say(make(n))
            n += 1

    return script


ENDLESS: dict[str, Callable[[int], bytes]] = {
    "rows": lambda n: rows_frame(range(n * 300, n * 300 + 300)),
    "names": lambda n: rows_frame(range(1, 600), ["x" * 250 + str(n)] * 599),
    "nodes": lambda n: frames.encode({"t": "nodes", "items": [node(n * 500 + i) for i in range(500)]}),
    "texts": lambda n: frames.encode(
        {"t": "strings", "first": 1 + 500 * (n - 1), "items": [f"{n}.{i}" + "y" * 200 for i in range(500)]}
    ),
    "problems": lambda n: frames.encode({"t": "problem", "text": f"{n}" * 500}) * 50,
    "gone": lambda n: frames.encode({"t": "gone"}, [("id", "q", list(range(n * 5000, n * 5000 + 5000)))]),
    "details": lambda n: frames.encode({**DETAIL, "token": n}) * 50,
    "ticks": lambda n: frames.encode(TICK) * 10,
    "greetings": lambda n: frames.encode(HELLO) * 50,
}


@pytest.mark.parametrize("make", ENDLESS.values(), ids=ENDLESS.keys())
def test_an_agent_that_never_stops_talking(tmp_path: Path, make: Callable[[int], bytes]) -> None:
    """The store stays bounded, questions run out of time, and closing still works."""
    answers = Answers()
    with ScriptedAgent(tmp_path, _endless(make)) as agent, listening(agent, detail_seconds=0.5) as found:
        found.listener.request_detail(7, answers)
        answers.of(1)
        found.listener.close()
        found.ended()
        assert found.outcome is None or isinstance(found.outcome, MessageError)
        snapshot = found.store.snapshot()
        assert len(snapshot.nodes) <= 100_000 and len(snapshot.tasks) <= 300_000
        assert len(snapshot.problems) <= 20
        assert all(len(problem) <= 500 for problem in snapshot.problems)


def test_random_messages_raise_nothing_else(tmp_path: Path) -> None:
    """Frames of valid messages in any order with some fields changed, from a fixed seed."""
    chance = random.Random(13)
    values: list[Any] = [None, -1, 0, 3, 1 << 62, 0.5, "x", "\x1b[2J", [], [[]], {}, True]

    def chaotic(peer: Peer) -> None:
        peer.greet()
        peer.next()
        for _ in range(60):
            head = dict(chance.choice([STRINGS, TICK, DETAIL, {"t": "nodes", "items": [node(3), node(4, parent=3)]}]))
            if chance.random() < 0.1:
                head[chance.choice(list(head)[1:])] = chance.choice(values)
            peer.say(head)
            ids = [chance.randint(1, 20) for _ in range(5)]
            peer.say(rows_frame(ids, None, parent=chance.randint(-5, 25), function=chance.randint(-5, 9)))

    with ScriptedAgent(tmp_path, chaotic) as agent:
        for _ in range(30):
            with listening(agent) as found:
                assert isinstance(found.ended(), ClientError)
                _use(found.store)
