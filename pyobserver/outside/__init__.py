"""What is read about a process without its help: /proc, control groups, the heap of CPython, stacks by py-spy."""

from .errors import OutsideError, TargetGone
from .limits import MemoryLimit, memory_limit, memory_limits
from .memory import MemoryProbe
from .process import Identity, Limit, ProcessProbe, ProcessReading
from .processes import ChildProcess, PythonProcess, children, pythons
from .readings import Allocator, Category, MemoryReading
from .stacks import Frame, StackProbe, ThreadStack

__all__ = [
    "Allocator",
    "Category",
    "ChildProcess",
    "Frame",
    "Identity",
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
    "ThreadStack",
    "children",
    "memory_limit",
    "memory_limits",
    "pythons",
]
