"""The verdict: all checks at one moment, what they have found, and what they have not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ...model.snapshot import Snapshot
from .children import Children
from .containers import GrowingContainers
from .everyday import Backlog, BlockedLoop, Descriptors, Garbage, NeverAwaited, Pauses, Threads, Unretrieved
from .finding import LEVELS, Check, Finding, TooEarly
from .look import MAIN_SHARE, Look
from .memory import Kept, Memory, Native, PythonObjects
from .tasks import Tasks

CHECKS: tuple[Check, ...] = (  # in the order of what says most
    Tasks(),
    GrowingContainers(),
    PythonObjects(),
    Native(),
    Kept(),
    Memory(),
    Descriptors(),
    Threads(),
    Children(),
    BlockedLoop(),
    Backlog(),
    Unretrieved(),
    NeverAwaited(),
    Garbage(),
    Pauses(),
)
LITTLE_SHARE = 0.1  # of the growth of all memory
KINDS = tuple(check.name for check in CHECKS)
_OF_MEMORY = ("tasks", "container", "python_objects", "native", "kept", "memory")
_EXPLAINING = ("tasks", "python_objects", "native", "memory")  # a container is one of several explanations


@dataclass(frozen=True)
class Answer:
    """What one check says. `waits` is why it is too early, or why it cannot be told when it is `unseen`; `is_off` is
    whether the user has switched it off."""

    check: Check
    findings: tuple[Finding, ...] = ()
    waits: str = ""
    is_off: bool = False
    unseen: bool = False

    @property
    def state(self) -> str:
        """In two words at most what came of it."""
        if self.is_off:
            return "switched off"
        if self.findings:
            return "found"
        return "not available" if self.unseen else "too early" if self.waits else "nothing"


@dataclass(frozen=True)
class Verdict:
    """All answers, and the findings in them, the most serious first. `text` is one sentence that says the most."""

    findings: tuple[Finding, ...] = ()
    answers: tuple[Answer, ...] = ()
    text: str = ""

    @property
    def worst(self) -> Finding | None:
        """The most serious finding."""
        return self.findings[0] if self.findings else None

    @property
    def of_memory(self) -> Finding | None:
        """The most serious one about memory."""
        return next((each for each in self.findings if each.kind in _OF_MEMORY), None)

    @property
    def waits(self) -> str:
        """Why it cannot be told yet whether memory grows, or what does; "" when it can, or was not asked for."""
        waits = {answer.check.name: answer.waits for answer in self.answers}
        return next((waits[name] for name in ("memory", "python_objects", "native") if waits.get(name)), "")

    @property
    def wants_evidence(self) -> bool:
        """Whether counting objects and looking for containers would say more about what grows."""
        return any(each.kind in ("python_objects", "container", "memory", "native") for each in self.findings)

    def about(self, kind: str, key: object) -> Finding | None:
        """Return the finding that concerns a row: a group's key, a holder's id, an allocator's, a path or a type."""
        for each in self.findings:
            if each.kind in _OF_MEMORY and any(
                step.place.screen == kind and step.place.key == key for step in each.steps
            ):
                return each
        return None


NO_VERDICT = Verdict()


def verdict(snapshot: Snapshot, allowed: Collection[str] = ()) -> Verdict:
    """Return what can be said at the moment of the snapshot. Too early, and nothing to say, are said as well.

    `allowed` are kinds that are not looked for, and names of which nothing is told.
    """
    look = Look(snapshot)
    answers = tuple(_answer(check, look, allowed) for check in CHECKS)
    findings = tuple(sorted(_distinct([f for answer in answers for f in answer.findings]), key=_seriousness))
    about_memory = next((f for f in findings if f.kind in _OF_MEMORY), findings[0] if findings else None)
    if about_memory is not None:
        text = about_memory.summary
    elif not look.memory_is_known:
        text = "Too early to tell whether memory grows."
    elif not look.memory_grows:
        text = "Memory is steady."
    elif any(each.waits and not each.unseen for each in answers if each.check.name in _EXPLAINING):
        text = "Memory grows; it is too early to tell what does."
    else:
        text = "Memory grows, by what was allowed to."
    return Verdict(findings, answers, text)


def _distinct(found: list[Finding]) -> list[Finding]:
    """The findings without those that say the same again: the container that holds the tasks, and objects without a
    name where a container grows that has one."""
    of_tasks = {each.holder for each in found if each.kind == "tasks"}
    kept = [each for each in found if each.kind != "container" or each.holder not in of_tasks]
    has_container = any(each.kind == "container" for each in kept)
    return [each for each in kept if each.kind != "python_objects" or not has_container]


def _answer(check: Check, look: Look, allowed: Collection[str]) -> Answer:
    if check.name in allowed:
        return Answer(check, is_off=True)
    found = check.check(look)
    if isinstance(found, TooEarly):
        return Answer(check, waits=found.reason, unseen=found.for_good)
    return Answer(check, tuple(f for f in found if f.name not in allowed and f.holder not in allowed))


def _seriousness(finding: Finding) -> tuple[int, int, int]:
    """The level first, then what explains most of the growth, then the order of the checks.

    Of some it is not known what they explain: they come before those of which it is known that it is little, and what
    has a name in the program and may well explain all comes before the allocator that it grows in.
    """
    part = finding.explains
    explains = (
        0 if finding.leads else 1 if part is None else 0 if part >= MAIN_SHARE else 2 if part < LITTLE_SHARE else 1
    )
    return LEVELS.index(finding.level), explains, KINDS.index(finding.kind)
