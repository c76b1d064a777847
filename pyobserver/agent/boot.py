"""How the agent begins in a foreign process: a socket at once, all the rest on a thread of its own.

The script that is brought into the target ends with a call of `start`. Where that runs, somebody waits: the program's
main thread (PEP 768) or a borrowed one. So there is little here, it only binds the socket and starts a thread, and the
rest of the agent comes compressed: a long text would take milliseconds to be read.

Nothing here is imported from the rest of the agent, and nothing is put into `sys.modules`.
"""

import posix
import sys

SLOT = "_pyobserver_agent"  # in the dict of `sys`: the one agent of this process
BASES = ("/tmp", "/var/tmp", "/dev/shm", "/run/user/%d")


def start(packed, config):
    """Start the agent unless the same one is there. Raises OSError when there is no place for its socket."""
    slot = sys.__dict__.get(SLOT)
    pid = posix.getpid()
    if slot is not None and slot["pid"] == pid and slot["build"] == config["build"] and not slot["leave"]:
        slot["wanted"] = True
        return
    before = set(sys.modules)
    thread, socket = module("_thread"), module("_socket")
    mine = {"pid": pid, "build": config["build"], "leave": False, "wanted": True, "loop": running_loop(), "modules": {}}
    mine["added"] = set(sys.modules) - before
    if slot is not None and slot["pid"] == pid:
        slot["leave"] = True  # an older one: it makes room
        place = [None, None]
    else:
        sys.__dict__[SLOT] = mine
        try:
            place = listen(socket)
        except BaseException:
            del sys.__dict__[SLOT]
            raise
    original(thread, "start_new_thread")(run, (mine, place, packed, config))


def run(mine, place, packed, config):
    """The agent's thread, from its first to its last moment."""
    problem = ""
    try:
        before = set(sys.modules)
        text = module("zlib").decompress(module("binascii").a2b_base64(packed)).decode()
        mine["added"] |= set(sys.modules) - before
        sleep = original(module("time"), "sleep")
        names = dict(globals())
        sources = text.split("\2")
        for piece in sources[0].split("\0"):
            exec(compile(piece, "<pyobserver.agent.loader>", "exec"), names)
            sleep(0.002)
        problem = names["live"](mine, place, sources[1], config)
    except BaseException as error:
        error.__traceback__ = None
        problem = "the agent failed: %s: %s" % (type(error).__name__, error)
    finally:
        end(mine, place, problem)


def end(mine, place, problem):
    """Leave the process as it was found."""
    listener, path = place
    try:
        if listener is not None:
            if problem:
                tell(listener, problem)
            listener.close()
            posix.unlink(path)
    except OSError:
        pass
    finally:
        if sys.__dict__.get(SLOT) is mine:
            del sys.__dict__[SLOT]
        for name in mine["added"]:
            sys.modules.pop(name, None)
        for each in mine["modules"].values():
            each.__dict__.clear()


def running_loop():
    """A weak reference to the loop that runs on this very thread, which is the program's with PEP 768."""
    asyncio = sys.modules.get("_asyncio")
    loop = asyncio._get_running_loop() if asyncio is not None else None
    try:
        return module("_weakref").ref(loop) if loop is not None else None
    except TypeError:
        return None


def module(name):
    """Return a module that is loaded, or load an extension, past import hooks that the program may have put in."""
    found = sys.modules.get(name)
    if found is None:
        found = sys.modules["_frozen_importlib"].__import__(name)
    return found


def original(module, name):
    """Return what a module's function was before gevent has replaced it: the agent must not become a greenlet."""
    monkey = sys.modules.get("gevent.monkey")
    saved = getattr(monkey, "saved", None)
    if type(saved) is dict and type(saved.get(module.__name__)) is dict and name in saved[module.__name__]:
        return saved[module.__name__][name]
    return getattr(module, name)


# -- the socket's place ----------------------------------------------------------------------------------------------


def listen(socket):
    """Return [listening socket, its path] in the first folder that takes it."""
    uid = posix.geteuid()
    refused = []
    for base in BASES:
        if "%d" in base:
            base = base % uid
        folder = "%s/pyobserver-%d" % (base, uid)
        try:
            own_folder(folder, uid)
            path = "%s/%d-%s.sock" % (folder, posix.getpid(), start_ticks())
            return [bound(socket, path), path]
        except OSError as error:
            refused.append("%s: %s" % (base, error.strerror or error))
    raise OSError("no folder takes its socket: " + "; ".join(refused))


def own_folder(folder, uid):
    """Make sure that the folder is ours alone, or raise OSError."""
    try:
        posix.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    found = posix.lstat(folder)
    if found.st_mode & 0o170000 != 0o040000 or found.st_uid != uid:
        raise OSError(0, "%s belongs to somebody else" % folder)
    if found.st_mode & 0o077:
        raise OSError(0, "%s is open to others" % folder)


def start_ticks():
    """When this process began, as the kernel counts: with the pid it names one process for good."""
    try:
        file = posix.open("/proc/self/stat", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return "0"
    try:
        text = posix.read(file, 4096)
    finally:
        posix.close(file)
    return text[text.rindex(b")") + 2 :].split()[19].decode("ascii")


def bound(socket, path):
    try:
        posix.unlink(path)  # of an agent in this process that was killed; nobody else has this name
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        posix.chmod(path, 0o600)
        listener.listen(16)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def tell(listener, reason):
    """Say goodbye to whoever connects in the next moment: an agent that could not begin says why."""
    socket, time = module("_socket"), module("time")
    text = ""
    for c in ('{"t":"bye","reason":"%s"}' % reason.replace("\\", "/").replace('"', "'"))[:2000]:
        text += c if " " <= c <= "~" else "?"
    head = text.encode("ascii")
    frame = (4 + len(head)).to_bytes(4, "little") + len(head).to_bytes(4, "little") + head
    sleep = original(time, "sleep")
    for _ in range(100):
        try:
            handle, _address = listener._accept()
        except OSError:
            sleep(0.02)
            continue
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, handle)
        try:
            client.send(frame)
        except OSError:
            pass
        finally:
            client.close()
        return
