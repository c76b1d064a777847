"""Runs a script inside each interpreter with the agent's modules at hand, and takes what it prints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ..support.interpreters import Interpreter

ROOT = Path(__file__).resolve().parent.parent.parent


def run_inside(interpreter: Interpreter, script: str, *modules: Path, within: float = 120) -> Any:
    """What `script` prints as JSON when `interpreter` runs it; `modules` are files and packages that it may import.

    An interpreter with a root of its own gets copies where it can see them.
    """
    scratch = interpreter.scratch("inside")
    try:
        ignore = shutil.ignore_patterns("__pycache__")
        for name in ("agent", "protocol"):
            shutil.copytree(ROOT / "pyobserver" / name, scratch / "pyobserver" / name, ignore=ignore)
        shutil.copy(ROOT / "pyobserver" / "__init__.py", scratch / "pyobserver")
        for module in modules:
            if module.is_dir():
                shutil.copytree(module, scratch / module.name, ignore=ignore)
            else:
                shutil.copy(module, scratch)
        done = subprocess.run(
            [*interpreter.command, "-c", script],
            capture_output=True,
            text=True,
            timeout=within,
            cwd="/",
            env={**os.environ, "PYTHONPATH": interpreter.inside(scratch), "PYTHONDONTWRITEBYTECODE": "1"},
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if done.returncode != 0:
        raise AssertionError(f"{interpreter}: {done.stderr[-3000:]}")
    return json.loads(done.stdout)
