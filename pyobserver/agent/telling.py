"""What observers are told in an update: of rows and nodes what has changed, in frames, and the account at its end.

A frame is made in one step, so that it is never of two moments.
"""

from pyobserver.agent import account
from pyobserver.agent.row import BITS, FREE, NO_POSITION
from pyobserver.protocol import schema

_ROWS_IN_FRAME = 300
_TEXTS_IN_FRAME = 300
_LOG_ENTRIES = 4 * _ROWS_IN_FRAME
_HEAD_BYTES = 160 * 1024  # of texts in one frame; the rest of its head is small
_GAPS = 1.1  # positions among which one is told of, at most, for all of them to be told
_MOST_BYTES = 12  # of one character as JSON


class Telling:
    """Writes updates for observers (`serve.Observer`)."""

    def __init__(self, agent):
        self._agent = agent

    def update(self, observer):
        """Send one update, a frame at each step; a step yields None while there is more."""
        table = self._agent.table
        found = None if observer.position is None else table.changes(observer.position, _LOG_ENTRIES)
        if found is None:
            observer.position = table.end
            nodes = list(table.nodes)
            for start in range(0, len(nodes), _ROWS_IN_FRAME):
                yield from self._tell(observer, nodes[start : start + _ROWS_IN_FRAME])
            at = 0
            while at < table.end_position:
                yield from self._tell(observer, table.ids(at, at + _ROWS_IN_FRAME))
                at += _ROWS_IN_FRAME
        else:
            end = table.end
            while found is not None and found[0]:
                ids, observer.position = found
                yield from self._tell(observer, ids)
                if observer.position >= end:
                    break
                found = table.changes(observer.position, _LOG_ENTRIES)
        if not observer.ticks:
            for head, columns in self._agent.history.messages():
                observer.send(head, columns)
                yield
        observer.ticks += 1
        observer.send(account.tick(self._agent, observer.ticks))
        yield True

    def _tell(self, observer, ids):
        """Send these rows and nodes, a frame at each step."""
        table = self._agent.table
        nodes, rows, gone = [], [], []
        end, generation = table.end_position, table.columns.generation
        for number in sorted(ids, key=NO_POSITION.__and__):  # rows that lie side by side are read faster
            position = number & NO_POSITION
            if position < end and generation[position] == number >> BITS:  # as `position_of`: there may be very many
                rows.append(number)
            elif number in table.nodes:
                nodes.append(table.nodes[number])
            else:
                gone.append(number)
        start = 0
        while start < len(nodes):
            part = _fitting(nodes, start, _ROWS_IN_FRAME, _cost_of_node)
            observer.send({"t": "nodes", "items": [_node(node) for node in part]})
            for node in part:
                node.is_logged = False
            start += len(part)
            yield
        for start in range(0, len(rows), _ROWS_IN_FRAME):
            for _ in self._tell_rows(observer, rows[start : start + _ROWS_IN_FRAME]):
                yield
        if gone:
            observer.send({"t": "gone"}, [("id", "q", gone)])
            yield

    def _tell_rows(self, observer, ids):
        """Send these rows, the texts that they need first, as many in a frame as their names leave room for."""
        table = self._agent.table
        texts = table.texts.items
        while ids:
            while observer.texts < len(texts):
                items = _fitting(texts, observer.texts, _TEXTS_IN_FRAME, json_bytes)
                observer.send({"t": "strings", "first": observer.texts, "items": items})
                observer.texts += len(items)
                yield
            positions = _side_by_side(table, [p for p in map(table.position_of, ids[:_ROWS_IN_FRAME]) if p >= 0])
            names = self._names(observer, positions)
            if _MOST_BYTES * sum([len(name) for name in names if name]) > _HEAD_BYTES - 6 * len(names):
                names = _fitting(names, 0, _ROWS_IN_FRAME, json_bytes)
            positions = positions[: len(names)]
            columns = [(name, code, table.told(name, positions)) for name, code in schema.ROW_COLUMNS]
            observer.send({"t": "rows", "names": names}, columns + _others(table, positions))
            columns = None  # there are views among them
            table.told_rows(positions)
            _copy(table.columns.generation, observer.named.generation, positions)
            last = positions[-1] if positions else NO_POSITION
            ids = [number for number in ids if number & NO_POSITION > last]
            yield

    def _names(self, observer, positions):
        """Return the names of rows, None for those that the observer has been told."""
        table = self._agent.table
        if observer.named.length < table.columns.length:
            observer.named.extend(table.columns.length - observer.named.length)
        named, generation = observer.named.generation, table.columns.generation
        is_kept = table.rare["name"]
        return [None if named[p] == generation[p] and p not in is_kept else table.name_at(p) for p in positions]


def _side_by_side(table, positions):
    """Return a range, if the positions are all in it but for a few: to tell of these once more is faster."""
    if not positions or positions[-1] - positions[0] > _GAPS * len(positions):
        return positions
    found = range(positions[0], positions[-1] + 1)
    return positions if FREE in table.columns.kind[found.start : found.stop].tobytes() else found


def _copy(numbers, into, positions):
    """Copy what one column has at these positions into another."""
    if type(positions) is range:
        into[positions.start : positions.stop] = numbers[positions.start : positions.stop]
        return
    for position in positions:
        into[position] = numbers[position]


def _others(table, positions):
    """Return the columns that tell of the owners of rows but their parents; none when there are none."""
    some = table.positions_with_others(positions)
    found = [(table.id_at(p), number, edge) for p in some for number, edge in table.others(p)]
    if not found:
        return []
    return [(name, code, [each[at] for each in found]) for at, (name, code) in enumerate(schema.OTHERS_COLUMNS)]


def _fitting(items, start, count, cost):
    """Return the next `count` items, or as many as go into one frame; one at least."""
    room = _HEAD_BYTES
    for end in range(start, min(start + count, len(items))):
        room -= cost(items[end])
        if room < 0 and end > start:
            return items[start:end]
    return items[start : start + count]


def json_bytes(text):
    """Bytes of a text as JSON, at most."""
    if text is None:
        return 6
    return 6 + (2 if text.isascii() and text.isprintable() else _MOST_BYTES) * len(text)


def _cost_of_node(node):
    return 150 + json_bytes(node.label) + json_bytes(node.detail)


def _node(node):
    return {
        "id": node.id,
        "kind": node.kind,
        "label": node.label,
        "parent": node.parent,
        "edge": node.edge,
        "queue": node.queue,
        "detail": node.detail,
        "pids": list(node.pids),
    }
