"""What fails beside others is tried once more alone, and nothing that fails twice passes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SHAKY = """
from pathlib import Path

import pytest

def test_shaky():
    seen = Path("seen")
    if not seen.exists():
        seen.touch()
        raise AssertionError("the first time")

def test_well():
    pass
"""

BROKEN = """
def test_broken():
    raise AssertionError("every time")
"""

MANY = """
import pytest

@pytest.mark.parametrize("number", range(6))
def test_many(number):
    raise AssertionError("all of them")
"""


@pytest.mark.parametrize(
    ("tests", "status", "told", "not_told"),
    [
        (SHAKY, 0, ["Once more, alone", "test_suite::test_shaky", "Shaky", "1 passed"], ["Traceback"]),
        (BROKEN, 1, ["Once more, alone", "test_suite::test_broken"], ["Shaky"]),
        (SHAKY + BROKEN, 1, ["Once more, alone", "1 failed, 1 passed"], ["Shaky"]),
        (MANY, 1, ["6 failed"], ["Once more"]),
        ("def test_well(): pass", 0, ["1 passed"], ["Once more", "Shaky"]),
        ("import nothing_of_this_name", 2, ["nothing_of_this_name"], ["Shaky"]),
    ],
)
def test_a_second_try_is_told(tmp_path: Path, tests: str, status: int, told: list[str], not_told: list[str]) -> None:
    """A few that failed are run alone and named; of more than a few, or what cannot be collected, nothing passes."""
    (tmp_path / "test_suite.py").write_text(tests)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    run = subprocess.run(
        [sys.executable, "-m", "tests.twice", "-n", "2"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == status, run.stdout + run.stderr
    assert all(text in run.stdout for text in told), run.stdout
    assert not any(text in run.stdout + run.stderr for text in not_told), run.stdout
