"""Commands that read once and print what there is, as text or JSON."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING

from .outcome import DONE, FOUND, UsageError
from .process import admit, live
from .saying import passing, say, say_once
from .terminal import columns

if TYPE_CHECKING:
    from ..export.listing import Listed
    from ..model.snapshot import Snapshot
    from ..source.live import LiveSource

_BEAT = 0.1  # seconds between two looks whether a target has ended


def ps(options: argparse.Namespace) -> int:
    """The Python processes of this machine, as text or JSON."""
    from ..export.listing import listing_document, listing_text

    rows = listed(options)
    if getattr(options, "json", False):
        print(json.dumps(listing_document(rows), indent=1, allow_nan=False))
    else:
        print(listing_text(rows, columns(), options.verbose), end="")
    return DONE


def snapshot(options: argparse.Namespace) -> int:
    """One reading as text or JSON."""
    admit(options)
    return read_once(live(options, options.pid), options)


def report(options: argparse.Namespace) -> int:
    """Watch for a while, and say what is wrong; status 1 when anything is."""
    from ..export.report import report_of

    admit(options)
    taken = _watched(live(options, options.pid), options, wants_heap=True)
    told = report_of(taken, options.allow, options.duration, columns() or 80)
    if not told.is_judged:
        raise UsageError(f"too early to judge: {told.waits}; --duration 60 watches for a minute")
    if options.json:
        print(json.dumps(told.document(options.findings_only), allow_nan=False))
    else:
        print(told.markdown(options.findings_only) if options.markdown else told.text(options.findings_only), end="")
    return FOUND if told.findings else DONE


def listed(options: argparse.Namespace) -> list[Listed]:
    """Return the Python processes of this machine, each with the way in, or why there is none."""
    from ..export.listing import Listed
    from ..outside import pythons
    from ..source.admission import examined
    from ..source.find import agent_seconds

    rows = []
    for process in pythons():
        found = examined(process.pid, options.method, options.force)
        if found.kind != "gone":
            seconds = agent_seconds(process.pid) if found.method == "existing" else None
            gates = (found.executable, found.method, found.kind, found.reason, found.help)
            rows.append(Listed(process, *gates, seconds))
    return rows


def read_once(source: LiveSource, options: argparse.Namespace) -> int:
    """Print a snapshot when the first picture is whole, or after the time to watch."""
    taken = _watched(source, options, getattr(options, "json", False))
    print_taken(taken, options)
    return DONE


def _watched(source: LiveSource, options: argparse.Namespace, wants_heap: bool) -> Snapshot:
    """Return a snapshot when the first picture is whole, or after the time to watch, and leave the process."""
    from ..model.snapshot import Phase

    source.on_stage = stage = say_once() if options.verbose else passing
    source.count_objects(True)  # from outside: that costs the process nothing
    source.look_for_containers(wants_heap)
    source.start()
    try:
        source.wait_until_known()
        if options.verbose:
            for step in source.steps:
                say(step)
        if options.duration:
            stage(f"watching for {options.duration:g} s")
        end = time.monotonic() + options.duration
        while (rest := end - time.monotonic()) > 0 and source.store.snapshot().status.phase is not Phase.EXITED:
            time.sleep(min(rest, _BEAT))
        source.on_stage = lambda text: None
        return source.store.snapshot()
    finally:
        passing("")
        source.stop()


def print_taken(taken: Snapshot, options: argparse.Namespace) -> None:
    """Print a snapshot in the form that was asked for."""
    top, sort = getattr(options, "top", None), getattr(options, "sort", "memory")
    if getattr(options, "json", False):
        from ..export.document import document

        print(json.dumps(document(taken, 50 if top is None else top, sort, allowed=options.allow), allow_nan=False))
    else:
        from ..export.text import text

        print(text(taken, 10 if top is None else top, sort, allowed=options.allow), end="")
