"""The demonstration: a service that leaks tasks, started as a process of its own, and its fixed twin.

The service is the package `rudder` in the folder `service`; it runs on every Python from 3.8 on and imports nothing
of this project, just like the programs that the observer is made for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["DemoService", "start", "stop"]

SERVICE = Path(__file__).resolve().parent / "service"


class DemoService(subprocess.Popen[bytes]):
    """The running service; what it prints goes to the file `log`.

    It has a session of its own, so that Ctrl-C in the dashboard does not reach it. It ends when `stop` is called, and
    also when this process dies in any other way, as that closes its standard input.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        paths = [str(SERVICE), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with log.open("wb") as output:
            super().__init__(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )


def start(fixed: bool, python: str = sys.executable, **options: float) -> DemoService:
    """Starts the service, leaking or `fixed`, on the interpreter `python`.

    The `options` are those of its command line: `limit` (how many specimens it holds at most, default 60), `interval`
    (seconds between two, default 1.25) and `payload` (bytes of each, default 7,000,000). Raises `OSError` if `python`
    cannot be started. The caller ends the process with `stop`.
    """
    handle, name = tempfile.mkstemp(prefix="pyobserver-demo-", suffix=".log")
    os.close(handle)
    command = [python, "-m", "rudder", "--until-eof", *(["--fixed"] if fixed else [])]
    for option, value in options.items():
        command += [f"--{option}", str(value)]
    log = Path(name)
    try:
        return DemoService(command, log)
    except OSError:
        log.unlink()
        raise


def stop(process: DemoService, patience: float = 5.0) -> int:
    """Ends the service, by force after `patience` seconds, and returns its exit status (negative: the signal).

    It is asked by the end of its input and by nothing else: a signal could arrive before the service listens to
    signals, or, as a second request, when it listens no longer. The log is removed, unless the service failed.
    """
    if process.stdin is not None:
        process.stdin.close()
    try:
        status = process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    if status == 0:
        process.log.unlink(missing_ok=True)
    return status
