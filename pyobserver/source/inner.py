"""What the agent says of allocators of libraries, as the model's objects: checked and cleaned."""

from __future__ import annotations

from typing import Any

from ..model.readings import InnerAllocator
from ..protocol import schema
from ..protocol.clean import clean
from . import fields
from .errors import MessageError

MOST = 64
_MOST_BYTES = 1 << 48
_DETAIL = 40  # characters
_BACKENDS = {"system": "c_heap"}  # all others of Arrow map their memory themselves


def allocators(head: dict[str, Any]) -> tuple[InnerAllocator, ...]:
    """Return the allocators in a tick: Arrow's within what holds its memory, a GPU's within nothing."""
    found = fields.parts(head, "allocators", 7)
    if len(found) > MOST:
        raise MessageError(f"allocators: more than {MOST}")
    return tuple(_allocator(*entry) for entry in found)


def _allocator(name: Any, detail: Any, in_use: Any, held: Any, peak: Any, split: Any, why: Any) -> InnerAllocator:
    if name not in schema.ALLOCATORS:
        raise MessageError("allocators: one that this protocol does not know")
    if type(detail) is not str or type(why) is not str:
        raise MessageError("allocators: a text that is none")
    detail = clean(detail, _DETAIL)
    sizes = (_size(in_use), _size(held), _size(peak))
    reason = clean(why, fields.MAX_TEXT)
    if name == "cuda":
        key, label = (f"cuda:{detail}", f"GPU {detail} (PyTorch)") if detail else ("cuda", "GPU (PyTorch)")
        return InnerAllocator(key, label, "", *sizes, split=_size(split), why=reason)
    label = f"Arrow ({detail})" if detail else "Arrow"
    return InnerAllocator("arrow", label, _BACKENDS.get(detail, "native_other"), *sizes, why=reason)


def _size(value: Any) -> int | None:
    """A size that cannot be is not known."""
    return value if type(value) is int and 0 <= value < _MOST_BYTES else None
