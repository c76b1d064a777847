"""What PyTorch and NVIDIA's driver say of a real GPU is what is shown: on a machine that has one."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pyobserver.outside.gpu import GpuProbe

from ..support.interpreters import Interpreter
from ..support.targets import RunningTarget, launch
from .mirror import Mirror, observed

MB = 1 << 20


@functools.cache
def why_not() -> str:
    """Why there is no GPU for this interpreter; "" if there is."""
    try:
        import torch  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return "PyTorch is not installed beside these tests"
    return "" if torch.cuda.is_available() else "PyTorch sees no GPU"


@pytest.fixture
def interpreter() -> Interpreter:
    if why_not():
        pytest.skip(why_not())
    return Interpreter(sys.version_info[:3], (sys.executable,), Path("/"))


def told_and_said(target: RunningTarget, mirror: Mirror, command: str) -> dict[str, int]:
    """What PyTorch says of itself after `command`; waits until the agent says the same."""
    truth = target.ask(command, within=120)
    expected = ["cuda", "0", truth["allocated"], truth["reserved"], truth["peak"], truth["split"], ""]
    mirror.wait(lambda: mirror.ticks and mirror.ticks[-1]["allocators"] == [expected], f"{expected} in a tick")
    return truth


def test_pytorchs_allocator_is_told_as_it_counts_itself(interpreter: Interpreter) -> None:
    """Filled, freed in part, and given back; before CUDA is there nobody asks, and CUDA is not started by us."""
    with launch(interpreter, "gpu", within=120) as target, observed(target.pid) as mirror:
        mirror.turn(3)
        assert mirror.ticks[-1]["allocators"] == []
        assert target.ask("initialised") == {"initialised": False}
        full = told_and_said(target, mirror, "fill 40")
        assert full["allocated"] >= 40 * 30 * MB
        holed = told_and_said(target, mirror, "riddle")
        assert 0 < holed["split"] < full["reserved"] and holed["allocated"] < full["allocated"] == holed["peak"]
        given_back = told_and_said(target, mirror, "drop")
        assert given_back["allocated"] == 0
        truth = target.ask("empty")
        assert truth["reserved"] == 0
        mirror.wait(lambda: mirror.ticks[-1]["allocators"] == [], "nothing of it, as nothing is held")


def test_the_drivers_figure_is_that_of_its_own_tool(interpreter: Interpreter) -> None:
    """By process, with what CUDA itself has; it follows what PyTorch takes."""
    pytest.importorskip("pynvml", reason="pynvml is not installed beside these tests")
    with launch(interpreter, "gpu", within=120) as target:
        target.ask("fill 4", within=120)
        (first,) = GpuProbe(target.pid).read()
        assert (first.name, first.in_use) == ("gpu:0", None)
        assert first.held == pytest.approx(by_the_tool(target.pid), abs=MB)
        truth = target.ask("fill 40", within=120)
        (then,) = GpuProbe(target.pid).read()
        assert then.held == pytest.approx(by_the_tool(target.pid), abs=MB)
        assert then.held is not None and first.held is not None
        assert then.held - first.held > 30 * 30 * MB and then.held >= truth["reserved"]


def test_the_command_tells_both(interpreter: Interpreter) -> None:
    """In the document of a snapshot, within no allocator of the process and in no sum."""
    with launch(interpreter, "gpu", within=120) as target:
        truth = target.ask("fill 40", within=120)
        command = [sys.executable, "-m", "pyobserver", "snapshot", str(target.pid), "--duration", "5"]
        run = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stderr
        memory = json.loads(run.stdout)["memory"]
        found = {each["name"]: each for each in memory["allocators"]}
        torch = found["cuda:0"]
        assert (torch["in_use"], torch["held"], torch["within"]) == (truth["allocated"], truth["reserved"], "")
        assert torch["inactive_split"] == truth["split"]
        if "gpu:0" in found:
            assert found["gpu:0"]["held"] >= truth["reserved"]
        assert sum(each["bytes"] for each in memory["categories"]) == pytest.approx(memory["rss"], rel=0.01)


def by_the_tool(pid: int) -> int:
    """What `nvidia-smi` says that the process holds; bytes."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    held = {int(line.split(",")[0]): int(line.split(",")[1]) * MB for line in lines}
    return held[pid]
