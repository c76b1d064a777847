"""Scripts that measure themselves with the agent's scanner, run on each interpreter; each prints one line of JSON."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ...support.interpreters import Interpreter

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent.parent / "pyobserver"


@functools.cache
def run(interpreter: Interpreter, script: str, *arguments: object, within: float = 120.0) -> Any:
    """What the script has printed; it runs once for all tests that ask for the same.

    Raises `AssertionError` with its complaint when it fails.
    """
    scratch = None
    folder, imported = HERE, PACKAGE.parent
    if interpreter.root != Path("/"):
        scratch = interpreter.scratch("retained")
        ignore = shutil.ignore_patterns("__pycache__")
        folder = shutil.copytree(HERE, scratch / "scripts", ignore=ignore)
        for package in ("agent", "protocol"):
            shutil.copytree(PACKAGE / package, scratch / "pyobserver" / package, ignore=ignore)
        (scratch / "pyobserver" / "__init__.py").touch()
        imported = scratch
    try:
        done = subprocess.run(
            [*interpreter.command, interpreter.inside(folder / script), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=within,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": interpreter.inside(imported)},
        )
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
