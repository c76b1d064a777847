"""More states of a program to attach to: those of packages that production has, servers before all.

It is given to the interpreter with `-c` like `program.py`, which is there as the module `program`. The servers answer
/square/N, with the number of the process that did so and with what scripts have left in it.
"""

import asyncio
import json
import os
import signal
import socket
import threading

import program
from program import ended, facts, ready, say, seen, watch_input


def numeric():
    """Numpy multiplies, transforms and sorts; all results are exact, or the same each time."""
    import numpy

    whole = numpy.arange(160000, dtype=float).reshape(400, 400) % 7
    noise = numpy.random.RandomState(7).rand(200000)
    watch_input()

    def turn():
        return [(whole @ whole).sum(), numpy.sort(noise)[::1000].sum(), abs(numpy.fft.fft(noise)).max()]

    expected = turn()
    ready()
    while not ended.is_set():
        facts["ok"] = facts["ok"] and turn() == expected


def on_uvloop(busy):
    """A loop of uvloop until the input ends; with `busy`, an echo over sockets goes on all the time."""
    import uvloop

    async def answer(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def ask(port, number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        turn = 0
        while not ended.is_set():
            turn += 1
            writer.write(b"from %d: %d\n" % (number, turn))
            facts["ok"] = await reader.readline() == b"FROM %d: %d\n" % (number, turn) and facts["ok"]
        writer.close()

    async def main():
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        loop.add_reader(0, lambda: os.read(0, 4096) or (loop.remove_reader(0), ended.set(), over.set_result(None)))
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        asking = [loop.create_task(ask(port, number)) for number in range(4 if busy else 0)]
        ready()
        await asyncio.gather(over, *asking)
        server.close()

    loop = uvloop.new_event_loop()
    loop.run_until_complete(main())
    loop.close()


def uvloop_idle():
    """A loop in which nothing happens, in a library of its own."""
    on_uvloop(busy=False)


def uvloop_busy():
    """The same loop under load."""
    on_uvloop(busy=True)


def answered(path):
    """What the servers answer."""
    number = int(path.rpartition("/")[2])
    return json.dumps({"square": number * number, "pid": os.getpid(), "seen": seen}).encode()


async def asynchronous(scope, receive, send):
    """An application of an asynchronous server (ASGI)."""
    body = answered(scope["path"])
    await asyncio.sleep(0.001)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def synchronous(environ, start_response):
    """An application of a server of the older kind (WSGI)."""
    body = answered(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def uvicorn():
    """A single asynchronous server."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(asynchronous, loop="asyncio", log_level="critical", lifespan="off")
    server = uvicorn.Server(config)

    def leave():
        ended.wait()
        server.should_exit = True

    watch_input()
    threading.Thread(target=leave).start()
    ready()
    say(port=listener.getsockname()[1])
    server.run(sockets=[listener])


def on_gunicorn(application, kind, workers):
    """A master, and workers that it has forked."""
    from gunicorn.app.base import BaseApplication

    listener = socket.create_server(("127.0.0.1", 0))
    master = os.getpid()
    settings = {
        "bind": f"fd://{listener.fileno()}",
        "workers": workers,
        "worker_class": kind,
        "loglevel": "critical",
        "control_socket_disable": True,
    }

    class Application(BaseApplication):
        def load_config(self):
            for name, value in settings.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self):
            return application

    def leave():
        ended.wait()
        os.kill(master, signal.SIGTERM)

    watch_input()
    threading.Thread(target=leave).start()
    ready()
    say(port=listener.getsockname()[1])
    try:
        Application().run()
    except SystemExit as left:
        if os.getpid() != master:
            raise
        facts["ok"] = not left.code


def gunicorn_sync():
    """One worker of the plain kind."""
    on_gunicorn(synchronous, "sync", 1)


def gunicorn_uvicorn():
    """Two workers, each an asynchronous server."""
    on_gunicorn(asynchronous, "uvicorn.workers.UvicornWorker", 2)


program.main(globals())
