"""The agent tells where large containers are, and where objects of a type are held, without running foreign code."""

from __future__ import annotations

from pyobserver.model.places import PlacesQuestion

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import observed, on_interpreters, on_newest, silence
from .retained_targets import run


@on_interpreters
def test_large_containers_are_found_by_path(interpreter: Interpreter) -> None:
    """Of modules, classes, instances and tasks, tracked by the collector or not; alike ones are counted together."""
    with launch(interpreter, "holding") as target:
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["complete"], "all tasks")
            told = mirror.places(PlacesQuestion(least=1000))
            grown = target.ask("grow 500")
            again = mirror.places(PlacesQuestion(least=1000))
        silence(target.stop())
    found = {(path, kind): numbers for path, kind, *numbers in told["containers"]}
    assert found["__main__.SESSIONS", "dict"] == [1, 5000, 5000]
    assert found["__main__.NAMES", "list"] == [1, 3000, 3000]
    assert found["__main__.Cache.shared", "set"] == [1, 1500, 1500]
    assert found["__main__.Cache.payloads", "list"] == [1, 1200, 1200]
    assert found["__main__.Cache.recent", "deque"] == [1, 2500, 2500]
    assert found["__main__.Session.items", "list"] == [4, 4400, 1100]
    assert found["__main__.keeper: locals.mine", "list"] == [1, 2000, 2000]
    assert ("__main__.Cache.by_key", "dict") not in found
    assert [row[3] for row in told["containers"]] == sorted((row[3] for row in told["containers"]), reverse=True)
    assert told["places"] == []
    items = {(path, kind): numbers[1] for path, kind, *numbers in again["containers"]}
    assert items["__main__.SESSIONS", "dict"] == grown["sessions"]
    assert items["__main__.Cache.recent", "deque"] == grown["recent"]


@on_interpreters
def test_objects_of_a_type_are_found_by_holder(interpreter: Interpreter) -> None:
    """In containers, in attributes, among the variables of tasks; how often is told of each."""
    with launch(interpreter, "holding") as target:
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["complete"], "all tasks")
            told = mirror.places(PlacesQuestion(type="__main__.Payload"))
        silence(target.stop())
    found = {(path, kind): (number, length) for path, kind, number, length, _ in told["places"]}
    assert found["__main__.Cache.payloads", "list"] == (1200, 1200)
    assert found["__main__.Cache.by_key", "dict"] == (300, 300)
    assert found["__main__.Cache.last", "attribute"] == (1, None)
    assert found["__main__.keeper: locals.mine", "list"] == (2000, 2000)
    assert found["__main__.keeper: locals.one", "local"] == (1, None)
    assert told["references"] == sum(number for number, _ in found.values())
    assert told["places"][0][2] == 2000


@on_newest
def test_built_in_types_and_lengths(interpreter: Interpreter) -> None:
    """What the interpreter brings along is found by its short name, with the lengths of some."""
    with launch(interpreter, "holding") as target:
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["complete"], "all tasks")
            told = mirror.places(PlacesQuestion(type="bytes"))
            nowhere = mirror.places(PlacesQuestion(type="no.such.Type"))
        silence(target.stop())
    assert all(len(examples) <= 3 for *_, examples in told["places"])
    assert nowhere["places"] == []
    assert nowhere["note"] == ""
    assert nowhere["containers"]


@on_interpreters
def test_a_container_that_grows_meanwhile_is_counted_once(interpreter: Interpreter) -> None:
    """The walk goes on where it was, so that nothing in it counts twice, and says that it has changed."""
    with launch(interpreter, "holding") as target:
        target.ask("stream 0.002")
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["complete"], "all tasks")
            before = target.ask("streamed")["made"]
            told = mirror.places(PlacesQuestion(type="__main__.Payload"))
            after = target.ask("streamed")["made"]
        silence(target.stop())
    found = {path: number for path, kind, number, *_ in told["places"]}
    assert before <= found["__main__.STREAM"] <= after


def test_a_container_that_grows_within_a_slice_is_counted_once(interpreter: Interpreter) -> None:
    """As when another thread comes in between: nothing is passed over, nor counted a second time."""
    for told in run(interpreter, "changing.py"):
        assert told["changed"] > 0 and told["grown"] > 0
        assert told["before"] <= told["told"] <= told["after"], told


@on_newest
def test_very_many_containers_are_bounded(interpreter: Interpreter) -> None:
    """Of more places than there is room for, the largest are told, and from which size on."""
    with launch(interpreter, "holding") as target:
        target.ask("many 1200")
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["complete"], "all tasks")
            told = mirror.places(PlacesQuestion(least=10))
        silence(target.stop())
    assert len(told["containers"]) <= 120
    assert told["containers"][0][:2] == ["__main__.SESSIONS", "dict"]
    assert "there are many: only those of" in told["note"]


@on_newest
def test_what_is_everywhere_is_not_looked_for(interpreter: Interpreter) -> None:
    """The answer says so, at once."""
    with launch(interpreter, "holding") as target:
        with observed(target.pid) as mirror:
            for name in ("str", "int", "dict", "function"):
                told = mirror.places(PlacesQuestion(type=name))
                assert "not looked for" in told["note"]
                assert told["seconds"] == 0
        silence(target.stop())


@on_newest
def test_the_walk_does_not_hold_the_interpreter(interpreter: Interpreter) -> None:
    """It is done in slices, and a million objects are left alone when its time is over."""
    with launch(interpreter, "heap") as target:
        target.ask("objects 100000")
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["complete"], "all tasks")
            told = mirror.places(PlacesQuestion())
            assert mirror.ticks[-1]["agent"]["longest_hold_seconds"] < 0.05
        silence(target.stop())
    assert told["seconds"] > 0
    assert any(path == "__main__.kept[...]" and kind == "list" for path, kind, *_ in told["containers"])


@on_interpreters
def test_no_code_of_the_program_runs(interpreter: Interpreter) -> None:
    """Containers, classes and metaclasses made to harm whoever looks are walked through without being asked."""
    with launch(interpreter, "hostile") as target:
        with observed(target.pid) as mirror:
            mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["complete"], "all tasks")
            for name in ("", "__main__.Callable", "bytes", "no.such.Type"):
                assert mirror.places(PlacesQuestion(least=10, type=name))["seconds"] > 0
            assert mirror.problems == []
            assert target.ask("counts")["calls"] == {}
        silence(target.stop())
