"""What the tests attach to: a program in one of several states, which knows at its end whether all was as it should be.

It is given to the interpreter with `-c`, so that it needs no file. It prints READY, is in its state until its input
ends, and prints what it found: `seen`, the numbers that scripts from outside have left, and what the state itself adds.
Runs on every Python from 3.8 on.
"""

import json
import os
import sys
import threading
import time

seen = []
ended = threading.Event()
facts = {"ok": True}


def ready():
    sys.stdout.write("READY\n")
    sys.stdout.flush()


def watch_input():
    """Notes the end of the input, in a thread of its own."""

    def watch():
        while os.read(0, 4096):
            pass
        ended.set()

    threading.Thread(target=watch).start()


def idle():
    """An event loop in which nothing happens."""
    import asyncio

    async def main():
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        loop.add_reader(0, lambda: os.read(0, 4096) or (loop.remove_reader(0), over.set_result(None)))
        ready()
        await over

    asyncio.run(main())


def sleep():
    """Sleeps that must not be shorter than was asked for."""
    watch_input()
    ready()
    while not ended.is_set():
        begun = time.monotonic()
        time.sleep(0.2)
        facts["ok"] = facts["ok"] and time.monotonic() - begun >= 0.199


def lock():
    """The main thread waits for a lock, without a limit."""
    held = threading.Lock()
    held.acquire()

    def release():
        ended.wait()
        facts["released"] = True
        held.release()

    watch_input()
    threading.Thread(target=release).start()
    ready()
    facts["ok"] = held.acquire() and facts.get("released", False)


def malloc():
    """Threads that allocate and free blocks of all sizes, and find in them what they wrote."""

    def churn(number):
        n, kept = number, []
        while not ended.is_set():
            n = (n * 1103515245 + 12345) & 0x7FFFFFFF
            kept.append((n, bytearray([n & 255]) * (n % 300000)))
            if len(kept) > 20:
                value, block = kept.pop(n % 20)
                if block.count(value & 255) != value % 300000:
                    facts["ok"] = False

    watch_input()
    threads = [threading.Thread(target=churn, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    ready()
    for thread in threads:
        thread.join()


def cpu():
    """Arithmetic in the main thread; floating point as well, whose registers are easily lost."""
    watch_input()

    def turn():
        n, x = 1, 1.0
        for _ in range(20000):
            n = (n * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
            x = x * 1.0000001 + (n >> 40) / 3.0 - x / 7.0
        return n, x

    expected = turn()
    ready()
    while not ended.is_set():
        facts["ok"] = facts["ok"] and turn() == expected


def holding():
    """The main thread keeps the interpreter lock, in a call into C, until something comes in or the input ends."""
    import ctypes

    buffer = ctypes.create_string_buffer(1)
    read = ctypes.PyDLL(None, use_errno=True).read  # PyDLL: the lock is not released around the call
    ready()
    facts["ok"] = read(0, buffer, 1) >= 0
    watch_input()
    ended.wait()


def signals():
    """A timer that fires all the time: each call is interrupted again and again."""
    import signal

    fired = []
    signal.signal(signal.SIGALRM, lambda *_: fired.append(None) if len(fired) < 10 else None)
    watch_input()
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    ready()
    while not ended.is_set():
        sum(range(1000))
        time.sleep(0.001)
    signal.setitimer(signal.ITIMER_REAL, 0)
    facts["ok"] = len(fired) == 10


def calls():
    """System calls made past Python, which nobody repeats when they fail."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    class Duration(ctypes.Structure):
        _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]

    class Poll(ctypes.Structure):
        _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("returned", ctypes.c_short)]

    def check(name, right):
        if not right:
            facts["ok"] = False
            facts.setdefault("wrong", []).append(name)

    def naps():
        while not ended.is_set():
            begun = time.monotonic()
            check("nanosleep", libc.nanosleep(ctypes.byref(Duration(0, 60000000)), None) == 0)
            check("duration of nanosleep", time.monotonic() - begun > 0.0595)

    def polls():
        silent, _ = os.pipe()
        while not ended.is_set():
            begun = time.monotonic()
            check("poll", libc.poll(ctypes.byref(Poll(silent, 1, 0)), 1, 60) == 0)
            check("duration of poll", time.monotonic() - begun > 0.0595)

    reader, writer = os.pipe()

    def writes():
        number = 0
        while not ended.is_set():
            time.sleep(0.03)
            number += 1
            os.write(writer, b"%04d" % (number % 10000))
        os.close(writer)

    def reads():
        buffer = ctypes.create_string_buffer(8)
        number = 0
        while True:
            got = libc.read(reader, buffer, 4)
            if got == 0:
                return
            number += 1
            check("read", got == 4 and buffer.raw[:4] == b"%04d" % (number % 10000))

    watch_input()
    threads = [threading.Thread(target=work) for work in (naps, polls, reads, writes)]
    for thread in threads:
        thread.start()
    ready()
    for thread in threads:
        thread.join()


def dropped():
    """A service that began as root and goes on as somebody else: the kernel lets only root look at it."""
    import asyncio  # while the interpreter's own files can be read

    assert asyncio
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    idle()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print(json.dumps(dict(facts, seen=seen)))
