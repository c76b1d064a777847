"""The commands that record, replay and compare, on real processes as a user runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyobserver.arguments import parse
from pyobserver.recording.reader import Recording

from .support.commands import refusal, terminal
from .support.interpreters import Interpreter, interpreters
from .support.story import pyobserver, running_demo, until
from .support.targets import launch


@pytest.fixture
def newest() -> Interpreter:
    """One interpreter, as recordings do not depend on its version."""
    return [i for i in interpreters() if i.root == Path("/")][-1]


def document(path: Path, *words: object) -> dict[str, Any]:
    done = pyobserver("replay", path, "--json", *words)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_record_replay_and_compare(newest: Interpreter, tmp_path: Path) -> None:
    """The leaking service and its repaired twin: what grew before does not any more, and the exit status says so."""
    files = {}
    for fixed in (False, True):
        with running_demo(newest, fixed, interval=0.3, payload=1_000_000, limit=400) as service:
            for seconds in (16, 60):  # longer where a busy machine makes the first too short to tell growth
                files[fixed] = tmp_path / f"fixed-{fixed}-{seconds}.rec"
                words = ("record", service.pid, "-o", files[fixed], "--duration", seconds)
                done = pyobserver(*words, within=seconds + 90)
                assert done.returncode == 0, done.stderr
                assert f"recorded process {service.pid}" in done.stdout and str(files[fixed]) in done.stdout
                if any(group["count_growth"] is not None for group in document(files[fixed])["groups"]):
                    break
    last = document(files[False])
    group = next(g for g in last["groups"] if g["function"].endswith("push_hash"))
    assert group["count"] > 20 and group["count_growth"] > 20
    first = document(files[False], "--at", 3)
    assert first["taken_at"] < last["taken_at"] - 9
    text = pyobserver("replay", files[False])
    assert text.returncode == 0 and "push_hash" in text.stdout
    done = pyobserver("compare", files[False], files[True], "--json")
    found = json.loads(done.stdout)
    assert done.returncode == int(found["grows"])
    line = next(g for g in found["groups"] if g["function"].endswith("push_hash"))
    assert line["verdict"] in ("grew before, flat now: fixed", "grew before, gone now: fixed")
    again = pyobserver("compare", files[True], files[False])
    assert again.returncode == 1
    assert "new growth" in again.stdout


@pytest.mark.parametrize("end", ["killed", "exits"])
def test_until_the_process_ends(newest: Interpreter, tmp_path: Path, end: str) -> None:
    """The last moment is there, with how it ended as far as the kernel tells."""
    path = tmp_path / "a.rec"
    code = "import sys\nfor line in sys.stdin: sys.exit(int(line))"
    with subprocess.Popen([*newest.command, "-c", code], stdin=subprocess.PIPE) as target:
        command = [sys.executable, "-m", "pyobserver", "record", str(target.pid), "-o", str(path), "--until-exit"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as recorder:
            assert until(lambda: path.exists() and has_ticks(path, 3))
            assert target.stdin is not None
            if end == "killed":
                target.kill()
            else:
                target.stdin.write(b"3\n")
                target.stdin.flush()
            out, err = recorder.communicate(timeout=60)
        assert recorder.returncode == 0, err
        assert "it has ended" in out
    with Recording(path) as recording:
        status = recording.at(len(recording) - 1).status
        assert status.phase.name == "EXITED"
        assert (
            (status.signal, status.exit_code) in ((9, None), (None, None)) if end == "killed" else status.signal is None
        )
        assert recording.at(max(0, len(recording) - 2)).process is not None


def tasks_in(path: Path) -> int:
    """How many rows the last moment of a recording has; the first of them has none, as the agent is not there yet."""
    try:
        with Recording(path) as recording:
            return len(recording.at(len(recording) - 1).tasks)
    except Exception:
        return 0


def has_ticks(path: Path, count: int) -> bool:
    try:
        with Recording(path) as recording:
            return len(recording) >= count
    except Exception:
        return False


def test_a_recorder_that_is_killed(newest: Interpreter, tmp_path: Path) -> None:
    """What it has written until then is shown."""
    path = tmp_path / "a.rec"
    with launch(newest, "parked", "--tasks", "20") as target:
        command = [sys.executable, "-m", "pyobserver", "record", str(target.pid), "-o", str(path), "--interval", "0.2"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as recorder:
            assert until(lambda: has_ticks(path, 15) and tasks_in(path) >= 20)
            recorder.kill()
        assert document(path)["tasks"]["total"] >= 20


def test_ctrl_c_ends_it(newest: Interpreter, tmp_path: Path) -> None:
    """It is the usual way, and no failure."""
    path = tmp_path / "a.rec"
    with launch(newest, "parked", "--tasks", "5") as target:
        command = [sys.executable, "-m", "pyobserver", "record", str(target.pid), "-o", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as recorder:
            assert until(lambda: has_ticks(path, 3))
            recorder.send_signal(signal.SIGINT)
            out, _ = recorder.communicate(timeout=60)
        assert recorder.returncode == 0
        assert "recorded process" in out
    assert [each.name for each in tmp_path.iterdir()] == ["a.rec"]


def test_refusals(newest: Interpreter, tmp_path: Path) -> None:
    """Each in one line, and nothing is left behind."""
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with launch(newest, "parked", "--tasks", "1") as target:
        assert "is there already" in refusal(pyobserver("record", target.pid, "-o", taken))
        assert "No such file" in refusal(pyobserver("record", target.pid, "-o", tmp_path / "no" / "a.rec"))
        assert "no size" in refusal(pyobserver("record", target.pid, "--max-size", "3"))
        assert "not allowed" in refusal(pyobserver("record", target.pid, "--duration", 5, "--until-exit"))
    assert taken.read_text() == "mine"
    assert refusal(pyobserver("record", 4_000_000, "-o", tmp_path / "b"))
    assert not (tmp_path / "b").exists()
    assert "is not there" in refusal(pyobserver("replay", tmp_path / "none.rec"))
    assert "is no recording" in refusal(pyobserver("replay", taken))
    assert "is no recording" in refusal(pyobserver("compare", taken, taken))


@pytest.mark.parametrize(
    ("text", "size"), [("5M", 5_000_000), ("200MB", 200_000_000), ("2g", 2 * 10**9), ("9000000", 9 * 10**6)]
)
def test_sizes(text: str, size: int) -> None:
    """As people write them."""
    assert parse(["record", "1", "--max-size", text]).max_size == size


def test_replay_in_a_terminal(tmp_path: Path) -> None:
    """The dashboard opens on it, moves, and gives the terminal back."""
    from .recording.made import recorded

    recorded(tmp_path / "a.rec", 20)
    with terminal("replay", tmp_path / "a.rec") as opened:
        opened.read_until("REPLAY")
        opened.press("[")
        opened.read_until("0 s of 19 s")
        opened.press("q")
        assert opened.status() == 0
        assert opened.is_restored


def test_recording_from_the_dashboard(newest: Interpreter, tmp_path: Path) -> None:
    """r begins and ends it; the head says so, and what came of it can be replayed."""
    with (
        launch(newest, "parked", "--tasks", "8") as target,
        terminal("attach", target.pid, cwd=str(tmp_path)) as opened,
    ):
        opened.read_until("connected")
        opened.press("r")
        opened.read_until("REC")
        files = list(tmp_path.glob(f"pyobserver-{target.pid}-*.rec"))
        assert len(files) == 1
        assert until(lambda: has_ticks(files[0], 3) and tasks_in(files[0]) >= 8)
        opened.press("r")
        opened.read_until("recorded:")
        opened.press("q")
        assert opened.status() == 0
    assert document(files[0])["tasks"]["total"] >= 8


def test_recording_from_the_beginning(newest: Interpreter, tmp_path: Path) -> None:
    """--record needs no key; when the program dies, its end is in the file."""
    path = tmp_path / "a.rec"
    with launch(newest, "parked", "--tasks", "8") as target, terminal("attach", target.pid, "--record", path) as opened:
        opened.read_until("REC")
        assert until(lambda: has_ticks(path, 3))
        target.process.kill()
        opened.read_until("EXITED")
        opened.press("q")
        assert opened.status() == 0
    with Recording(path) as recording:
        assert recording.at(len(recording) - 1).status.phase.name == "EXITED"


def test_keeping_what_is_known_of_one_that_has_died(newest: Interpreter, tmp_path: Path) -> None:
    """S writes it after the end."""
    with (
        launch(newest, "parked", "--tasks", "8") as target,
        terminal("attach", target.pid, cwd=str(tmp_path)) as opened,
    ):
        opened.read_until("connected")
        opened.press("3")
        opened.read_until("measured 100")  # not the name of the program, which is on top of all tabs
        target.process.kill()
        opened.read_until("EXITED")
        opened.press("S")
        opened.read_until("saved the last moment")
        opened.press("q")
        assert opened.status() == 0
    files = list(tmp_path.glob("*.rec"))
    assert len(files) == 1
    with Recording(files[0]) as recording:
        assert recording.at(0).status.phase.name == "EXITED"
        assert len(recording.at(0).tasks) >= 8
