"""The few lines around a script that keep what it raises from the target's standard error, and bring it to us."""

from __future__ import annotations

from . import stub

ANSWER_SIZE = stub.REPORT_SIZE
"""The bytes of an answer, whichever way it comes: text in UTF-8, then zeros."""

# Evaluated in a namespace of its own, which has nothing but the builtins: nothing is bound in `__main__`.
_IN_MEMORY = '(lambda names: (exec(compile({wrapper}, "<pyobserver>", "exec"), names), names["REPORT"])[1])({names})'

# Run as a file, by the interpreter, in a namespace of its own as well. The main thread runs it, as it does the handlers
# of the program's signals: what one of them raises meanwhile comes out in here.
_IN_FILE = """names = {names}
try:
    exec(compile({wrapper}, "<pyobserver>", "exec"), names)
except BaseException as error:
    names.get("give_back", repr)(error)
names.clear()
"""

_RETURNS = """
REPORT = b""
try:
    exec(compile(SOURCE, "<pyobserver>", "exec"), {"__name__": "<pyobserver>"})
except BaseException as error:
    try:
        text = "%s: %s" % (type(error).__name__, error)
    except BaseException:
        text = type(error).__name__
    REPORT = text.encode("utf-8", "replace")[:SIZE].ljust(SIZE, b"\\0")
"""

# The observer keeps the script file locked while it waits. Unlocked, it has died: nothing is to run any more. The file
# for the answer is there already, in full length, so that a file system which has become full cannot swallow it. Its
# first byte tells meanwhile that the script has begun.
_ANSWERS = """
import posix

def remove():
    for name in (SCRIPT, ANSWER, ANSWER + ".part"):
        try:
            posix.unlink(name)
        except OSError:
            pass
    posix.rmdir(FOLDER)

def awaited():
    file = posix.open(SCRIPT, posix.O_RDWR | posix.O_CLOEXEC)
    try:
        posix.lockf(file, posix.F_TEST, 0)
    except OSError:
        return True
    finally:
        posix.close(file)
    return False

def leave(content):
    file = posix.open(ANSWER + ".part", posix.O_WRONLY | posix.O_CLOEXEC)
    try:
        posix.write(file, content)
    finally:
        posix.close(file)

Method = type(posix.__spec__.loader.find_spec)

def give_back(error):
    # A timeout of the program's own, or Ctrl-C, which is not for us: its signal comes again when we are gone.
    import _signal, _thread
    codes, trace = [], error.__traceback__
    while trace is not None:
        codes.append(id(trace.tb_frame.f_code))
        trace = trace.tb_next
    for number in _signal.valid_signals():
        handler = _signal.getsignal(number)
        if type(handler) is Method:
            handler = handler.__func__
        is_its = type(handler) is type(give_back) and id(handler.__code__) in codes
        if is_its or (handler is _signal.default_int_handler and isinstance(error, KeyboardInterrupt)):
            _thread.start_new_thread(again, (_signal, _thread.get_ident(), number))
            return

def again(signal, thread, number):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    signal.sigtimedwait((), 0.01)
    signal.pthread_kill(thread, number)

def run():
    if not awaited():
        remove()
        return
    leave(b"\\1")
    text = ""
    try:
        exec(compile(SOURCE, "<pyobserver>", "exec"), {"__name__": "<pyobserver>"})
    except BaseException as error:
        give_back(error)
        try:
            text = "%s: %s" % (type(error).__name__, error)
        except BaseException:
            text = type(error).__name__
    leave(text.encode("utf-8", "replace")[:SIZE].ljust(SIZE, b"\\0"))
    posix.rename(ANSWER + ".part", ANSWER)

run()
"""


def in_memory(source: str) -> bytes:
    """Return the script as one ASCII expression: empty bytes when all went well, else ANSWER_SIZE bytes."""
    names = f'{{"SOURCE": {source!a}, "SIZE": {ANSWER_SIZE}}}'
    return _IN_MEMORY.format(wrapper=ascii(_RETURNS), names=names).encode("ascii")


def in_file(source: str, folder: str) -> bytes:
    """Return the script for PEP 768, to be written to `folder`/script.py. It leaves `folder`/answer with its answer.

    Where nobody holds a lock on the script any more, it runs nothing and removes the folder.
    """
    names = f'"SOURCE": {source!a}, "SIZE": {ANSWER_SIZE}, "FOLDER": {folder!a}, '
    names += f'"SCRIPT": {folder + "/script.py"!a}, "ANSWER": {folder + "/answer"!a}'
    return _IN_FILE.format(wrapper=ascii(_ANSWERS), names=f"{{{names}}}").encode("ascii")


def text_of(answer: bytes) -> str:
    """Return what was raised, or "" when all went well."""
    return answer.rstrip(b"\0").decode("utf-8", "replace")
