"""The beginning of a value as text, for an observer that has asked for values: of the interpreter's own types only.

What is of exactly these types has no code of the program in it. Of containers, and of everything else, type and length
are all that is told.
"""

from pyobserver.agent.retention.breakdown import type_name
from pyobserver.agent.retention.paths import SIZED
from pyobserver.protocol.clean import clean

MOST_CHARACTERS = 60
MOST_BYTES = 20
MOST_BITS = 256  # the digits of longer numbers would take long
MOST_VARIABLES = 24  # of one frame
MOST_FRAMES = 2
MOST_NAME = 60


def preview(value):
    """Return how a value begins, at most some 80 characters; "" if it is of a type whose values are not told."""
    kind = type(value)
    if kind is str:
        text = repr(value[:MOST_CHARACTERS])
        more = len(value) > MOST_CHARACTERS
    elif kind is bytes or kind is bytearray:
        text = repr(bytes(value[:MOST_BYTES]))
        more = len(value) > MOST_BYTES
    elif value is None or kind is bool or kind is float or kind is complex:
        text, more = repr(value), False
    elif kind is int:
        bits = value.bit_length()
        text, more = (repr(value), False) if bits <= MOST_BITS else ("%d bits" % bits, False)
    else:
        return ""
    return clean(text + "\u2026" if more else text, 2 * MOST_CHARACTERS)


def length(value):
    """Return how long a container, a text or bytes is, None for what is of another type."""
    return len(value) if any(type(value) is kind for kind in SIZED) else None


def variables(links, slots, qualname, with_values):
    """Return [function, name, type, length or None, preview or ""] for the local variables of the innermost of `links`.

    `links` are suspended coroutines from the innermost on; `slots` names their variables, `qualname` themselves.
    """
    found = []
    for link in links[:MOST_FRAMES]:
        for name, value in slots.variables_of(link)[:MOST_VARIABLES]:
            shown = preview(value) if with_values else ""
            found.append([qualname(link), clean(name, MOST_NAME), type_name(type(value)), length(value), shown])
    return found
