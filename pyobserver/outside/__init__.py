"""What is read about a process without its help: /proc, control groups, the heap of CPython, stacks by py-spy."""

from ..model.readings import (
    Allocator,
    Category,
    ChildProcess,
    Frame,
    Identity,
    Limit,
    MemoryLimit,
    MemoryReading,
    ProcessReading,
    PythonProcess,
    ThreadLimit,
    ThreadStack,
)
from .errors import OutsideError, TargetGone
from .killer import KillWatch
from .limits import memory_limit, memory_limits
from .memory import MemoryProbe
from .pressure import memory_pressure
from .process import ProcessProbe
from .processes import children, pythons
from .stacks import StackProbe
from .thread_limits import thread_limit

__all__ = [
    "Allocator",
    "Category",
    "ChildProcess",
    "Frame",
    "Identity",
    "KillWatch",
    "Limit",
    "MemoryLimit",
    "MemoryProbe",
    "MemoryReading",
    "OutsideError",
    "ProcessProbe",
    "ProcessReading",
    "PythonProcess",
    "StackProbe",
    "TargetGone",
    "ThreadLimit",
    "ThreadStack",
    "children",
    "memory_limit",
    "memory_limits",
    "memory_pressure",
    "pythons",
    "thread_limit",
]
