"""Everything about one task or one group, as it was asked for: what it does, what it keeps, and who keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ChainFrame:
    """One coroutine of the chain of awaits. `line` is None where it could not be read."""

    function: str
    file: str
    line: int | None


@dataclass(frozen=True)
class Variable:
    """A local variable of one coroutine of the chain. `value` is how its value begins, where that was asked for."""

    function: str
    name: str
    type: str
    length: int | None
    value: str = ""


@dataclass(frozen=True)
class DetailAnswer:
    """The answer about the row `id`; sizes in bytes, texts cleaned. `problem` says why there is none, or is empty.

    `chain` begins with what the task was started with and ends with what it waits in. `accuracy` is one of
    `schema.ACCURACIES`, and `error` the 95 % error of `retained` where that is sampled.
    """

    id: int
    chain: tuple[ChainFrame, ...] = ()
    waits: str = ""  # what it waits on, with all that is known of that
    by_type: tuple[tuple[str, int, int], ...] = ()  # (type, count, bytes), largest first
    biggest: tuple[tuple[str, str, int | None, int, str], ...] = ()  # (path, type, length, bytes, value), largest first
    variables: tuple[Variable, ...] = ()  # of the innermost coroutines
    retained: int | None = None
    accuracy: str = "unavailable"
    error: int = 0
    awaited_by: tuple[tuple[int, str], ...] = ()  # (row id, label)
    holders: tuple[tuple[str, str, int | None], ...] = ()  # (path, type, length)
    created_at: float | None = None  # Unix time; None when it was created before anybody looked
    spawned_at: str = ""  # "file:line function" of where it was made, "" where nobody has noted it
    spawned_by: tuple[tuple[int, str], ...] = ()  # (row id, label) of the task that has made it, where that is known
    blocked: int = 0  # how often it was seen holding its loop, each time for 5 ms or more
    note: str = ""  # what could not be had, and why
    problem: str = ""


@dataclass(frozen=True)
class GroupQuestion:
    """Which rows are meant: those of the kind and function of the first row of `like` that lives, or all; of them
    those which hang directly under the node `node`, if there is one.

    With `done` it is those that are done and still held by somebody, else those that are not.
    """

    like: tuple[int, ...] = ()
    node: int | None = None
    done: bool = False
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class SharedObject:
    """An object that several members refer to. `length` is None for what has none."""

    path: str
    type: str
    length: int | None
    bytes: int
    members: int


@dataclass(frozen=True)
class GroupAnswer:
    """What a group retains together; sizes in bytes, texts cleaned. `problem` says why there is no answer, or is empty.

    `alone` is the sum of what each retains, `together` that and what only they share, in `common` the largest of it.
    `shared` is what others hold too: each object with what it retains itself; their sum is `shared_bytes`. Of `members`
    `looked_at` were measured, `moved` of them have run meanwhile, and `ended` have ended. `by_type` is estimated
    from `by_type_members` of them. `seconds` is the work of the agent.
    """

    members: int = 0
    looked_at: int = 0
    moved: int = 0
    ended: int = 0
    alone: int | None = None
    alone_accuracy: str = "unavailable"
    alone_error: int = 0
    together: int | None = None
    together_accuracy: str = "unavailable"
    together_error: int = 0
    common: tuple[SharedObject, ...] = ()  # largest first
    shared_bytes: int = 0
    shared_objects: int = 0
    shared: tuple[SharedObject, ...] = ()  # largest first
    by_type: tuple[tuple[str, int, int], ...] = ()  # (type, count, bytes), largest first
    by_type_members: int = 0
    seconds: float = 0.0
    note: str = ""
    problem: str = ""

    @property
    def refusal(self) -> str:
        """Why there is no number in it, "" where there is one."""
        return self.problem or (self.note if not self.looked_at else "")
