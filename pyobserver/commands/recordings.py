"""Commands that make recordings, show them, and compare two of them."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from .outcome import DONE, FOUND
from .process import admit, confirm, live
from .reading import print_taken
from .saying import passing
from .terminal import has_terminal, interrupt, shown, signals


def record(options: argparse.Namespace) -> int:
    """Record a running process into a file."""
    from ..export.kept import kept_line
    from ..recording.recorder import unused_path
    from ..source.keeping import keep

    if not options.until_exit:
        admit(options)
    confirm(options)
    path = Path(options.output) if options.output else unused_path(options.pid, time.time(), Path())
    with signals(interrupt):
        kept = keep(
            live(options, options.pid),
            path,
            interval=options.interval,
            duration=options.duration,
            until_exit=options.until_exit,
            max_bytes=options.max_size,
            with_heap=not options.without_heap,
            say=passing,
        )
    passing("")
    print(kept_line(options.pid, str(kept.path), kept.seconds, kept.size, kept.status))
    return DONE


def replay(options: argparse.Namespace) -> int:
    """The same screens on a recording."""
    from ..recording.reader import Recording

    recording = Recording(Path(options.file))
    if options.json or not has_terminal():
        with recording:
            at = recording.times[-1] if options.at is None else recording.times[0] + options.at
            print_taken(recording.at(recording.place(at)), options)
        return DONE
    from ..source.replay import ReplaySource
    from ..tui.replay import ReplayApp

    source = ReplaySource(recording)
    if options.at is not None:
        source.seek(source.span[0] + options.at)
    return shown(ReplayApp(source))


def compare(options: argparse.Namespace) -> int:
    """Two recordings: what grew before, and does it still."""
    from ..analysis.comparison import compared, summary
    from ..export.comparison import comparison_document, comparison_text
    from ..recording.reader import Recording

    summaries = []
    for name in (options.before, options.after):
        with Recording(Path(name)) as recording:
            span = float(recording.times[-1] - recording.times[0])
            summaries.append(summary(name, recording.at(0), recording.at(len(recording) - 1), span))
    found = compared(*summaries)
    if options.json:
        print(json.dumps(comparison_document(found), allow_nan=False))
    else:
        print(comparison_text(found), end="")
    return FOUND if found.grows else DONE
