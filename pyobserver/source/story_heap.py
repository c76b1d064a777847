"""The objects of the made-up service, by type, as a census would find them."""

from __future__ import annotations

import numpy as np

from ..model.census import Census, PoolCounts, census_of, in_sample
from ..model.places import ContainerPlace, ObjectPlace, PlacesAnswer, PlacesQuestion

POOL_SIZE = 16384
POOLS = 4096
FIRST = 0x7F00_0000_0000
SPREAD = 24  # pools over which the objects of a type are spread
OBJECTS = (  # name, bytes of a block, how many there are without a task, how many a task of the spawner has
    ("(no objects: tables, items, C structures)", 176, 71_000, 40.0),
    ("(further types)", 16, 0, 0.0),
    ("str", 64, 96_000, 212.0),
    ("tuple", 64, 41_000, 6.0),
    ("dict", 64, 22_000, 3.0),
    ("int", 32, 18_000, 96.0),
    ("function", 160, 12_400, 0.0),
    ("code", 208, 9_800, 0.0),
    ("bytes", 96, 14_000, 0.0),
    ("bytearray", 64, 12, 1.0),
    ("list", 64, 6_200, 2.0),
    ("coroutine", 240, 9, 2.0),
    ("asyncio.Task", 288, 9, 1.0),
    ("rudder.agent.Agent", 96, 3, 1.0),
    ("rudder.specimen.Specimen", 64, 3, 1.0),
    ("rudder.discover.Answer", 128, 2_048, 0.0),
)


def census(taken_at: float, tasks: int, shift: int = 0, names: tuple[str, ...] = ()) -> Census:
    """What a census of one pool in 2**shift finds while the spawner holds so many tasks.

    `names` stand for those of the last types.
    """
    sizes = [size for _, size, _, _ in OBJECTS]
    totals = [count + each * tasks for _, _, count, each in OBJECTS]
    pools = np.uint64(FIRST) + np.arange(POOLS, dtype=np.uint64) * np.uint64(POOL_SIZE)
    pools = pools[in_sample(pools // np.uint64(POOL_SIZE), shift)]
    share = len(pools) / POOLS
    entries = []  # (pool, type, count)
    block_sizes = np.full(len(pools), 16, np.int64)
    lots = np.array_split(np.arange(len(pools)), len(OBJECTS))
    for number, (lot, size, total) in enumerate(zip(lots, sizes, totals, strict=True)):
        block_sizes[lot] = size
        met = round(total * share)
        for place, pool in enumerate(lot[:SPREAD].tolist()):
            count = met // min(SPREAD, len(lot)) + (place < met % min(SPREAD, len(lot)))
            if count:
                entries.append((pool, number, count))
    table = np.array(entries, np.int32)
    own = [name for name, _, _, _ in OBJECTS]
    own[len(own) - len(names) :] = names
    return census_of(
        PoolCounts(
            pool_size=POOL_SIZE,
            shift=shift,
            first=np.array([FIRST], np.uint64),
            carved=np.array([POOLS], np.int64),
            pools=pools,
            block_sizes=block_sizes,
            pool=table[:, 0],
            type=table[:, 1],
            count=table[:, 2],
        ),
        names=tuple(own),
        taken_at=taken_at,
        bytes_read=len(pools) * POOL_SIZE,
        cost_seconds=0.07,
    )


def places(asked: PlacesQuestion, tasks: int) -> PlacesAnswer:
    """What a walk over the heap finds while the spawner holds so many tasks."""
    containers = (
        ContainerPlace("rudder.discover.Lookups._answers", "OrderedDict", 1, 2_048, 2_048),
        ContainerPlace("rudder.pipeline.Spawner._children", "set", 1, tasks, tasks),
        ContainerPlace("rudder.pipeline.Spawner._seen", "set", 1, 40 * tasks, 40 * tasks),
        ContainerPlace("rudder.upload.Batch.rows", "list", 3, 3_600, 1_200),
        ContainerPlace("rudder.metrics.HISTORY", "deque", 1, 1_000, 1_000),
        ContainerPlace("linecache.cache", "dict", 1, 212, 212),
    )
    found = sorted((each for each in containers if each.items >= asked.least), key=lambda each: -each.items)
    if asked.type in ("str", "int"):
        return PlacesAnswer(note=f"{asked.type} is everywhere, and not looked for: look at the containers")
    held: tuple[ObjectPlace, ...] = ()
    if asked.type:
        held = (
            ObjectPlace("locals of rudder.pipeline.Spawner.push_hash", "local", tasks, None, (6_990_000,)),
            ObjectPlace("rudder.pipeline.Spawner._agents", "list", tasks, tasks, (6_990_000, 6_990_000)),
        )
    return PlacesAnswer(tuple(found), held, sum(each.references for each in held), 0.31)
