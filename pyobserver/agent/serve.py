"""The agent's side of its socket: many observers, each at its own pace, none ever waited for."""

import _socket
import sys

from pyobserver.agent import account, collector, files, schedule
from pyobserver.agent.columns import Columns
from pyobserver.agent.telling import Telling
from pyobserver.protocol import frames, schema

_RECEIVE = 65536
OUT_FULL = 512 * 1024  # bytes; an update pauses until some have left
_FIRST_SECONDS = 0.2  # between updates, while somebody sits before the first picture
_STUCK_SECONDS = 30.0  # an observer that reads nothing for so long is dropped
_SHAKE_SECONDS = 10.0
_LONGEST_INTERVAL = 86400.0
_DEAF_SECONDS = 1.0  # when no connection can be taken: the process has no file descriptor left
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
        self._telling = Telling(agent)
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
                observer.update = self._telling.update(observer)
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


def _trusted_uids():
    """Who may observe: this process's user and root; in a user namespace, whoever is not known in it.

    The folder of the socket is closed to others, so that an unknown user can only be the root of the host.
    """
    posix = sys.modules["posix"]
    trusted = {0, posix.geteuid()}
    try:
        mapped = files.read("/proc/self/uid_map", 4096).split()
        if mapped and mapped[2] != b"4294967295":
            trusted.add(65534)
    except OSError:
        pass
    return trusted
