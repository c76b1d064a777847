"""Where objects are held, as the agent's walk over the heap has found it: large containers, and objects of a type."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

KEPT = 20  # earlier readings of the containers that are kept to tell growth


@dataclass(frozen=True)
class ContainerPlace:
    """The containers of one type at one path, "app.cache.SESSIONS": `items` in all of them together."""

    path: str
    type: str
    containers: int
    items: int
    largest: int


@dataclass(frozen=True)
class ObjectPlace:
    """A path at which objects of a type were met so many times.

    `type` is that of the holder, or "attribute" or "local" where that is a name.
    """

    path: str
    type: str
    references: int
    length: int | None  # items in the largest holder
    examples: tuple[int, ...]  # lengths of some of the objects


@dataclass(frozen=True)
class PlacesQuestion:
    """What to look for: containers of at least `least` items, and objects of a type, "module.qualname"; "" for none."""

    least: int = 1000
    type: str = ""


@dataclass(frozen=True)
class PlacesAnswer:
    """What was found, the largest first. `problem` says why there is no answer, `note` what it leaves out."""

    containers: tuple[ContainerPlace, ...] = ()
    places: tuple[ObjectPlace, ...] = ()
    references: int = 0
    seconds: float = 0.0  # of work in the target
    note: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Containers:
    """One reading of the large containers, at a moment."""

    taken_at: float
    answer: PlacesAnswer
    items: dict[tuple[str, str], int] = field(default_factory=dict)  # by path and type


@dataclass(frozen=True)
class ContainerRecord:
    """The newest reading, earlier ones, oldest first, that of the baseline, and why there is no newer one."""

    newest: Containers | None = None
    earlier: tuple[Containers, ...] = ()
    baseline: Containers | None = None
    problem: str = ""

    def with_answer(self, answer: PlacesAnswer, taken_at: float) -> ContainerRecord:
        """Return the record with a newer reading."""
        if answer.problem:
            return replace(self, problem=answer.problem)
        items = {(each.path, each.type): each.items for each in answer.containers}
        kept = self.earlier if self.newest is None else (*self.earlier, self.newest)
        if len(kept) > KEPT:  # the first one stays, as long as the window may reach back to it
            kept = (kept[0], *kept[2:])
        return ContainerRecord(Containers(taken_at, answer, items), kept, self.baseline)

    def marked(self) -> ContainerRecord:
        """Return the record with the newest reading as the baseline."""
        return replace(self, baseline=self.newest)


NO_CONTAINERS = ContainerRecord()


def items_name(key: tuple[str, str]) -> str:
    """The name of the series that keeps how many items the containers of a path and type have had."""
    return f"items/{key[1]}/{key[0]}"
