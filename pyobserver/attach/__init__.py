"""Gets a script into a running CPython process that nobody prepared, or says why not."""

from .errors import AttachError
from .gates import Examination, examine
from .injector import Injection, inject

__all__ = ["AttachError", "Examination", "Injection", "examine", "inject"]
