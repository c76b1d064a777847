"""Random graphs of objects that several tasks hang on: what is found one task after another, and what is true.

    shared_graphs.py SEED NUMBER [trees]

With `trees` no object refers to one made before it, so that there are no cycles. Printed is JSON: in how many
graphs too much was found, in how many too little, and the bytes that only several tasks together own.
"""

import asyncio
import gc
import json
import sys

from graphs import FAR, OLD, Clock, Graphs, Truth, holding

from pyobserver.agent.retention.scanner import Scanner
from pyobserver.protocol import schema


class SharedGraphs(Graphs):
    """Each of several tasks gets some of the objects of one graph."""

    def __init__(self, seed, trees):
        Graphs.__init__(self, seed)
        self.trees = trees

    def parts(self, number):
        """Lists of objects, one for each task."""
        kinds = [list, dict, self.leaf, set] if self.trees else [list, dict, self.leaf]
        objects = [self.random.choice(kinds)() for _ in range(self.random.randrange(2, 40))]
        for at, holder in enumerate(objects):
            if type(holder) is bytearray:
                continue
            for _ in range(self.random.randrange(3)):
                self.connect(holder, objects[at + 1 :] if self.trees else objects)
        pool = objects + [self.random.choice(objects) for _ in range(10)]
        found = []
        for _ in range(number):
            some = self.random.sample(pool, self.random.randrange(1, 8) if len(pool) > 8 else 1)
            found.append([[], *some])
        return found

    def connect(self, holder, objects):
        if objects:
            Graphs.connect(self, holder, objects)


async def compare(scanner, clock, graphs, truth):
    """(bytes found, bytes in truth, bytes alone, whether it is called a lower bound) for one graph."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(holding(part)) for part in graphs.parts(graphs.random.randrange(2, 6))]
    await asyncio.sleep(0)
    clock.ahead += OLD
    together = scanner.together()
    alone = 0
    cyclic = []
    for number, task in enumerate(tasks):
        scanner.begin_slice()
        look = together.scan(task, clock() + FAR)
        assert look.accuracy != schema.UNAVAILABLE
        together.note(number, look)
        alone += look.bytes
        cyclic.append(look.cyclic)
    for _ in range(2):
        scanner.begin_slice()
        numbers = together.suspects()
        found = [tasks[number] for number in numbers]
        if not found:
            break
        look = together.close_cycles(found, [cyclic[number] for number in numbers], clock() + FAR)
        assert look.accuracy != schema.UNAVAILABLE
        together.note(-1, look)
    found = None
    common, doubtful = together.common_bytes()
    assert doubtful == 0
    task = None
    owned = truth.owned(*tasks)
    true = sum(map(scanner._kinds.size_of, owned.values()))
    owned.clear()
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return alone + common, true, alone, together.is_bound


async def main(seed, number, *modes):
    gc.disable()
    clock = Clock()
    scanner = Scanner(clock)
    scanner.add_barrier(asyncio.Task)
    scanner.learn_libraries()
    graphs = SharedGraphs(seed, "trees" in modes)
    much, little = [], []
    common = bounds = 0
    for done in range(number):
        if done % 50 == 0:
            truth = Truth()
        found, true, alone, is_bound = await compare(scanner, clock, graphs, truth)
        common += found - alone
        bounds += is_bound
        if found > true:
            much.append([done, found, true, alone])
        if found < true:
            little.append([done, found, true, alone])
        if done % 20 == 0:
            gc.collect()
    told = {
        "much": len(much),
        "little": len(little),
        "bounds": bounds,
        "common": common,
        "first": [much[:3], little[:3]],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
