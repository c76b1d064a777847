"""Packages from PyPI for the interpreters that serve as targets, in environments that are made when first asked for.

Each is made by the interpreter's own venv and pip, and kept: in `.venv/targets`, or below the root that the interpreter
has of its own. What does not install is skipped by name, and tried again after a while, as it may be the network.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from .interpreters import Interpreter

_KEPT = Path(__file__).resolve().parents[2] / ".venv" / "targets"
_AGAIN_SECONDS = 3600.0
_CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


class _Failed(Exception):
    """A command of the interpreter has failed; the text is the last thing that it said."""


def with_packages(interpreter: Interpreter, *packages: str) -> Interpreter:
    """The interpreter in its environment with `packages`; skips the test where one of them cannot be installed."""
    folder = _folder(interpreter)
    folder.mkdir(parents=True, exist_ok=True)
    venv = f"{interpreter.inside(folder)}/venv"
    inside = replace(interpreter, command=(*interpreter.command[:-1], f"{venv}/bin/python"))
    with _locked(folder / "lock"):
        try:
            if not (folder / "made").exists():
                shutil.rmtree(folder / "venv", ignore_errors=True)
                _run([*interpreter.command, "-m", "venv", venv])
                (folder / "made").touch()
        except _Failed as failed:
            pytest.skip(f"no environment for packages can be made on Python {interpreter}: {failed}")
        for package in packages:
            if why := _why_not(inside, folder, package):
                pytest.skip(f"{package} does not install on Python {interpreter}: {why}")
    return inside


def _folder(interpreter: Interpreter) -> Path:
    name = ".".join(map(str, interpreter.version))
    if interpreter.root == Path("/"):
        return _KEPT / name
    return interpreter.root / "var/tmp/pyobserver-test-targets" / name


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among the processes that run tests."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _why_not(inside: Interpreter, folder: Path, package: str) -> str:
    """Install a package unless it is there; "" when it is there, else why it is not."""
    there, refused = folder / f"{package}.there", folder / f"{package}.refused"
    if there.exists():
        return ""
    if refused.exists() and time.time() - refused.stat().st_mtime < _AGAIN_SECONDS:
        return refused.read_text()
    pip = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--retries", "1", package]
    try:
        _run([*inside.command, *pip], **_certificates(inside, folder))
    except _Failed as failed:
        refused.write_text(str(failed))
        return str(failed)
    there.touch()
    return ""


def _certificates(inside: Interpreter, folder: Path) -> dict[str, str]:
    """What an interpreter with a root of its own needs to believe the servers that this machine believes."""
    ours = next((os.environ[name] for name in _CERTIFICATES if os.environ.get(name)), "")
    if inside.root == Path("/") or not ours:
        return {}
    copy = shutil.copy(ours, folder / "certificates.pem")
    return {name: inside.inside(Path(copy)) for name in _CERTIFICATES}


def _run(command: Sequence[str], **environment: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", **environment},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _Failed(str(error)) from None
    if done.returncode:
        raise _Failed((done.stderr or done.stdout).strip().rpartition("\n")[2][-300:])
