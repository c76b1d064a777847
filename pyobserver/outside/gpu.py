"""What a process has of the memory of GPUs, as the driver of NVIDIA's counts it: by the module `pynvml` where that is.

It is no dependency: without it, or without a driver, nothing is said. The driver names processes by the numbers that
the machine has for them, so that in a container with numbers of its own nothing is found.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from ..model.readings import InnerAllocator

EVERY = 10.0  # seconds between two questions to the driver
_DUTY = 50.0  # and so many times as long as the last answer took
_MOST_DEVICES = 16
_KINDS = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses")
_WHY = "the driver tells what a process holds, not what of that is in use"


class GpuProbe:
    """Asks for one process again and again, now and then."""

    def __init__(self, pid: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pid = pid
        self._monotonic = monotonic
        self._nvml: Any = None
        self._due = float("-inf")
        self._found: tuple[InnerAllocator, ...] = ()

    def read(self) -> tuple[InnerAllocator, ...]:
        """A line for each device of which the process has memory, as it was the last time that the driver was asked."""
        now = self._monotonic()
        if now < self._due:
            return self._found
        begun = time.perf_counter()
        try:
            self._found = self._ask()
        except Exception:  # of pynvml, whose errors are classes that it makes, or of a driver that does not fit it
            self._found, self._nvml = (), None
        self._due = now + (EVERY + _DUTY * (time.perf_counter() - begun) if self._nvml else float("inf"))
        return self._found

    def _ask(self) -> tuple[InnerAllocator, ...]:
        if self._nvml is None:
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
            self._nvml = nvml
        found = []
        for number in range(min(self._nvml.nvmlDeviceGetCount(), _MOST_DEVICES)):
            device = self._nvml.nvmlDeviceGetHandleByIndex(number)
            # A process is in both lists where it computes and draws; each has all that it holds.
            processes = [each for kind in _KINDS for each in getattr(self._nvml, kind)(device)]
            sizes = [each.usedGpuMemory for each in processes if each.pid == self._pid]
            known = [size for size in sizes if isinstance(size, int)]  # None where the driver does not tell (MIG, WDDM)
            if known:
                held = max(known)
                found.append(InnerAllocator(f"gpu:{number}", f"GPU {number} (driver)", "", None, held, why=_WHY))
        return tuple(found)
