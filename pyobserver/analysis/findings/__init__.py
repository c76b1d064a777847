"""What is wrong, with its evidence: one small check for each kind of problem, each with its threshold."""

from .finding import LEVEL_WORDS, LEVELS, Check, Finding, Level, Place, Screen, Step, TooEarly
from .tasks import holder_of
from .verdict import KINDS, NO_VERDICT, Answer, Verdict, verdict

__all__ = [
    "KINDS",
    "LEVELS",
    "LEVEL_WORDS",
    "NO_VERDICT",
    "Answer",
    "Check",
    "Finding",
    "Level",
    "Place",
    "Screen",
    "Step",
    "TooEarly",
    "Verdict",
    "holder_of",
    "verdict",
]
