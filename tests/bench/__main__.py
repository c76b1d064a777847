"""Runs the benches one after another, each in a process of its own: `python -m tests.bench [NAME ...]`.

Every module of this package that defines `main()` is a bench. Before the first one it says how noisy the machine is,
because a figure from a busy machine means little by itself.
"""

from __future__ import annotations

import argparse
import ast
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

RUN = "import importlib, sys; sys.exit(importlib.import_module(sys.argv[1]).main())"


def benches(folder: Path) -> list[str]:
    """The names of the modules in `folder` that define `main()` at their top, found without importing them."""
    found = []
    for file in sorted(folder.glob("*.py")):
        if not file.name.startswith("_"):
            body = ast.parse(file.read_text(), str(file)).body
            if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in body):
                found.append(file.stem)
    return found


def noise(runs: int = 40) -> str:
    """How busy the machine is: its load, and the spread of one empty loop that is timed again and again."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        for _ in range(200_000):
            pass
        times.append((time.perf_counter() - begun) * 1000)
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    least, middle, most = min(times), statistics.median(times), max(times)
    return (
        f"machine: {os.cpu_count()} cores, load {load}; an empty loop took {least:.1f} / {middle:.1f} / {most:.1f} ms "
        f"(min / median / max of {runs}), so single figures are off by up to x{most / least:.1f}"
    )


def run(package: str, name: str) -> tuple[int, float]:
    """Runs one bench; returns its exit status and how many seconds it took."""
    print(f"\n=== {name} ".ljust(100, "="), flush=True)
    begun = time.monotonic()
    status = subprocess.run([sys.executable, "-c", RUN, f"{package}.{name}"]).returncode
    return status, time.monotonic() - begun


def main(
    arguments: Sequence[str] | None = None, folder: Path = Path(__file__).parent, package: str = "tests.bench"
) -> int:
    """Runs the benches that were named, or all; returns 0 when all of them ended well, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Runs the benches.")
    parser.add_argument("names", nargs="*", help="some of: " + ", ".join(benches(folder)))
    wanted = parser.parse_args(arguments).names or benches(folder)
    unknown = [name for name in wanted if name not in benches(folder)]
    if unknown:
        parser.error(f"there is no bench {', '.join(unknown)}; there are: {', '.join(benches(folder)) or 'none'}")
    print(noise())
    ended = {name: run(package, name) for name in wanted}
    print("\n" + "=" * 100)
    for name, (status, seconds) in ended.items():
        print(f"{'ok' if status == 0 else f'FAILED ({status})':12} {seconds:7.1f} s  {name}")
    return int(any(status for status, _ in ended.values()))


if __name__ == "__main__":
    sys.exit(main())
