"""How the rest of the agent comes to life on its thread: modules from text, in pieces, known to nobody else.

Runs in the namespace of `boot`, whose names it uses.
"""

from pyobserver.agent.boot import SLOT, listen, module, original, sys
from pyobserver.agent.collector import hand_over, outside, pause, resume

_PIECE_SECONDS = 0.001
_PAUSE_SECONDS = 0.003
_LEAVE_SECONDS = 3.0
_IN_C = {"struct": "_struct", "io": "_io"}  # what these are small wrappers of


def live(mine, place, sources, config):
    """Be the agent until it ends; return what is to be told to whoever still connects, mostly nothing.

    The first of the `sources` are what forks need, which may come at any moment; the list is empty when all are read.
    """
    forks = None
    try:
        if place[0] is None:
            _wait_for_room(mine)
            place[:] = listen(module("_socket"))
        load(sources.pop(0), mine["modules"])
        forks = mine["modules"]["pyobserver.agent.forks"]
        clock, sleep = original("time", "perf_counter"), original("time", "sleep")
        mine["forks"] = forks.watch(SLOT, place[0].close, resume, clock, sleep, config.get("heirs"))
        load(sources.pop(0), mine["modules"])
        agent = mine["modules"]["pyobserver.agent.main"].Agent(mine, place[0], config, original)
        collector = mine["modules"]["pyobserver.agent.collector"]
        hand_over(collector.__dict__)
        try:
            agent.run()
        finally:
            collector.hand_over(pause.__globals__)
        return agent.farewell
    except BaseException as error:
        return _described(error)
    finally:
        if "forks" in mine:
            forks.leave(mine["forks"])


def _described(error):
    """What went wrong, with the place in our own source, and without keeping a traceback alive."""
    where = ""
    trace = error.__traceback__
    while trace is not None:
        where = "%s:%d" % (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    error.__traceback__ = None
    return "the agent failed: %s: %s (%s)" % (type(error).__name__, error, where)


def _wait_for_room(mine):
    sleep = original("time", "sleep")
    for _ in range(int(_LEAVE_SECONDS / 0.01)):
        if sys.__dict__.setdefault(SLOT, mine) is mine:
            return
        outside(sleep, 0.01)
    raise RuntimeError("an agent of another version does not leave")


def load(sources, modules):
    """Put the agent's modules into `modules` by name; they are known to each other, and to nobody else.

    `sources` are pieces joined by NUL: module, class or nothing, first line and text, joined by SOH. A piece of a
    class is one of its methods.
    """
    clock, sleep = original("time", "perf_counter"), original("time", "sleep")
    builtins = dict(sys.modules["builtins"].__dict__)
    builtins["__import__"] = _importer(modules)
    kind = type(sys)
    begun = clock()
    for piece in sources.split("\0"):
        name, owner, line, text = piece.split("\1")
        home = modules.get(name)
        if home is None:
            home = _new_module(kind, modules, name, builtins)
        code = compile("\n" * (int(line) - 1) + text, "<%s>" % name, "exec", 0, True)
        if owner:
            names = {}
            exec(code, home.__dict__, names)
            for key in names:
                setattr(home.__dict__[owner], key, names[key])
        else:
            exec(code, home.__dict__)
        if clock() - begun > _PIECE_SECONDS:
            outside(sleep, _PAUSE_SECONDS)
            begun = clock()


def _new_module(kind, modules, name, builtins):
    module = modules[name] = kind(name)
    module.__dict__["__builtins__"] = builtins
    parent, _, last = name.rpartition(".")
    if parent:
        if parent not in modules:
            _new_module(kind, modules, parent, builtins)
        setattr(modules[parent], last, module)
    return module


def _importer(modules):
    """Return an `__import__` that knows our modules, those that are loaded, and extensions; nothing else."""

    def bring(name, globals=None, locals=None, fromlist=(), level=0):
        if name.partition(".")[0] == "pyobserver":
            return modules[name] if fromlist else modules["pyobserver"]
        if name in _IN_C and name not in sys.modules:
            name = _IN_C[name]
        return module(name)

    return bring
