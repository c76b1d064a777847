"""The agent as text, to be carried into a target: runs on the observer's side only.

Docstrings stay here. What is left keeps its line numbers, so that a problem in a target can be found in the sources.
"""

from __future__ import annotations

import ast
import base64
import builtins
import functools
import hashlib
import textwrap
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__

_ROOT = Path(__file__).resolve().parent.parent
_IN_ONE_NAMESPACE = "from pyobserver.agent."  # boot, loader and the first collector: not imported by each other
_FIRST = "agent.forks"  # imports nothing of ours
_PARSING = threading.Lock()  # CPython 3.11 counts the depth of all threads' trees together: SystemError
_PIECE_LINES = 25  # compiles in well under a millisecond


def script(config: dict[str, Any]) -> str:
    """Return the script that starts the agent in the process that runs it.

    `config` may have: method (how it comes in), linger (seconds it stays without an observer, None for ever), heirs
    (the path of a script for forked children to run). It is made of what has a literal: str, int, float, bool, None.
    """
    settings = {"version": __version__, "build": digest(), "linger": 5.0, "method": "ptrace", **config}
    settings["builtins"] = _builtins()
    return f"{_source('agent.entry')}\nenter({_boot()!a}, {_packed()!a}, {settings!a})\n"


@functools.cache
def digest() -> str:
    """Return what tells this agent from those of other versions."""
    return hashlib.sha256((_source("agent.entry") + _boot() + _sources()).encode("utf-8")).hexdigest()[:16]


@functools.cache
def _boot() -> str:
    """What begins at once. The collector is in it, which the thread needs from its first moment."""
    collector = _source("agent.collector").replace("import gc\n", "")  # which `boot` loads past import hooks
    return _without_ours("agent.boot").rstrip() + "\n" + collector


def _without_ours(name: str) -> str:
    """A source without its imports from the agent."""
    lines = _source(name).splitlines()
    return "".join("\n" if line.startswith(_IN_ONE_NAMESPACE) else line + "\n" for line in lines)


@functools.cache
def _builtins() -> list[str]:
    """The builtins that the agent uses, which the program must not have replaced; `import` is done without it."""
    used = {"__build_class__"}
    for name in ("agent.entry", "agent.boot", "agent.loader", *_modules()):
        used |= _module(name).names
    values = {name: getattr(builtins, name) for name in used if hasattr(builtins, name)}
    return sorted(name for name, value in values.items() if callable(value))


@functools.cache
def _packed() -> str:
    return base64.b64encode(zlib.compress(_sources().encode("utf-8"), 9)).decode("ascii")


@functools.cache
def _sources() -> str:
    """The pieces of the loader, of what is needed first, and of all else, joined by NUL; STX between the three."""
    source = _without_ours("agent.loader")
    with _PARSING:
        body = ast.parse(source).body
    loader = ["\n" * (line - 1) + text for _, line, text in _pieces(source, body)]
    parts: tuple[list[str], list[str]] = ([], [])
    for name in _modules():
        for owner, line, text in _pieces(_source(name), _module(name).body):
            parts[name != _FIRST].append("\1".join((f"pyobserver.{name}", owner, str(line), text)))
    return "\2".join("\0".join(pieces) for pieces in (loader, *parts))


@functools.cache
def _modules() -> list[str]:
    """The modules that the agent is made of, each after those that it imports."""
    found: dict[str, None] = {}
    above: list[str] = []

    def add(name: str) -> None:
        if name in above:
            raise ImportError(f"modules of the agent import each other: {', '.join(above)}")
        above.append(name)
        for node in _module(name).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pyobserver."):
                inner = node.module.removeprefix("pyobserver.")
                is_package = _ROOT.joinpath(*inner.split(".")).is_dir()
                names = [f"{inner}.{alias.name}" for alias in node.names] if is_package else [inner]
                for each in names:
                    if each not in found:
                        add(each)
        found[above.pop()] = None

    add("agent.main")
    return list(found)


@dataclass(frozen=True)
class _Module:
    """A module without docstrings, every statement on the line where it was, and the names that are looked up in it."""

    source: str
    body: list[ast.stmt]
    names: frozenset[str]


def _source(name: str) -> str:
    return _module(name).source


@functools.cache
def _module(name: str) -> _Module:
    """Read a module. It is parsed and walked through once, as that is most of what preparing the agent takes."""
    source = _ROOT.joinpath(*name.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    lines = source.splitlines()
    with _PARSING:
        tree = ast.parse(source)
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            _strip(node, lines)
    return _Module("\n".join(lines) + "\n", tree.body, frozenset(names))


def _strip(node: ast.Module | ast.ClassDef | ast.FunctionDef, lines: list[str]) -> None:
    """Remove the docstring of a node from it and from its lines."""
    first = node.body[0]
    assert first.end_lineno is not None
    for number in range(first.lineno - 1, first.end_lineno):
        lines[number] = ""
    if len(node.body) == 1:
        lines[first.lineno - 1] = " " * first.col_offset + "pass"
        node.body[0] = ast.copy_location(ast.Pass(), first)
    else:
        del node.body[0]


def _pieces(source: str, body: list[ast.stmt]) -> Iterator[tuple[str, int, str]]:
    """Yield (class or "", first line, text): the statements of a module in pieces that compile quickly."""
    lines = source.splitlines()
    begun: int | None = None
    for node in body:
        first, last = _extent(node)
        if isinstance(node, ast.ClassDef) or (begun is not None and last - begun >= _PIECE_LINES):
            if begun is not None:
                yield "", begun, "\n".join(lines[begun - 1 : first - 1]).rstrip() + "\n"
            begun = None
        if isinstance(node, ast.ClassDef):
            yield from _class_pieces(node, lines)
        elif begun is None:
            begun = first
    if begun is not None:
        yield "", begun, "\n".join(lines[begun - 1 :]).rstrip() + "\n"


def _class_pieces(node: ast.ClassDef, lines: list[str]) -> Iterator[tuple[str, int, str]]:
    first, last = _extent(node)
    head = lines[first - 1 : last]
    methods = []
    for method in node.body:
        if isinstance(method, ast.FunctionDef):
            begin, end = _extent(method)
            methods.append((node.name, begin, textwrap.dedent("\n".join(lines[begin - 1 : end])) + "\n"))
            head[begin - first : end - first + 1] = [""] * (end - begin + 1)
    if len(methods) == len(node.body):
        head.append(" " * (node.col_offset + 4) + "pass")
    yield "", first, "\n".join(line for line in head if line.strip()) + "\n"
    yield from methods


def _extent(node: ast.stmt) -> tuple[int, int]:
    """The first and last line of a statement, decorators included."""
    decorators = getattr(node, "decorator_list", [])
    assert node.end_lineno is not None
    return min([node.lineno, *(d.lineno for d in decorators)]), node.end_lineno
