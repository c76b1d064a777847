"""The targets tell the truth about themselves, on every interpreter: what other tests hold the observer against."""

from __future__ import annotations

import os
import signal
import socket
import time

import psutil
import pytest

from .interpreters import Interpreter, interpreters
from .story import until
from .targets import TargetError, launch


def check_clean(stopped: tuple[int, str]) -> None:
    status, stderr = stopped
    assert (status, stderr) == (0, "")


def test_parked_frees_with_a_task_what_it_gave_to_it(interpreter: Interpreter) -> None:
    """Cancelling the control frees its payload, within the few kilobytes of the task itself."""
    with launch(interpreter, "parked", "--tasks", 50, "--bytes", 200_000, "--tracemalloc") as target:
        freed = target.ask("cancel parked-7")["freed"]
        assert 200_000 <= freed < 206_000
        assert target.ask("add 10")["tasks"] == 59
        assert target.ask("drop 20")["tasks"] == 39
        check_clean(target.stop())


def test_parked_in_pieces_frees_blocks(interpreter: Interpreter) -> None:
    """Without tracing, the interpreter's own count of blocks tells what went."""
    with launch(interpreter, "parked", "--tasks", 5, "--bytes", 400_000, "--pieces", 1000) as target:
        answer = target.ask("cancel parked-3")
        assert answer["freed"] is None
        assert 1000 <= answer["blocks"] < 1100
        check_clean(target.stop())


@pytest.fixture(params=interpreters()[-1:], ids=str)
def newest(request: pytest.FixtureRequest) -> Interpreter:
    """One interpreter, for what does not depend on the version."""
    return request.param


def test_chat_server_leaks_a_session_per_connection(interpreter: Interpreter) -> None:
    """A client that has come and gone leaves one waiting task behind, from inside and from outside."""
    with launch(interpreter, "chat_server") as target:
        port = target.ask("connect 3")["port"]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"hello\n"
        deadline = time.monotonic() + 60
        while target.ask("truth")["sessions"] < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert {key: target.ask("truth")[key] for key in ("sessions", "waiting")} == {"sessions": 4, "waiting": 4}
        check_clean(target.stop())


@pytest.mark.parametrize("held_by", ["closure", "class"])
def test_chat_server_holds_its_sessions_elsewhere(newest: Interpreter, held_by: str) -> None:
    """The leak is the same where the hub is not in a module."""
    with launch(newest, "chat_server", "--held-by", held_by) as target:
        truth = target.ask("connect 3")
        assert (truth["sessions"], truth["waiting"], truth["held_by"]) == (3, 3, held_by)
        check_clean(target.stop())


def test_workers_has_every_relation(interpreter: Interpreter) -> None:
    """All tasks are alive, or done and held, and each knows the one that awaits it."""
    with launch(interpreter, "workers") as target:
        truth = target.ask("truth")
        tasks = truth["tasks"]
        edges = {task["edge"] for task in tasks.values()}
        assert edges >= {None, "await", "gather", "wait_for", "shield", "wait"}
        assert ("task_group" in edges) == (interpreter.minor >= (3, 11))
        assert {task["awaited_by"] for task in tasks.values()} - {None} <= set(tasks)
        assert truth["alive"] + truth["done_held"] == len(tasks)
        assert truth["done_held"] == 3
        assert truth["unowned_alive"]
        assert target.ask("turn")["handled"] == 4
        check_clean(target.stop())


def test_threads_names_what_the_kernel_has(interpreter: Interpreter) -> None:
    """The native ids are the process's own, and the child process is its child."""
    with launch(interpreter, "threads") as target:
        truth = target.ask("submit 5")
        process = psutil.Process(target.pid)
        told = {thread["native_id"] for thread in truth["threads"]} | set(truth["bare"])
        assert told == {thread.id for thread in process.threads()}
        assert [child.pid for child in process.children()] == [truth["child"]["pid"]]
        assert truth["executor"] == {"prefix": "plant", "workers": 3, "queued": 2, "running": 3}
        assert target.ask("release")["executor"]["queued"] == 0
        check_clean(target.stop())


def test_spawner_spawns_and_ends(interpreter: Interpreter) -> None:
    """Tasks come by the thousand, and do not pile up."""
    with launch(interpreter, "spawner") as target:
        deadline = time.monotonic() + 60
        while (truth := target.ask("truth"))["ended"] < 5_000 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert truth["ended"] >= 5_000
        assert truth["live"] < 2_500
        check_clean(target.stop())


@pytest.mark.parametrize("how", ["hold", "sleep"])
def test_blocked_does_not_answer_while_it_is(interpreter: Interpreter, how: str) -> None:
    """The loop is silent for as long as was asked for, and goes on after."""
    with launch(interpreter, "blocked") as target:
        begun = time.monotonic()
        assert target.ask(f"{how} 2")["blocks"] == 2
        with pytest.raises(TargetError, match="no answer"):
            while True:  # it begins a moment later
                assert target.ask("truth", within=0.3)["done"] == 0
        assert target.wait_until_answered() == {"done": 1, "neighbours": 5}
        assert time.monotonic() - begun > 2.0
        check_clean(target.stop())


def test_hostile_counts_what_is_called(interpreter: Interpreter) -> None:
    """Nothing has run by itself, and what does run is counted."""
    with launch(interpreter, "hostile") as target:
        truth = target.ask("truth")
        assert bytes.fromhex(truth["names"]["escape"]).startswith(b"\x1b[2J")
        assert truth["tasks"] == 13
        time.sleep(0.2)
        assert target.ask("counts") == {"calls": {}, "where": {}}
        calls = target.ask("poke")["calls"]
        kinds = {"Plain.__repr__", "Slots.__hash__", "Bytes.__sizeof__", "Meta.__instancecheck__", "Task.__repr__"}
        assert kinds <= set(calls), calls
        status, stderr = target.stop()
        assert (status, stderr) == (0, "")
        assert target.last_words is not None
        assert target.last_words["calls"] == calls


def test_ticker_tells_its_lateness(interpreter: Interpreter) -> None:
    """The figures are there, ordered, and start anew after a reset."""
    with launch(interpreter, "ticker", "--tasks", 100) as target:
        assert until(lambda: target.ask("lateness")["ticks"] > 100)
        figures = target.ask("reset")
        assert figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
        assert target.ask("lateness")["ticks"] < figures["ticks"]
        check_clean(target.stop())
        assert target.last_words is not None and "p99_ms" in target.last_words


def test_spinner_feels_that_it_was_halted(interpreter: Interpreter) -> None:
    """Its largest gap is not shorter than the time that it stood still, and its blocks are whole."""
    with launch(interpreter, "spinner", "--churning", 2) as target:
        target.ask("reset")
        with target.halted():
            begun = time.monotonic()
            time.sleep(0.05)
            halted = 1000 * (time.monotonic() - begun)
        assert until(lambda: target.ask("gaps")["largest_ms"] >= halted)  # a thread of its own notes it
        assert target.ask("truth") == {"threads": 4, "ok": True}
        check_clean(target.stop())


def test_a_target_that_dies_is_told(newest: Interpreter) -> None:
    """No test waits for a dead target."""
    with launch(newest, "parked", "--tasks", 1) as target:
        os.kill(target.pid, signal.SIGKILL)
        target.process.wait(60)
        with pytest.raises(TargetError, match="has ended"):
            target.ask("truth")
        assert target.stop()[0] == -signal.SIGKILL


def test_a_target_that_does_not_start_is_told_with_its_complaint(newest: Interpreter) -> None:
    """The reason is in the error."""
    with pytest.raises(TargetError, match="unrecognized arguments"), launch(newest, "parked", "--nonsense"):
        pass


def test_a_command_that_fails_is_told(newest: Interpreter) -> None:
    """A mistake in a test does not look like an answer."""
    with launch(newest, "parked", "--tasks", 1) as target:
        with pytest.raises(TargetError, match="KeyError"):
            target.ask("cancel nobody")
        with pytest.raises(TargetError, match="KeyError"):
            target.ask("dance")
        check_clean(target.stop())
