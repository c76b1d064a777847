"""What is wrong every day and has little to do with memory: blocked loops, limits, what was forgotten."""

from __future__ import annotations

import numpy as np

from ...model.tasks import Tasks
from ...protocol import schema
from ..format import count, duration, growth_count
from ..groups import GroupRow, misses_done_tasks
from ..trend import Amounts, Trend, seconds_until
from .finding import Finding, Level, Place, Step, TooEarly
from .look import CLOSE_SECONDS, MAIN_SHARE, Look

NEAR = 0.8  # of a limit
FILES = Amounts(10, 40, 0.02, 0.05)
THREADS = Amounts(5, 15, 0.02, 0.05)
BACKLOG = 100  # jobs that wait
LONG_PAUSE = 0.1  # seconds
PAUSE_WINDOW = 600.0
NO_AGENT = TooEarly("there is no agent to tell", for_good=True)
FORGOTTEN_SECONDS = 30.0  # old, a coroutine that was not awaited is told
BLOCKING_SECONDS = 10.0  # of which the agent tells who has held a loop
MOST = 5

_System = Place("system")


class BlockedLoop:
    """Tasks that hold their event loop."""

    name = "blocked_loop"
    about = (
        "tasks of one function that were seen holding their event loop at least twice in the last 10 s, for 5 ms or "
        "more each time"
    )

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return a finding for each function of such tasks."""
        tasks = look.snapshot.tasks
        if look.snapshot.facts is None and not len(tasks):
            return NO_AGENT
        found = []
        for function, rows in _by_function(tasks, schema.FLAG_BLOCKING):
            row = tasks.row(rows[0])
            where = f" at {row.where.rsplit('/', 1)[-1]}" if row.where and not row.where_is_def else ""
            others = f" ({count(len(rows))} tasks)" if len(rows) > 1 else ""
            text = f"The event loop is blocked by {function}{others}{where}: nothing else runs in it meanwhile."
            step = Step(f"{row.name} was seen holding its loop again and again", Place("row", row.id))
            found.append(_notice("blocked_loop", text, function, (step,), BLOCKING_SECONDS, function=function))
        found += _by_ended(look, {each.name for each in found})
        return tuple(found[:MOST])


def _by_ended(look: Look, told: set[str]) -> list[Finding]:
    """Who holds a loop by one task after the other, each of which ends before it could be pointed at."""
    found = []
    for each in look.snapshot.tick.blocking if look.snapshot.tick is not None else ():
        if each.function in told:
            continue
        one = "a task that has" if each.tasks == 1 else f"{count(each.tasks)} tasks in turn, which have"
        text = f"The event loop is blocked by {each.function} ({one} ended since): nothing else runs in it meanwhile."
        group = next((g.row for g in look.groups if g.row.function == each.function and not g.row.held), None)
        step = Step(
            f"{count(each.tasks)} of its tasks {'was' if each.tasks == 1 else 'were'} seen holding the loop",
            Place("groups", group.key) if group is not None else _System,
        )
        found.append(_notice("blocked_loop", text, each.function, (step,), BLOCKING_SECONDS, function=each.function))
    return found


class Unretrieved:
    """Tasks that have failed without anybody noticing."""

    name = "unretrieved"
    about = "done tasks that somebody holds, whose exception nobody has asked for within 10 s"

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return a finding for each function of such tasks."""
        tasks = look.snapshot.tasks
        if look.snapshot.facts is None and not len(tasks):
            return NO_AGENT
        found = []
        for function, rows in _by_function(tasks, schema.FLAG_UNRETRIEVED):
            one = "task has" if len(rows) == 1 else "tasks have"
            least = "At least " if misses_done_tasks(look.snapshot) else ""
            text = f"{least}{count(len(rows))} {function} {one} failed, and nobody has asked for the exception."
            steps = (
                Step(f"{tasks.row(rows[0]).name} is done, and is still held", Place("row", tasks.row(rows[0]).id)),
            )
            found.append(_notice("unretrieved", text, function, steps, 10.0, function=function))
        return tuple(found[:MOST])


def _by_function(tasks: Tasks, flag: int) -> list[tuple[str, list[int]]]:
    """The places of living rows with a flag, by their function, the most frequent first."""
    chosen = np.flatnonzero(((tasks["flags"].astype(np.int64) & flag) != 0) & tasks.alive)
    found: dict[str, list[int]] = {}
    for position in chosen.tolist():
        found.setdefault(tasks.texts[int(tasks["function"][position])], []).append(position)
    return sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))


class NeverAwaited:
    """Coroutines that were made, and not begun."""

    name = "never_awaited"
    about = "coroutines that were made half a minute ago or longer, are kept, and have not begun to run"

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return a finding for each function of such coroutines."""
        found = []
        for group in look.groups:
            row = group.row
            if row.kind_index != schema.KIND_NEVER_AWAITED or (row.oldest_age or 0.0) < FORGOTTEN_SECONDS:
                continue
            was = "coroutine was" if row.count == 1 else "coroutines were"
            text = f"{count(row.count)} {row.function} {was} never awaited, for {duration(row.oldest_age)} at least."
            step = Step("they are among the tasks, and in the tree under who holds them", Place("groups", row.key))
            found.append(
                _notice("never_awaited", text, row.function, (step,), row.oldest_age or 0.0, function=row.function)
            )
        return tuple(found[:MOST])


class Garbage:
    """What the collector could not free, and has put aside."""

    name = "garbage"
    about = "objects in gc.garbage"

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return one finding when there is any."""
        tick = look.snapshot.tick
        if tick is None:
            return NO_AGENT
        kept = tick.collector.garbage if tick is not None and tick.collector is not None else None
        if not kept:
            return ()
        text = f"gc.garbage has {count(kept)} objects: the collector has found them, and they are not freed."
        return (_notice("garbage", text, "gc.garbage", (Step(f"{count(kept)} objects in gc.garbage", _System),), 0.0),)


class Pauses:
    """Collections that stop the program for long."""

    name = "gc_pauses"
    about = "garbage collections that took 0.1 s or longer, in the last ten minutes"

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return one finding, with the longest."""
        tick = look.snapshot.tick
        if tick is None or tick.collector is None:
            return NO_AGENT
        if tick.collector.seconds is None:
            return TooEarly("Python tells how long collections take from 3.15 on", for_good=True)
        pauses = look.curve("pause", PAUSE_WINDOW)
        number = int((pauses.high >= LONG_PAUSE).sum())
        if not number:
            return ()
        longest = float(pauses.high.max())
        text = f"The garbage collector has stopped the program for {longest:.2g} s; for {LONG_PAUSE:g} s or longer "
        text += f"in {count(number)} of the moments of the last {duration(PAUSE_WINDOW)}."
        step = Step(f"the longest collection took {longest:.2g} s, told from their sum between two updates", _System)
        return (_notice("gc_pauses", text, "gc", (step,), PAUSE_WINDOW),)


class Backlog:
    """Executors whose queue is long."""

    name = "backlog"
    about = "executors for which 100 jobs or more wait"

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return a finding for each such executor, growing where the number of its jobs does."""
        grows = any(g.row.kind_index == schema.KIND_JOB and g.count is not None and g.count.grows for g in look.groups)
        found = []
        for node in look.snapshot.nodes.values():
            if node.kind != "executor" or node.ended or (node.queue or 0) < BACKLOG:
                continue
            text = f"{count(node.queue)} jobs wait for {node.label}" + (", and they become more." if grows else ".")
            step = Step(f"{node.label}: {count(node.queue)} wait", Place("tree", node.id))
            level: Level = "growing" if grows else "notice"
            found.append(Finding("backlog", level, text, node.label, (step,), look.window, holder_id=node.id))
        return tuple(found[:MOST])


class Descriptors:
    """File descriptors that run out."""

    name = "descriptors"
    about = "open files: 80 % of the limit, or more and more of them (10 in a minute, 40 in 20 min)"

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return one finding when there are many, or more and more."""
        process = look.snapshot.process
        if process is None or process.fds is None:
            return ()
        trend = look.trend("fds", FILES)
        said = _counted(look, trend, process.fds, process.fd_limit, "open files", "RLIMIT_NOFILE", "descriptors")
        return said if said or trend is not None else TooEarly(look.too_early("whether open files become more"))


class Threads:
    """Threads that run out."""

    name = "threads"
    about = "threads: 80 % of what the control group or the user may have, or more and more (5 in a minute, 15 in 20)"

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return one finding when there are many, or more and more."""
        snapshot = look.snapshot
        process, limit = snapshot.process, snapshot.thread_limit
        if process is None or process.threads is None:
            return ()
        trend = look.trend("threads", THREADS)
        most = limit.most if limit is not None else None
        others = limit.current - process.threads if limit is not None and limit.current is not None else 0
        source = limit.source if limit is not None else ""
        room = None if most is None else most - max(0, others)
        said = _counted(look, trend, process.threads, room, "threads", source, "threads", _who_grows(look, trend))
        return said if said or trend is not None else TooEarly(look.too_early("whether threads become more"))


def _who_grows(look: Look, trend: Trend | None) -> GroupRow | None:
    """The threads of one function that account for most of the growth, if any do."""
    if trend is None or not trend.grows:
        return None
    groups = [g.row for g in look.groups if g.row.kind_index == schema.KIND_THREAD and g.row.count_growth]
    most = max(groups, key=lambda row: row.count_growth or 0.0, default=None)
    return most if most is not None and (most.count_growth or 0.0) >= MAIN_SHARE * trend.slope else None


def _counted(
    look: Look,
    trend: Trend | None,
    used: int,
    limit: int | None,
    what: str,
    source: str,
    kind: str,
    group: GroupRow | None = None,
) -> tuple[Finding, ...]:
    """A finding about something counted that has a limit; `group` are those of them that become more."""
    is_near = limit is not None and used >= NEAR * limit
    grows = trend is not None and trend.grows
    if not is_near and not grows:
        return ()
    seconds = seconds_until(used, limit, trend.slope) if trend is not None and grows and limit is not None else None
    is_close = is_near or (seconds is not None and seconds < CLOSE_SECONDS)
    is_leak = trend is not None and trend.is_leak
    level: Level = "limit" if is_close else "leak" if is_leak else "growing"
    of = f" of {count(limit)} ({source})" if limit is not None else ""
    text = f"{'Leak: ' if is_leak else 'Growing: ' if grows else ''}{count(used)} {what}{of}"
    if trend is not None and grows:
        text += f", {growth_count(trend.slope)} a minute over the last {duration(trend.seconds)}"
    if seconds is not None:
        text += f"; none is left in about {duration(seconds)}"
    steps = [Step(f"{count(used)} {what}{of}", _System)]
    function = None
    if group is not None and group.function:
        function = group.function
        text += f"; {count(group.count)} of them run {function}, {growth_count(group.count_growth)} a minute"
        where = f", most of them at {group.where.rsplit('/', 1)[-1]}" if group.where else ""
        steps.append(Step(f"{count(group.count)} {what} run {function}{where}", Place("groups", group.key)))
    return (
        Finding(
            kind,
            level,
            text + ".",
            what,
            tuple(steps),
            trend.seconds if trend is not None else 0.0,
            function=function,
            seconds_to_limit=seconds,
            reason=trend.reason if trend is not None and grows else "",
        ),
    )


def _notice(
    kind: str, text: str, name: str, steps: tuple[Step, ...], window: float, function: str | None = None
) -> Finding:
    return Finding(kind, "notice", text, name, steps, window, function=function)
