"""Runs the tests; what fails among others is run once more, alone: `python -m tests.twice -n 3`, and named either way.

The tests watch real processes on a machine they fill. A few may fail only because another test had the processor; those
pass alone. What fails twice has failed, and so has a run in which more than `_FEW` failed. All arguments are pytest's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

_FEW = 5
_FAILED = 1  # of pytest's exit statuses, the one that says: tests have failed


def main(arguments: list[str]) -> int:
    """Return the exit status of the run, or of the second one when a few have failed in the first."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        status = _pytest([*arguments, "--cache-clear", f"--junit-xml={results}"])
        failed = _failed(results) if status == _FAILED else []
    if not 0 < len(failed) <= _FEW:
        return status
    print("\nOnce more, alone, as they failed beside others:", *failed, sep="\n  ", flush=True)
    status = _pytest(["--last-failed", "--last-failed-no-failures=none"])
    if not status:
        print("\nShaky: these failed beside others and passed alone:", *failed, sep="\n  ", flush=True)
    return status


def _pytest(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def _failed(results: Path) -> list[str]:
    cases = ElementTree.parse(results).iter("testcase")
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return [f"{case.get('classname')}::{case.get('name')}" for case in bad]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
