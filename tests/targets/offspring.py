"""Child processes made in all the ways that the standard library has, held in different places.

offspring.py [--method fork|spawn]

`hire` starts one more process of the farm; the answer to `pids` names who holds which.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Dict, List

from conversation import serve

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(3600)"]


class Farm:
    """Keeps its processes in a list."""

    def __init__(self, method: str) -> None:
        self.context: Any = multiprocessing.get_context(method)
        self.workers: List[Any] = []

    def hire(self) -> Dict[str, Any]:
        """Starts one more."""
        worker = self.context.Process(target=time.sleep, args=(3600,), daemon=True)
        worker.start()
        self.workers.append(worker)
        return {"pid": worker.pid}


class Runner:
    """Keeps one process in an attribute."""

    process: Any = None


runner = Runner()
popped: Dict[str, "subprocess.Popen[bytes]"] = {}
farm: Farm
pool: ProcessPoolExecutor
in_variable: List[int] = []


async def runs() -> None:
    """Has a process among its variables."""
    process = await asyncio.create_subprocess_exec(*SLEEP)
    in_variable.append(process.pid)
    await process.wait()


def pids() -> Dict[str, Any]:
    """Who holds which."""
    return {
        "__main__.Farm.workers": sorted(worker.pid for worker in farm.workers),
        "process pool (2 workers)": sorted(pool._processes),
        "__main__.Runner.process": [runner.process.pid],
        "__main__.popped": [popped["one"].pid],
        "task runs: locals.process": in_variable,
    }


async def main(method: str) -> None:
    """Starts all of them, and answers."""
    global farm, pool
    farm = Farm(method)
    for _ in range(2):
        farm.hire()
    pool = ProcessPoolExecutor(2, mp_context=farm.context)
    calls = [pool.submit(time.sleep, 3600) for _ in range(5)]
    popped["one"] = subprocess.Popen(SLEEP)
    runner.process = await asyncio.create_subprocess_exec(*SLEEP)
    task = asyncio.get_running_loop().create_task(runs())
    task.set_name("runs")
    while not in_variable or len(pool._processes) < 2:
        await asyncio.sleep(0.01)
    await serve({"hire": farm.hire, "pids": pids})
    for worker in list(pool._processes.values()) + farm.workers:
        worker.kill()
    for process in (popped["one"], runner.process):
        process.kill()
    await runner.process.wait()
    popped["one"].wait()
    subprocess.run(["kill", str(in_variable[0])], check=True)
    await task
    del calls


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="fork")
    asyncio.run(main(parser.parse_args().method))
