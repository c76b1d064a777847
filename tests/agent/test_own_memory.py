"""What the agent says that it takes is what it takes, and the text that it came in is not kept."""

from __future__ import annotations

import json
import shutil
import subprocess

from pyobserver.agent import bundle

from ..support.interpreters import Interpreter
from .mirror import on_interpreters

TRACED = """
import gc, json, sys, time, tracemalloc

with open(sys.argv[1]) as file:
    script = compile(file.read(), "<script>", "exec")
gc.collect()
tracemalloc.start()
before = tracemalloc.get_traced_memory()[0]
exec(script, {})
del script
deadline = time.monotonic() + 60
found = []
while not found:
    assert time.monotonic() < deadline
    time.sleep(0.2)
    found = [each for each in gc.get_objects() if type(each).__name__ == "OwnMemory" and "_code" in each.__dict__]


class Endless:
    def over(self):
        return False


list(found[0].count(Endless()))
time.sleep(2)
gc.collect()
taken = tracemalloc.get_traced_memory()[0] - before
tracemalloc.stop()
print(json.dumps([found[0].total(), taken]))
sys._pyobserver_agent["leave"] = True
"""


@on_interpreters
def test_it_is_what_the_interpreter_has_allocated_for_it(interpreter: Interpreter) -> None:
    """Nearly: the names are shared with the program, and of the agent's many small objects not each is asked."""
    folder = interpreter.scratch("own-memory")
    try:
        (folder / "traced.py").write_text(TRACED)
        (folder / "agent.py").write_text(bundle.script({"method": "preloaded", "linger": None}))
        files = [interpreter.inside(folder / name) for name in ("traced.py", "agent.py")]
        done = subprocess.run([*interpreter.command, *files], capture_output=True, text=True, timeout=120)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    told, taken = json.loads(done.stdout)
    assert taken < 3_200_000  # with its text it was 1.3 million more
    assert 0.7 < told / taken < 1.2, (told, taken)
