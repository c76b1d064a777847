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


def say(**values):
    """Tells the test something."""
    sys.stdout.write(json.dumps(values) + "\n")
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


def join():
    """The main thread waits for the end of another."""
    thread = threading.Thread(target=ended.wait)
    thread.start()
    watch_input()
    ready()
    thread.join()
    facts["ok"] = not thread.is_alive()


def native():
    """Threads in long calls into C that let go of the interpreter lock."""
    import ctypes
    import hashlib
    import zlib

    text = bytes(range(256)) * 20000
    libc = ctypes.CDLL(None)

    def sleeps():
        begun = time.monotonic()
        return libc.usleep(60000) == 0 and time.monotonic() - begun > 0.0595

    def repeats(work):
        expected = work()
        while not ended.is_set():
            facts["ok"] = work() == expected and facts["ok"]

    watch_input()
    works = (lambda: hashlib.sha256(text).digest(), lambda: zlib.crc32(zlib.compress(text)), sleeps)
    threads = [threading.Thread(target=repeats, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    facts["ok"] = sleeps()
    ready()
    for thread in threads:
        thread.join()


def malloc(count=3):
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
    threads = [threading.Thread(target=churn, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    ready()
    for thread in threads:
        thread.join()


def crowd():
    """Many such threads."""
    malloc(8)


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


def stripped():
    """The main thread is in code that has no builtins, in which CPython can open no file."""
    watch_input()
    over = []
    threading.Thread(target=lambda: over.append(ended.wait())).start()
    code = compile("while not over:\n    pass", "<stripped>", "exec")
    ready()
    exec(code, {"__builtins__": {}, "over": over})


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


class Calls:
    """System calls made past Python, which nobody repeats when they fail: what they return, and how long they take."""

    FUTEX, WAIT_BITSET, PRIVATE, ANYONE = 202, 9, 128, 0xFFFFFFFF  # of x86-64, linux/futex.h
    TIMED_OUT = 110

    def __init__(self):
        import ctypes

        class Duration(ctypes.Structure):
            _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]

        class Poll(ctypes.Structure):
            _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("returned", ctypes.c_short)]

        self.ctypes, self.libc = ctypes, ctypes.CDLL(None, use_errno=True)
        self.duration, self.poll = Duration, Poll
        self.silent = os.pipe()[0]
        self.source, self.sink = os.pipe()
        self.arrived = 0

    def check(self, name, right):
        if not right:
            facts["ok"] = False
            facts.setdefault("wrong", []).append(name)

    def lasts(self, name, begun):
        self.check("duration of " + name, time.monotonic() - begun > 0.0595)

    def nanosleep(self):
        begun = time.monotonic()
        self.check("nanosleep", self.libc.nanosleep(self.ctypes.byref(self.duration(0, 60000000)), None) == 0)
        self.lasts("nanosleep", begun)

    def polled(self):
        begun = time.monotonic()
        self.check("poll", self.libc.poll(self.ctypes.byref(self.poll(self.silent, 1, 0)), 1, 60) == 0)
        self.lasts("poll", begun)

    def futex(self):
        """Waits as a condition variable of the C library does: until a moment, for a word that nobody changes."""
        begun = time.monotonic()
        until = self.duration(int(begun + 0.06), int((begun + 0.06) % 1 * 1000000000))
        word = self.ctypes.c_uint(7)
        call = [self.FUTEX, self.ctypes.byref(word), self.WAIT_BITSET | self.PRIVATE, self.ctypes.c_uint(7)]
        got = self.libc.syscall(*call, self.ctypes.byref(until), None, self.ctypes.c_uint(self.ANYONE))
        self.check("futex", (got, self.ctypes.get_errno()) == (-1, self.TIMED_OUT))
        self.lasts("futex", begun)

    def read(self):
        """What has been written arrives, whole and in order. False at its end."""
        buffer = self.ctypes.create_string_buffer(8)
        got = self.libc.read(self.source, buffer, 4)
        self.arrived += got > 0
        self.check("read", got == 0 or (got == 4 and buffer.raw[:4] == b"%04d" % (self.arrived % 10000)))
        return got > 0

    def write(self, goes_on):
        number = 0
        while goes_on():
            time.sleep(0.03)
            number += 1
            os.write(self.sink, b"%04d" % (number % 10000))
        os.close(self.sink)


def calls():
    """Several threads, each of which makes such calls."""
    made = Calls()

    def again_and_again(call):
        while not ended.is_set():
            call()

    def reads():
        while made.read():
            pass

    watch_input()
    threads = [threading.Thread(target=again_and_again, args=(call,)) for call in (made.nanosleep, made.polled)]
    threads += [threading.Thread(target=reads), threading.Thread(target=made.write, args=(lambda: not ended.is_set(),))]
    for thread in threads:
        thread.start()
    ready()
    for thread in threads:
        thread.join()


def ended_yet():
    """Whether the input has ended; for a program that has no thread to watch it."""
    import select

    return bool(select.select([0], [], [], 0)[0]) and not os.read(0, 4096)


def only(call):
    """The one thread that there is makes such a call, over and over: an attach borrows this thread, in the call."""
    ready()
    while not ended_yet():
        call()


def naps():
    only(Calls().nanosleep)


def polls():
    only(Calls().polled)


def futexes():
    only(Calls().futex)


def reads():
    """One thread that reads what another process writes."""
    made = Calls()
    parent = os.getpid()
    if not os.fork():
        os.close(made.source)
        try:
            made.write(lambda: os.getppid() == parent)
        except BrokenPipeError:
            pass
        os._exit(0)
    os.close(made.sink)
    only(made.read)


def forks():
    """Forks all the time, and runs programs; each child computes something before it ends, which must be right.

    From 3.12 on Python warns of a fork beside another thread, and whoever attaches by ptrace has one for a moment.
    """
    import subprocess
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)

    def child():
        kept = [bytearray([n & 255]) * (n * 37 % 5000) for n in range(200)]
        return sum(map(len, kept)) == sum(n * 37 % 5000 for n in range(200)) and os.getppid() == parent

    parent, count = os.getpid(), 0
    ready()
    while not ended_yet():
        number = os.fork()
        if not number:
            status = 1
            try:
                status = 0 if child() else 2
            finally:
                os._exit(status)
        status = os.waitpid(number, 0)[1]
        count += 1
        if status:
            facts["ok"] = False
            facts.setdefault("wrong", []).append(["child", count, status])
        if count % 10 == 0 and subprocess.call(["/bin/true"]):
            facts["ok"] = False
    facts["children"] = count


def execs():
    """Becomes a new program again and again, until something comes in; it is ready once more then."""
    import select

    count = int(os.environ.get("EXECS", "0"))
    if not count:
        ready()
    if not select.select([0], [], [], count % 7 * 0.004)[0]:
        with open("/proc/self/cmdline", "rb") as file:
            command = file.read().split(b"\0")[:-1]
        os.environ["EXECS"] = str(count + 1)
        os.execv(sys.executable, command)
    facts["times"] = count
    ready()
    while os.read(0, 4096):
        pass


def dropped():
    """A service that began as root and goes on as somebody else: the kernel lets only root look at it."""
    import asyncio  # while the interpreter's own files can be read

    assert asyncio
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    idle()


CHILD = """
import os, sys
seen = sys.modules["__main__"].__dict__.setdefault("seen", [])
connection.send(os.getpid())
turns = set()
while not connection.poll(0.01):
    turns.add(pow(3, 20011, 10**9 + 7))
connection.recv()
connection.send([seen, len(turns) <= 1])
"""


def child(method):
    """A child by multiprocessing, which computes until its parent has it tell what scripts have left in it."""
    import multiprocessing

    context = multiprocessing.get_context(method)
    mine, theirs = context.Pipe()
    process = context.Process(target=exec, args=(CHILD, {"connection": theirs}))
    process.start()
    theirs.close()
    pid = mine.recv()
    ready()
    say(pids=[pid])
    while os.read(0, 4096):
        pass
    mine.send(None)
    left, well = mine.recv()
    process.join()
    facts.update(ok=well and process.exitcode == 0, children={pid: left})


def forked():
    """A child by fork."""
    child("fork")


def spawned():
    """A child that is an interpreter of its own."""
    child("spawn")


def pool():
    """The processes of a ProcessPoolExecutor, which compute all the time."""
    from concurrent.futures import ProcessPoolExecutor

    def tells_what_was_left():
        code = (
            "(__import__('time').sleep(0.05), __import__('os').getpid(), vars(__import__('__main__')).get('seen', []))"
        )
        return executor.submit(eval, code)

    with ProcessPoolExecutor(2) as executor:
        for future in [executor.submit(time.sleep, 0.1) for _ in range(4)]:
            future.result()
        pids = sorted(executor._processes)
        watch_input()
        ready()
        say(pids=pids)
        expected = pow(3, 20011, 10**9 + 7)
        while not ended.is_set():
            results = [future.result() for future in [executor.submit(pow, 3, 20011, 10**9 + 7) for _ in range(4)]]
            facts["ok"] = facts["ok"] and results == [expected] * 4
        told = {}
        while sorted(told) != pids:
            told.update(each.result()[1:] for each in [tells_what_was_left() for _ in pids])
    facts["children"] = told


def main(states):
    """Is in the state that was asked for, and prints what it has found."""
    states[sys.argv[1]]()
    say(**dict(facts, seen=seen))


if __name__ == "__main__":
    main(globals())
