"""The report: what is wrong with a process, as text, as Markdown, and as the document with the findings first."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from ..analysis.findings import LEVEL_WORDS, Finding, Verdict, verdict
from ..analysis.format import duration
from ..analysis.supervision import program_name
from ..model.snapshot import Snapshot
from .document import SCHEMA, document
from .findings import checks, findings
from .text import NARROW, allocators, groups, head

_SPECIAL = "\\`*_<>|[]#~"  # signs that mean something in Markdown


@dataclass(frozen=True)
class Report:
    """What was found, in every form. It was watched for so many seconds; growth is that of the last `window`."""

    snapshot: Snapshot
    verdict: Verdict
    watched: float
    width: int
    window: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, the most serious first."""
        return self.verdict.findings

    @property
    def is_judged(self) -> bool:
        """Whether there is an answer: something was found, or it is known that memory does not grow."""
        return bool(self.findings) or not self.waits

    @property
    def waits(self) -> str:
        """Why it cannot be told yet whether memory grows, or what does; "" when it can, or was not asked for."""
        return self.verdict.waits

    def document(self, findings_only: bool = False) -> dict[str, Any]:
        """Return the snapshot's document with the findings first, and with what was looked for."""
        first = {
            "schema": SCHEMA,
            "findings": findings(self.verdict),
            "checks": checks(self.verdict),
            "watched_seconds": self.watched,
        }
        if findings_only:
            who = self.snapshot.identity
            return {**first, "taken_at": self.snapshot.taken_at, "target": {"pid": who.pid if who else None}}
        return {**first, **{k: v for k, v in document(self.snapshot).items() if k not in first}}

    def text(self, findings_only: bool = False) -> str:
        """Return it for a terminal or a mail: lines that end with newlines, none wider than asked for."""
        if findings_only:
            return "".join(f"{each.level} {each.kind}: {each.summary}\n" for each in self.findings)
        found = [line for each in self.findings for line in self._found(each)]
        parts = [
            head(self.snapshot, self.window, self.width),
            [f"{_number(len(self.findings))} after watching for {duration(self.watched)}", *found],
            [line for text in self._rest() for line in textwrap.wrap(text, self.width, subsequent_indent="  ")],
            allocators(self.snapshot, self.window, self.width),
            groups(self.snapshot, self.window, self.width),
        ]
        return "\n\n".join("\n".join(part) for part in parts if part) + "\n"

    def _found(self, each: Finding) -> Iterator[str]:
        lead = "" if each.summary.lower().startswith(each.level) else f"{LEVEL_WORDS[each.level].capitalize()}! "
        yield ""
        yield from textwrap.wrap(lead + each.summary, self.width, subsequent_indent="  ")
        for text in each.evidence:
            yield from textwrap.wrap(f"  - {text}", self.width, subsequent_indent="    ")
        if each.reason:
            yield from textwrap.wrap(f"  - not more than that: {each.reason}", self.width, subsequent_indent="    ")

    def _rest(self) -> Iterator[str]:
        """What was looked for without finding anything, what it is too early for, and what was switched off."""
        for state, words in (("nothing", "nothing found"), ("switched off", "switched off")):
            names = [answer.check.name for answer in self.verdict.answers if answer.state == state]
            if names:
                yield f"{words}: {', '.join(names)}"
        for answer in self.verdict.answers:
            if answer.state in ("too early", "not available"):
                yield f"{answer.state}: {answer.check.name}: {answer.waits}"

    def markdown(self, findings_only: bool = False) -> str:
        """Return it for an issue or a chat."""
        who = self.snapshot.identity
        name = program_name(who.command) if who else "process"
        lines = [
            f"## {_escaped(name)}, pid {who.pid if who else '?'}: {_number(len(self.findings))}",
            "",
            f"Watched for {duration(self.watched)}.",
        ]
        for each in self.findings:
            lines += ["", f"**{LEVEL_WORDS[each.level]}** · {_escaped(each.summary)}", ""]
            lines += [f"- {_escaped(text)}" for text in each.evidence]
            if each.reason:
                lines.append(f"- not more than that: {_escaped(each.reason)}")
        if not findings_only:
            lines += ["", *(f"- {_escaped(text)}" for text in self._rest())]
            tables = [head, allocators, groups]
            figures = ["\n".join(table(self.snapshot, self.window, self.width)) for table in tables]
            lines += ["", *_fenced("\n\n".join(part for part in figures if part))]
        return "\n".join(lines) + "\n"


def report_of(snapshot: Snapshot, allowed: Collection[str], watched: float, width: int = NARROW) -> Report:
    """Return the report of a process at the moment of a snapshot, after it was watched for so many seconds."""
    return Report(snapshot, verdict(snapshot, allowed), watched, max(NARROW, width), max(60.0, watched))


def _number(found: int) -> str:
    return "nothing found" if not found else "1 finding" if found == 1 else f"{found} findings"


def _escaped(text: str) -> str:
    """Text that means nothing in Markdown but itself."""
    return "".join("\\" + sign if sign in _SPECIAL else sign for sign in text)


def _fenced(text: str) -> list[str]:
    """A block of text in a fence that nothing in it can close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return [fence, text, fence]
