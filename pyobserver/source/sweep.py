"""Removes the sockets of agents whose processes were killed: nobody else would, and they would pile up."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import time

from .find import agent_folders

_NAME = re.compile(r"\d+-\d+\.sock")
_OLD_SECONDS = 60.0  # a younger one may be about to be listened at
_MOST = 2000  # looked at in one folder


def sweep(pid: int) -> int:
    """Remove abandoned sockets in the folders where process `pid` has its own, and return how many.

    Abandoned is what an agent's socket is called and refuses a connection: nobody listens, in no namespace.
    """
    removed = 0
    for folder in agent_folders(pid):
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                names = [name for name in os.listdir(folder)[:_MOST] if _NAME.fullmatch(name)]
                for name in names:
                    if _is_abandoned(handle, name):
                        os.unlink(name, dir_fd=handle)
                        removed += 1
            finally:
                os.close(handle)
    return removed


def _is_abandoned(folder: int, name: str) -> bool:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    if not stat.S_ISSOCK(found.st_mode) or time.time() - found.st_mtime < _OLD_SECONDS:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(f"/proc/self/fd/{folder}/{name}")
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
    return False
