"""Frames: how messages travel over the socket.

    frame  = u32 length of all that follows | u32 length of the head | head | columns
    head   = one JSON object in ASCII; its member "t" names the message
    columns = the message's numeric columns, packed little-endian, in the order that the head's member "c" lists them:
              [name, type code, count], type codes as in the standard `struct` module (b B h H i I q Q f d)

A frame is at most 256 KiB: decoding one holds the observer's interpreter lock for less than 5 ms, and encoding one
holds the target's for less than one slice. Longer messages are cut into several frames by who writes them.

JSON is read and written by the interpreter's own C accelerator, `_json`, because importing the package `json` would
leave eight modules behind in a target that never used it.
"""

import struct as _struct_module  # compiled almost wholly in C; every asyncio program has it

try:
    import _json
except ImportError:  # an interpreter built without the accelerator
    _json = None  # type: ignore[assignment]

MAX_FRAME = 256 * 1024
MAX_HEAD = 192 * 1024
MAX_COLUMNS = 64
TYPE_CODES = "bBhHiIqQfd"

_PREFIX = _struct_module.Struct("<II")
_IS_LITTLE = _struct_module.pack("=H", 1) == _struct_module.pack("<H", 1)


class ProtocolError(Exception):
    """The other side sent something that is not a frame of this protocol."""


def _reject_constant(name):
    raise ProtocolError("JSON constant %s" % name)


def _finite(text):
    number = float(text)
    if number - number != 0.0:  # as 1e999 does
        raise ProtocolError("a number that is not finite")
    return number


class _ScannerContext:
    """What `_json.make_scanner` reads its settings from (Modules/_json.c, 3.8 to 3.15; `array_hook` since 3.15)."""

    strict = True
    array_hook = None
    object_hook = None
    object_pairs_hook = None
    parse_float = staticmethod(_finite)
    parse_int = int
    parse_constant = staticmethod(_reject_constant)
    memo = {}  # type: dict


def _pure_string(text):
    out = ['"']
    for c in text:
        o = ord(c)
        if c in '"\\':
            out.append("\\" + c)
        elif 32 <= o < 127:
            out.append(c)
        elif o < 0x10000:
            out.append("\\u%04x" % o)
        else:
            o -= 0x10000
            out.append("\\u%04x\\u%04x" % (0xD800 + (o >> 10), 0xDC00 + (o & 0x3FF)))
    out.append('"')
    return "".join(out)


_string = _json.encode_basestring_ascii if _json is not None else _pure_string


def dumps(value):
    """Write exact None, bool, int, float, str, list, tuple and dict (str keys) as JSON; NaN and infinities as null."""
    t = type(value)
    if t is str:
        return _string(value)
    if t is int:
        return int.__repr__(value)
    if t is float:
        return float.__repr__(value) if value - value == 0.0 else "null"
    if value is None:
        return "null"
    if t is bool:
        return "true" if value else "false"
    if t is list or t is tuple:
        return "[" + ",".join([dumps(v) for v in value]) + "]"
    if t is dict:
        return "{" + ",".join([_string(k) + ":" + dumps(v) for k, v in value.items()]) + "}"
    raise TypeError("cannot be sent: %s" % t.__name__)


def loads(text):
    """Read one JSON value written by `dumps`; raises ProtocolError for anything else."""
    try:
        if _json is None:
            import json

            return json.loads(text, parse_constant=_reject_constant, parse_float=_finite)
        value, end = _json.make_scanner(_ScannerContext)(text, 0)
    except (ValueError, StopIteration, RecursionError, SystemError) as error:
        # SystemError: up to 3.11 the accelerator sets no exception at all where the package `json` is not loaded.
        raise ProtocolError("not JSON: %s" % type(error).__name__) from None
    if end != len(text):
        raise ProtocolError("trailing text after the JSON head")
    return value


class Alike:
    """A column in which one number stands so often."""

    __slots__ = ("count", "number")

    def __init__(self, number, count):
        self.number = number
        self.count = count

    def __len__(self):
        return self.count


def pack(code, values):
    """Pack numbers of one struct type code into little-endian bytes: a list, an `Alike`, or a memoryview."""
    if type(values) is Alike:
        return pack(code, [values.number]) * values.count
    if type(values) is memoryview and values.format == code and _IS_LITTLE:
        return values.tobytes()
    return _struct_module.pack("<%d%s" % (len(values), code), *values)


def encode(head, columns=()):
    """Return the frame for `head`, a dict, and `columns`: (name, type code, numbers as `pack` takes them) of each.

    `head` must not have a member "c". Raises ProtocolError when the frame is too large, and struct.error or
    OverflowError for a number that its type code has no room for.
    """
    if columns:
        if len(columns) > MAX_COLUMNS:
            raise ProtocolError("%d columns are more than %d" % (len(columns), MAX_COLUMNS))
        head = dict(head)
        head["c"] = [[name, code, len(values)] for name, code, values in columns]
    text = dumps(head).encode("ascii")
    body = b"".join([pack(code, values) for _, code, values in columns])
    length = 4 + len(text) + len(body)
    if length > MAX_FRAME or len(text) > MAX_HEAD:
        raise ProtocolError("frame of %d bytes is larger than %d" % (length, MAX_FRAME))
    return _PREFIX.pack(length, len(text)) + text + body


class Frame:
    """One decoded frame: `head` is a dict whose "t" is a str; `columns` maps a name to (type code, count, bytes)."""

    __slots__ = ("columns", "head")

    def __init__(self, head, columns):
        self.head = head
        self.columns = columns


class Decoder:
    """Turns a stream of bytes into frames. Memory is bounded by one frame and what was fed at once."""

    def __init__(self):
        self._buffer = bytearray()

    def feed(self, data):
        """Add received bytes and return the list of frames now complete; ProtocolError ends the connection."""
        buffer = self._buffer
        buffer += data
        frames = []
        start = 0
        while len(buffer) - start >= 8:
            length, head_length = _PREFIX.unpack_from(buffer, start)
            if length > MAX_FRAME or length < 4 or head_length > length - 4 or head_length > MAX_HEAD:
                raise ProtocolError("frame length %d, head length %d" % (length, head_length))
            end = start + 4 + length
            if len(buffer) < end:
                break
            head_end = start + 8 + head_length
            frames.append(_frame(bytes(buffer[start + 8 : head_end]), bytes(buffer[head_end:end])))
            start = end
        del buffer[:start]
        return frames


def _frame(head_bytes, body):
    try:
        head = loads(head_bytes.decode("ascii"))
    except UnicodeDecodeError:
        raise ProtocolError("head is not ASCII") from None
    if type(head) is not dict or type(head.get("t")) is not str:
        raise ProtocolError("head is not an object with a message name")
    listed = head.pop("c", [])
    if type(listed) is not list or len(listed) > MAX_COLUMNS:
        raise ProtocolError("column list")
    columns = {}
    offset = 0
    for entry in listed:
        if type(entry) is not list or len(entry) != 3:
            raise ProtocolError("column entry")
        name, code, count = entry
        if type(name) is not str or type(code) is not str or len(code) != 1 or code not in TYPE_CODES:
            raise ProtocolError("column name or type")
        if name in columns:
            raise ProtocolError("column %s comes twice" % ascii(name[:20]))
        if type(count) is not int or not 0 <= count <= MAX_FRAME:
            raise ProtocolError("column count")
        size = count * _struct_module.calcsize("<" + code)
        if offset + size > len(body):
            raise ProtocolError("column %s is cut short" % ascii(name[:20]))
        columns[name] = (code, count, body[offset : offset + size])
        offset += size
    if offset != len(body):
        raise ProtocolError("bytes behind the columns")
    return Frame(head, columns)
