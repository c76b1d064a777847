"""What the screen about a group says, block by block: lines of text from what is known."""

from __future__ import annotations

from textual.content import Content

from ...analysis.format import bytes_text, count, duration, growth_bytes, growth_count, percent
from ...analysis.group_facts import AGE_EDGES, AgeBucket, GroupFacts, ended_words
from ...model.details import GroupAnswer, SharedObject
from ...protocol import schema
from ..bar import styled
from ..widgets.text import fit
from ..words import NO_FUNCTION, NOT_AVAILABLE, UNSURE, changed, counted, group_kind, place, typed

SHOWN = 10  # lines of each list
BAR = 30  # cells
TASK = schema.KINDS[schema.KIND_TASK]


def looked_at(answer: GroupAnswer | None) -> str:
    """How many the answer rests on, and what it has cost."""
    if answer is None or answer.refusal:
        return ""
    return f": {count(answer.looked_at)} of {count(answer.members)} looked at, {1000 * answer.seconds:.0f} ms of work"


def shared_words(answer: GroupAnswer) -> str:
    """What others hold too, in words."""
    if answer.together is None:
        return "n/a"
    if not answer.shared_objects:
        return "nothing of any size that others hold, too"
    objects = f"{count(answer.shared_objects)} object{'s' if answer.shared_objects != 1 else ''}"
    return f"{bytes_text(answer.shared_bytes)} in {objects} that others hold, too"


def line(name: str, text: str, style: str = "") -> Content:
    """A name, and what is said of it."""
    return Content("").join([styled(f"  {fit(name, 10)}", "dim"), styled(text, style)])


def about(title: str, facts: GroupFacts, at: str = "") -> list[Content]:
    """What it is, where it is, how many there are, how they grow, and whether any has ended."""
    lines = [Content("").join([styled(title, "bold"), styled(f"   {_how_many(facts)}", ""), styled(f"   {at}", "dim")])]
    growth = []
    if facts.count_growth is not None:
        growth.append(_grown(f"{growth_count(facts.count_growth)}/min", facts.count_growth))
    if facts.bytes_growth is not None:
        growth.append(_grown(f"{growth_bytes(facts.bytes_growth)}/min", facts.bytes_growth))
    if facts.marked_count is not None:
        size = f", {growth_bytes(facts.marked_bytes)}" if facts.marked_bytes is not None else ""
        growth.append(styled(f"since baseline {changed(facts.marked_count)}{size}", ""))
    if growth:
        lines.append(Content("  ").join(growth))
    longest = duration(facts.longest_ended) if facts.longest_ended is not None else ""
    ended = ended_words(facts, longest)
    if ended:
        lines.append(styled(f"{ended} (in {duration(facts.watched)})", "grow" if facts.never_ends else ""))
    return lines


def _how_many(facts: GroupFacts) -> str:
    if facts.children is None:
        return counted(facts.count, facts.kind)
    below = "" if facts.count == facts.children else f", {count(facts.count)} rows below it"
    return f"{count(facts.children)} child{'ren' if facts.children != 1 else ''}{below}"


def _grown(text: str, number: float) -> Content:
    return styled(text, "grow" if number > 0 and text.startswith("+") else "")


def ages(facts: GroupFacts) -> list[Content]:
    """A bar for each order of magnitude that there are any of, with those between."""
    there = [i for i, bucket in enumerate(facts.ages) if bucket.count]
    if not there:
        return []
    oldest = ("≥" if facts.oldest_is_minimum else "") + duration(facts.oldest)
    minimum = ": at least, as it was there before us" if facts.oldest_is_minimum else ""
    lines = [styled(f"Age: the oldest {oldest}{minimum}", "dim")]
    most = max(bucket.count for bucket in facts.ages)
    for nth, bucket in enumerate(facts.ages[there[0] : there[-1] + 1], there[0]):
        cells = max(1, round(BAR * bucket.count / most)) if bucket.count else 0
        text = f"   {fit(_age_label(bucket, nth), 9)} {fit(count(bucket.count), 8, 'right')}  "
        share = f" {_share(bucket.count / facts.count)}" if bucket.count else ""
        lines.append(Content("").join([styled(text, ""), styled("█" * cells, "quiet"), styled(share, "dim")]))
    if facts.unknown_ages:
        lines.append(line("not known", count(facts.unknown_ages), "dim"))
    return lines


def _age_label(bucket: AgeBucket, nth: int) -> str:
    """How old they are; where some may be older than was seen, only what is true of all of them."""
    if not bucket.minimum or nth == len(AGE_EDGES):
        return bucket.label
    return f"≥ {duration(AGE_EDGES[nth - 1] if nth else 0.0)}"


def _share(share: float) -> str:
    return percent(share) if share >= 0.005 else "< 1 %"


def places(facts: GroupFacts) -> list[Content]:
    """In which lines they wait, and how many."""
    if not facts.places:
        return []
    lines = [styled("Where they wait", "dim")]
    for at in facts.places:
        line = [styled(f"  {fit(count(at.count), 8, 'right')}  {place(at.where) or '(not known)'}", "")]
        lines.append(Content("").join([*line, styled(f"  {at.waiting}", "dim")]))
    if facts.more_places:
        lines.append(styled(f"  {fit(count(facts.more_places), 8, 'right')}  elsewhere", "dim"))
    return lines


def functions(facts: GroupFacts) -> list[Content]:
    """What they run, and what those of a function retain, each by itself."""
    if not facts.functions:
        return []
    lines = [styled("What they run", "dim")]
    for each in facts.functions:
        size = NOT_AVAILABLE if each.bytes is None else bytes_text(each.bytes)
        kind = [group_kind(each.kind)] if each.kind != TASK else []
        rest = " · ".join([each.function or NO_FUNCTION, *kind, *(["done, held"] if each.held else [])])
        lines.append(styled(f"  {fit(count(each.count), 8, 'right')}  {fit(size, 8, 'right')}  {rest}", ""))
    if facts.more_functions:
        lines.append(styled(f"  {fit(count(facts.more_functions), 8, 'right')}  of other functions", "dim"))
    return lines


def objects(title: str, objects: tuple[SharedObject, ...]) -> list[Content]:
    """Objects with their sizes and paths."""
    if not objects:
        return []
    lines = [styled(title, "dim")]
    for one in objects[:SHOWN]:
        known = f", known to {count(one.members)}"
        text = f"  {fit(bytes_text(one.bytes), 10, 'right')}  {one.path}: {typed(one.type, one.length)}"
        lines.append(Content("").join([styled(text, ""), styled(known, "dim")]))
    return lines


def types(answer: GroupAnswer) -> list[Content]:
    """What they retain, by type."""
    if not answer.by_type:
        return []
    is_estimate = answer.by_type_members < answer.members
    sign = UNSURE["sampled"] if is_estimate else ""
    lines = [styled(f"Alone, by type (from {count(answer.by_type_members)} of them)", "dim")]
    for kind, number, size in answer.by_type[:SHOWN]:
        text = f"{fit(sign + count(number), 10, 'right')} {fit(sign + bytes_text(size), 11, 'right')}"
        lines.append(styled(f"  {fit(kind, 34, cut='start')} {text}", ""))
    return lines
