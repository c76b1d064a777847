"""References on a suspended frame's stack that nobody counts.

From 3.14 on, the compiler pushes locals without counting the reference (LOAD_FAST_BORROW) where it can prove that the
local outlives it. It never leaves one below an `await` or a `yield from`, but a bare `yield` inside an expression, as
in `f(x, (yield))`, suspends the frame with a borrowed x on its stack, and the frame shows x twice while owning it once.
Counting that edge would make up for a reference somebody else holds.

A borrowed reference always is to what a local of the same frame owns. So in frames where one can be, and only there,
every object is listed once: exact where it was borrowed, too little where the frame really owns an object twice.
Listing once everywhere would be wrong: `x = y = z`, and on 3.15 every `for x in xs`, own their object twice.
"""

from gc import get_referents
from sys import getrefcount

from pyobserver.agent.attributes import Module, module_dict

_SKIPPED = ("CACHE", "NOP", "RESUME", "NOT_TAKEN", "COPY_FREE_VARS", "MAKE_CELL")
_ENDS = ("RETURN", "RAISE", "RERAISE")
_PUSHES = (
    *("LOAD_FAST", "LOAD_CONST", "LOAD_SMALL_INT", "LOAD_COMMON", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"),
    *("PUSH_", "COPY", "LOAD_BUILD_CLASS", "LOAD_LOCALS"),
)
_KEEPS_NO_RESULT = ("STORE_", "POP_", "DELETE_", "LIST_", "SET_", "MAP_", "DICT_", "END_")


def _nothing(*_):
    pass


def interpreter_borrows():
    """Return whether a suspended generator of this interpreter shows more references than it has counted."""

    def probe():
        x = object()
        _nothing(x, (yield))

    suspended = probe()
    next(suspended)
    shown = [o for o in get_referents(suspended) if type(o) is object]
    if not shown:  # up to 3.10 they belong to a frame object
        return False
    number = len(shown)
    only = {0: shown[0]}
    del shown
    return number > getrefcount(only[0]) - 2  # the dict's reference and the argument's


class Opcodes:
    """What has to be known of the instructions; from the module `opcode` where the target has it loaded."""

    def __init__(self, module):
        names = module["opmap"]
        self.extended = names["EXTENDED_ARG"]
        self.yields = names["YIELD_VALUE"]
        self.swap = names["SWAP"]
        self.skipped = {names[name] for name in _SKIPPED if name in names}
        ends = [number for name, number in names.items() if name.startswith(_ENDS)]
        self.jumps = set(module["hasjump"]).union(ends)
        self.borrows = {v: name.count("BORROW") for name, v in names.items() if name.startswith("LOAD_FAST_BORROW")}
        self.pushes = {number for name, number in names.items() if name.startswith(_PUSHES)}
        self.no_result = {number for name, number in names.items() if name.startswith(_KEEPS_NO_RESULT)}
        self.stack_effect = module["stack_effect"]
        self.have_argument = module["HAVE_ARGUMENT"]

    def yields_above_borrowed(self, code):
        """Return whether the bytes of `code` have a bare yield with a borrowed value below the yielded one.

        One pass over straight lines: borrowed references never cross the end of a block.
        """
        stack = []
        high = 0
        for at in range(0, len(code), 2):
            op = code[at]
            argument = code[at + 1] | high
            high = 0
            if op == self.extended:
                high = argument << 8
            elif op in self.jumps:
                stack = []
            elif op in self.borrows:
                stack += [True] * self.borrows[op]
            elif op == self.yields and True in stack[:-1]:
                return True
            elif op == self.swap:
                if len(stack) >= argument:
                    stack[-1], stack[-argument] = stack[-argument], stack[-1]
            elif op not in self.skipped:
                self._step(stack, op, argument)
        return False

    def _step(self, stack, op, argument):
        """Let any other instruction take its operands from the stack, and leave its results."""
        effect = self.stack_effect(op, argument if op >= self.have_argument else None)
        if op in self.pushes:
            taken = 0
        elif op in self.no_result:
            taken = max(0, -effect)
        else:
            taken = max(1, 1 - effect)
        if taken:
            del stack[-taken:]
        stack += [False] * max(0, taken + effect)


class BorrowedReferences:
    """Takes uncounted references out of what suspended generators, coroutines and asynchronous generators show."""

    def __init__(self):
        self.exist = interpreter_borrows()
        self._opcodes = None
        self._known = {}  # id(code object) -> whether it can suspend on a borrowed reference, for this slice

    def begin_slice(self):
        """Forget all code objects: their ids may mean others by now."""
        self._known.clear()

    def learn(self, modules):
        """Use the target's module `opcode`, which asyncio has loaded; without it any frame in doubt is listed once."""
        module = modules.get("opcode")
        if self.exist and self._opcodes is None and type(module) is Module:
            try:
                self._opcodes = Opcodes(module_dict(module))
            except (KeyError, TypeError):  # another layout, or a program's own module of this name
                pass

    def edges_by_type(self):
        """Yield (type, function that corrects the referents of an instance in place), one per type concerned."""
        if not self.exist:
            return
        for suspended, awaited, code, _ in SUSPENDED.values():
            yield suspended, self._correction(awaited, code)

    def _correction(self, awaited, code):
        def correct(o, refs):
            if awaited(o) is None:
                once = dict(zip(map(id, refs), refs))  # noqa: B905 (3.10 and later)
                if len(once) < len(refs) and self._can_borrow(code(o)):
                    refs[:] = once.values()

        return correct

    def _can_borrow(self, code):
        key = id(code)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._opcodes is None or self._opcodes.yields_above_borrowed(code.co_code)
        return found


def _kinds():
    def generator():
        yield

    async def coroutine():
        pass

    async def asynchronous_generator():
        yield

    started = coroutine()
    started.close()
    for one, prefix, awaited in (
        (generator(), "gi_", "gi_yieldfrom"),
        (started, "cr_", "cr_await"),
        (asynchronous_generator(), "ag_", "ag_await"),
    ):
        members = type(one).__dict__
        name = members["__qualname__"].__get__
        yield type(one), members[awaited].__get__, members[prefix + "code"].__get__, name


# By the id of the type: (type, what one awaits, its code, its qualified name), the last three as functions.
SUSPENDED = {id(entry[0]): entry for entry in _kinds()}
