"""The agent's side of its socket: many observers, each at its own pace, none ever waited for."""

import _socket
import sys

from pyobserver.agent import account, collector, schedule
from pyobserver.agent.columns import Columns
from pyobserver.agent.row import BITS, FREE, NO_POSITION
from pyobserver.protocol import frames, schema

_RECEIVE = 65536
_ROWS_IN_FRAME = 300
_TEXTS_IN_FRAME = 300
OUT_FULL = 512 * 1024  # bytes; an update pauses until some have left
_FIRST_SECONDS = 0.2  # between updates, while somebody sits before the first picture
_STUCK_SECONDS = 30.0  # an observer that reads nothing for so long is dropped
_SHAKE_SECONDS = 10.0
_LONGEST_INTERVAL = 86400.0
_LOG_ENTRIES = 4 * _ROWS_IN_FRAME
_DEAF_SECONDS = 1.0  # when no connection can be taken: the process has no file descriptor left
_HEAD_BYTES = 160 * 1024  # of texts in one frame; the rest of its head is small
_GAPS = 1.1  # positions among which one is told of, at most, for all of them to be told
_MOST_BYTES = 12  # of one character as JSON
MAX_OBSERVERS = 16
MAX_FOCUS = 256
POLLIN, POLLOUT, POLLGONE = 1, 4, 8 | 16 | 32


class Observer:
    """One connection: what it has said, what it has been told, and what waits to be sent."""

    def __init__(self, handle, now):
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, handle)
        self.socket.setblocking(False)
        self.decoder = frames.Decoder()
        self.out = []
        self.out_bytes = 0
        self.since = now  # when it last took something, or came
        self.greeted = self.watching = False
        self.may_act = False  # it has said that its user allows actions
        self.interval = 1.0
        self.due = 0.0
        self.position = None  # in the log of changes; None: everything is new to it
        self.texts = 1
        self.named = Columns((("generation", "i"),))  # of the row at each position whose name has been sent
        self.focus = []
        self.wants = []  # details that it waits for: (id, token, whether with values)
        self.groups = []  # what of groups it waits for, the messages
        self.places = []  # and of places
        self.update = None
        self.ticks = 0

    def send(self, head, columns=()):
        """Put one message behind those that wait."""
        data = frames.encode(head, columns)
        self.out.append(data)
        self.out_bytes += len(data)

    def flush(self, now):
        """Send what the socket takes at once. Raises OSError when the connection is broken."""
        while self.out:
            data = self.out[0]
            try:
                sent = collector.outside(self.socket.send, data, _socket.MSG_NOSIGNAL)
            except BlockingIOError:
                if now - self.since > _STUCK_SECONDS:
                    raise
                return
            self.since = now
            self.out_bytes -= sent
            if sent == len(data):
                del self.out[0]
            else:
                self.out[0] = data[sent:]
        self.since = now


class Service:
    """The listening socket and all observers. `agent` knows what there is to tell."""

    def __init__(self, agent, listener, poll):
        self.observers = {}
        self.left_at = agent.clock()
        self.dropped = 0
        self.had_observers = False
        self._agent = agent
        self._listener = listener
        self._poll = poll
        self._uids = _trusted_uids()
        self._deaf_until = None
        poll.register(listener.fileno(), POLLIN)

    def patience(self, now, seconds):
        """How long to wait for events, at most `seconds`."""
        return seconds if self._deaf_until is None else max(0.001, min(seconds, self._deaf_until - now))

    def exchange(self, events):
        """Accept, receive and send, as far as it goes without waiting."""
        now = self._agent.clock()
        if self._deaf_until is not None and now >= self._deaf_until:
            self._deaf_until = None
            self._poll.register(self._listener.fileno(), POLLIN)
        for handle, event in events:
            if handle == self._listener.fileno():
                self._accept(now)
                continue
            observer = self.observers.get(handle)
            if observer is None:
                continue
            try:
                if event & (POLLIN | POLLGONE):
                    self._receive(observer, now)
            except (OSError, frames.ProtocolError):
                self.drop(handle)
        self.flush(now)

    def flush(self, now):
        """Send what waits, and wake up when a full socket takes more."""
        for handle, observer in list(self.observers.items()):
            try:
                if not observer.greeted and now - observer.since > _SHAKE_SECONDS:
                    raise OSError
                observer.flush(now)
            except OSError:
                self.drop(handle)
            else:
                hears = POLLIN if observer.out_bytes < OUT_FULL else 0  # who does not read is not listened to
                self._poll.modify(handle, hears | (POLLOUT if observer.out else 0))

    def drop(self, handle):
        """End one connection."""
        observer = self.observers.pop(handle, None)
        if observer is not None:
            self._poll.unregister(handle)
            observer.socket.close()
            self.left_at = self._agent.clock()

    def close(self):
        """End all connections, saying what is still to be said."""
        for observer in list(self.observers.values()):
            try:
                observer.flush(self._agent.clock())
            except OSError:
                pass
        for handle in list(self.observers):
            self.drop(handle)

    def abandon(self):
        """Close all connections without a word: these are a forked child's copies."""
        for observer in self.observers.values():
            observer.socket.close()

    def _accept(self, now):
        """Accept one; the next event tells of another. Asked in vain, the socket would raise, which makes objects."""
        try:
            handle, _address = collector.outside(self._listener._accept)
        except BlockingIOError:
            return
        except OSError:
            self._poll.unregister(self._listener.fileno())
            self._deaf_until = now + _DEAF_SECONDS
            return
        observer = Observer(handle, now)
        if len(self.observers) >= MAX_OBSERVERS or not self._is_trusted(observer.socket):
            observer.socket.close()
            self.dropped += 1
            return
        self.observers[handle] = observer
        self._poll.register(handle, POLLIN)

    def _is_trusted(self, socket):
        found = socket.getsockopt(_socket.SOL_SOCKET, 17, 12)  # SO_PEERCRED: pid, uid, gid
        return int.from_bytes(found[4:8], sys.byteorder) in self._uids

    def _receive(self, observer, now):
        try:
            data = collector.outside(observer.socket.recv, _RECEIVE)
        except BlockingIOError:
            return
        if not data:
            raise OSError
        for frame in observer.decoder.feed(data):
            self._hear(observer, frame.head, now)

    def _hear(self, observer, head, now):
        name = head["t"]
        if name == "hello" and not observer.greeted:
            observer.greeted = self.had_observers = True
            observer.may_act = head.get("actions") is True
            observer.since = now
            observer.send(account.hello(self._agent))
            for text in self._agent.schedule.given_up:
                observer.send({"t": "problem", "text": text})
        elif not observer.greeted:
            raise OSError
        elif name == "watch":
            interval = head.get("interval")
            if type(interval) in (int, float) and 0.1 <= interval <= _LONGEST_INTERVAL:
                observer.interval = float(interval)
            observer.watching = True
            observer.due = 0.0
        elif name == "focus":
            ids = head.get("ids")
            if type(ids) is list:
                observer.focus = [n for n in ids if type(n) is int][:MAX_FOCUS]
                self._agent.look_at(observer.focus)
        elif name == "detail":
            number, token = head.get("id"), head.get("token")
            if type(number) is int and type(token) is int and len(observer.wants) < 16:
                observer.wants.append((number, token, head.get("values") is True))
                self._agent.ask_detail()
        elif name in schema.ACTIONS:
            number, token = head.get("id", 0), head.get("token")
            if type(number) is int and type(token) is int:
                self._agent.actions.ask(observer, name, number, token, head)
        elif name == "enough":
            self._agent.tracing.end_soon(observer)
        elif name == "group":
            if type(head.get("token")) is int and len(observer.groups) < 4:
                observer.groups.append(head)
                self._agent.ask_group()
        elif name == "places":
            if type(head.get("token")) is int and len(observer.places) < 4:
                observer.places.append(head)
                self._agent.ask_places()
        elif name == "stay":
            self._agent.stay()
        elif name == "detach":
            self._agent.leave("asked to by an observer")
        elif name == "bye":
            raise OSError

    # -- updates ------------------------------------------------------------------------------------------------------

    def updates(self, now):
        """The job that tells every observer what has changed, when it is due for it."""
        for handle in list(self.observers):
            observer = self.observers.get(handle)
            if observer is None or not observer.watching:
                continue
            if observer.update is None:
                if observer.due > now.begun or observer.out_bytes > OUT_FULL:
                    continue
                interval = _FIRST_SECONDS if self._agent.is_awaited() else observer.interval
                observer.due = schedule.on_beat(now.begun + interval, interval)
                observer.update = self._update(observer)
            while observer.out_bytes < OUT_FULL and self.observers.get(handle) is observer:
                if next(observer.update, True):
                    observer.update = None
                    break
                if now.over():
                    now = yield
        self.trim()

    def due(self, now):
        """When somebody waits for an update, on the agent's clock."""
        due = now + 60.0
        for observer in self.observers.values():
            if observer.watching:
                due = min(due, now if observer.update is not None and not observer.out else observer.due)
        return due

    def trim(self):
        """Forget the changes that all observers have been told."""
        table = self._agent.table
        positions = [o.position for o in self.observers.values() if o.position is not None]
        table.trim(min(positions) if positions else table.end)

    def _update(self, observer):
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


def _trusted_uids():
    """Who may observe: this process's user and root; in a user namespace, whoever is not known in it.

    The folder of the socket is closed to others, so that an unknown user can only be the root of the host.
    """
    posix = sys.modules["posix"]
    trusted = {0, posix.geteuid()}
    try:
        file = posix.open("/proc/self/uid_map", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            mapped = posix.read(file, 4096).split()
        finally:
            posix.close(file)
        if mapped and mapped[2] != b"4294967295":
            trusted.add(65534)
    except OSError:
        pass
    return trusted
