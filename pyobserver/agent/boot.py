"""How the agent begins in a foreign process: a socket at once, all the rest on a thread of its own.

`entry` calls `start`. Where that runs, somebody waits: the program's main thread (PEP 768) or a borrowed one. So there
is little here, it only binds the socket and starts a thread, and the rest of the agent comes compressed: a long text
would take milliseconds to be read.

Nothing of it is put into `sys.modules`. The collector is written out in its place, see `bundle`.
"""

from pyobserver.agent.collector import outside, pause, resume

# What the program has put in place of `import` is not asked: the interpreter's own machinery leads to all modules.
_machinery = __builtins__["__spec__"].loader.find_spec.__func__.__globals__  # type: ignore[index]
sys = _machinery["sys"]
posix = sys.modules["posix"]
_kind = "".__class__.__class__  # `type`
Builtin = _kind("".join)

SLOT = "_pyobserver_agent"  # in the dict of `sys`: the one agent of this process
BASES = ("/tmp", "/var/tmp", "/dev/shm", "/run/user/%d")
_CRASHES = (4, 5, 6, 7, 8, 11)  # signals of faults: the program may have something to say then
_SAFE_COPIES = {"time": (3, 9), "_thread": (3, 10)}  # built in, and since then made anew without touching the old
# Modules that were not there before, by name, with their references.
loaded = {}  # type: dict


def start(packed, config, gate):
    """Start the agent, and return True; False when the same one is there. Its thread waits until `gate` is not empty.

    Raises OSError when there is no place for its socket, RuntimeError when the program has replaced what it needs.
    """
    refuse_replaced(config["builtins"])
    slot = sys.__dict__.get(SLOT)
    pid = posix.getpid()
    if slot is not None and slot["pid"] == pid and slot["build"] == config["build"] and not slot["leave"]:
        slot["wanted"] = True
        return False
    begin = original("_thread", "start_new_thread")
    mine = {"pid": pid, "build": config["build"], "leave": False, "wanted": True, "loop": running_loop(), "modules": {}}
    place = [None, None]
    try:
        if slot is not None and slot["pid"] == pid:
            slot["leave"] = True  # an older one: it makes room
        else:
            sys.__dict__[SLOT] = mine
            place = listen(module("_socket"))
        without_signals(begin, run, (mine, place, [packed], config, gate, original("time", "sleep")))
    except BaseException:
        end(mine, place, "")
        raise
    return True


def without_signals(begin, function, arguments):
    """Start a thread that gets no signals: they are for the program's threads, whose system calls they end."""
    signal = module("_signal")
    valid = signal.valid_signals()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ()) & valid
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, valid.difference(_CRASHES))
        begin(function, arguments)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(mine, place, packed, config, gate, sleep):
    """The agent's thread, from its first to its last moment. The collector is on again when all else has been done."""
    while not gate:
        sleep(0.0005)
    problem = ""
    globals()["gc"] = sys.modules["gc"]
    pause()
    names = dict(globals())
    try:
        # A megabyte of text, which nobody keeps: what has been read is taken from the lists.
        sources = module("zlib").decompress(module("binascii").a2b_base64(packed.pop())).decode().split("\2")
        for piece in sources.pop(0).split("\0"):
            exec(compile(piece, "<pyobserver.agent.loader>", "exec"), names)
            outside(sleep, 0.002)
        problem = names["live"](mine, place, sources, config)
    except BaseException as error:
        error.__traceback__ = None
        problem = "the agent failed: %s: %s" % (type(error).__name__, error)
    finally:
        try:
            names.clear()
            sources = piece = None
            end(mine, place, problem)
            unload()
        finally:
            resume()
            globals().clear()


def end(mine, place, problem):
    """Leave the process as it was found."""
    listener, path = place
    try:
        if listener is not None:
            if problem:
                tell(listener, problem)
            listener.close()
            posix.unlink(path)
            posix.rmdir(path.rpartition("/")[0])  # stays where there are other agents
    except OSError:
        pass
    finally:
        listener = place[0] = None
        if sys.__dict__.get(SLOT) is mine:
            del sys.__dict__[SLOT]
        modules = mine["modules"]
        builtins = [each.__dict__.get("__builtins__") for each in modules.values()]
        for each in modules.values():
            strip(each)
        for each in (*builtins[:1], modules, mine):  # the hooks for forks stay, and lead to the builtins of our modules
            each.clear()


def unload():
    """Remove the modules that were loaded for us, unless the program uses them by now."""
    for name, (which, count) in loaded.items():
        if references(name) == (which, count + (name in globals())):  # `resume` still needs the collector
            del sys.modules[name]
    loaded.clear()


def strip(ours):
    """Empty a module of ours and its classes, which are cycles: they stay until the collector finds them."""
    for value in list(ours.__dict__.values()):
        if type(value) is type and value.__dict__.get("__module__") == ours.__name__:
            for name in list(value.__dict__):
                try:
                    delattr(value, name)
                except (AttributeError, TypeError):
                    pass
    ours.__dict__.clear()


def running_loop():
    """A weak reference to the loop that runs on this very thread, which is the program's with PEP 768."""
    asyncio = sys.modules.get("_asyncio")
    loop = asyncio._get_running_loop() if asyncio is not None else None
    try:
        return module("_weakref").ref(loop) if loop is not None else None
    except TypeError:
        return None


# -- what is needed of the interpreter -------------------------------------------------------------------------------


def refuse_replaced(names):
    """Raise RuntimeError when the program has put code of its own in place of a builtin that is used here."""
    flags = _kind.__dict__["__flags__"].__get__
    for name in names:
        found = __builtins__.get(name)
        if _kind(found) is not Builtin and (_kind(found) is not _kind or flags(found) & 512):  # Py_TPFLAGS_HEAPTYPE
            raise RuntimeError("the program has replaced the builtin %s, which the agent needs" % name)


def module(name):
    """Return a module that is loaded, or load an extension, past the import hooks that the program may have put in."""
    found = sys.modules.get(name)
    if found is None:
        with _machinery["_ModuleLockManager"](name):
            if name not in sys.modules:
                spec = _machinery["BuiltinImporter"].find_spec(name) or extension(name)
                if spec is not None:
                    _machinery["_load_unlocked"](spec)
                else:
                    load_as_the_program_does(name)
                loaded[name] = references(name)
        found = sys.modules[name]
    return found


def load_as_the_program_does(name):
    """Load what is kept elsewhere, as in an archive: who has put it there knows where."""
    try:
        _machinery["__import__"](name)
    except ImportError:
        raise ImportError(
            "this process cannot load the module %s of its standard library, as after a change of its user or root;"
            " pyobserver.start() before that, or importing the module there, helps" % name
        ) from None


def extension(name):
    """Return the spec of an extension of the standard library, None where it is not found."""
    files = sys.modules["_frozen_importlib_external"]
    kinds = (files.ExtensionFileLoader, sys.modules["_imp"].extension_suffixes())
    for folder in list(sys.path):
        if type(folder) is str and folder.endswith("/lib-dynload"):
            spec = files.FileFinder(folder, kinds).find_spec(name)
            if spec is not None:
                return spec
    return None


def references(name):
    """Return how often a module, its functions and its classes are referred to, and which module it is."""
    found = sys.modules.get(name)
    if found is None:
        return 0, 0
    counted = [found]
    for key, value in found.__dict__.items():
        if _kind(value) is not Builtin and _kind(value) is not _kind:  # anything else may be the program's
            continue
        if key != "__loader__" and __builtins__.get(value.__name__) is not value:
            counted.append(value)
    return id(found), sum(map(sys.getrefcount, counted))


def original(name, function):
    """Return a function of a module as it was before the program has replaced it by one of its own.

    gevent and eventlet do so: by theirs the agent would become a greenlet. Tests of a program stop the time.
    """
    found = type(sys).__dict__["__dict__"].__get__(module(name)).get(function)
    if type(found) is Builtin:
        return found
    saved = getattr(sys.modules.get("gevent.monkey"), "saved", None)
    kept = sys.modules.get("__original_module_" + name)  # eventlet.patcher
    for each in (saved.get(name) if type(saved) is dict else None, getattr(kept, "__dict__", None)):
        if type(each) is dict and type(each.get(function)) is Builtin:
            return each[function]
    if name in _SAFE_COPIES and sys.version_info >= _SAFE_COPIES[name]:
        spec = _machinery["ModuleSpec"](name, None, origin="built-in")
        return getattr(sys.modules["_imp"].create_builtin(spec), function)
    raise RuntimeError("the program has replaced %s.%s, which the agent needs" % (name, function))


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
        try:
            posix.rmdir(folder)
        except OSError:
            pass
    raise OSError("no folder takes its socket: " + "; ".join(refused))


def own_folder(folder, uid):
    """Make sure that the folder is ours alone, or raise OSError."""
    try:
        posix.mkdir(folder, 0o700)
        posix.chmod(folder, 0o700)  # whatever the umask has taken away
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
        try:
            posix.unlink(path)
        except OSError:
            pass
        raise
    return listener


def tell(listener, reason):
    """Say goodbye to whoever connects in the next moment: an agent that could not begin says why."""
    socket, sleep = module("_socket"), original("time", "sleep")
    text = ""
    for c in ('{"t":"bye","reason":"%s"}' % reason.replace("\\", "/").replace('"', "'"))[:2000]:
        text += c if " " <= c <= "~" else "?"
    head = text.encode("ascii")
    frame = (4 + len(head)).to_bytes(4, "little") + len(head).to_bytes(4, "little") + head
    for _ in range(100):
        try:
            handle, _address = listener._accept()
        except OSError:
            outside(sleep, 0.02)
            continue
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, handle)
        try:
            client.send(frame)
        except OSError:
            pass
        finally:
            client.close()
        return
