"""The findings as the document has them, and what was looked for without finding anything."""

from __future__ import annotations

from typing import Any

from ..analysis.findings import Finding, Verdict


def findings(found: Verdict) -> list[dict[str, Any]]:
    """Return all findings, the most serious first."""
    return [_finding(each) for each in found.findings]


def _finding(each: Finding) -> dict[str, Any]:
    return {
        "level": each.level,
        "kind": each.kind,
        "summary": each.summary,
        "name": each.name,
        "function": each.function,
        "holder": each.holder,
        "bytes_growth": each.bytes_growth,
        "growth_share": each.explains,
        "window_seconds": each.window,
        "seconds_to_limit": each.seconds_to_limit,
        "reason": each.reason or None,
        "evidence": list(each.evidence),
    }


def checks(found: Verdict) -> list[dict[str, Any]]:
    """Return what was looked for: `state` is "found", "nothing", "too early", "not available" or "switched off"."""
    return [
        {
            "kind": answer.check.name,
            "state": answer.state,
            "about": answer.check.about,
            "reason": answer.waits or None,
        }
        for answer in found.answers
    ]
