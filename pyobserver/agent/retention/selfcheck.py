"""Whether counting references gives right sums on this interpreter: asked once, before any value is shown.

Measured is a coroutine which holds a bytearray of known size, a cycle with another one, and a list that is held from
elsewhere too. That covers what nobody has seen yet: a later version, an odd build, another implementation.
"""

import sys
from sys import getsizeof

from pyobserver.agent.facts import is_free_threaded
from pyobserver.protocol.schema import EXACT

OWN = 300000
IN_CYCLE = 40000
SHARED = 500000
TOLERANCE = 1000  # bytes
LONGEST = 0.05  # seconds: a hundred times as long as it takes
TRIES = 10  # of what other processes have cut short, which had the processor for as long


class _Suspended:
    __slots__ = ()

    def __await__(self):
        yield


class _Ring:
    __slots__ = ("me", "payload")


async def _holding(shared):
    own = bytearray(OWN)
    ring = _Ring()
    ring.me = [ring]
    ring.payload = bytearray(IN_CYCLE)
    await _Suspended()
    return own, shared


def self_check(scanner, clock):
    """Return "ok", or a sentence that says why no memory can be shown."""
    if sys.implementation.name != "cpython":
        return "reference counts are read, which " + sys.implementation.name + " does not have as CPython does"
    if is_free_threaded():
        return "this interpreter runs without its lock (GIL), so that reference counts cannot be read consistently"
    shared = [bytearray(SHARED)]
    held = _holding(shared)
    held.send(None)
    try:
        for _ in range(TRIES):
            scanner.begin_slice()
            measure = scanner.scan(held, clock() + LONGEST)
            if measure.accuracy == EXACT:
                break
        frame = getsizeof(held) if sys.version_info >= (3, 11) else 500
        expected = getsizeof(bytearray(OWN)) + getsizeof(bytearray(IN_CYCLE)) + getsizeof([None]) + 48 + 48 + frame
    finally:
        held.close()
    if measure.accuracy != EXACT or abs(measure.bytes - expected) > TOLERANCE:
        return "a coroutine of %d bytes was measured as %d bytes" % (expected, measure.bytes)
    return "ok"
