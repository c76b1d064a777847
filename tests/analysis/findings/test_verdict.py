"""The verdict: one true sentence, silence where there is nothing to say, and patience where it is too early."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pyobserver.analysis.findings import KINDS, NO_VERDICT, Verdict, holder_of, verdict
from pyobserver.analysis.groups import group_rows
from pyobserver.arguments import FINDINGS
from pyobserver.model.places import ContainerPlace, PlacesAnswer
from pyobserver.model.readings import Allocator, Blocker, Category, Collector, MemoryLimit, ThreadLimit
from pyobserver.model.snapshot import Phase, Snapshot
from pyobserver.model.store import Store
from pyobserver.protocol import schema
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import HOLDER, MB, Story
from tests.model import made
from tests.model.made import Clock, node

FUNCTION = "rudder.pipeline.Spawner.push_hash"
CHILDREN = "rudder.pipeline.Spawner._children"


def of_story(story: Story, seconds: float, step: float = 1.0) -> Verdict:
    source = FakeSource(story)
    source.play(seconds, step)
    return verdict(source.store.snapshot())


def test_of_the_story() -> None:
    """What grows, how fast, what each costs, what part of the growth it is, who holds it, where it waits, and how long
    there is left."""
    found = of_story(Story(), 120)
    assert found.text == (
        f"Growing: 418 {FUNCTION}, +3.1 a minute, 7.02 MB each: 100 % of the growth of the last 2 min; "
        f"held by {CHILDREN}; all wait at pipeline.py:88; none has been seen to end; memory is full in about 26 min."
    )
    (only,) = found.findings
    assert (only.level, only.kind, only.function) == ("growing", "tasks", FUNCTION)
    assert (only.holder_id, only.holder) == (HOLDER, CHILDREN)
    assert only.reason == "a leak takes 20 min of steady growth, and 2 min are known"
    assert [step.place.screen for step in only.steps] == ["memory", "groups", "members", "tree"]
    assert only.steps[0].place.key == "python" and only.steps[3].place.key == HOLDER


def test_the_story_becomes_a_leak() -> None:
    """Tasks of which none ends are called that after 20 minutes of steady growth."""
    found = of_story(Story(), 1300, 2.0)
    assert (found.text.startswith("Leak: 479 ") and "of the last 2" in found.text) or "of the last 19 min" in found.text
    assert found.worst is not None and found.worst.level in ("leak", "limit") and found.worst.reason == ""


def test_a_short_look_says_growing() -> None:
    """A minute is enough to say that it grows, and what."""
    found = of_story(Story(), 60)
    assert found.text.startswith(f"Growing: 415 {FUNCTION}, ") and "each over the last 1 min" in found.text


def test_close_to_the_limit() -> None:
    """When the memory is full within a quarter of an hour, that is more than growing."""
    found = of_story(Story(limit=3_600 * MB), 120).worst
    assert found is not None and found.level == "limit" and found.seconds_to_limit is not None


@pytest.mark.parametrize("seconds", [20, 60, 120, 600])
def test_the_fixed_twin_is_silent(seconds: float) -> None:
    """As many tasks, each of which ends: nothing to report, at any time."""
    found = of_story(Story(fixed=True), seconds)
    assert (found.findings, found.text) == ((), "Memory is steady.")


@pytest.mark.parametrize("seconds", [0, 1, 4, 7])
def test_too_early(seconds: float) -> None:
    """Before there is enough to judge, nothing is claimed, and each check says what it waits for."""
    found = of_story(Story(), seconds)
    assert (found.findings, found.text) == ((), "Too early to tell whether memory grows.")
    states = {answer.check.name: answer.state for answer in found.answers}
    assert states["native"] == states["kept"] == states["memory"] == "too early"
    assert seconds == 0 or states["tasks"] == "too early"
    assert all(answer.waits for answer in found.answers if answer.state == "too early")


def test_before_anything_was_read() -> None:
    """An empty store is too early, not steady."""
    assert verdict(Store(Clock()).snapshot()).text == "Too early to tell whether memory grows."
    assert NO_VERDICT.worst is None and NO_VERDICT.text == ""


def test_without_tasks() -> None:
    """A program that uses no asyncio and does not grow is steady."""
    assert of_story(Story(empty=True), 60).text == "Memory is steady."


def test_the_command_line_knows_all_kinds() -> None:
    """It names them without loading the analysis; each check says in a sentence what it looks for."""
    assert FINDINGS == KINDS
    answers = verdict(Store(Clock()).snapshot()).answers
    assert [answer.check.name for answer in answers] == list(KINDS) and all(answer.check.about for answer in answers)


def test_what_is_allowed_is_not_told() -> None:
    """A kind, or a name, that the user has allowed is no finding; and what it explains gets no other name."""
    source = FakeSource(Story())
    source.play(120)
    snapshot = source.store.snapshot()
    for allowed in ("tasks", FUNCTION, CHILDREN):
        found = verdict(snapshot, {allowed})
        assert (found.findings, found.text) == ((), "Memory grows, by what was allowed to.")
    off = verdict(snapshot, KINDS)
    assert {answer.state for answer in off.answers} == {"switched off"}


def test_growing_containers() -> None:
    """By their path, with their items; not again where tasks grow in them, and objects have no other name then."""
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, ["m.work"])
    store.put_nodes([node(900, label="m.kept")])
    for second in range(90):
        store.add_process(made.process(clock.now, rss=100 * MB + second * MB))
        python = Allocator("python", "Python objects", 50 * MB + second * MB, 60 * MB + second * MB)
        store.add_memory(replace(made.memory(clock.now, rss=100 * MB + second * MB), allocators=(python,)))
        if second % 10 == 0:
            sizes = {"m.CACHE": 5000 + 20 * second, "m.kept": 2000 + second, "m.table": 9000}
            places = [ContainerPlace(path, "dict", 1, items, items) for path, items in sizes.items()]
            store.add_containers(PlacesAnswer(tuple(places)))
        made.put(store, [{"id": i, "function": 1, "parent": 900, "retained": 1000} for i in range(1, 10 + second)])
        store.add_tick(made.tick(clock.now, 9 + second))
        clock.now += 1
    found = verdict(store.snapshot())
    assert [(each.kind, each.name) for each in found.findings] == [("container", "m.CACHE"), ("tasks", "m.work")]
    text = found.text
    assert text.startswith(
        "Growing: m.CACHE (dict), 6,600 items, +1,200 a minute over the last 1 min 30 s; memory grows"
    )
    allowed = verdict(store.snapshot(), {"container"})
    assert [each.kind for each in allowed.findings] == ["python_objects", "tasks"]


def test_a_container_comes_before_the_memory_that_it_may_well_explain() -> None:
    """It has a name in the program, and says more than where it grows, if its items are of a likely size."""
    for items, first in ((20, "container"), (1, "memory")):
        clock = Clock()
        store = Store(clock)
        for second in range(90):
            size = 50 * MB + second * MB
            store.add_process(made.process(clock.now, rss=50 * MB + size))
            heap = Allocator("c_heap", "C heap", size, size)
            store.add_memory(replace(made.memory(clock.now, rss=50 * MB + size), allocators=(heap,)))
            if second % 10 == 0:
                store.add_containers(PlacesAnswer((ContainerPlace("m.CACHE", "dict", 1, 5000 + items * second, 9),)))
            clock.now += 1
        found = verdict(store.snapshot()).findings
        assert (found[0].kind, {each.kind for each in found}) == (first, {"container", "memory"})


@pytest.mark.parametrize(
    ("items", "is_growing"),
    [((1000, 2000, 3100), True), ((1000, 1100, 3100), False), ((1000, 2000), False), ((1000, 900, 1900, 2900), False)],
)
def test_few_looks_at_a_container(items: tuple[int, ...], is_growing: bool) -> None:
    """Of a large heap there are three in a minute: they tell growth when they lie on a line."""
    clock = Clock()
    store = Store(clock)
    for number in items:
        store.add_process(made.process(clock.now))
        store.add_containers(PlacesAnswer((ContainerPlace("m.CACHE", "dict", 1, number, number),)))
        clock.now += 25
    found = verdict(store.snapshot())
    assert [each.name for each in found.findings] == (["m.CACHE"] if is_growing else [])
    states = {answer.check.name: answer.state for answer in found.answers}
    assert states["container"] == ("found" if is_growing else "too early" if len(items) < 3 else "nothing")


def grown(
    rss_per_second: float,
    bytes_per_second: float,
    *,
    held: bool = False,
    ended: bool = False,
    python_per_second: float | None = None,
    holders: tuple[int, ...] = (900,),
    tasks: int = 10,
    label: str = "m.kept_{}",
) -> Snapshot:
    """A minute of a program whose `tasks` tasks retain more each second, and whose RSS grows as it is told."""
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, ["m.work", "/srv/m.py:9"])
    store.put_nodes(node(number, label=label.format(number)) for number in holders)
    for second in range(60):
        rss = round(100 * MB + second * rss_per_second)
        python = round(50 * MB + second * (python_per_second or bytes_per_second))
        reading = made.memory(clock.now, rss=rss)
        store.add_memory(replace(reading, allocators=(Allocator("python", "Python objects", python, python),)))
        store.add_process(made.process(clock.now, rss=rss))
        state = schema.STATE_DONE_HELD if held else schema.STATE_WAITING
        rows = [
            {
                "id": i,
                "function": 1,
                "where": 2,
                "state": state,
                "parent": holders[i % len(holders)],
                "retained": round(MB + second * bytes_per_second / tasks),
            }
            for i in range(1, tasks + 1)
        ]
        made.put(store, rows)
        if ended and second == 5:
            made.put(store, [{"id": 500 + i, "function": 1} for i in range(7)])
            store.remove(range(500, 507))
        store.add_tick(made.tick(clock.now, tasks))
        clock.now += 1
    return store.snapshot()


@pytest.mark.parametrize(
    ("of_rss", "text"),
    [(1.0, "100 % of the growth"), (0.7, "70 % of the growth"), (1.6, "more than the whole growth (160 % of it)")],
)
def test_the_part_of_the_growth(of_rss: float, text: str) -> None:
    """It can be more than all of it, where other memory is used again; that is said, not hidden."""
    assert text in verdict(grown(MB, of_rss * MB)).text


def test_what_is_less_than_half_is_not_the_cause() -> None:
    """Then the allocator that grows comes first, or that none does; the tasks that grow are told behind it."""
    found = verdict(grown(MB, 0.3 * MB, python_per_second=0.9 * MB))
    assert [(each.level, each.kind) for each in found.findings] == [("growing", "python_objects"), ("growing", "tasks")]
    assert found.text.startswith("Growing: Python objects, +54.0 MB a minute, 90 % of the growth of the last 1 min")
    assert found.worst is not None and (found.worst.group, found.worst.allocator) == (None, "python")
    found = verdict(grown(MB, 0.02 * MB, python_per_second=0.02 * MB))
    assert found.text.startswith("Growing: memory, +60.0 MB a minute over the last 1 min, in no single allocator.")


def listed_in_steps(step: int, seconds: int, limit: int | None = None) -> list[Verdict]:
    """The verdicts of each second of a program that starts ten tasks a second, of which it is heard every `step`."""
    clock = Clock()
    store = Store(clock)
    if limit is not None:
        store.set_limit(MemoryLimit(limit, "host", None))
    store.set_status(Phase.LIVE)
    store.greet(made.facts())
    store.add_texts(1, ["m.work"])
    found = []
    listed = 0
    for second in range(seconds):
        rss = round(100 * MB + second * MB)
        python = Allocator("python", "Python objects", rss - 50 * MB, rss - 50 * MB)
        store.add_memory(replace(made.memory(clock.now, rss=rss), allocators=(python,)))
        store.add_process(made.process(clock.now, rss=rss))
        if second % step == 0:
            fresh = range(listed + 1, 1500 + 10 * second)
            made.put(store, [{"id": i, "function": 1, "retained": 100_000} for i in fresh])
            listed = fresh.stop - 1
        store.add_tick(made.tick(clock.now, listed))
        clock.now += 1
        found.append(verdict(store.snapshot()))
    return found


@pytest.mark.parametrize("step", [1, 4, 6, 9, 17])
def test_tasks_that_are_listed_in_steps(step: int) -> None:
    """Of thousands it is heard every few seconds that they are more: nothing else is made responsible meanwhile."""
    found = listed_in_steps(step, 150)
    told = [{each.kind for each in one.findings} for one in found]
    assert set().union(*told) == {"tasks"}
    assert all(kinds == {"tasks"} for kinds in told[max(60, 6 * step) :])
    early = {one.text for one, kinds in zip(found, told, strict=True) if not kinds}
    assert early <= {
        "Too early to tell whether memory grows.",
        "Memory grows; it is too early to tell what does.",
        "Memory is steady.",  # too little, as yet
    }
    waits = {a.waits for one in found for a in one.answers if a.check.name == "python_objects"}
    assert step == 1 or any("whether tasks explain it" in text for text in waits)


def test_what_is_known_is_told_when_memory_is_full_in_a_moment() -> None:
    """What it is does not matter as much then, so that nothing is waited for."""
    found = listed_in_steps(9, 25, limit=400 * MB)
    assert any(each.level == "limit" for each in found[-1].findings)


def test_before_the_first_picture_nothing_else_is_made_responsible() -> None:
    """An agent that was left behind has told of memory before the tasks are listed anew."""
    clock = Clock()
    store = Store(clock)
    store.set_status(Phase.LIVE)
    store.greet(replace(made.facts(), followed_seconds=600.0))
    for second in range(90):
        rss = round(100 * MB + second * MB)
        store.add_process(made.process(clock.now, rss=rss))
        store.add_tick(made.tick(clock.now, 900, measured=300))
        clock.now += 1
        found = verdict(store.snapshot())
        assert not found.findings or second > 55, second
        if second == 40:
            answers = {answer.check.name: answer.waits for answer in found.answers}
            words = "the first picture of the tasks is not complete yet: 300 of 900 are measured"
            assert (answers["tasks"], answers["memory"]) == (words, words)
    assert [each.kind for each in found.findings] == ["memory"]


def test_objects_that_are_not_those_of_tasks_are_told_soon() -> None:
    """A thousand tasks that neither become more nor retain more do not keep it from being told."""
    clock = Clock()
    store = Store(clock)
    store.greet(made.facts())
    store.add_texts(1, ["m.work"])
    made.put(store, [{"id": i, "function": 1, "retained": 100_000} for i in range(1, 1000)])
    for second in range(20):
        rss = round(200 * MB + second * MB)
        python = Allocator("python", "Python objects", rss - 50 * MB, rss - 50 * MB)
        store.add_memory(replace(made.memory(clock.now, rss=rss), allocators=(python,)))
        store.add_process(made.process(clock.now, rss=rss))
        store.add_tick(made.tick(clock.now, 999))
        clock.now += 1
    assert [each.kind for each in verdict(store.snapshot()).findings] == ["python_objects"]


@pytest.mark.parametrize(
    ("every", "begins", "limit"), [(10, 0, None), (10, 15, None), (40, 0, None), (40, 5, None), (40, 0, 600 * MB)]
)
def test_where_memory_grows_is_not_told_before_all_allocators_were_read(
    every: int, begins: int, limit: int | None
) -> None:
    """The C heap is read every ten seconds, or less often: only then is it, and not no allocator, what grows. When
    memory is full in a moment, that is told at once."""
    clock = Clock()
    store = Store(clock)
    if limit is not None:
        store.set_limit(MemoryLimit(limit, "host", None))
    told = []
    size = divided = 20 * MB
    for second in range(50):
        size = 20 * MB + max(0, second - begins) * MB
        divided = size if second % every == 0 else divided
        python = Allocator("python", "Python objects", 50 * MB, 50 * MB)
        heap = Allocator("c_heap", "C heap", divided, divided)
        reading = replace(made.memory(clock.now, rss=80 * MB + size), allocators=(python, heap))
        store.add_memory(replace(reading, partition_age=float(second % every)))
        store.add_process(made.process(clock.now, rss=80 * MB + size))
        clock.now += 1
        told.append(verdict(store.snapshot()))
    texts = [one.text for one in told if any(each.kind == "memory" for each in one.findings)]
    assert not any("in no single allocator" in text for text in texts)
    assert all("too early to tell what grows" in text for text in texts) and bool(texts) == (limit is not None)
    assert [each.kind for each in told[-1].findings] == ["native"]


def test_growing_tasks_in_steady_memory() -> None:
    """A group that grows is told also while memory as a whole does not: what was free is used first."""
    found = verdict(grown(0.0, MB))
    assert found.text.startswith("Growing: 10 m.work, ") and " MB a minute over the last 1 min; held" in found.text
    assert "of the growth" not in found.text and "more than" not in found.text


def test_one_task_that_retains_more_and_more() -> None:
    """It is told as one: its bytes and their growth, and nothing of others that might end."""
    found = verdict(grown(MB, MB, tasks=1))
    assert found.text.startswith("Growing: 1 m.work, 60.0 MB, +60.0 MB a minute: 100 % of the growth")
    assert "; waits at " in found.text and "each" not in found.text and "seen to end" not in found.text
    assert found.worst is not None
    assert found.worst.evidence[1] == "1 asyncio task runs m.work and retains 60.0 MB, +60.0 MB a minute"
    assert found.worst.evidence[3].endswith(" holds it")


def test_what_grows_beside_the_tasks_is_not_hidden_behind_them() -> None:
    """From a third of the growth on it is told, with where it may be; it is not said whether it is a leak."""
    found = verdict(grown(MB, 0.6 * MB))
    assert [(each.level, each.kind) for each in found.findings] == [("growing", "tasks"), ("growing", "memory")]
    assert found.findings[1].summary.startswith(
        "Growing: memory that no growing task retains, +24.0 MB a minute, 40 % of the growth of the last 1 min"
    )
    assert [each.kind for each in verdict(grown(MB, 0.7 * MB)).findings] == ["tasks"]


def test_what_was_seen_to_end() -> None:
    """Tasks that end now and then are counted; done ones that are kept are called that."""
    assert verdict(grown(MB, MB, ended=True)).text.endswith("; 7 seen to end.")
    text = verdict(grown(MB, MB, held=True)).text
    assert text.startswith("Growing: 10 m.work (done), ") and text.endswith("; done, but not let go.")


@pytest.mark.parametrize(("age", "found"), [(60.0, []), (3600.0, ["memory"])])
def test_a_program_that_has_just_been_started_loads_what_it_needs(age: float, found: list[str]) -> None:
    """Three megabytes in a minute are told of an old one only."""
    clock = Clock()
    store = Store(clock)
    store.set_identity(replace(Story().identity(), started_at=clock.now + 60 - age))
    for second in range(61):
        store.add_process(made.process(clock.now, rss=50 * MB + second * 50_000))
        clock.now += 1
    assert [each.kind for each in verdict(store.snapshot()).findings] == found


@pytest.mark.parametrize("look", [20, 60])
def test_what_comes_and_goes_at_random_is_no_growth(look: int) -> None:
    """A server with some hundred requests that last for half a minute: their number wanders, and nothing is found."""
    random = np.random.default_rng(5)
    for _ in range(4):
        clock = Clock()
        store = Store(clock)
        store.add_texts(1, ["m.answer"])
        alive = list(range(1, 101))
        newest = 100
        made.put(store, [{"id": i, "function": 1, "retained": 200_000} for i in alive])
        for _ in range(look):
            gone = [i for i in alive if random.random() < 1 / 30]
            fresh = list(range(newest + 1, newest + 1 + random.poisson(100 / 30)))
            newest += len(fresh)
            alive = [i for i in alive if i not in gone] + fresh
            store.remove(gone)
            made.put(store, [{"id": i, "function": 1, "retained": 200_000} for i in fresh])
            store.add_process(made.process(clock.now, rss=300 * MB))
            store.add_tick(made.tick(clock.now, len(alive)))
            clock.now += 1
        assert not verdict(store.snapshot()).findings


def test_the_holder_must_hold_most() -> None:
    """Half of a group under one holder names it; a third does not."""
    one, two, three = (verdict(grown(MB, MB, holders=tuple(range(900, 900 + n)), tasks=12)).worst for n in (1, 2, 3))
    assert one is not None and one.holder == "m.kept_900"
    assert two is not None and two.holder in ("m.kept_900", "m.kept_901")
    assert three is not None and (three.holder_id, three.holder) == (None, None)
    assert "held by" not in three.summary


def test_holders_of_one_name_count_together() -> None:
    """The rooms of a server each hold a part of the tasks in the same attribute: it is named, and the largest shown."""
    found = verdict(grown(MB, MB, holders=(900, 901, 902), tasks=13, label="m.Room.listeners")).worst
    assert found is not None and (found.holder_id, found.holder) == (901, "m.Room.listeners")
    assert "held by m.Room.listeners" in found.summary
    assert found.steps[-1].text.endswith("m.Room.listeners holds 5 of them, others of this name the rest")


def test_the_holder_of_a_group_that_is_gone() -> None:
    """None, rather than an error."""
    (row,) = group_rows(grown(MB, MB), 60)
    assert holder_of(Store(Clock()).snapshot(), row) == (None, "")


def test_a_kind_that_is_not_known_here() -> None:
    """A newer agent's kind of row in a growing group is told as well as it can be."""
    clock = Clock()
    store = Store(clock)
    for second in range(60):
        store.add_process(made.process(clock.now, rss=100 * MB))
        made.put(store, [{"id": i, "kind": 99, "retained": 10**5 * second} for i in range(1, 10)])
        store.add_tick(made.tick(clock.now, 9))
        clock.now += 1
    store.set_limit(MemoryLimit(10**9, "host", None))
    assert verdict(store.snapshot()).text.startswith("Growing: 9 ")


def of_categories(seconds: int = 90, rss: int | None = None, **growing: int) -> Verdict:
    """A while of a program whose categories are these, each with how many bytes more each second."""
    clock = Clock()
    store = Store(clock)
    for second in range(seconds):
        sizes = {"python_live": 50 * MB, "python_free": 0, "c_live": 20 * MB, "c_free": 0}
        sizes |= {name: size * second for name, size in growing.items()}
        categories = tuple(Category(each, each, size) for each, size in sizes.items())
        total = sum(sizes.values()) if rss is None else rss
        store.add_memory(replace(made.memory(clock.now, rss=total), categories=categories))
        store.add_process(made.process(clock.now, rss=total))
        clock.now += 1
    return verdict(store.snapshot())


@pytest.mark.parametrize(
    ("name", "keeper", "allocator"),
    [("python_free", "Python's allocator", "python"), ("c_free", "the C heap", "c_heap")],
)
def test_what_grows_was_freed_but_kept(name: str, keeper: str, allocator: str) -> None:
    """Then no object is to blame, and the verdict says so."""
    found = of_categories(**{name: MB})
    assert f"what {keeper} keeps of freed memory" in found.text
    assert [(each.level, each.kind, each.name) for each in found.findings] == [("growing", "kept", allocator)]


def test_much_is_kept_without_growing() -> None:
    """Also what does not grow is told, where it is a large part of the memory: as a notice, not as a leak."""
    clock = Clock()
    store = Store(clock)
    for _ in range(40):
        categories = (Category("python_live", "", 40 * MB), Category("python_free", "", 160 * MB))
        store.add_memory(replace(made.memory(clock.now, rss=200 * MB), categories=categories))
        store.add_process(made.process(clock.now, rss=200 * MB))
        clock.now += 1
    found = verdict(store.snapshot())
    assert [(each.level, each.kind) for each in found.findings] == [("notice", "kept")]
    assert found.text.startswith("Freed but kept: 160 MB by Python's allocator, 80 % of the memory.")


# -- everyday --------------------------------------------------------------------------------------------------------


def one(store: Store, kind: str) -> tuple[str, str]:
    """(level, sentence) of the only finding of a kind."""
    (found,) = (each for each in verdict(store.snapshot()).findings if each.kind == kind)
    return found.level, found.summary


def test_what_blocks_its_loop() -> None:
    """The task that the agent has seen at it, with where it is."""
    store = Store(Clock())
    store.add_texts(1, ["m.crunch", "/srv/m.py:9"])
    made.put(store, [{"id": 1, "function": 1, "where": 2, "flags": schema.FLAG_BLOCKING}, {"id": 2, "function": 1}])
    level, text = one(store, "blocked_loop")
    assert level == "notice" and text.startswith("The event loop is blocked by m.crunch at m.py:9")


def test_tasks_that_block_their_loop_in_turn() -> None:
    """Each holds it once and ends, so that there is none to point at: the function is told, with how many."""
    store = Store(Clock())
    made.put(store, [{"id": 1}])
    store.add_tick(replace(made.tick(made.NOW), blocking=(Blocker("m.answer", 12),)))
    assert one(store, "blocked_loop") == (
        "notice",
        "The event loop is blocked by m.answer (12 tasks in turn, which have ended since): nothing else runs in it "
        "meanwhile.",
    )


def test_what_failed_in_silence() -> None:
    """Done tasks whose exception nobody has asked for."""
    store = Store(Clock())
    store.add_texts(1, ["m.fetch"])
    flags = {"flags": schema.FLAG_UNRETRIEVED, "state": schema.STATE_DONE_HELD, "function": 1}
    made.put(store, [{"id": 1, **flags}, {"id": 2, **flags}])
    assert one(store, "unretrieved") == (
        "notice",
        "2 m.fetch tasks have failed, and nobody has asked for the exception.",
    )
    store = Store(Clock())
    store.greet(made.facts(python="3.14.1"))  # which lists none of those that are done
    store.add_texts(1, ["m.fetch"])
    made.put(store, [{"id": 1, **flags}, {"id": 2, **flags}])
    assert one(store, "unretrieved")[1].startswith("At least 2 m.fetch tasks have failed")


def test_coroutines_never_awaited() -> None:
    """Only after half a minute: before, somebody may still await them."""
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, ["m.send"])
    made.put(store, [{"id": 1, "kind": schema.KIND_NEVER_AWAITED, "function": 1, "created": clock.now}])
    assert not verdict(store.snapshot()).findings
    clock.now += 40
    level, text = one(store, "never_awaited")
    assert level == "notice" and text == "1 m.send coroutine was never awaited, for 40 s at least."


def test_garbage_that_is_not_freed() -> None:
    """What the collector has put aside."""
    store = Store(Clock())
    collected = Collector((0, 0, 0), (1, 1, 1), 0, 0, 3)
    store.add_tick(replace(made.tick(made.NOW), collector=collected))
    assert one(store, "garbage")[1].startswith("gc.garbage has 3 objects")


def test_long_collections() -> None:
    """Told from 3.15 on, from what all of them took between two updates; before, it is said that it is not told."""
    clock = Clock()
    store = Store(clock)
    for runs, seconds in ((1, 0.5), (2, 0.51), (4, 1.11), (4, 1.11)):
        collector = Collector((0, 0, 0), (9, 9, runs), 0, 0, 0, (0.0, 0.0, seconds))
        store.add_tick(replace(made.tick(clock.now), collector=collector))
        clock.now += 1
    level, text = one(store, "gc_pauses")
    assert level == "notice" and text.startswith("The garbage collector has stopped the program for 0.3 s; ")
    store.add_tick(replace(made.tick(clock.now), collector=Collector((0, 0, 0), (9, 9, 5), 0, 0, 0)))
    answers = {answer.check.name: answer for answer in verdict(store.snapshot()).answers}
    assert answers["gc_pauses"].state == "not available" and "3.15" in answers["gc_pauses"].waits


def test_a_long_queue() -> None:
    """Of an executor, from a hundred jobs on."""
    store = Store(Clock())
    store.put_nodes([replace(node(5, "executor", label="executor pool"), queue=99)])
    assert not verdict(store.snapshot()).findings
    store.put_nodes([replace(node(5, "executor", label="executor pool"), queue=250)])
    assert one(store, "backlog") == ("notice", "250 jobs wait for executor pool.")


def test_open_files_near_their_limit() -> None:
    """80 % of what there may be; and when they become more, when none is left."""
    clock = Clock()
    store = Store(clock)
    store.add_process(replace(made.process(clock.now), fds=900, fd_limit=1024))
    assert one(store, "descriptors") == ("limit", "900 open files of 1,024 (RLIMIT_NOFILE).")
    store = Store(clock)
    for second in range(60):
        store.add_process(replace(made.process(clock.now), fds=20 + second, fd_limit=100_000))
        clock.now += 1
    level, text = one(store, "descriptors")
    assert level == "growing"
    assert text.startswith(
        "Growing: 79 open files of 100,000 (RLIMIT_NOFILE), +60.0 a minute over the last 1 min; none"
    )


def test_who_the_threads_are_that_become_more() -> None:
    """What most of the new ones run is named, and leads to them."""
    clock = Clock()
    store = Store(clock)
    store.add_texts(1, ["m.deliver", "/usr/lib/threading.py:369", "m.pool"])
    for second in range(70):
        new = {"kind": schema.KIND_THREAD, "function": 1, "where": 2, "created": clock.now}
        made.put(store, [{"id": 1, **new, "function": 3}, {"id": 2 + second, **new}])
        store.add_tick(made.tick(clock.now))
        store.add_process(replace(made.process(clock.now), threads=2 + second))
        clock.now += 1
    level, text = one(store, "threads")
    assert level == "growing"
    assert text.startswith("Growing: 71 threads, +60.") and "; 70 of them run m.deliver, +60." in text
    (found,) = (each for each in verdict(store.snapshot()).findings if each.kind == "threads")
    assert found.evidence == ("71 threads", "70 threads run m.deliver, most of them at threading.py:369")


def of_workers(growing: dict[int, int], seconds: int = 90) -> Verdict:
    """The verdict on three workers, of which those in `growing` take so many bytes more each second."""
    clock = Clock()
    store = Store(clock)
    for second in range(seconds):
        rss = {pid: 20 * MB + growing.get(pid, 0) * second for pid in (71, 72, 73)}
        store.set_children(tuple(made.child(pid, size) for pid, size in rss.items()))
        store.add_tick(made.tick(clock.now))
        store.add_process(made.process(clock.now))
        clock.now += 1
    return verdict(store.snapshot())


def test_a_child_process_that_grows() -> None:
    """Its memory is not the target's: the child is named, and how to look into it."""
    (found,) = of_workers({72: 80_000}).findings
    assert (found.kind, found.level) == ("children", "growing")
    assert found.summary.startswith(
        "Growing: 3 child processes python3 worker, 67.1 MB, +4.80 MB a minute over the last"
    )
    assert "; most of it is pid 72" in found.summary and ", +4.8" in found.summary
    assert found.evidence[1] == "Enter on it attaches to it, to see what grows there"
    assert found.group is not None and found.steps[1].place.key == found.group


def test_child_processes_that_do_not_grow() -> None:
    """Pages that are copied after a fork are too little to be told; before there is enough, it is too early."""
    assert of_workers({71: 5_000, 72: 5_000, 73: 5_000}).findings == ()
    states = {answer.check.name: answer.state for answer in of_workers({72: 80_000}, 5).answers}
    assert states["children"] == "too early"


def test_threads_near_their_limit() -> None:
    """What others of the group take is not left for this one."""
    store = Store(Clock())
    store.add_process(replace(made.process(), threads=20))
    store.set_thread_limit(ThreadLimit(100, "cgroup /a pids.max", 96))
    assert one(store, "threads") == ("limit", "20 threads of 24 (cgroup /a pids.max).")
    store.set_thread_limit(ThreadLimit(1000, "cgroup /a pids.max", 96))
    assert not verdict(store.snapshot()).findings
