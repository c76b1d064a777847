"""A worker of Celery with two processes that it has forked, and a broker in its own memory."""

from __future__ import annotations

import os
import threading

from celery import Celery
from celery.signals import worker_ready

app = Celery("kitchen", broker="memory://", backend="cache+memory://")
app.conf.worker_hijack_root_logger = False
said = os.dup(1)
os.dup2(2, 1)  # what else is printed is nothing for the test


@worker_ready.connect
def tell(**_: object) -> None:
    """The worker takes tasks from now on."""
    os.write(said, b"READY\n")


def leave() -> None:
    """Ends the worker at the end of the input."""
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=leave, name="input", daemon=True).start()
    app.worker_main(["worker", "--pool=prefork", "--concurrency=2", "--loglevel=CRITICAL", "--without-gossip"])
