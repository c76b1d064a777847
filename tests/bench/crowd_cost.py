"""A hundred thousand tasks: when is the picture right, when is it complete, what does it cost, and what does churn do.

The observer's own model is what is asked, as the screens ask it. The same process is its own control: it is measured
alone before it is observed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from pyobserver.analysis.groups import GroupRow, group_rows
from pyobserver.analysis.ordering import order
from pyobserver.model.readings import Tick
from pyobserver.source.live import LiveSource
from tests.support.interpreters import Interpreter, interpreters
from tests.support.targets import RunningTarget, launch

TASKS = 100_000
RIGHT_SECONDS, RIGHT = 3.0, 0.05  # when the groups are right, and how right they are
COMPLETE_SECONDS, SHARE_AT_FIRST = 60.0, 0.11  # 10 % of a core, and what the clock of a slice is off
SHARE_AT_REST = 0.02
MORE_MS = 3.0  # that the ticker's p99 may become worse
HOLD_MS = 5.0
BYTES_PER_TASK, BYTES = 100, 10_000_000
ALONE_SECONDS, REST_SECONDS = 10.0, 40.0
CHURN_RATE, CHURN_SECONDS = 5_000, 60
MILLION = 1_000_000
PATIENCE = 240.0


def _groups(source: LiveSource) -> dict[str, GroupRow]:
    return {row.function: row for row in group_rows(source.store.snapshot(), 600.0) if row.kind == "asyncio task"}


def _tick(source: LiveSource) -> Tick:
    found = source.store.snapshot().tick
    assert found is not None
    return found


def _wait_for_picture(source: LiveSource, begun: float) -> None:
    while time.monotonic() - begun < PATIENCE:
        tick = source.store.snapshot().tick
        if tick is not None and tick.complete and tick.holders_complete and tick.measured >= tick.total:
            return
        time.sleep(0.1)


def _off(estimate: float | None, truth: float) -> float:
    return 1.0 if estimate is None else abs(estimate - truth) / truth


def _verdict(text: str, is_good: bool) -> bool:
    print(f"    {text}{'' if is_good else '   <-- more than it should be'}")
    return is_good


def crowd(interpreter: Interpreter) -> bool:
    """The first picture, and the cost of keeping it."""
    good = []
    with launch(interpreter, "crowd", "--tasks", TASKS) as target:
        counts: dict[str, int] = target.ask("truth")["counts"]
        time.sleep(ALONE_SECONDS)
        alone = target.ask("reset")
        begun = time.monotonic()
        source = LiveSource(target.pid)
        source.start()
        try:
            while source.store.snapshot().tick is None:
                time.sleep(0.02)
            time.sleep(max(0.0, begun + RIGHT_SECONDS - time.monotonic()))
            early = _groups(source)
            first = _tick(source)
            _wait_for_picture(source, begun)
            seconds, known = time.monotonic() - begun, _tick(source)
            coming_in = target.ask("reset")
            whole = _groups(source)
            time.sleep(REST_SECONDS)
            rest, at_rest = _tick(source), target.ask("reset")
        finally:
            source.detach()
    print(f"  Python {interpreter}, {TASKS:,} parked tasks of {len(counts)} functions")
    print(f"    at {RIGHT_SECONDS:g} s: {first.measured:,} measured, all met: {first.complete}")
    off = {name: (_off(early[name].count if name in early else None, n), name) for name, n in counts.items()}
    worst = max(off.values())
    good.append(
        _verdict(f"counts of the groups at {RIGHT_SECONDS:g} s off by at most {worst[0]:.1%}", worst[0] <= RIGHT)
    )
    sizes = [_off(early[name].bytes if name in early else None, whole[name].bytes or 1.0) for name in counts]
    good.append(_verdict(f"their bytes at {RIGHT_SECONDS:g} s off by at most {max(sizes):.1%}", max(sizes) <= RIGHT))
    exact = all(whole[name].count == n for name, n in counts.items())
    good.append(_verdict(f"counts of the complete picture are {'exact' if exact else 'wrong'}", exact))
    share = known.cost.cpu_seconds / seconds
    text = f"complete after {seconds:.1f} s, at {share:.1%} of a core"
    good.append(_verdict(text, seconds <= COMPLETE_SECONDS and share <= SHARE_AT_FIRST))
    share = (rest.cost.cpu_seconds - known.cost.cpu_seconds) / (rest.time - known.time)
    good.append(_verdict(f"kept up to date at {share:.2%} of a core", share <= SHARE_AT_REST))
    for name, felt in (("while it comes in", coming_in), ("afterwards", at_rest)):
        more = felt["p99_ms"] - alone["p99_ms"]
        text = f"ticker p99 {felt['p99_ms']:.2f} ms {name}, {alone['p99_ms']:.2f} alone: worse by {more:.2f}"
        text += f"; max {felt['max_ms']:.1f} against {alone['max_ms']:.1f}"
        good.append(_verdict(text + f" (longest collection {felt['collection_ms']:.1f})", more <= MORE_MS))
    hold = 1000 * rest.cost.longest_hold_seconds
    good.append(_verdict(f"longest hold {hold:.2f} ms, torn slices {rest.cost.torn}", hold <= HOLD_MS))
    memory = rest.cost.memory_bytes or 0
    text = f"the agent takes {memory / 1e6:.1f} MB, of which {(memory - BYTES) / TASKS:.0f} bytes a task beyond 10 MB"
    good.append(_verdict(text, memory <= BYTES + BYTES_PER_TASK * TASKS))
    return all(good)


def _resident(target: RunningTarget) -> int:
    with open(f"/proc/{target.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def churn(interpreter: Interpreter) -> bool:
    """Thousands of tasks that come and go each second, for a minute: alone and observed."""
    with launch(interpreter, "crowd", "--tasks", 1_000) as target:
        counts = target.ask("truth")["counts"]
        target.ask(f"churn {CHURN_RATE} 5", within=60.0)
        resident = [_resident(target)]
        target.ask(f"churn {CHURN_RATE} {CHURN_SECONDS}", within=4.0 * CHURN_SECONDS)
        resident.append(_resident(target))
        source = LiveSource(target.pid)
        source.start()
        try:
            source.wait_until_known(settle=30.0)
            target.ask(f"churn {CHURN_RATE} 5", within=60.0)
            before, resident = _tick(source), [*resident, _resident(target)]
            told = target.ask(f"churn {CHURN_RATE} {CHURN_SECONDS}", within=4.0 * CHURN_SECONDS)
            resident.append(_resident(target))
            time.sleep(8.0)
            after = _tick(source)
            left = {name: row.count for name, row in _groups(source).items() if "Crowd." in name and row.count}
        finally:
            source.detach()
    print(f"  Python {interpreter}, {told['started']:,} tasks that come and go in {told['seconds']:.0f} s")
    grown = (after.cost.memory_bytes or 0) - (before.cost.memory_bytes or 0)
    good = [_verdict(f"the agent's memory changed by {grown / 1e3:+,.0f} kB", grown < 500_000)]
    alone, observed = resident[1] - resident[0], resident[3] - resident[2]
    text = f"the process grew by {observed / 1e6:.1f} MB observed, {alone / 1e6:.1f} MB alone"
    good.append(_verdict(text, observed < alone + 4_000_000))
    share = (after.cost.cpu_seconds - before.cost.cpu_seconds) / (after.time - before.time)
    print(f"    the agent took {share:.1%} of a core, longest hold {1000 * after.cost.longest_hold_seconds:.2f} ms")
    is_right = left == counts
    good.append(_verdict(f"afterwards the counts are {'right' if is_right else f'wrong: {left}'}", is_right))
    return all(good)


def million(interpreter: Interpreter) -> bool:
    """More tasks than the agent has room for: what is shown of how many, and how long a refresh of the screen takes."""
    with launch(interpreter, "crowd", "--tasks", MILLION, within=240.0) as target:
        counts: dict[str, int] = target.ask("truth")["counts"]
        source = LiveSource(target.pid)
        source.start()
        begun = time.monotonic()
        try:
            while not ((tick := source.store.snapshot().tick) and tick.complete):
                time.sleep(0.1)
                assert time.monotonic() - begun < PATIENCE
            seconds = time.monotonic() - begun
            time.sleep(15.0)
            tick, shown = _tick(source), _groups(source)
            took = []
            for _ in range(10):
                now = time.perf_counter()
                snapshot = source.store.snapshot()
                group_rows(snapshot, 600.0)
                order(snapshot.tasks, "memory", True)
                took.append(time.perf_counter() - now)
                time.sleep(0.3)
        finally:
            source.detach()
    print(f"  Python {interpreter}, {MILLION:,} tasks")
    share = snapshot.tasks.known_share
    print(f"    all that there is room for is met after {seconds:.0f} s: {share:.1%} of {tick.total:,}")
    off = max(_off(shown[name].count if name in shown else None, n) for name, n in counts.items())
    good = [_verdict(f"counts of the groups, of all, off by at most {off:.1%}", off <= RIGHT)]
    hold = 1000 * tick.cost.longest_hold_seconds
    good.append(
        _verdict(
            f"longest hold {hold:.2f} ms, the agent takes {(tick.cost.memory_bytes or 0) / 1e6:.0f} MB", hold <= HOLD_MS
        )
    )
    print(f"    the screens' numbers of one refresh take {1000 * statistics.median(took):.0f} ms")
    return all(good)


def chosen() -> Sequence[Interpreter]:
    """The oldest, the newest that keeps tasks in sets, and the newest."""
    found = interpreters()
    older = [interpreter for interpreter in found if interpreter.minor < (3, 14)]
    return list(dict.fromkeys([found[0], *older[-1:], found[-1]]))


def main() -> int:
    """0 when a crowd is seen as it should be."""
    results = [crowd(interpreter) for interpreter in chosen()]
    results += [churn(interpreter) for interpreter in chosen()]
    results += [million([interpreter for interpreter in interpreters() if interpreter.minor < (3, 14)][-1])]
    return int(not all(results))
