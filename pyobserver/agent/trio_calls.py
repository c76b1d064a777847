"""Lets a run of trio call something in its own thread, as its `TrioToken.run_sync_soon` does.

That method takes a lock that another thread may hold, and writes to a socket with the interpreter lock given up. What
it does is done here with the same parts: a job goes to the end of the runner's queue, and a byte into the socket that
wakes it up (`trio/_core/_entry_queue.py` of 0.22 to 0.35). A run that ends says so before it looks at its queue for the
last time; as nothing else runs in a slice, a job that is added before that is done.
"""

import _socket
from _collections import deque

from pyobserver.agent.attributes import attribute, class_name, inherits, namespace_of, text
from pyobserver.agent.loop_calls import Call

_KNOWN = (22, 35)  # the second number of the versions whose jobs are a function and its arguments
_OTHER = "this version of trio is not known"


def call_soon(runner, callback):
    """Return a Call: `callback`, called without arguments by the thread of the run as soon as that comes to it."""
    version = text((namespace_of("trio._version") or {}).get("__version__"), "").split(".")
    is_known = version[0] == "0" and len(version) > 1 and version[1].isdigit()
    if not is_known or not _KNOWN[0] <= int(version[1]) <= _KNOWN[1]:
        return Call(_OTHER)
    entries = attribute(runner, "entry_queue")
    if class_name(type(entries)) != "trio._core._entry_queue.EntryQueue":
        return Call(_OTHER)
    queue, done = attribute(entries, "queue"), attribute(entries, "done")
    socket = attribute(attribute(entries, "wakeup"), "write_sock")
    if type(queue) is not deque or not inherits(type(socket), _socket.socket):
        return Call(_OTHER)
    if done is not False:
        return Call("trio's run has ended")
    deque.append(queue, (callback, ()))
    return Call("", None, socket)
