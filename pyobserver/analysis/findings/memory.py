"""Memory that grows and is not that of tasks: Python objects, native memory, and what was freed but is kept."""

from __future__ import annotations

from ...model.history import Curve
from ..allocators import KEEPING, AllocatorRow
from ..format import bytes_text, count, duration, growth_bytes, growth_count, percent
from ..heap import TypeRow
from ..trend import Trend
from .finding import Finding, Level, Place, Step, TooEarly
from .look import MAIN_SHARE, Look

NOTICED_KEPT = 64_000_000  # bytes freed but kept, below which nobody minds
NOTICED_KEPT_SHARE = 0.3  # of the resident memory
KEPT_SECONDS = 30.0  # of which the least counts: what is used again at once is not kept
PLACES_ARE_EARLY = "where memory grows: some allocators are read every 10 s, or less often in a large process"
BESIDE_SHARE = 1 / 3  # of the growth, from which on what grows beside the tasks is told
_GROWN_TYPES = 3
_OWN_SHARE = 0.01  # of the bytes of the type that grows most, from which on a type of the program is named before it
_KEEPERS = {"python": "Python's allocator", "c_heap": "the C heap"}
_ADVICE = {
    "c_heap": "That is extension modules, or large strings and tables.",
    "large_blocks": "That is arrays, or big bytes objects.",
    "native_other": "That is a native library with an allocator of its own: Enter on it shows its mappings.",
}


def _lead(look: Look, trend: Trend | None) -> tuple[Level, str]:
    """The level of growing memory, and the word that its sentence begins with."""
    is_leak = trend is not None and trend.is_leak
    level: Level = "limit" if look.is_close else "leak" if is_leak else "growing"
    return level, "Leak" if is_leak else "Growing"


def _over(look: Look, growth: float | None) -> str:
    """Which part of the growth, of which time."""
    share = look.share(growth)
    if share is None or share <= 0:
        return f" over the last {duration(look.window)}"
    return f", {percent(min(1.0, share))} of the growth of the last {duration(look.window)}"


def _full(look: Look) -> str:
    return "" if look.seconds_to_limit is None else f"; memory is full in about {duration(look.seconds_to_limit)}"


def _reason(trend: Trend | None) -> str:
    return trend.reason if trend is not None else ""


class PythonObjects:
    """Python's own allocator, where no tasks account for it."""

    name = "python_objects"
    about = (
        "Python objects that become more, and are not those of tasks: growing from 2 MB in a minute or 8 MB in 20 min "
        "on, a leak after 45 min of steady growth above all that was there before"
    )

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return one finding, with the types that grow where the objects have been counted."""
        if not look.memory_is_known:
            return TooEarly(look.too_early("whether memory grows"))
        row = next((a for a in look.allocators if a.name == "python"), None)
        own = look.trend("allocator/python/in_use", look.amounts)
        if row is None or look.explained_by_tasks >= MAIN_SHARE:
            return ()
        if look.growth_of_tasks >= MAIN_SHARE * (row.growth or 0.0) > 0:
            return ()
        is_main = look.memory_grows and (look.share(row.growth) or 0.0) >= MAIN_SHARE
        if not is_main and (own is None or not own.grows):
            return ()
        if is_main and look.kept.get("python", 0.0) >= MAIN_SHARE * look.memory_growth:
            return ()
        if look.tasks_may_explain(row.growth or (own.slope if own is not None else 0.0)):
            return TooEarly(look.why_tasks_may_explain)
        return (_python_finding(look, row, own if own is not None and own.grows else look.memory),)


def _python_finding(look: Look, row: AllocatorRow, trend: Trend | None) -> Finding:
    level, word = _lead(look, trend)
    types = growing_types(look)
    named = types[0] if types else None
    share = look.share(row.growth)
    text = f"{word}: Python objects, {growth_bytes(row.growth)} a minute{_over(look, row.growth)}"
    if named is not None:
        text += f"; among them {' and '.join(map(_type_words, types[:2]))}"
    text += _full(look) + ". They are live, not freed but kept"
    text += "." if named is not None else ": the heap (5) tells their types."
    return Finding(
        kind="python_objects",
        level=level,
        summary=text,
        name=named.name if named is not None else "python",
        steps=(_memory_step(look, row), *(_type_step(each) for each in types)),
        window=look.window,
        bytes_growth=row.growth,
        seconds_to_limit=look.seconds_to_limit,
        reason=_reason(trend),
        explains=share,
        allocator="python",
    )


def growing_types(look: Look) -> list[TypeRow]:
    """The types that grow beyond the error of the sample, those that name a part of the program before built-in ones.

    What is built in is what the others are made of: a leak of entries is one of strings, too.
    """
    rows = look.growing_types
    if not rows:
        return []
    least = _OWN_SHARE * (rows[0].bytes_growth or 0.0)
    own = [row for row in rows if "." in row.name and (row.bytes_growth or 0.0) >= least]
    return [*own, *(row for row in rows if row not in own)][:_GROWN_TYPES]


def _type_words(row: TypeRow) -> str:
    by_count = f", {growth_count(row.count_growth)}" if row.count_growth is not None else ""
    return f"{row.name} ({growth_bytes(row.bytes_growth)}{by_count} a minute)"


def _type_step(row: TypeRow) -> Step:
    number = ("~" if row.count_error else "") + count(row.count)
    text = f"{number} {row.name} of {bytes_text(row.bytes)}, {growth_bytes(row.bytes_growth)} a minute"
    return Step(f"{text}; Enter on it tells who holds them", Place("types", row.name))


def _memory_step(look: Look, row: AllocatorRow) -> Step:
    value = row.in_use if row.in_use is not None else row.held
    return Step(
        f"{row.label}: {bytes_text(value)}, {growth_bytes(row.growth)} a minute of {growth_bytes(look.memory_growth)}",
        Place("memory", row.name),
    )


class Native:
    """The C heap, large blocks, and allocators of libraries, where no tasks account for them."""

    name = "native"
    about = (
        "memory of native code that grows: growing from 2 MB in a minute or 8 MB in 20 min on, a leak after 45 min of "
        "steady growth above all that was there before"
    )

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return a finding for the allocator that grows most, when it is at least half of the growth."""
        if not look.memory_is_known:
            return TooEarly(look.too_early("whether memory grows"))
        row = look.main_allocator
        if not look.memory_grows or row is None or row.name == "python" or look.explained_by_tasks >= MAIN_SHARE:
            return ()
        if row.name in KEEPING and look.kept.get(row.name, 0.0) >= MAIN_SHARE * look.memory_growth:
            return ()
        if look.tasks_may_explain(look.memory_growth):
            return TooEarly(look.why_tasks_may_explain)
        level, word = _lead(look, look.memory)
        text = f"{word}: {row.label}, {growth_bytes(row.growth)} a minute{_over(look, row.growth)}{_full(look)}."
        return (
            Finding(
                kind="native",
                level=level,
                summary=f"{text} {_ADVICE.get(row.name, '')}".strip(),
                name=row.name,
                steps=(_memory_step(look, row), *_holding_steps(look, row)),
                window=look.window,
                bytes_growth=row.growth,
                seconds_to_limit=look.seconds_to_limit,
                reason=_reason(look.memory),
                explains=look.share(row.growth),
                allocator=row.name,
            ),
        )


def _holding_steps(look: Look, row: AllocatorRow) -> list[Step]:
    """What the allocator holds most of, as far as that is told."""
    memory = look.snapshot.memory
    holdings = [h for h in (memory.holdings if memory else ()) if h.allocator == row.name and h.label]
    if not holdings:
        return []
    largest = max(holdings, key=lambda each: each.resident or each.size)
    times = f"{count(largest.count)} × " if largest.count > 1 else ""
    size = bytes_text(largest.resident if largest.resident is not None else largest.size)
    return [Step(f"the most of it: {times}{largest.label}, {size}", Place("memory", row.name))]


class Kept:
    """What an allocator keeps of freed memory: growing, or much of it all the time."""

    name = "kept"
    about = (
        "memory that was freed, but kept: half of the growth or more, or 64 MB and 30 % of the resident memory for "
        "half a minute"
    )

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return a finding for each allocator that keeps much, or more and more."""
        if not look.memory_is_known:
            return TooEarly(look.too_early("whether memory is kept"))
        found = []
        for allocator in KEEPING:
            growth = look.kept.get(allocator)
            if growth is not None and look.memory_grows and (look.share(growth) or 0.0) >= MAIN_SHARE:
                found.append(_keeps_more(look, allocator, growth))
            elif (kept := _least_kept(look, allocator)) is not None:
                found.append(_keeps_much(look, allocator, kept))
        return tuple(found)


def _least_kept(look: Look, allocator: str) -> float | None:
    """What was kept all the time lately, where that is much; None else, and where it is not known for long enough."""
    curve: Curve = look.curve(f"category/{KEEPING[allocator]}", KEPT_SECONDS)
    rss = look.outlook.rss
    if not len(curve) or not rss or look.now - float(curve.times[0]) < 0.6 * KEPT_SECONDS:
        return None
    least = float(curve.low.min())
    return least if least >= max(NOTICED_KEPT, NOTICED_KEPT_SHARE * rss) else None


def _keeps_more(look: Look, allocator: str, growth: float) -> Finding:
    level, word = _lead(look, look.memory)
    text = f"{word}: what {_KEEPERS[allocator]} keeps of freed memory, {growth_bytes(growth)} a minute"
    text += f"{_over(look, growth)}{_full(look)}. No object holds it: the heap is fragmented."
    return _kept_finding(look, allocator, level, text, growth, _reason(look.memory))


def _keeps_much(look: Look, allocator: str, kept: float) -> Finding:
    rss = look.outlook.rss or 1
    text = f"Freed but kept: {bytes_text(kept)} by {_KEEPERS[allocator]}, {percent(kept / rss)} of the memory."
    text += " It does not grow, and is used again before more is taken from the system."
    return _kept_finding(look, allocator, "notice", text, None, "it does not grow")


def _kept_finding(look: Look, allocator: str, level: Level, text: str, growth: float | None, reason: str) -> Finding:
    row = next((a for a in look.allocators if a.name == allocator), None)
    steps = [Step("what was freed stays with its allocator", Place("memory", allocator))]
    if row is not None and row.in_use is not None and row.held is not None:
        text_of_row = f"{row.label}: {bytes_text(row.in_use)} in use of {bytes_text(row.held)} held"
        steps = [
            Step(text_of_row, Place("memory", allocator)),
            Step("Enter on it, after this, tells what of it could be given back", Place("memory", allocator)),
        ]
    return Finding(
        kind="kept",
        level=level,
        summary=text,
        name=allocator,
        steps=tuple(steps),
        window=look.window if growth is not None else KEPT_SECONDS,
        bytes_growth=growth,
        seconds_to_limit=look.seconds_to_limit if growth is not None else None,
        reason=reason,
        explains=look.share(growth),
        allocator=allocator,
    )


class Memory:
    """The resident memory as a whole, where nothing else explains its growth."""

    name = "memory"
    about = (
        "the resident memory, where it grows and none of the others says why, or where tasks are the most of it and "
        "a third is none of theirs"
    )

    def check(self, look: Look) -> tuple[Finding, ...] | TooEarly:
        """Return a finding when memory grows and neither tasks nor one allocator account for half of it."""
        if not look.memory_is_known:
            return TooEarly(look.too_early("whether memory grows"))
        if not look.memory_grows:
            return ()
        kept = max(look.kept.values(), default=0.0)
        if look.explained_by_tasks >= MAIN_SHARE:
            return _beside_tasks(look)
        if look.main_allocator is not None or kept >= MAIN_SHARE * look.memory_growth:
            return ()
        is_early = look.tasks_may_explain(look.memory_growth), look.places_are_early
        if any(is_early) and not look.is_close:
            return TooEarly(look.why_tasks_may_explain if is_early[0] else PLACES_ARE_EARLY)
        level, word = _lead(look, look.memory)
        text = f"{word}: memory, {growth_bytes(look.memory_growth)} a minute over the last {duration(look.window)}"
        where = ", in no single allocator" if look.allocators else ""
        if any(is_early):
            where = "; it is too early to tell what grows"
        return (
            Finding(
                kind="memory",
                level=level,
                summary=f"{text}{_full(look)}{where}.",
                name="memory",
                steps=(Step(f"{bytes_text(look.outlook.rss)} are resident", Place("memory", "total")),),
                window=look.window,
                bytes_growth=look.memory_growth,
                seconds_to_limit=look.seconds_to_limit,
                reason=_reason(look.memory),
                explains=1.0,
            ),
        )


def _beside_tasks(look: Look) -> tuple[Finding, ...]:
    """What grows beside the tasks that are the most of it: a second cause would be hidden behind the first."""
    rest = look.memory_growth - look.growth_of_tasks
    trend = look.memory
    if trend is None or not trend.grows or rest < BESIDE_SHARE * look.memory_growth:
        return ()
    if rest * trend.seconds / 60.0 < look.amounts.least(trend.seconds, look.outlook.rss or 0.0):
        return ()
    rows = sorted((a for a in look.allocators if (a.growth or 0.0) > 0), key=lambda a: -(a.growth or 0.0))[:2]
    within = " and ".join(f"{row.label} ({growth_bytes(row.growth)} in all)" for row in rows)
    text = f"Growing: memory that no growing task retains, {growth_bytes(rest)} a minute{_over(look, rest)}"
    return (
        Finding(
            kind="memory",
            level="growing",
            summary=text + (f"; what grows is {within}." if within else "."),
            name="memory",
            steps=tuple(_memory_step(look, row) for row in rows) or (Step("it grows", Place("memory", "total")),),
            window=look.window,
            bytes_growth=rest,
            reason="what tasks retain is not known well enough to call the rest a leak",
            explains=look.share(rest),
        ),
    )
