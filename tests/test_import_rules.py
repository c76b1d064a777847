"""The packages know of each other what the design lets them know, and no more.

Data flows one way: target, agent, protocol, source, model and history, analysis, views. Each rule below has its reason,
which is part of the message when it is broken. A rule that stands in the way is changed here, in the open.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .support.interpreters import interpreters

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pyobserver"


@dataclass(frozen=True)
class Rule:
    """What a package may import of ours (a package, or one module of it) and of others, and why no more."""

    ours: frozenset[str]
    others: frozenset[str]
    reason: str


def rule(ours: str, others: str, reason: str) -> Rule:
    return Rule(frozenset(ours.split()), frozenset(others.split()), reason)


ANYTHING_OF_OURS = "agent analysis attach demo export model outside protocol recording source tui"
RULES = {
    "agent": rule("protocol", "", "it is carried into a process where nothing else of ours exists"),
    "protocol": rule("", "", "it is the contract: both sides read it, one of them inside a foreign process"),
    "attach": rule("protocol", "", "it stops foreign threads: whatever it does not load cannot fail meanwhile"),
    "outside": rule(
        "attach.interpreters model.census model.readings protocol.clean",
        "numpy psutil py_spy",
        "it must go on when the agent is silent, knowing none; what it reads is said in the model's words",
    ),
    "model": rule("protocol", "numpy", "what we know has no input and no output"),
    "analysis": rule("model protocol.schema", "numpy", "it computes values, the same for screens, reports and tests"),
    "export": rule("analysis model protocol.schema", "", "what is written is what is known, and never fetched again"),
    "recording": rule(
        "model protocol.clean protocol.schema __version__", "numpy", "it keeps what is known, whoever found it out"
    ),
    "source": rule(
        "agent attach model outside protocol recording", "numpy psutil", "it feeds the model and knows no screen"
    ),
    "tui": rule(
        "analysis model protocol.schema recording source",
        "numpy plotext rich textual",
        "views neither fetch nor decode; they say what is to be recorded",
    ),
    "demo": rule("", "", "it starts a program that knows nothing of us, as a user's would"),
    "demo.service": rule("", "", "it is a stranger's program: nothing of ours may run in it"),
    "cli": rule("arguments commands protocol.clean", "", "it finds the command, which loads what it needs"),
    "commands": rule(ANYTHING_OF_OURS, "", "they put the packages together, each loaded when its command needs it"),
    "arguments": rule("protocol.clean", "", "what is asked for is understood before anything is loaded for it"),
    "__init__": rule(
        "arguments cli commands " + ANYTHING_OF_OURS,
        "",
        "a program that imports us to be observed must not pay for the screens",
    ),
    "__main__": rule("cli", "", "it only calls the command line"),
}

# What code inside a target may load: what every CPython has loaded before the first line of the user's program, and
# extension modules, which bring no Python code along. A module not in this list may be used where `sys.modules` has it.
LOADED_ANYWAY = "builtins codecs io marshal os posix stat sys time"
EXTENSIONS = """
    _collections _ctypes _functools _heapq _imp _io _json _operator _random _socket _struct _thread _weakref
    array atexit binascii errno fcntl gc itertools math mmap resource select zlib
"""
IN_TARGET = frozenset((LOADED_ANYWAY + EXTENSIONS).split())
IN_TARGET_REASON = "a target must not get modules that it did not have: loading them costs it memory, time and locks"
IN_TARGET_EXCEPTIONS = {
    ("protocol/frames.py", "struct"): "one small wrapper of _struct, which asyncio has loaded anyway",
    ("protocol/frames.py", "json"): "only on an interpreter that was built without the accelerator",
}
ON_THE_OBSERVERS_SIDE = {"agent/bundle.py", "agent/client.py"}  # of the agent's package, but never carried along

# Written for the oldest interpreter that we attach to.
FOR_3_8 = ("pyobserver/agent", "pyobserver/protocol", "pyobserver/demo/service", "tests/targets")


@dataclass(frozen=True)
class Import:
    """One imported module by its full name; for `from a import b` both `a` and `a.b`, as either may be the module."""

    line: int
    names: tuple[str, ...]


def imports(source: str, module: str, is_package: bool) -> Iterator[Import]:
    """All imports of a module, wherever they stand in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, (alias.name,))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")
                above = above[: len(above) - node.level + is_package]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                yield Import(node.lineno, (base, f"{base}.{alias.name}"))


def subject(path: str) -> str:
    """The key in `RULES` for a file, named from the package on: `tui/app.py` belongs to `tui`."""
    parts = Path(path).with_suffix("").parts
    return "demo.service" if parts[:2] == ("demo", "service") else parts[0]


def _is_ours_allowed(names: tuple[str, ...], own: str, allowed: frozenset[str]) -> bool:
    """Whether an import within `pyobserver` stays in its own package, or reaches one that it may know."""
    for name in names:
        inner = name.removeprefix("pyobserver.")
        if any(inner == known or inner.startswith(known + ".") for known in {own, *allowed}):
            return True
    return names[-1] == "pyobserver.__version__"


def violations(path: str, source: str) -> list[str]:
    """What the file `path` (named from the package on) imports against the rules, one sentence each."""
    own = subject(path)
    if own not in RULES:
        return [f"{path}: a package without a rule; say in RULES what it may import, and why no more"]
    module = ".".join(("pyobserver", *Path(path).with_suffix("").parts)).removesuffix(".__init__")
    in_target = own in ("agent", "protocol") and path not in ON_THE_OBSERVERS_SIDE
    found = []
    for one in imports(source, module, path.endswith("__init__.py")):
        top = one.names[0].split(".")[0]
        if top == "pyobserver":
            if not _is_ours_allowed(one.names, own, RULES[own].ours):
                found.append(f"{path}:{one.line} imports {one.names[-1]}: {own} may not, as {RULES[own].reason}")
        elif top not in sys.stdlib_module_names:
            if top not in RULES[own].others:
                found.append(f"{path}:{one.line} imports {top}: {own} may not, as {RULES[own].reason}")
        elif in_target and top not in IN_TARGET and (path, top) not in IN_TARGET_EXCEPTIONS:
            found.append(f"{path}:{one.line} imports {top}: {IN_TARGET_REASON}")
    return found


def test_every_import_is_one_that_the_design_allows() -> None:
    """No file of the package imports what its package may not know."""
    broken = []
    for file in sorted(PACKAGE.rglob("*.py")):
        broken += violations(str(file.relative_to(PACKAGE)), file.read_text())
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("model/store.py", "import textual"),
        ("model/store.py", "from ..source import live"),
        ("analysis/order.py", "def f():\n    from pyobserver.tui import app"),
        ("analysis/__init__.py", "from ..attach import x"),
        ("tui/app.py", "from .. import outside"),
        ("tui/views/tasks.py", "from ...agent import rows"),
        ("outside/heap.py", "from ..protocol import frames"),
        ("outside/heap.py", "from ..protocol.frames import decode"),
        ("agent/scan.py", "import threading"),
        ("agent/scan.py", "if True:\n    import json.decoder"),
        ("protocol/clean.py", "import struct"),
        ("protocol/clean.py", "import re"),
        ("attach/pep768.py", "import psutil"),
        ("demo/service/rudder/agent.py", "import pyobserver"),
        ("cli.py", "from .source import live"),
        ("commands/reading.py", "import numpy"),
        ("commands/reading.py", "from ..cli import main"),
        ("helpers/text.py", ""),
    ],
)
def test_a_forbidden_import_is_found(path: str, source: str) -> None:
    """The check itself is able to fail, in each of the ways in which an import can be written."""
    assert len(violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("model/store.py", "import bisect\nimport numpy as np\nfrom . import history\nfrom ..protocol import schema"),
        ("outside/heap.py", "from ..protocol.clean import clean\nfrom ..protocol import clean"),
        ("agent/scan.py", "import gc, sys, _thread\nfrom pyobserver.protocol import schema"),
        ("tui/views/tasks.py", "from ...model.store import Store\nfrom textual.widget import Widget"),
        ("attach/__init__.py", "from .gates import Refused\nfrom .. import __version__"),
        ("demo/service/rudder/agent.py", "import asyncio\nfrom .specimen import Specimen"),
    ],
)
def test_an_allowed_import_is_not_complained_about(path: str, source: str) -> None:
    """Neighbours, the standard library and the packages of the table are free."""
    assert violations(path, source) == []


def test_what_runs_inside_a_target_is_3_8_syntax() -> None:
    """Everything that runs on foreign interpreters can be read by the oldest of them."""
    files = [file for folder in FOR_3_8 for file in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 10
    for file in files:
        ast.parse(file.read_text(), str(file.relative_to(ROOT)), feature_version=(3, 8))


def test_the_oldest_interpreter_here_compiles_what_runs_inside_a_target() -> None:
    """The grammar of a real old interpreter is stricter than the newer one's memory of it."""
    oldest = next((i for i in interpreters() if i.root == Path("/")), None)
    if oldest is None or oldest.minor >= (3, 11):
        pytest.skip("no interpreter older than 3.11 was found")
    files = [str(file) for folder in FOR_3_8 for file in sorted((ROOT / folder).rglob("*.py"))]
    code = "import sys\nfor name in sys.argv[1:]:\n    compile(open(name, encoding='utf-8').read(), name, 'exec')\n"
    done = subprocess.run([*oldest.command, "-c", code, *files], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "module",
    [
        "pyobserver",
        "pyobserver.cli",
        "pyobserver.commands.reading",
        "pyobserver.commands.recordings",
        "pyobserver.commands.watching",
    ],
)
def test_importing_costs_no_screens(module: str) -> None:
    """Who imports the package, or asks the command line for its version, does not wait for Textual."""
    code = f"import sys, {module}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    heavy = {"textual", "rich", "plotext", "numpy"} & set(done.stdout.split())
    assert not heavy, f"import {module} loads {', '.join(sorted(heavy))}"
