"""Erlang's observer for live Python processes, in the terminal.

A program that wants to be observed without being entered from outside calls `start`; `pyobserver attach PID` then finds
the agent there. Importing this package loads nothing else.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["start", "stop"]


def start() -> None:
    """Start the agent in this process. It stays until `stop`, and while no observer is connected does nothing but read
    a few numbers about the process every ten seconds.

    Raises OSError when there is no folder for its socket. A second call changes nothing.
    """
    from .agent import bundle

    exec(compile(bundle.script({"method": "preloaded", "linger": None}), "<pyobserver>", "exec"), {})


def stop() -> None:
    """Ask the agent in this process to end; it is gone within about a second."""
    import os
    import sys

    agent = sys.__dict__.get("_pyobserver_agent")
    if agent is not None and agent["pid"] == os.getpid():
        agent["leave"] = True
