"""The few lines around a script that keep what it raises from the target's standard error, and bring it to us."""

from __future__ import annotations

from collections.abc import Callable

from . import stub

# `builtins` by `__import__`, as the program may have globals of its own called exec and compile.
_ENTRY = '__import__("builtins").exec(__import__("builtins").compile({wrapper}, "<pyobserver>", "exec"), {names})'

_IN_MEMORY = """
try:
    exec(compile(SOURCE, "<pyobserver>", "exec"), {"__name__": "<pyobserver>"})
except BaseException as error:
    try:
        import posix
        text = ("%s: %s" % (type(error).__name__, error)).encode("utf-8", "replace")[:LIMIT]
        memory = posix.open("/proc/self/mem", posix.O_RDWR | posix.O_CLOEXEC)
        try:
            posix.pwrite(memory, len(text).to_bytes(4, "little") + text, REPORT)
            posix.pwrite(memory, b"\\1\\0\\0\\0", REPORTED)
        finally:
            posix.close(memory)
    except BaseException:
        pass
"""

_IN_FILE = """
import posix
try:
    exec(compile(SOURCE, "<pyobserver>", "exec"), {"__name__": "<pyobserver>"})
    text = b""
except BaseException as error:
    text = ("%s: %s" % (type(error).__name__, error)).encode("utf-8", "replace")[:1000] or b"failed"
try:
    file = posix.open(ANSWER + ".part", posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC, 0o600)
    try:
        posix.write(file, text)
    finally:
        posix.close(file)
    posix.rename(ANSWER + ".part", ANSWER)
except BaseException:
    pass
"""


def in_memory(source: str) -> Callable[[int], bytes]:
    """Return a function from the report's address to the script, one ASCII expression of constant length.

    Nothing is bound in `__main__`. What `source` raises is written as text to the report's address.
    """
    wrapper, quoted = ascii(_IN_MEMORY), ascii(source)

    def at(report: int) -> bytes:
        reported = report - stub.REPORT + stub.REPORTED
        names = f'{{"SOURCE": {quoted}, "REPORT": {report:#018x}, "REPORTED": {reported:#018x}, '
        names += f'"LIMIT": {stub.REPORT_SIZE}}}'
        return _ENTRY.format(wrapper=wrapper, names=names).encode("ascii")

    return at


def in_file(source: str, answer: str) -> bytes:
    """Return the script for PEP 768, which leaves a file `answer`: empty when all went well, else what was raised."""
    names = f'{{"SOURCE": {source!a}, "ANSWER": {answer!a}}}'
    return _ENTRY.format(wrapper=ascii(_IN_FILE), names=names).encode("ascii")
