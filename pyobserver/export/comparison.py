"""Two recordings side by side, as text for people and as a document for scripts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from ..analysis.comparison import SECTIONS, Compared, Comparison, Section, Side, Summary
from ..analysis.format import bytes_text, count, duration, growth_count
from .cells import Column, table
from .findings import findings

SCHEMA = "pyobserver/1"
SHOWN = 5  # of each section, those without a verdict among them
WIDTH = 160
TITLES = {
    "groups": "Tasks by function",
    "containers": "Large containers",
    "types": "Objects by type",
    "allocators": "Memory by allocator",
    "supervisors": "Supervisors",
}
NAMES: dict[Section, tuple[str, ...]] = {
    "groups": ("kind", "function", "held"),
    "containers": ("path", "type"),
    "types": ("name",),
    "allocators": ("name", "label"),
    "supervisors": ("kind", "label"),
}
COUNTED: dict[Section, str] = {"containers": "items", "supervisors": "children_count"}
SIZED: dict[Section, str] = {"types": "bytes", "allocators": "held"}
_COLUMNS = (
    Column("", 44, cut="start"),
    Column("Before", 20, "right"),
    Column("per min", 11, "right"),
    Column("After", 20, "right"),
    Column("per min", 11, "right"),
    Column("", 36),
)


def comparison_document(found: Comparison) -> dict[str, Any]:
    """Return the document; what is in one recording only is null in the other."""
    return {
        "schema": SCHEMA,
        "before": _of(found.before),
        "after": _of(found.after),
        "grows": found.grows,
        "findings": findings(found.after.judged),
        **{section: [_line(line) for line in found.lines if line.section == section] for section in SECTIONS},
    }


def _of(summary: Summary) -> dict[str, Any]:
    return {
        "file": summary.file,
        "target": summary.target,
        "taken_at": summary.taken_at,
        "window_seconds": summary.window,
    }


def _line(line: Compared) -> dict[str, Any]:
    names: dict[str, Any] = dict(zip(NAMES[line.section], line.name, strict=True))
    if line.section == "groups":
        names["held"] = bool(names["held"])
    sides = {"before": _side(line.section, line.before), "after": _side(line.section, line.after)}
    return {**names, **sides, "verdict": line.verdict or None}


def _side(section: Section, side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        COUNTED.get(section, "count"): side.count,
        SIZED.get(section, "retained_bytes"): side.bytes,
        "count_growth": side.count_growth,
        "bytes_growth": side.bytes_growth,
        "growing": side.growing,
    }


def comparison_text(found: Comparison) -> str:
    """Return it for people: in each section what has a verdict, and the largest."""
    lines = []
    for title, summary in (("before", found.before), ("after", found.after)):
        lines.append(f"{title:7} {summary.file}: {summary.target}, growth over {duration(summary.window)}")
    for section in SECTIONS:
        rows = _shown([line for line in found.lines if line.section == section])
        if rows:
            lines += ["", TITLES[section], *table(_COLUMNS, [_cells(row) for row in rows], WIDTH)]
    lines += ["", *_last_lines(found)]
    return "\n".join(lines) + "\n"


def _shown(lines: Sequence[Compared]) -> list[Compared]:
    told = [line for line in lines if line.verdict]
    return told + [line for line in lines if not line.verdict][: max(0, SHOWN - len(told))]


def _cells(line: Compared) -> tuple[str, ...]:
    mark = "▲ " if line.after is not None and line.after.growing else "  "
    name = " ".join(part for part in _name(line) if part)
    return (mark + name, *_pair(line.before), *_pair(line.after), line.verdict)


def _name(line: Compared) -> tuple[str, ...]:
    if line.section == "allocators":
        return line.name[1:]
    if line.section == "groups":
        kind, function, held = line.name
        return (function or "(function not known)", "" if kind == "asyncio task" else f"({kind})", held)
    return line.name if line.section != "supervisors" else line.name[1:]


def _pair(side: Side | None) -> tuple[str, str]:
    """What there is, and its growth: of the bytes, or of what is counted where nothing has a size."""
    if side is None:
        return ("·", "·")
    number = "" if side.count is None else count(side.count)
    size = "" if side.bytes is None else bytes_text(side.bytes)
    growth = "·"
    if side.bytes_growth is not None:
        growth = f"{'+' if side.bytes_growth >= 0 else '-'}{bytes_text(abs(side.bytes_growth))}"
    elif side.count_growth is not None:
        growth = growth_count(side.count_growth)
    return (", ".join(filter(None, (number, size))) or "·", growth)


def _last_lines(found: Comparison) -> list[str]:
    fixed = sum(line.verdict.endswith("fixed") for line in found.lines)
    no_more = f"{fixed} of what grew before does not any more. " if fixed else ""
    told = [each.summary for each in found.after.judged.findings if each.level != "notice"]
    if not told:
        why = found.after.judged.waits
        early = f", but it is too early: {why}" if why else ""
        return textwrap.wrap(f"{no_more}In the later recording no growth is found{early}.", WIDTH)
    said = [textwrap.wrap(f"- {text}", WIDTH, subsequent_indent="  ") for text in told]
    return [f"{no_more}In the later recording is found:", *(line for lines in said for line in lines)]
