"""Threads with names and targets, an executor with waiting jobs, and a child process; no event loop at all.

`truth` names them with the kernel's ids. `submit N` gives the executor N jobs that wait, `release` lets them end.
"""

from __future__ import annotations

import _thread
import os
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from conversation import serve_blocking


class Pump(threading.Thread):
    """A thread by inheritance: what it runs is its own `run`."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(name="pump", daemon=True)
        self.stop = stop

    def run(self) -> None:
        """Waits with a limit, again and again."""
        while not self.stop.wait(0.05):
            pass


class Plant:
    """All that runs beside the main thread."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.lock.acquire()
        self.gate = threading.Event()
        self.bare: list[int] = []
        self.executor = ThreadPoolExecutor(max_workers=3, thread_name_prefix="plant")
        self.jobs: list[Future[bool]] = []
        self.threads = [
            threading.Thread(target=self.watch, name="watcher", daemon=True),
            threading.Thread(target=self.blocked, name="blocked", args=(1,), daemon=True),
            threading.Thread(target=burn, name="burner", args=(self.stop,), daemon=True),
            Pump(self.stop),
        ]
        self.child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)

    def watch(self) -> None:
        """Waits on an event."""
        self.stop.wait()

    def blocked(self, number: int) -> None:
        """Waits for a lock that the main thread has."""
        with self.lock:
            pass

    def job(self) -> bool:
        """A job of the executor."""
        return self.gate.wait()

    def start(self) -> None:
        for thread in self.threads:
            thread.start()
        started = threading.Event()

        def unmanaged() -> None:
            self.bare.append(threading.get_native_id())
            started.set()
            self.stop.wait()

        _thread.start_new_thread(unmanaged, ())
        started.wait()

    def submit(self, count: str) -> dict[str, Any]:
        self.jobs += [self.executor.submit(self.job) for _ in range(int(count))]
        return self.truth()

    def release(self) -> dict[str, Any]:
        self.gate.set()
        for job in self.jobs:
            job.result(10)
        return self.truth()

    def truth(self) -> dict[str, Any]:
        functions = {
            "MainThread": None,
            "watcher": "__main__.Plant.watch",
            "blocked": "__main__.Plant.blocked",
            "burner": "__main__.burn",
            "pump": "__main__.Pump.run",
        }
        return {
            "threads": [
                {
                    "name": thread.name,
                    "ident": thread.ident,
                    "native_id": thread.native_id,
                    "daemon": thread.daemon,
                    "function": functions.get(thread.name),
                }
                for thread in threading.enumerate()
                if not isinstance(thread, threading._DummyThread)  # type: ignore[attr-defined]
            ],
            "bare": self.bare,  # started by _thread: threading knows nothing of it
            "executor": {
                "prefix": "plant",
                "workers": sum(thread.name.startswith("plant") for thread in threading.enumerate()),
                "queued": self.executor._work_queue.qsize(),
                "running": sum(job.running() for job in self.jobs),
            },
            "child": {"pid": self.child.pid, "command": self.child.args},
            "pid": os.getpid(),
        }

    def close(self) -> None:
        self.stop.set()
        self.gate.set()
        self.lock.release()
        self.executor.shutdown()
        for thread in self.threads:
            thread.join(10)
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait(10)


def burn(stop: threading.Event) -> None:
    """Computes for a tenth of its time."""
    while not stop.wait(0.009):
        sum(range(20_000))


plant: Plant


if __name__ == "__main__":
    plant = Plant()
    plant.start()
    serve_blocking({"truth": plant.truth, "submit": plant.submit, "release": plant.release})
    plant.close()
