"""What the tree costs at 50,000 nodes: a refresh beside Textual's Tree, and how soon a key is seen meanwhile.

A service of task groups with twenty tasks each, all of them open. Between two refreshes every task retains something
else. Ours is given the new snapshot, and plants, sums, orders and paints it. Textual's Tree, which sums and orders
nothing, is given new labels, for all nodes or (the cheapest way there is) for the visible ones only; what one more node
costs it is told beside. Costs are processor time, as the machine may be busy.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import numpy as np
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from pyobserver.analysis.format import bytes_text
from pyobserver.model.forest import Node
from pyobserver.model.snapshot import Snapshot
from pyobserver.model.tasks import Array
from pyobserver.protocol import schema
from pyobserver.source.fake import FakeSource, source_in_real_time
from pyobserver.source.story import LOOP, Story
from pyobserver.tui.tabs.tree import TreeTab
from pyobserver.tui.view import View
from pyobserver.tui.widgets import VirtualTree
from pyobserver.tui.widgets.virtual_list import SETTLING

from .keys import SIZE, Timed, keys_while_refreshing, quantiles
from .table_cost import Alone, processor_time

NODES = 50_000
WIDTH = 20  # tasks of a group
FIRST_GROUP = 10_000_000
ROUNDS = 7
LEAST_RATIO = 20.0  # how many times cheaper than new labels for all a refresh must be


@dataclass(frozen=True)
class Branched(Story):
    """The service whose spawner puts its tasks into task groups."""

    def nodes(self) -> tuple[Node, ...]:
        groups = range(FIRST_GROUP, FIRST_GROUP + -(-self.tasks // WIDTH))
        return (
            *super().nodes(),
            *(Node(number, "task_group", f"task group {number}", LOOP, "owns", None, "main.py:7") for number in groups),
        )

    def spawned(self, numbers: Array, second: float) -> tuple[dict[str, Array], list[str]]:
        columns, names = super().spawned(numbers, second)
        columns["parent"] = FIRST_GROUP + numbers.astype(np.int64) // WIDTH
        columns["edge"][:] = schema.EDGE_OWNS
        columns["function"] = columns["function"] + (numbers % WIDTH // 3 % 2).astype(np.int32)
        return columns, names


def story(nodes: int) -> Branched:
    return Branched(tasks=nodes * WIDTH // (WIDTH + 1), restless=True, payload=10_000, per_minute=0.0)


def snapshots(nodes: int) -> list[Snapshot]:
    """Readings of the service, after it has been watched for a while."""
    source = FakeSource(story(nodes), churn=1.0)
    source.play(30.0, 2.0)
    found = []
    for _ in range(ROUNDS + 1):
        source.play(2.0, 2.0)
        found.append(source.store.snapshot())
    return found


async def ours(taken: list[Snapshot], opened: bool) -> float:
    """The median cost of a refresh of our tree."""
    tab = TreeTab()
    async with Alone(tab).run_test(size=SIZE) as pilot:
        tab.present(taken[0], View())
        tab.toggle()
        if opened:
            tab.main_widget().action_open_all()
            await asyncio.sleep(SETTLING + 0.1)  # until then the lines keep their order
        await pilot.pause()
        costs = []
        for each in taken[1:]:
            fresh = replace(each, tasks=replace(each.tasks))  # without what was found out about it before
            costs.append(await processor_time(pilot, lambda at=fresh: tab.present(at, View())))  # type: ignore[misc]
    return statistics.median(costs)


async def theirs(taken: list[Snapshot]) -> dict[str, float]:
    """The costs of Textual's Tree, by what is done."""
    widget: Tree[int] = Tree("process")
    costs = {}
    async with Alone(widget).run_test(size=SIZE) as pilot:
        nodes: list[TreeNode[int]] = []

        def fill() -> None:
            tasks = taken[0].tasks
            groups: dict[int, TreeNode[int]] = {}
            parents = tasks["parent"].tolist()
            for position, parent in enumerate(parents):
                if parent not in groups:
                    groups[parent] = widget.root.add(f"task group {parent}", expand=True)
                nodes.append(groups[parent].add_leaf(label(taken[0], position)))
            widget.root.expand()

        def label(snapshot: Snapshot, position: int) -> str:
            return f"{snapshot.tasks.names[position]}  {bytes_text(int(snapshot.tasks['retained'][position]))}"

        def change(some: int) -> None:
            for position, node in enumerate(nodes[:some]):
                node.set_label(label(taken[1], position))

        costs["first filling, opened"] = await processor_time(pilot, fill)
        costs["labels of all nodes"] = await processor_time(pilot, lambda: change(len(nodes)))
        costs["labels of visible nodes only"] = await processor_time(pilot, lambda: change(SIZE[1]))
        costs["one more node"] = await processor_time(pilot, lambda: widget.root.add_leaf("one more") and None)
    return costs


async def side_by_side(nodes: int) -> float:
    """Prints the costs at a number of nodes; returns how many times dearer new labels for all of theirs are."""
    taken = snapshots(nodes)
    shut, opened = await ours(taken, False), await ours(taken, True)
    print(f"{nodes:,} nodes\n  ours, the first levels open           {shut:10.1f} ms")
    print(f"  ours, all open                        {opened:10.1f} ms")
    others = await theirs(taken)
    for name, other in others.items():
        print(f"  Tree, {name:31} {other:10.1f} ms, x{other / opened:.1f}")
    return others["labels of all nodes"] / opened


def dashboard() -> Timed:
    """The dashboard on so many nodes, in real time."""
    return Timed(source_in_real_time(story(NODES)), "tree", VirtualTree)


def main() -> int:
    """Measures both; 1 when a refresh of ours is not far cheaper than new labels for all of Textual's Tree."""
    run: Callable[[Awaitable[float]], float] = asyncio.run  # type: ignore[assignment]
    run(side_by_side(NODES // 10))
    ratio = run(side_by_side(NODES))
    print(f"keys in the dashboard on {NODES:,} nodes, all open, a reading each second")
    notes = keys_while_refreshing(f"{__name__}.dashboard", b"task group", b"g*")
    quantiles("from a key to its picture", notes["latencies"])
    quantiles("taking and showing a reading", notes["refreshes"])
    return 0 if ratio >= LEAST_RATIO else 1
