"""A program that minds its own business and knows itself well: what an agent must leave as it was.

    bystander.py [--tasks N] [--threads N]

`state` tells what can be seen of an agent from inside. `fork`, `multiprocessing` and `command` start children in the
three ways there are, each of which says what it has inherited. `cycles N` makes garbage whose finalizers note the
thread that they ran in. `alarm N` lets a timer fire every millisecond, N times. `full` takes all file descriptors.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import builtins
import faulthandler
import gc
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from typing import Any

from conversation import serve


def state() -> dict[str, Any]:
    """What can be seen of an agent from inside."""
    files = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            files[number] = os.readlink("/proc/self/fd/" + number)
        except OSError:  # the one of the listing itself
            pass
    return {
        "pid": os.getpid(),
        "slot": "_pyobserver_agent" in vars(sys),
        "modules": sorted(sys.modules),
        "files": files,
        "threads": len(os.listdir("/proc/self/task")),
        "collecting": gc.isenabled(),
        "filters": [repr(each) for each in warnings.filters],
        "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
        "memory": rss(),
        "blocks": blocks(),
        "settings": settings(),
        "hooks": {name: repr(hook) for name, hook in hooks().items()},
    }


def settings() -> dict[str, Any]:
    """What can be set in an interpreter and in its process."""
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    umask = os.umask(0)
    os.umask(umask)
    loop = asyncio._get_running_loop()  # a forked child has none, in most versions
    return {
        "environment": sorted(os.environ.items()),
        "folder": os.getcwd(),
        "umask": umask,
        "limits": [resource.getrlimit(getattr(resource, n)) for n in sorted(dir(resource)) if n.startswith("RLIMIT_")],
        "signals": [repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "wakeup": wakeup,
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "collector": (gc.get_threshold(), gc.get_debug(), gc.get_freeze_count()),
        "switch interval": sys.getswitchinterval(),
        "recursion limit": sys.getrecursionlimit(),
        "origins of coroutines": sys.get_coroutine_origin_tracking_depth(),
        "allocations traced": tracemalloc.is_tracing(),
        "faults handled": faulthandler.is_enabled(),
        "path": list(sys.path),
        "at exit": atexit._ncallbacks(),
        "threads known": sorted(thread.name for thread in threading.enumerate()),
        "debug": loop and loop.get_debug(),
        "names": [sorted(vars(each)) for each in (sys, builtins, sys.modules["__main__"], threading, asyncio.events)],
    }


def hooks() -> dict[str, Any]:
    """What a program, or a tool in it, can put in the interpreter's way; by identity."""
    loop = asyncio._get_running_loop()  # a forked child has none, in most versions
    found = {
        "trace": (sys.gettrace(), sys.getprofile()),
        "trace of threads": (threading._trace_hook, threading._profile_hook),  # type: ignore[attr-defined]
        "exceptions": (sys.excepthook, sys.unraisablehook, threading.excepthook, loop and loop.get_exception_handler()),
        "output": (sys.displayhook, sys.breakpointhook, sys.stdin, sys.stdout, sys.stderr, warnings.showwarning),
        "imports": (builtins.__import__, sys.meta_path, sys.path_hooks, sorted(sys.path_importer_cache)),
        "collector": gc.callbacks,
        "ends of threads": getattr(threading, "_threading_atexits", None),
        "asynchronous generators": sys.get_asyncgen_hooks(),
        "policy": asyncio.events._event_loop_policy,  # type: ignore[attr-defined]
        "tasks": loop and loop.get_task_factory(),
    }
    if hasattr(sys, "monitoring"):
        found["monitoring"] = [sys.monitoring.get_tool(number) for number in range(6)]
    return found


def left() -> dict[str, Any]:
    """Functions, classes and modules of an agent that still live; a module that was emptied has no name."""
    gc.collect()
    found = []
    for each in gc.get_objects():
        if type(each) is type(left):
            name = f"{each.__module__}.{each.__qualname__}"
        elif type(each) is type:
            name = f"{vars(each).get('__module__')}.{each.__name__}"
        elif type(each) is type(gc):
            name = vars(each).get("__name__", "pyobserver")
        else:
            continue
        if name.startswith(("pyobserver", "<pyobserver")):
            found.append(name)
    return {"found": sorted(found)}


def blocks() -> int:
    """Blocks of Python's own allocator that are in use, without garbage."""
    gc.collect()
    return sys.getallocatedblocks()


def rss() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def child(connection: Any) -> None:
    """What a child of `multiprocessing` does."""
    connection.send(asyncio.run(child_state()))
    connection.close()


async def child_state() -> dict[str, Any]:
    """A child can have a loop of its own."""
    await asyncio.gather(*[asyncio.sleep(0.001) for _ in range(10)])
    await asyncio.get_running_loop().run_in_executor(None, gc.collect)
    return state()


class Cycle:
    """Garbage that only the collector finds."""

    seen: set[int] = set()
    count = 0

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Cycle.seen.add(threading.get_ident())
        Cycle.count += 1


class Bystander:
    """What is asked of it."""

    def __init__(self, tasks: int, threads: int) -> None:
        self.tasks = [asyncio.get_running_loop().create_task(self.wait(), name=f"waits-{n}") for n in range(tasks)]
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.stop.wait, name=f"thread-{n}") for n in range(threads)]
        for thread in self.threads:
            thread.start()
        self.taken: list[int] = []
        self.child = 0

    async def wait(self) -> None:
        """What all tasks do."""
        await asyncio.Event().wait()

    def fork(self) -> dict[str, Any]:
        """A child by `os.fork`: it says what it has inherited, and ends as programs do."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(reader)
                gc.collect()
                os.write(writer, json.dumps(state()).encode())
                status = 7
            finally:
                os._exit(status)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            told = json.loads(file.read())
        return {"status": os.waitpid(pid, 0)[1] >> 8, "child": told, "parent": state()}

    def leave_child(self) -> dict[str, Any]:
        """A child that lives on for a while."""
        pid = os.fork()
        if pid == 0:
            try:
                for number in (0, 1):
                    os.close(number)
                for _ in range(600):
                    time.sleep(0.1)
            finally:
                os._exit(0)
        self.child = pid
        return {"pid": pid}

    def fork_full(self) -> dict[str, Any]:
        """A child that ends at once, made while there is no file descriptor left."""
        self.full()
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        status = os.waitpid(pid, 0)[1] >> 8
        self.free()
        return {"status": status}

    def end_child(self) -> dict[str, Any]:
        """Ends it."""
        os.kill(self.child, signal.SIGKILL)
        return {"status": os.waitpid(self.child, 0)[1]}

    def multiprocessing(self) -> dict[str, Any]:
        """A child by `multiprocessing`, forked, with a loop and threads of its own."""
        context = multiprocessing.get_context("fork")
        mine, other = context.Pipe()
        process = context.Process(target=child, args=(other,))
        process.start()
        other.close()
        told = mine.recv()
        process.join()
        return {"status": process.exitcode, "child": told, "parent": state()}

    def command(self) -> dict[str, Any]:
        """A child that runs another program."""
        code = "import os, json; print(json.dumps(sorted(os.listdir('/proc/self/fd'))))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, close_fds=False)
        return {"status": done.returncode, "files": json.loads(done.stdout)}

    async def forks(self, count: str) -> dict[str, Any]:
        """Children one after the other, as a server makes them."""
        statuses = []
        for _ in range(int(count)):
            statuses.append(self.fork()["status"])
            await asyncio.sleep(0.001)
        return {"statuses": statuses}

    async def cycles(self, count: str) -> dict[str, Any]:
        """Garbage, made in small portions; which threads have collected it."""
        for n in range(int(count)):
            Cycle()
            if n % 50 == 0:
                await asyncio.sleep(0.001)
        return {"threads": sorted(Cycle.seen), "mine": threading.get_ident(), "collected": Cycle.count}

    def collector(self, how: str) -> dict[str, Any]:
        """Switches the collector on or off."""
        gc.enable() if how == "on" else gc.disable()
        return state()

    async def alarm(self, count: str) -> dict[str, Any]:
        """A timer fires every millisecond: how often it was heard, until it was heard so often."""
        heard = []
        signal.signal(signal.SIGALRM, lambda *_: heard.append(threading.get_ident()))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while len(heard) < int(count):
            await asyncio.sleep(0.005)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return {"heard": len(heard), "threads": sorted(set(heard)), "mine": threading.get_ident()}

    async def sleeper(self, count: str) -> dict[str, Any]:
        """Waits in the main thread for signals that it has blocked: a thread which has not would take them from it."""
        elsewhere: list[int] = []
        signal.signal(signal.SIGUSR1, lambda *_: elsewhere.append(threading.get_ident()))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        heard = 0
        for _ in range(int(count)):
            timer = subprocess.Popen(["/bin/sh", "-c", "sleep 0.02; kill -USR1 %d" % os.getpid()])
            heard += signal.sigtimedwait({signal.SIGUSR1}, 20) is not None
            timer.wait()
            await asyncio.sleep(0)
        return {"heard": heard, "elsewhere": elsewhere}

    def full(self) -> dict[str, Any]:
        """Takes every file descriptor that it may have."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        try:
            while True:
                self.taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            return {"taken": len(self.taken)}

    def free(self) -> dict[str, Any]:
        """Gives them back."""
        while self.taken:
            os.close(self.taken.pop())
        return state()

    def become(self) -> dict[str, Any]:
        """Becomes another program, which waits for the end of its input; there is no answer."""
        os.execv(sys.executable, [sys.executable, "-c", "import sys; sys.stdin.read()"])

    def cpu(self) -> dict[str, Any]:
        """The CPU seconds of the whole process."""
        return {"seconds": sum(os.times()[:2])}

    def importing(self, name: str) -> dict[str, Any]:
        """Loads a module, and uses it from now on."""
        self.tasks.append(__import__(name))  # type: ignore[arg-type]
        return {"id": id(sys.modules[name])}

    def is_same(self, name: str) -> dict[str, Any]:
        """Whether a module that is loaded again is the one that was loaded before."""
        return {"same": __import__(name) in self.tasks}


async def main(options: argparse.Namespace) -> None:
    program = Bystander(options.tasks, options.threads)
    names = (
        "fork forks fork_full leave_child end_child multiprocessing command cycles collector",
        "alarm sleeper full free cpu importing is_same become",
    )
    await serve({"state": state, "left": left, **{name: getattr(program, name) for name in " ".join(names).split()}})
    program.stop.set()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0)
    asyncio.run(main(parser.parse_args()))
