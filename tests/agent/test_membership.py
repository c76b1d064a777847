"""Tasks that nobody was found to hold are looked for in the containers that are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pyobserver.agent.owners.membership import Membership


class Task:
    """Stands for one."""


@pytest.mark.parametrize("is_there", [True, False])
def test_one_that_came_behind_a_walk_is_looked_for_without_another_walk(is_there: bool) -> None:
    task, held, missed = Task(), [], []
    row: Any = SimpleNamespace(id=5, held=0, ref=lambda: task)
    container = [Task(), task] if is_there else [Task()]
    node = SimpleNamespace(id=9, route=SimpleNamespace(container=lambda: container))
    table: Any = SimpleNamespace(nodes={9: node}, rows={5: row})
    supervisors: Any = SimpleNamespace(containers=lambda: [node])
    members = Membership(table, supervisors, None, lambda *found: held.append(found), missed.append)
    members.note_again(row)
    now: Any = SimpleNamespace(over=lambda: False)
    for _ in range(3):
        for _ in members._look(now):
            pass
    assert held == ([(row, node)] if is_there else [])
    assert not any(missed)
