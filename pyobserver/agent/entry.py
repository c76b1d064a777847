"""The first lines that run in the target, on the thread where somebody waits.

There is little here, so that reading it makes few objects: then the collector is switched off, which else would collect
the program's garbage, finalizers and all, on this foreign thread. `boot` does the rest, and its thread goes on when the
collector is as it was.
"""


def enter(boot, packed, config):
    """Run `boot` and start the agent. Raises what `boot.start` raises."""
    machinery = __builtins__["__spec__"].loader.find_spec.__func__.__globals__
    modules = machinery["sys"].modules
    is_new = "gc" not in modules
    if is_new:
        machinery["_load_unlocked"](machinery["BuiltinImporter"].find_spec("gc"))
    names = {"__name__": "<pyobserver>", "__builtins__": __builtins__}
    gate = []
    was_on = modules["gc"].isenabled()
    started = False
    try:
        if was_on and type(modules["gc"].disable) is type("".join) is type(modules["gc"].enable):
            modules["gc"].disable()
        exec(compile(boot, "<pyobserver>", "exec", 0, True), names)
        if is_new:
            names["loaded"]["gc"] = names["references"]("gc")
        started = names["start"](packed, config, gate)
    finally:
        if was_on:
            modules["gc"].enable()
        if not started and "unload" in names:
            names["unload"]()
        gate.append(True)
