"""What the target was asked to do is remembered, with what has come of it."""

from __future__ import annotations

from pyobserver.model.actions import ENDED, MAX_ACTIONS, MOVED, Actions, Progress


def test_reports_change_what_they_are_about() -> None:
    actions = Actions()
    one, two = (actions.begin("cancel", row, f"w-{row}", 100.0) for row in (1, 2))
    actions.report([two], Progress(MOVED, 0.5, False, ""), 101.0)
    actions.report([two], Progress(ENDED, 1.5, True, "cancelled"), 102.0)
    actions.report([two, 99], Progress(MOVED, 2.5, False, ""), 103.0)
    first, second = actions.all()
    assert (first.key, first.state, first.final, first.changed_at) == (one, "sent", False, 100.0)
    assert (second.state, second.seconds, second.final, second.text) == ("ended", 1.5, True, "cancelled")
    assert (second.asked_at, second.changed_at) == (100.0, 102.0)


def test_there_are_not_ever_more() -> None:
    actions = Actions()
    keys = [actions.begin("cancel", 1, "w", 0.0) for _ in range(MAX_ACTIONS + 5)]
    assert [action.key for action in actions.all()] == keys[5:]
