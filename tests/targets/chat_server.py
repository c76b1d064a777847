"""A chat server over TCP which leaks one task per connection: a session that waits for ever when its client left.

    chat_server.py [--held-by global|closure|class]

The sessions are kept in a dict, which hangs on an instance in a module global, on one that only a closure knows, or on
the class. `connect N` opens, uses and closes N connections from inside; the port is told too, for clients from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from typing import Any, Callable, Coroutine

from conversation import serve


class Hub:
    """The room that all clients are in."""

    archive: dict[int, asyncio.Task[None]] = {}

    def __init__(self) -> None:
        self.sessions: dict[int, asyncio.Task[None]] = {}
        self.writers: dict[int, asyncio.StreamWriter] = {}
        self.numbers = itertools.count(1)
        self.acknowledged = asyncio.Event()  # by an operator who never comes

    async def session(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talks with one client, and then waits for its farewell to be acknowledged."""
        said = []
        self.writers[number] = writer
        try:
            async for line in reader:
                said.append(line)
                for other in self.writers.values():
                    other.write(line)
        finally:
            del self.writers[number]
            writer.close()
        transcript = b"".join(said) * 100
        await self.acknowledged.wait()
        del transcript


hub: Hub | None = None
accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def acceptor(held: Hub, sessions: dict[int, asyncio.Task[None]]) -> Any:
    """The callback for new connections; with --held-by closure nothing else knows the hub."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(held.numbers)
        task = asyncio.get_running_loop().create_task(held.session(number, reader, writer), name=f"session-{number}")
        sessions[number] = task

    return connected


async def main(held_by: str) -> None:
    global hub, accept
    room = Hub()
    sessions = Hub.archive if held_by == "class" else room.sessions
    if held_by == "global":
        hub = room
    accept = acceptor(room, sessions)
    del room
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def truth() -> dict[str, Any]:
        return {
            "port": port,
            "sessions": len(sessions),
            "waiting": sum(not task.done() for task in sessions.values()),
            "function": "__main__.Hub.session",
            "holder": {"global": "__main__.Hub.sessions", "class": "__main__.Hub.archive", "closure": None}[held_by],
            "held_by": held_by,
        }

    async def connect(count: str) -> dict[str, Any]:
        for _ in range(int(count)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello, is anybody here?\n")
            await reader.readline()
            writer.close()
            await writer.wait_closed()
        return truth()

    await serve({"truth": truth, "connect": connect})
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--held-by", choices=["global", "closure", "class"], default="global")
    asyncio.run(main(parser.parse_args().held_by))
