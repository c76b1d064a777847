"""What the program drops while the agent looks at it is freed in a thread of the program, as if nobody had looked."""

from __future__ import annotations

from pyobserver.model.places import PlacesQuestion

from ..support.interpreters import Interpreter
from ..support.targets import launch
from .mirror import observed, on_interpreters, silence


@on_interpreters
def test_containers_that_a_walk_stands_in_are_not_freed_by_it(interpreter: Interpreter) -> None:
    """Walks over the heap hold the containers on their way, which are replaced all the time, until they go on."""
    with launch(interpreter, "letting_go", "--containers", 27, "--items", 800, "--parked", 100) as target:
        with observed(target.pid) as mirror:
            for _ in range(2):
                mirror.places(PlacesQuestion(10, "__main__.Canary"))
            freed = target.ask("freed")
        assert min(freed["here"].values()) > 2000 and len(freed["here"]) == 9
        assert target.ask("freed")["elsewhere"] == []
        silence(target.stop())


@on_interpreters
def test_tasks_that_end_while_they_are_looked_at_are_not_freed_by_it(interpreter: Interpreter) -> None:
    """Reading where one stands lets go of the interpreter lock, and the task may end in that moment."""
    with launch(interpreter, "letting_go", "--tasks", 60) as target:
        with observed(target.pid) as mirror:
            mirror.turn(40)
            freed = target.ask("freed")
        assert freed["here"]["task"] > 1000
        assert target.ask("freed")["elsewhere"] == []
        silence(target.stop())
