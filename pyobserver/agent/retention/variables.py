"""What the local variables of a suspended coroutine or generator are called, without making a frame object.

The collector is shown a frame's variables in the order of their slots, but not the empty ones, and after them what lies
on the stack. So arguments and the variables of closures, which have a cell from the beginning, are known by their
place; the others only while as many are shown as there are names. Otherwise they have no name here.
"""

import sys
from gc import get_referents

from pyobserver.agent.attributes import MISSING, Cell, Code, Function, cell_contents, namespace_of
from pyobserver.agent.retention.borrowed import SUSPENDED

HAS_FRAMES = sys.version_info < (3, 11)  # every coroutine has a frame object
Frame = type(sys._getframe()) if HAS_FRAMES else None
_HAS_VARARGS, _HAS_KEYWORDS = 4, 8


def names_of(suspended):
    """Return {id of an object: name of the local variable that holds it} for a suspended coroutine or generator."""
    names = {}
    for o, name in _named(suspended):
        names.setdefault(id(o), name)
    return names


def variables_of(suspended):
    """Return [(name, value)] of the local variables that have a value and a name that is known."""
    found = []
    for o, name in _named(suspended):
        value = cell_contents(o) if type(o) is Cell else o
        if value is not MISSING and all(name != known for known, _ in found):
            found.append((name, value))
    return found


def _named(suspended):
    """Return [(what the slot of a local variable holds, its name)], those with a cell first."""
    _, awaited_of, code_of, _ = SUSPENDED[id(type(suspended))]
    code = code_of(suspended)
    shown = _variables_and_stack(suspended)
    awaited = awaited_of(suspended)
    if awaited is not None and shown and shown[-1] is awaited:
        shown.pop()
    plain, of_arguments, free = _slots(code)
    named = []
    cells = [i for i, o in enumerate(shown) if type(o) is Cell]
    end = len(shown)
    if len(cells) == len(of_arguments) + len(free):
        for i, name in zip(cells, of_arguments + free):  # noqa: B905 (3.10 and later)
            named.append((shown[i], name))
        if free:
            end = cells[len(of_arguments)]
    number = _number_of_arguments(code, plain)
    for known in (plain, plain[:number] + _not_of_comprehensions(code, plain)):
        if end == len(known):
            break
    else:
        known = plain[:number]
    return named + list(zip(shown, known))  # noqa: B905 (3.10 and later)


def _slots(code):
    """Return (names of the variables by slot, names of the cells of arguments, names of the other cells).

    From 3.11 on the cell of an argument lies in the argument's slot; before, that slot is empty.
    """
    variables = code.co_varnames
    if HAS_FRAMES:
        return [name for name in variables if name not in code.co_cellvars], (), code.co_cellvars + code.co_freevars
    free = [name for name in code.co_cellvars + code.co_freevars if name not in variables]
    return list(variables), [name for name in variables if name in code.co_cellvars], free


def _not_of_comprehensions(code, plain):
    """Return those of the names, after the arguments, whose slot is not only used within comprehensions.

    From 3.12 on these are part of the function, and leave their slots empty again.
    """
    instructions = namespace_of("opcode") or {}
    clear = instructions.get("opmap", {}).get("LOAD_FAST_AND_CLEAR")
    number = _number_of_arguments(code, plain)
    if clear is None:
        return plain[number:]
    text = code.co_code
    hidden = {text[at + 1] for at in range(0, len(text), 2) if text[at] == clear}
    return [name for slot, name in enumerate(plain) if slot >= number and slot not in hidden]


def _number_of_arguments(code, plain):
    number = code.co_argcount + code.co_kwonlyargcount
    number += bool(code.co_flags & _HAS_VARARGS) + bool(code.co_flags & _HAS_KEYWORDS)
    return len([name for name in code.co_varnames[:number] if name in plain])


def _variables_and_stack(suspended):
    """Return what its frame shows from the first variable on."""
    refs = get_referents(suspended)
    if not HAS_FRAMES:
        for i in range(len(refs) - 1):
            if type(refs[i]) is Function and type(refs[i + 1]) is Code:
                return refs[i + 2 :]
        return []
    for o in refs:
        if type(o) is Frame:
            shown = get_referents(o)
            if len(shown) >= 3 and type(shown[0]) is Code and type(shown[1]) is dict and type(shown[2]) is dict:
                return shown[3:]  # after the builtins and the globals
    return []
