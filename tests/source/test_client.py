"""The connection to an agent: greeted, checked, never waited for without end, and ended from any thread."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest

from pyobserver.protocol import frames, schema
from pyobserver.source import connection
from pyobserver.source.client import MAX_FOCUS, AgentClient
from pyobserver.source.errors import AgentEnded, ClientError, Disconnected, MessageError, OtherProtocol

from .scripted import DETAIL, HELLO, Peer, Script, ScriptedAgent, pieces, update, wait_for

PID = os.getpid()


def test_the_greeting_says_who_they_are(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path) as agent, AgentClient(agent.path, PID, actions=True) as client:
        assert client.hello.build == HELLO["build"]
        assert client.hello.argv == ("python3", "-m", "rudder")
        assert client.hello.started_at is None
        said = agent.heard[0]
        assert (said["protocol"], said["actions"]) == (schema.VERSION, True)
        assert said["observer"].startswith("pyobserver ")


def test_an_agent_at_a_path_longer_than_the_kernel_takes(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8)
    folder.mkdir(parents=True)
    with ScriptedAgent(folder) as agent, AgentClient(agent.path, PID) as client:
        assert len(agent.path) > 200
        assert client.hello.pid == PID


def test_what_is_said_arrives(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path) as agent:
        with AgentClient(agent.path, PID) as client:
            client.watch(0.01)
            client.focus(range(1, 1000))
            client.detail(7, 21)
            wait_for(lambda: len(agent.heard) >= 4, "three messages and the greeting")
        wait_for(lambda: agent.words()[-1] == "bye", "the goodbye")
        by_name = {said["t"]: said for said in agent.heard}
        assert by_name["watch"]["interval"] == 0.1
        assert by_name["focus"]["ids"] == list(range(1, MAX_FOCUS + 1))
        assert (by_name["detail"]["id"], by_name["detail"]["token"]) == (7, 21)


def test_nobody_listens(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path) as agent:
        pass
    with pytest.raises(ClientError, match="refused"):
        AgentClient(agent.path, PID)
    with pytest.raises(ClientError, match="No such file"):
        AgentClient(str(tmp_path / "nowhere" / "agent.sock"), PID)


def test_another_process_listens(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path) as agent, pytest.raises(ClientError, match=f"another process: {PID}"):
        AgentClient(agent.path, os.getppid())


def test_the_process_is_gone(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path) as agent, pytest.raises(ClientError, match="no process"):
        AgentClient(agent.path, 1 << 22)


def test_another_version_of_the_protocol_is_told_before_anything_else_is_read(tmp_path: Path) -> None:
    def other(peer: Peer) -> None:
        peer.next()
        peer.say({"t": "hello", "protocol": schema.VERSION + 1, "build": ["all", "is", "different"]})

    with ScriptedAgent(tmp_path, other) as agent, pytest.raises(OtherProtocol, match=f"protocol {schema.VERSION + 1}"):
        AgentClient(agent.path, PID)


def test_an_agent_that_could_not_begin_says_why(tmp_path: Path) -> None:
    def ends(peer: Peer) -> None:
        peer.say({"t": "bye", "reason": "the agent failed: \x1b[31mMemoryError\n"})

    with ScriptedAgent(tmp_path, ends) as agent, pytest.raises(AgentEnded) as caught:
        AgentClient(agent.path, PID)
    assert str(caught.value).isprintable() and "MemoryError" in str(caught.value)


def test_problems_before_the_greeting_are_kept_with_what_comes_behind_it(tmp_path: Path) -> None:
    def eager(peer: Peer) -> None:
        peer.say({"t": "problem", "text": "one"})
        peer.next()
        peer.say(HELLO, {"t": "problem", "text": "two"})
        peer.next()

    with ScriptedAgent(tmp_path, eager) as agent, AgentClient(agent.path, PID) as client:
        heard: list[str] = []
        while len(heard) < 2:
            heard += [found.head["text"] for found in client.receive(5.0)]
        assert heard == ["one", "two"]


# -- who is silent, or does not stop talking ------------------------------------------------------------------------


def _silent(peer: Peer) -> None:
    while peer.next() is not None:
        pass


def _trickle(peer: Peer) -> None:
    """A frame that never ends, a byte at a time."""
    for byte in frames.encode({"t": "hello", "pad": "x" * 100_000}):
        peer.say(bytes([byte]))
        time.sleep(0.001)


def _problems(peer: Peer) -> None:
    while True:
        peer.say({"t": "problem", "text": "again"})


def _details(peer: Peer) -> None:
    while True:
        peer.say(DETAIL)


@pytest.mark.parametrize("script", [_silent, _trickle, _problems, _details])
def test_a_greeting_that_does_not_come_is_given_up(tmp_path: Path, script: Script) -> None:
    with ScriptedAgent(tmp_path, script) as agent, pytest.raises(ClientError):
        AgentClient(agent.path, PID, patience=0.3)


def test_an_agent_that_does_not_accept_is_given_up(tmp_path: Path) -> None:
    import socket

    from .scripted import bind

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        path = str(tmp_path / "agent.sock")
        bind(listener, path)
        listener.listen(0)
        waiting = connection.dial(path, 1.0)
        with pytest.raises(ClientError, match="no connection within"):
            AgentClient(path, PID, patience=0.2)
        waiting.close()


def test_sending_never_waits_and_only_the_last_focus_counts(tmp_path: Path) -> None:
    """The agent reads nothing for a while, as one that is stopped."""
    go_on = threading.Event()

    def stopped(peer: Peer) -> None:
        peer.greet()
        go_on.wait(30)
        while peer.next() is not None:
            pass

    with ScriptedAgent(tmp_path, stopped) as agent, AgentClient(agent.path, PID) as client:
        for n in range(5000):  # some 10 MB, much more than a socket holds
            client.focus(range(1_000_000 + n, 1_000_256 + n))
        with pytest.raises(ClientError, match="takes no messages"):
            for n in range(100_000):
                client.detail(n, n)
        go_on.set()
        wait_for(lambda: client.receive(0.01) or _last_focus(agent) == 1_004_999, "the last focus")
        assert sum(word == "focus" for word in agent.words()) < 4000


def _last_focus(agent: ScriptedAgent) -> int:
    return next((said["ids"][0] for said in reversed(agent.heard) if said["t"] == "focus"), 0)


def test_asking_it_to_end_gives_up_on_an_agent_that_talks_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyobserver.source.client.BYE_SECONDS", 0.3)

    def deaf(peer: Peer) -> None:
        peer.greet()
        _problems(peer)

    with (
        ScriptedAgent(tmp_path, deaf) as agent,
        AgentClient(agent.path, PID) as client,
        pytest.raises(ClientError, match="has not ended"),
    ):
        client.detach()


def _says_goodbye(peer: Peer) -> None:
    peer.greet()
    peer.next()
    peer.say(update(), {"t": "bye", "reason": "asked to"})


def _just_ends(peer: Peer) -> None:
    peer.greet()
    peer.next()


@pytest.mark.parametrize("script", [_says_goodbye, _just_ends])
def test_asking_it_to_end(tmp_path: Path, script: Script) -> None:
    with ScriptedAgent(tmp_path, script) as agent, AgentClient(agent.path, PID) as client:
        client.detach()
        assert agent.heard[-1] == {"t": "detach"}


# -- bytes ----------------------------------------------------------------------------------------------------------


def _receive_all(client: AgentClient) -> list[str]:
    names = []
    try:
        while True:
            names += [frame.head["t"] for frame in client.receive(5.0)]
    except Disconnected:
        return names


def test_frames_cut_anywhere(tmp_path: Path) -> None:
    chance = random.Random(4)

    def chopped(peer: Peer) -> None:
        peer.greet()
        for piece in pieces(update(), [chance.randint(1, 40) for _ in range(30)]):
            peer.say(piece)
            time.sleep(0.001)

    with ScriptedAgent(tmp_path, chopped) as agent, AgentClient(agent.path, PID) as client:
        assert _receive_all(client) == ["strings", "nodes", "rows", "tick"]


def test_a_connection_that_breaks_at_any_byte(tmp_path: Path) -> None:
    whole = frames.encode(HELLO)

    def cut_at(end: int) -> Script:
        def cut(peer: Peer) -> None:
            peer.next()
            peer.say(whole[:end])

        return cut

    ends = [*range(12), *range(12, len(whole), 37)]
    with ScriptedAgent(tmp_path, *[cut_at(end) for end in ends]) as agent:
        for _ in ends:
            with pytest.raises(Disconnected):
                AgentClient(agent.path, PID)


def _frame(head: bytes, body: bytes = b"") -> bytes:
    length = 4 + len(head) + len(body)
    return length.to_bytes(4, "little") + len(head).to_bytes(4, "little") + head + body


GARBAGE = {
    "endless length": b"\xff\xff\xff\xff\x00\x00\x00\x00",
    "a head longer than its frame": b"\x05\x00\x00\x00\xff\x00\x00\x00{",
    "no JSON": _frame(b"{]"),
    "no ASCII": _frame(b'{"t":"\xff"}'),
    "no object": _frame(b"[1]"),
    "no name": _frame(b"{}"),
    "a name that is none": _frame(b'{"t":5}'),
    "NaN": _frame(b'{"t":"tick","time":NaN}'),
    "infinity": _frame(b'{"t":"tick","time":1e999}'),
    "too deep": _frame(b'{"t":' + b"[" * 150_000),
    "too many digits": _frame(b'{"t":"tick","seq":' + b"9" * 150_000 + b"}"),
    "a column that is longer than the frame": _frame(b'{"t":"rows","c":[["id","q",1000000]]}'),
    "a column of a huge count": _frame(b'{"t":"rows","c":[["id","q",99999999999999999999]]}'),
    "a column of a count below 0": _frame(b'{"t":"rows","c":[["id","q",-1]]}'),
    "a column of no type": _frame(b'{"t":"rows","c":[["id","P",1]]}', b"12345678"),
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_not_the_protocol_ends_the_connection(tmp_path: Path, garbage: bytes) -> None:
    def rude(peer: Peer) -> None:
        peer.greet()
        peer.next()
        peer.say(garbage)
        peer.next()

    with ScriptedAgent(tmp_path, rude) as agent, AgentClient(agent.path, PID) as client:
        client.watch(1.0)
        with pytest.raises(MessageError) as caught:
            while True:
                client.receive(5.0)
        assert str(caught.value).isprintable()
        with pytest.raises(Disconnected):
            client.receive(0.0)


def test_random_bytes_raise_nothing_else(tmp_path: Path) -> None:
    """Whole frames with some bytes changed, from a fixed seed."""
    chance = random.Random(7)

    def damaged(peer: Peer) -> None:
        peer.greet()
        peer.next()
        data = bytearray(update() * 3)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        peer.say(bytes(data))

    with ScriptedAgent(tmp_path, damaged) as agent:
        for _ in range(150):
            with AgentClient(agent.path, PID) as client, pytest.raises(ClientError):
                client.watch(1.0)
                while True:
                    client.receive(5.0)


# -- the end --------------------------------------------------------------------------------------------------------


def test_closing_wakes_who_receives(tmp_path: Path) -> None:
    with ScriptedAgent(tmp_path) as agent:
        client = AgentClient(agent.path, PID)
        ended: list[BaseException] = []

        def wait() -> None:
            try:
                client.receive(60.0)
            except BaseException as error:
                ended.append(error)

        threads = [threading.Thread(target=wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        client.close()
        for thread in threads:
            thread.join(10)
        assert [type(error) for error in ended] == [Disconnected] * 3
        client.close()
        for say in (lambda: client.watch(1.0), lambda: client.focus([1]), lambda: client.receive(0.0)):
            with pytest.raises(Disconnected):
                say()


def test_no_descriptor_is_left_behind(tmp_path: Path) -> None:
    scripts: list[Script] = [_silent, _says_goodbye, lambda peer: peer.say(GARBAGE["no JSON"])]
    before = len(os.listdir("/proc/self/fd"))
    with ScriptedAgent(tmp_path, *scripts) as agent:
        for _ in scripts:
            try:
                AgentClient(agent.path, PID, patience=0.1).close()
            except ClientError:
                pass
        with pytest.raises(ClientError):
            AgentClient(agent.path, os.getppid())
        with pytest.raises(ClientError):
            AgentClient(str(tmp_path), PID)
    wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before, "all sockets closed")


def test_all_threads_may_send_at_once(tmp_path: Path) -> None:
    """Each message arrives whole, and none is lost."""
    with ScriptedAgent(tmp_path, _greets_and_listens) as agent, AgentClient(agent.path, PID) as client:

        def talk(first: int) -> None:
            for n in range(first, first + 200):
                while True:
                    try:
                        client.detail(n, n)
                        break
                    except ClientError:
                        client.receive(0.001)

        threads = [threading.Thread(target=talk, args=(1000 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for(lambda: client.receive(0.01) or len(agent.heard) == 801, "all of them")
        assert {said["id"] for said in agent.heard[1:]} == {1000 * i + n for i in range(4) for n in range(200)}


def _greets_and_listens(peer: Peer) -> None:
    peer.greet()
    _silent(peer)
