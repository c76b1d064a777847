"""However much there is, work goes on in slices: what goes through all of something looks at the clock meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pyobserver.agent import rows
from pyobserver.agent.owners.membership import Membership
from pyobserver.agent.owners.supervisors import Supervisors
from pyobserver.agent.ownership import Ownership
from pyobserver.agent.rows import Table
from pyobserver.agent.search import Search
from pyobserver.agent.tasks import TaskProbe
from pyobserver.protocol import schema

MANY = 20000


class Counting:
    """A slice that is over whenever it is asked, and counts how often that was."""

    def __init__(self) -> None:
        self.asked = 0

    def over(self) -> bool:
        """Always."""
        self.asked += 1
        return True

    @staticmethod
    def clock() -> float:
        """The time, which stands still."""
        return 100.0


def run(job: Any, now: Counting) -> tuple[int, Any]:
    """Goes through a job; returns in how many parts that was, and what it returned."""
    parts = 1
    try:
        next(job)
        while True:
            parts += 1
            job.send(now)
    except StopIteration as ended:
        return parts, ended.value


def crowd_that_has_gone(stays: int = 0) -> tuple[Table, list[Any]]:
    """A table with positions that are free again, before `stays` rows of tasks."""
    table = Table(0.0)
    gone = [table.add_row(schema.KIND_TASK).id for _ in range(MANY)]
    staying = [table.add_row(schema.KIND_TASK) for _ in range(stays)]
    for number in gone:
        table.remove(number)
    return table, staying


def test_free_positions_are_passed_over_at_once() -> None:
    """After a crowd of tasks there may be 250,000 of them, and the next task is found without a look at each."""
    table, staying = crowd_that_has_gone(3)
    probe: Any = SimpleNamespace(_table=table)
    assert list(TaskProbe.positions(probe)) == [row.position for row in staying]
    table, _ = crowd_that_has_gone()
    assert list(TaskProbe.positions(SimpleNamespace(_table=table))) == []  # type: ignore[arg-type]


def test_what_a_walk_has_found_is_told_in_slices_behind_a_crowd() -> None:
    """Positions without a task take their time, too."""
    table, _ = crowd_that_has_gone()
    search: Any = SimpleNamespace(_table=table, walk=SimpleNamespace(found={}))
    now = Counting()
    parts, _ = run(Search._tell_found(search, now, table.end_position, 0), now)
    assert parts > MANY / 100


def test_tasks_in_a_container_are_counted_in_slices() -> None:
    """The one that has been asked about is not the only one that waits."""
    table = Table(0.0)
    node = table.add_node(schema.NODE_HOLDER, "app.HELD", 0, schema.EDGE_HOLDS)
    for number in range(MANY):
        table.add_row(schema.KIND_TASK).held = node.id if number % 2 else 0
    ownership: Any = SimpleNamespace(_table=table)
    now = Counting()
    parts, told = run(Ownership.tasks_in(ownership, node.id, now), now)
    assert told[0] == MANY // 2 and parts > MANY / 2000


def test_nodes_that_are_not_needed_are_removed_in_slices() -> None:
    """To find each of many containers again takes long."""
    table = Table(0.0)
    supervisors: Any = Supervisors(SimpleNamespace(table=table), None)
    for number in range(2000):
        node = table.add_node(schema.NODE_HOLDER, "app.HELD", 0, schema.EDGE_HOLDS)
        supervisors._containers[number] = node
    now = Counting()
    parts, _ = run(supervisors.sweep(now), now)
    assert parts > 100


def test_a_node_with_rows_under_it_stays() -> None:
    """Whether they hang there or are held there."""
    table = Table(0.0)
    supervisors: Any = Supervisors(SimpleNamespace(table=table), None)
    nodes = [table.add_node(schema.NODE_HOLDER, "app.HELD", 0, schema.EDGE_HOLDS) for _ in range(3)]
    supervisors._containers.update(enumerate(nodes))
    table.add_row(schema.KIND_TASK).parent = nodes[0].id
    table.add_row(schema.KIND_TASK).held = nodes[1].id
    now = Counting()
    for _ in range(2):
        run(supervisors.sweep(now), now)
    assert [node.empty_since for node in nodes] == [0.0, 0.0, 100.0]


def test_tasks_that_are_in_no_container_are_given_up_in_slices() -> None:
    """Thousands of new ones may not be found."""
    table = Table(0.0)
    things = [SimpleNamespace() for _ in range(3000)]
    supervisors: Any = SimpleNamespace(containers=list)
    missed: list[int] = []
    membership = Membership(table, supervisors, None, None, missed.append)
    for thing in things:
        row = table.add_row(schema.KIND_TASK)
        row.ref = lambda thing=thing: thing
        membership.note(row, thing)
    now = Counting()
    parts, _ = run(membership._look(now), now)
    assert parts > 5 and sum(missed) == 3000


def test_the_log_is_forgotten_in_parts() -> None:
    """After a crowd it has hundreds of thousands of entries, which take milliseconds to free."""
    table = Table(0.0)
    for _ in range(3):
        for _ in range(MANY):
            table.remove(table.add_row(schema.KIND_TASK).id)
    end = table.end
    table.trim(end)
    assert 0 < len(table._log) == 6 * MANY - rows._TRIMMED
    assert table.changes(0, 10) is None and table.end == end
    while table._log:
        table.trim(end)
    assert table.changes(end, 10) == ([], end)
