"""What measuring retained memory costs the target: time per task and per object, in heaps of two sizes side by side.

The cost must not depend on the heap, only on what the tasks own. A task of 14,314 records is measured in a slice of one
millisecond, as an estimate.
"""

from __future__ import annotations

from tests.agent.retained_targets import run
from tests.support.interpreters import Interpreter, interpreters

HEAPS = (25_000, 1_000_000)  # lists, each with a number of its own
ALLOWED = 1.35  # times as long in the large heap: its caches are colder


def measure(interpreter: Interpreter) -> bool:
    """Prints the figures of one interpreter; whether the size of the heap did not matter."""
    told = run(interpreter, "cost.py", *HEAPS, within=600)
    print(
        f"Python {interpreter}: us per task (us per object; share exact), heaps of {HEAPS[0]:,} and {HEAPS[1]:,} lists"
    )
    ratios = []
    for key in [key.rpartition(" ")[0] for key in told if key.endswith(f" {HEAPS[0]}")]:
        figures = [told[f"{key} {size}"] for size in HEAPS]
        ratio = figures[1][0] / figures[0][0]
        if key.endswith("next"):
            ratios.append(ratio)
        columns = "   ".join(f"{a:9.1f} ({b:5.2f}; {100 * c:3.0f} %)" for a, b, c, _ in figures)
        print(f"  {key:20} {figures[0][3]:8.0f} objects {columns}   x{ratio:.2f}")
    return max(ratios) <= ALLOWED


def main() -> int:
    """Measures every interpreter found; 1 when a large heap makes measuring clearly slower on one of them."""
    results = [measure(interpreter) for interpreter in interpreters()]
    return 0 if all(results) else 1
