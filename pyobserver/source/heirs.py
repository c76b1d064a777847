"""Lets the Python processes that a program starts have the agent as well, from their first line.

They need no right to be traced. An environment variable names the agent's script. A forked child reads it in the hook
by which its copy of the agent has ended; one that is started anew reads it in a `sitecustomize`, to which PYTHONPATH
leads, and which then gives way to the one that it hides. Interpreters that are told to look at no environment (-E, -I)
or to do without `site` (-S) have no agent.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ..agent import bundle

VARIABLE = "PYOBSERVER_AGENT"
AGENT = "_pyobserver_agent"  # the attribute of `sys`, see `agent/boot.py`

# Python 3.8 and later have an agent; older ones only must not stumble over this.
_CUSTOMIZE = f"""\
def start():
    import os, sys, time
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [each for each in sys.path if os.path.abspath(each or ".") != here]
    mine = sys.modules.pop("sitecustomize")
    try:
        script = os.environ.get("{VARIABLE}")
        if script and sys.version_info >= (3, 8) and sys.implementation.name == "cpython":
            with open(script, encoding="ascii") as file:
                source = file.read()
            exec(compile(source, "<pyobserver>", "exec"), {{"__name__": "<pyobserver>"}})
            begun = time.monotonic()  # until it has seen to forks, some milliseconds
            while "forks" not in (getattr(sys, "{AGENT}", None) or {{"forks"}}) and time.monotonic() < begun + 2.0:
                time.sleep(0.001)
    except Exception as error:
        sys.stderr.write("pyobserver: the agent could not begin: %s: %s\\n" % (type(error).__name__, error))
    try:
        import sitecustomize
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    sys.modules.setdefault("sitecustomize", mine)  # there was none: the import that has led here expects one


start()
del start
"""


class Inheritance:
    """The files that children look at, and the environment that leads to them. `remove` takes the files away."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pyobserver-heirs-"))
        self.script = self.folder / "agent.py"
        config = {"method": "preloaded", "linger": None, "heirs": str(self.script)}
        self.script.write_text(bundle.script(config), encoding="ascii")
        (self.folder / "sitecustomize.py").write_text(_CUSTOMIZE, encoding="ascii")

    def environment(self) -> dict[str, str]:
        """Return our environment with what children need."""
        path = os.pathsep.join(filter(None, (str(self.folder), os.environ.get("PYTHONPATH"))))
        return {**os.environ, VARIABLE: str(self.script), "PYTHONPATH": path}

    def remove(self) -> None:
        """Take the files away: who is started from now on has no agent."""
        shutil.rmtree(self.folder, ignore_errors=True)
