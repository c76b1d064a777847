"""`pyobserver report` on real programs: right kind, right name, no false leak, and an exit status that tells."""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import Any

import pytest

from .support.interpreters import Interpreter, interpreters
from .support.story import Service, pyobserver, running_demo
from .support.targets import launch

NEWEST = interpreters()[-1]
on_newest = pytest.mark.parametrize("interpreter", [pytest.param(NEWEST, id=str(NEWEST))])
LOOK = 16  # seconds, of a program that grows fast
LONGER = 60
HOLDER = "rudder.pipeline.Spawner._children"
FUNCTION = "rudder.pipeline.Spawner.push_hash"

GROWING = {  # what each program is found to be: kind, name
    "tasks": ("tasks", "__main__.wait_for_ever"),
    "native": ("native", "c_heap"),
    "descriptors": ("descriptors", "open files"),
    "kept": ("kept", "python"),
    "dict": ("container", "__main__.Place.cache"),
    "objects": ("python_objects", "__main__.Entry"),
}
HARMLESS = ("steady", "sawtooth", "warming")


def report(pid: int, seconds: float, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit status, and the document; of a longer look where a busy machine makes it too early to judge."""
    done = pyobserver("report", pid, "--duration", seconds, "--json", *words, within=seconds + 120)
    if done.returncode == 2 and "too early to judge" in done.stderr:
        done = pyobserver("report", pid, "--duration", LONGER, "--json", *words, within=LONGER + 120)
    assert done.returncode in (0, 1), done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def found_in(interpreter: Interpreter, kind: str, seconds: float) -> list[dict[str, Any]]:
    with launch(interpreter, "growing", kind, "--rate", 200_000 if kind == "steady" else 1_500_000) as target:
        time.sleep(1.5)
        status, told = report(target.pid, seconds, "--findings-only")
        assert status == (1 if told["findings"] else 0)
        assert target.stop()[0] == 0
    return list(told["findings"])


@on_newest
@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        ("tasks", LOOK),
        pytest.param("native", 26, marks=pytest.mark.every),
        pytest.param("descriptors", LOOK, marks=pytest.mark.every),
    ],
)
def test_a_short_look_tells_what_grows(interpreter: Interpreter, kind: str, seconds: float) -> None:
    """Growing, not a leak yet, by its kind and name."""
    first = found_in(interpreter, kind, seconds)[0]
    assert (first["kind"], first["name"]) == GROWING[kind]
    assert first["level"] == "growing" and seconds - 6 <= first["window_seconds"] <= LONGER + 15 and first["reason"]


@on_newest
def test_what_is_steady_is_steady(interpreter: Interpreter) -> None:
    """No finding, and exit status 0."""
    assert found_in(interpreter, "steady", LOOK) == []


@pytest.mark.every
@pytest.mark.parametrize("interpreter", [interpreters()[0], NEWEST], ids=str)
@pytest.mark.parametrize("kind", [*GROWING, *HARMLESS])
def test_a_look_of_more_than_a_minute(interpreter: Interpreter, kind: str) -> None:
    """Each program is called what it is, and none of them a leak."""
    found = found_in(interpreter, kind, 75)
    assert not [each for each in found if each["level"] in ("leak", "limit")]
    if kind in GROWING:
        assert (found[0]["kind"], found[0]["name"]) == GROWING[kind]
    else:
        assert not found


def spawned(service: Service) -> list[int]:
    """How many specimens the service had taken in, by its own log, which tells every five seconds."""
    found = [re.search(r"(\d+) spawned", line) for line in service.said()]
    return [int(match.group(1)) for match in found if match]


@on_newest
def test_the_report_of_the_demonstration_is_what_the_service_says(interpreter: Interpreter) -> None:
    """Count, mean, rate and holder are those of the service's own log and options; what is allowed is silent."""
    payload = 1_000_000
    with running_demo(interpreter, interval=0.2, limit=10_000, payload=payload) as service:
        time.sleep(2)
        status, told = report(service.pid, LOOK)
        logged = spawned(service)
        a_minute = 12 * (logged[-1] - logged[0]) / (len(logged) - 1)
        first = told["findings"][0]
        assert status == 1 and (first["function"], first["holder"]) == (FUNCTION, HOLDER)
        group = next(group for group in told["groups"] if group["function"] == FUNCTION)
        said = re.match(r"Growing: (\d+) \S+, \+(\d+) a minute, ([\d.]+) MB each", first["summary"])
        assert said is not None, (first["summary"], group)
        number, rate, mean = said.groups()
        assert int(number) == group["count"] and abs(group["count"] - logged[-1]) <= a_minute / 6
        assert abs(int(rate) - a_minute) < 0.1 * a_minute
        assert payload <= 1e6 * float(mean) < 1.1 * payload
        status, told = report(service.pid, LOOK, "--allow", "tasks", "--allow", HOLDER)
        assert (status, told["findings"]) == (0, [])
        assert service.end() == 0


def test_of_a_process_that_is_none() -> None:
    """Exit status 2, and a line that says why."""
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        done = pyobserver("report", sleeping.pid, "--duration", 1)
        sleeping.kill()
    assert done.returncode == 2 and done.stderr.startswith("pyobserver: ") and not done.stdout


@pytest.mark.parametrize("name", ["typo", "leak"])
def test_a_kind_that_there_is_not(name: str) -> None:
    """Is refused, with the kinds that there are."""
    done = pyobserver("report", 1, "--allow", name)
    assert done.returncode == 2 and "blocked_loop" in done.stderr


@on_newest
def test_too_short_a_look(interpreter: Interpreter) -> None:
    """Is no answer, and not "steady"."""
    with launch(interpreter, "growing", "steady") as target:
        done = pyobserver("report", target.pid, "--duration", 1)
        assert done.returncode == 2 and "too early to judge" in done.stderr
