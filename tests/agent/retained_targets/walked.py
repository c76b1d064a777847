"""What is said of something that others hold too while a walk over the heap stands inside it.

walked.py
"""

import asyncio
import json
import time

from pyobserver.agent.owners.holders import Walk
from pyobserver.agent.retention.scanner import Scanner

FAR = 3600.0
CONFIG = {"rules": [[bytearray(1000)] for _ in range(300)]}


async def member(config):
    await asyncio.get_running_loop().create_future()
    return config


def told(scanner, task, walk):
    scanner.begin_slice()
    together = scanner.together()
    together.note(0, together.scan(task, time.perf_counter() + FAR))
    wanted = {id(CONFIG): True}
    found = scanner.naming(together).describe(task, wanted, time.perf_counter() + FAR, set(walk.held()))
    return None if found is None else found[id(CONFIG)][3][0]


async def main():
    task = asyncio.get_running_loop().create_task(member(CONFIG))
    await asyncio.sleep(0)
    scanner = Scanner(time.perf_counter)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    walk = Walk(lambda number: 0, time.perf_counter)
    before = told(scanner, task, walk)
    rules = id(CONFIG["rules"])
    while not walk.run(0.0) and rules not in walk.held():
        pass
    inside = told(scanner, task, walk)
    while not walk.run(0.0):
        pass
    print(json.dumps({"before": before, "inside": inside, "after": told(scanner, task, walk)}))
    task.cancel()


asyncio.run(main())
