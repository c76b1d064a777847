"""Memory of GPUs is what the driver says of this process; where there is no driver nothing is said.

By a stand-in for pynvml: there is no GPU where these tests run.
"""

from __future__ import annotations

import os
import sys
import types
from types import SimpleNamespace
from typing import Any

import pytest

from pyobserver.outside import MemoryProbe
from pyobserver.outside.gpu import EVERY, GpuProbe

from .conftest import Clock

GB = 1 << 30
PID = 4711


class Driver(types.ModuleType):
    """pynvml of version 12 and two devices, as far as it is asked."""

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.asked = 0
        self.breaks = False
        self.computing: list[list[Any]] = [[SimpleNamespace(pid=PID, usedGpuMemory=3 * GB)], []]
        self.drawing: list[list[Any]] = [[SimpleNamespace(pid=PID, usedGpuMemory=3 * GB)], []]

    def nvmlInit(self) -> None:
        if self.breaks:
            raise RuntimeError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        self.asked += 1
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetComputeRunningProcesses(self, device: int) -> list[Any]:
        return self.computing[device]

    def nvmlDeviceGetGraphicsRunningProcesses(self, device: int) -> list[Any]:
        return self.drawing[device]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", made)
    return made


def test_each_device_by_what_the_process_holds(driver: Driver) -> None:
    """Once, although it computes and draws; those of other processes, and what is not told, are left out."""
    driver.computing[1] = [SimpleNamespace(pid=PID + 1, usedGpuMemory=GB), SimpleNamespace(pid=PID, usedGpuMemory=None)]
    (found,) = GpuProbe(PID).read()
    assert (found.name, found.within, found.in_use, found.held) == ("gpu:0", "", None, 3 * GB)
    assert found.why


def test_the_driver_is_asked_rarely(driver: Driver, clock: Clock) -> None:
    """In between the last answer stands."""
    probe = GpuProbe(PID, clock)
    first = probe.read()
    driver.computing[0][0].usedGpuMemory = driver.drawing[0][0].usedGpuMemory = 5 * GB
    assert probe.read() == first and driver.asked == 1
    clock.now += 100 * EVERY
    assert probe.read()[0].held == 5 * GB and driver.asked == 2


def test_without_a_driver_nothing_is_said(driver: Driver, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor without the module; and nobody tries again."""
    driver.breaks = True
    broken = GpuProbe(PID, clock)
    assert broken.read() == ()
    driver.breaks = False
    clock.now += 1e6
    assert broken.read() == () and driver.asked == 0
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert GpuProbe(PID, clock).read() == ()


def test_a_reading_has_it_beside_the_memory_of_the_process(driver: Driver) -> None:
    """It is part of none of its allocators, and in no sum."""
    driver.computing[0][0].pid = driver.drawing[0][0].pid = os.getpid()
    with MemoryProbe(os.getpid()) as probe:
        reading = probe.read()
    assert [each.name for each in reading.inner if each.within == ""] == ["gpu:0"]
    assert sum(each.bytes or 0 for each in reading.categories) == reading.rss
