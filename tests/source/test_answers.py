"""Answers of an agent become the model's objects."""

from __future__ import annotations

import pytest

from pyobserver.model.actions import Outcome, Progress, Site
from pyobserver.model.details import ChainFrame, Variable
from pyobserver.protocol import schema
from pyobserver.source import answers
from pyobserver.source.errors import MessageError

from .scripted import ACTION, DETAIL, TRACED, changed, frame


def test_a_detail() -> None:
    answer = answers.detail(frame(DETAIL))
    assert answer.id == 7
    assert answer.chain == (ChainFrame("app.main", "/srv/app.py", 10), ChainFrame("app.wait", "/srv/app.py", None))
    assert answer.by_type == (("dict", 2, 900),)
    assert answer.biggest == (("self.cache", "dict", 4, 800, ""),)
    assert answer.variables == (Variable("app.wait", "count", "int", None, "12"),)
    assert answer.blocked == 3
    assert (answer.retained, answer.accuracy, answer.error) == (1000, "sampled", 20)
    assert answer.awaited_by == ((8, "Task-2  app.main"),)
    assert answer.holders == (("app._tasks", "set", 12),)
    assert answer.created_at == 1_700_000_000.5
    assert answers.detail(frame(changed(DETAIL, "retained", None))).retained is None
    assert (answer.spawned_at, answer.spawned_by) == ("", ())
    more = {**DETAIL, "spawned_at": "/srv/app.py:3 App.start", "spawned_by": [[9, "Task-3  app.main"]]}
    assert answers.detail(frame(more)).spawned_at == "/srv/app.py:3 App.start"
    assert answers.detail(frame(more)).spawned_by == ((9, "Task-3  app.main"),)


def test_what_an_action_on_memory_has_done() -> None:
    """Each action has some of the fields; more lines than there may be are left out."""
    sites = (Site("/srv/app/main.py", 12, 4_000, 10), Site("/srv/app/other.py", 3, 1_000, 2))
    outcome = Outcome(0.1, 9_000_000, None, 3, 0, "glibc", 10.0, 5_000, 12, 2, sites)
    assert answers.action(frame(TRACED))[1].outcome == outcome
    few = {**ACTION, "result": {"held": 0.5, "found": 7}}
    assert answers.action(frame(few))[1].outcome == Outcome(0.5, found=7)
    many = {**TRACED, "result": {**TRACED["result"], "sites": [["a", 1, 2, 3]] * 60}}
    told = answers.action(frame(many))[1].outcome
    assert told is not None and len(told.sites) == 50
    for wrong in ({"held": -1.0}, {"sites": [["a", 1, 2]]}, {"found": -1}, {"bytes": "5"}, {"sites": None}):
        with pytest.raises(MessageError):
            answers.action(frame({**TRACED, "result": {**TRACED["result"], **wrong}}))


def test_what_has_come_of_an_action() -> None:
    assert answers.action(frame({**ACTION, "text": "a b"})) == (1, Progress("asked", 0.25, False, "a b"))
    assert answers.action(frame({**ACTION, "state": schema.ACTION_ENDED, "final": True}))[1].final
