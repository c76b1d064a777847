"""A program that is started with the agent in it sees nothing of it: argv, path and __main__ are as without."""

from __future__ import annotations

import glob
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pyobserver.source.client import AgentClient
from pyobserver.source.find import find_agent
from pyobserver.source.program import Program, ProgramError, start_program

from ..support.interpreters import Interpreter
from .scripted import wait_for

PROGRAM = '''"""What a program can see of itself."""
import json
import os
import pickle
import sys

import beside


class Thing:
    pass


def of_itself():
    main = sys.modules["__main__"]
    assert pickle.loads(pickle.dumps(Thing())).__class__ is Thing
    spec = main.__spec__
    return {
        "argv": sys.argv,
        "argument": sys.argv[-1],
        "path": sys.path,
        "beside": beside.__file__,
        "name": __name__,
        "doc": __doc__,
        "file": __file__,
        "package": __package__,
        "spec": spec and spec.name,
        "loader": type(main.__loader__).__name__,
        "main is me": main.__dict__ is globals(),
        "names": sorted(main.__dict__),
        "again": [word for word in getattr(sys, "orig_argv", []) if word != sys.executable][-3:],
        "directory": os.getcwd(),
        "stdin": sys.stdin.read(),
    }


print(json.dumps(of_itself()), flush=True)
if sys.argv[-1] == "stay":
    import time

    time.sleep(600)
sys.exit(7)
'''


def _written(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "beside.py").write_text("")
    (folder / "program.py").write_text(PROGRAM)
    return folder / "program.py"


def _ended(program: Program) -> tuple[int, str]:
    status = program.process.wait(30)
    said = program.log.read_text()
    program.log.unlink()
    return status, said


def _without_us(interpreter: Interpreter, *words: str) -> dict[str, Any]:
    run = subprocess.run([*interpreter.command, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 7, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def _with_us(interpreter: Interpreter, module: str | None, *words: str) -> dict[str, Any]:
    status, said = _ended(start_program(module, words, python=interpreter.command[0]))
    assert status == 7, said
    found: dict[str, Any] = json.loads(said)
    return found


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Launchers are removed by those who run them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not glob.glob(str(tmp_path / "pyobserver-run-*"))


@pytest.fixture
def here(interpreter: Interpreter) -> Interpreter:
    if len(interpreter.command) > 1:
        pytest.skip("an interpreter with a root of its own does not see our files")
    return interpreter


def test_a_script_sees_what_it_would_see(here: Interpreter, tmp_path: Path) -> None:
    script = str(_written(tmp_path / "folder"))
    assert _with_us(here, None, script, "a b", "-x") == _without_us(here, script, "a b", "-x")


def test_a_module_sees_what_it_would_see(here: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_written(tmp_path / "folder").parent)
    assert _with_us(here, "program", "a") == _without_us(here, "-m", "program", "a")


def test_a_package_an_archive_and_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Interpreter(sys.version_info[:3], (sys.executable,), Path("/"))
    folder = _written(tmp_path / "folder").parent
    (folder / "program.py").rename(folder / "__main__.py")
    archive = tmp_path / "program.pyz"
    with zipfile.ZipFile(archive, "w") as written:
        written.write(folder / "__main__.py", "__main__.py")
        written.write(folder / "beside.py", "beside.py")
    assert _with_us(mine, None, str(folder), "a") == _without_us(mine, str(folder), "a")
    assert _with_us(mine, None, str(archive), "a") == _without_us(mine, str(archive), "a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    assert _with_us(mine, "folder", "a") == _without_us(mine, "-m", "folder", "a")


def test_a_script_by_a_link_and_by_a_relative_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Interpreter(sys.version_info[:3], (sys.executable,), Path("/"))
    script = _written(tmp_path / "folder")
    (tmp_path / "link.py").symlink_to(script)
    monkeypatch.chdir(tmp_path)
    assert _with_us(mine, None, "link.py", "a") == _without_us(mine, "link.py", "a")
    assert _with_us(mine, None, "folder/program.py") == _without_us(mine, "folder/program.py")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="PYTHONSAFEPATH is of 3.11")
def test_an_interpreter_that_does_not_look_beside_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Interpreter(sys.version_info[:3], (sys.executable,), Path("/"))
    script = str(_written(tmp_path / "folder"))
    (tmp_path / "other").mkdir()
    (tmp_path / "folder" / "beside.py").rename(tmp_path / "other" / "beside.py")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "other"))
    assert _with_us(mine, None, script) == _without_us(mine, script)


def test_the_agent_is_there_when_it_has_started(here: Interpreter, tmp_path: Path) -> None:
    program = start_program(None, [str(_written(tmp_path / "folder")), "stay"], python=here.command[0])
    try:
        path = find_agent(program.process.pid)
        assert path is not None
        with AgentClient(path, program.process.pid) as client:
            assert client.hello.method == "preloaded"
            assert client.hello.pid == program.process.pid
        wait_for(lambda: program.log.read_text().endswith("\n"), "what the program prints")
        if here.minor >= (3, 10):
            assert client.hello.argv[-2:] == (str(tmp_path / "folder" / "program.py"), "stay")
    finally:
        program.process.kill()
        _ended(program)


def test_a_program_that_fails_says_why_in_its_log(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text("import sys\n\n\ndef fail():\n    raise ValueError(sys.argv[1])\n\n\nfail()\n")
    status, said = _ended(start_program(None, [str(script), "wrong"], sys.executable))
    assert status == 1
    assert f'File "{script}", line 8, in <module>' in said
    assert said.endswith("ValueError: wrong\n")
    script.write_text("this is no Python\n")
    status, said = _ended(start_program(None, [str(script)], sys.executable))
    assert status == 1 and "SyntaxError" in said


def test_a_program_that_cannot_have_an_agent_runs_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter has a module that takes away what an agent begins with."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['_socket'] = None\n")
    script = tmp_path / "program.py"
    script.write_text("print('it runs')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    status, said = _ended(start_program(None, [str(script)], sys.executable))
    assert status == 0, said
    assert "pyobserver: the agent could not begin: " in said and said.endswith("it runs\n")


def test_what_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="there is no file"):
        start_program(None, [str(tmp_path / "nowhere.py")], sys.executable)
    script = str(_written(tmp_path / "folder"))
    with pytest.raises(ProgramError, match="--python names another"):
        start_program(None, [script], str(tmp_path / "no-python"))
    status, said = _ended(start_program("no_such_module", [], sys.executable))
    assert status == 1 and "No module named no_such_module" in said
    assert _ended(start_program(None, [script], "/bin/false"))[0] == 1
