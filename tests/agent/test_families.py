"""Who owns whom is told exactly: every task's parent with the edge to it, and its other owners, on every version."""

from __future__ import annotations

from typing import Any

import pytest

from pyobserver.protocol import schema

from ..support.interpreters import Interpreter
from ..support.packages import with_packages
from ..support.targets import launch
from .mirror import Mirror, observed, on_interpreters, silence


def label_of(mirror: Mirror, number: int) -> str:
    """What a row or node is called."""
    if number == 0:
        return "process"
    if number in mirror.nodes:
        return str(mirror.nodes[number]["label"])
    return str(mirror.rows[number]["name"]) if number in mirror.rows else f"nothing ({number})"


def parent_of(mirror: Mirror, name: str) -> tuple[str, str]:
    """(edge, parent) of a row by its name."""
    row = mirror.named(name)
    if row is None:
        return "", "it is not there"
    return schema.EDGES[row["edge"]], label_of(mirror, row["parent"])


def others_of(mirror: Mirror, name: str) -> list[tuple[str, str]]:
    """(edge, owner) of the other owners of a row by its name."""
    row = mirror.named(name)
    assert row is not None
    return [(edge, label_of(mirror, owner)) for owner, edge in mirror.others.get(row["id"], ())]


def node_named(mirror: Mirror, label: str) -> dict[str, Any]:
    """The node of this label."""
    (found,) = [node for node in mirror.nodes.values() if node["label"] == label]
    return found


def wait_for_parents(mirror: Mirror, expected: dict[str, tuple[str, str]], within: float = 40.0) -> None:
    """Listen until all parents are as expected; say which are not when they do not become so."""
    wrong: dict[str, Any] = {}

    def right() -> bool:
        wrong.clear()
        wrong.update({n: (parent_of(mirror, n), is_) for n, is_ in expected.items() if parent_of(mirror, n) != is_})
        return not wrong

    try:
        mirror.wait(right, "the parents", within)
    except AssertionError as error:
        raise AssertionError(f"{wrong}; {error}") from None


IN_CREW = ("holds", "__main__.Crew.background")
IN_CACHE = ("holds", "__main__.Cache.by_key")
IN_CLOSURE = ("holds", "__main__.closing.<locals>.keep: closure.held")
PARENTS = {
    "in attribute": ("holds", "__main__.Cache.refresher"),
    "in dict a": IN_CACHE,
    "in dict b": IN_CACHE,
    "hired": IN_CREW,
    "in dict twice": IN_CACHE,
    "in closure": IN_CLOSURE,
    "in class": ("holds", "__main__.Registry.started"),
    "in record": ("holds", "__main__.kept"),
    "in module": ("holds", "__main__.lone"),
    "gathered 1": ("owns", "gather in gathers"),
    "gathered 2": ("owns", "gather in gathers"),
    "in inner gather": ("owns", "gather in gathers_gathers"),
    "in outer gather": ("owns", "gather in gathers_gathers"),
    "waited for 1": ("awaits", "waits"),
    "waited for 2": ("awaits", "waits"),
    "timed": ("awaits", "waits_for"),
    "completed 1": ("awaits", "completes"),
    "completed 2": ("awaits", "completes"),
    "shielded": ("awaits", "shields"),
    "middle": ("awaits", "awaits"),
    "innermost": ("awaits", "middle"),
    "in variable": ("holds", "task listens: locals.alone"),
    "in set of variable": ("holds", "task listens: locals.pending"),
    "in queue": ("holds", "task listens: locals.queue"),
    "in dict awaited": ("owns", "gather in double"),
    "both": ("owns", "gather in double"),
    "of second loop": ("awaits", "main of second"),
    "lost": ("holds", "Unowned tasks"),
    **dict.fromkeys(
        ("gathers", "gathers_gathers", "waits", "waits_for", "completes", "shields", "awaits", "listens", "double"),
        ("holds", "__main__.top"),
    ),
}
SINCE_3_11 = {
    "within timeout": ("awaits", "times_out"),
    "in group": ("owns", "task group in groups"),
    "group child": ("owns", "task group in groups"),
    "in inner group": ("owns", "task group in groups_inner"),
    "times_out": ("holds", "__main__.top"),
    "groups": ("holds", "__main__.top"),
}


def parents(interpreter: Interpreter) -> dict[str, tuple[str, str]]:
    """The whole table of one version."""
    return {**PARENTS, **(SINCE_3_11 if interpreter.minor >= (3, 11) else {})}


@on_interpreters
def test_every_task_hangs_where_it_belongs(interpreter: Interpreter) -> None:
    with launch(interpreter, "families") as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            wait_for_parents(mirror, parents(interpreter))
            assert others_of(mirror, "both") == [IN_CREW]
            assert others_of(mirror, "in dict awaited") == [IN_CACHE]
            assert others_of(mirror, "in dict twice") == [IN_CREW]
            assert others_of(mirror, "hired") == []
            for name, above in (("gather in gathers", "gathers"), ("task listens: locals.pending", "listens")):
                assert label_of(mirror, node_named(mirror, name)["parent"]) == above
            assert mirror.problems == []
        silence(target.stop())


@on_interpreters
def test_new_tasks_are_found_where_others_are_held(interpreter: Interpreter) -> None:
    with launch(interpreter, "families") as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            wait_for_parents(mirror, parents(interpreter))
            target.ask("add 3")
            more = {}
            for number in range(3):
                more[f"in dict more {number}"] = IN_CACHE
                more[f"in closure {number}"] = IN_CLOSURE
                more[f"hired {number}"] = IN_CREW
            wait_for_parents(mirror, more)
            labels = [node["label"] for node in mirror.nodes.values()]
            assert labels.count("__main__.Cache.by_key") == 1
            assert mirror.problems == []
        silence(target.stop())


@on_interpreters
def test_what_has_ended_hangs_under_what_holds_it(interpreter: Interpreter) -> None:
    """Not under what has waited for it; a gather that still waits for others keeps it."""
    with launch(interpreter, "families") as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            wait_for_parents(mirror, parents(interpreter))
            for name in ("in dict a", "in dict awaited", "hired", "gathered 1", "both"):
                target.ask(f"finish {name.replace(' ', '_')}")
            wait_for_parents(
                mirror,
                {"in dict a": IN_CACHE, "in dict awaited": IN_CACHE, "gathered 1": ("owns", "gather in gathers")},
            )
            for name in ("in dict a", "in dict awaited", "gathered 1"):
                mirror.wait(
                    lambda name=name: (mirror.named(name) or {}).get("state") == "done, held", f"the end of {name}"
                )
            mirror.wait(lambda: not mirror.named("hired") and not mirror.named("both"), "the going of the others")
            assert mirror.problems == []
        silence(target.stop())


@on_interpreters
@pytest.mark.parametrize("how", ["uvloop", "anyio"])
def test_it_is_the_same_with_other_loops_and_groups(interpreter: Interpreter, how: str) -> None:
    able = with_packages(interpreter, how)
    with launch(able, "families", f"--{how}") as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            more = {}
            if how == "anyio":
                more = {f"anyio {depth}": ("owns", "task group in anyio_groups") for depth in (3, 2, 1)}
            expected = {**parents(interpreter), **more}
            if how == "uvloop" and interpreter.minor >= (3, 14):
                del expected["of second loop"]  # nothing but the frames of its thread leads to the loop
            wait_for_parents(mirror, expected)
            for name, above in zip(more, ("anyio_groups", "anyio 3", "anyio 2"), strict=False):
                row = mirror.named(name)
                assert row is not None and label_of(mirror, mirror.nodes[row["parent"]]["parent"]) == above
                assert row["function"] == "__main__.anyio_groups.<locals>.descend"
            assert mirror.problems == []
        silence(target.stop())


@on_interpreters
@pytest.mark.parametrize("how", [(), ("--anyio",)], ids=["trio", "anyio on trio"])
def test_nurseries_three_deep(interpreter: Interpreter, how: tuple[str, ...]) -> None:
    able = with_packages(interpreter, "trio", "anyio")
    with launch(able, "nurseries", *how) as target:
        with observed(target.pid) as mirror:
            mirror.wait_until_known()
            inner = ("leaf 1", "leaf 2", "leaf 3", "branch 2", "branch 3")
            in_main = {"branch 1": ("owns", "nursery in main")}
            wait_for_parents(mirror, {**dict.fromkeys(inner, ("owns", "nursery in opens")), **in_main})
            for name, above in {
                "leaf 1": "branch 1",
                "branch 2": "branch 1",
                "leaf 2": "branch 2",
                "branch 3": "branch 2",
                "leaf 3": "branch 3",
                "branch 1": "main",
            }.items():
                row = mirror.named(name)
                assert row is not None and label_of(mirror, mirror.nodes[row["parent"]]["parent"]) == above
            assert mirror.problems == []
        silence(target.stop())
