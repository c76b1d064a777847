"""What differs between two trees of JSON, as a tree again: most of what is read each second is what it was before.

A patch is `[tree]`: this instead; `0`: it is gone; or an object with the patches of the members, by key or by place,
that differ.
"""

from __future__ import annotations

from typing import Any

from .errors import Damaged

GONE = 0


def difference(old: Any, new: Any) -> Any:
    """Return the patch that makes `new` of `old`, None where they are equal."""
    if type(old) is type(new):
        if type(new) is dict:
            return _of_objects(old, new)
        if type(new) is list and len(old) == len(new):
            changes = {}
            for place, (before, after) in enumerate(zip(old, new, strict=True)):
                if before is not after and (change := difference(before, after)) is not None:
                    changes[str(place)] = change
            return changes or None
        if old == new:
            return None
    return [new]


def _of_objects(old: dict[str, Any], new: dict[str, Any]) -> Any:
    changes: dict[str, Any] = {}
    for key, after in new.items():
        if key not in old:
            changes[key] = [after]
        elif old[key] is not after and (change := difference(old[key], after)) is not None:
            changes[key] = change
    for key in old:
        if key not in new:
            changes[key] = GONE
    return changes or None


def patched(old: Any, patch: Any) -> Any:
    """Return what the patch makes of `old`; trees that it changes are changed in place. Raises Damaged."""
    if type(patch) is list and len(patch) == 1:
        return patch[0]
    if type(patch) is not dict:
        raise Damaged("a change that is none")
    if type(old) is dict:
        for key, change in patch.items():
            if change == GONE and type(change) is int:
                old.pop(key, None)
            else:
                old[key] = patched(old.get(key), change)
        return old
    if type(old) is list:
        for key, change in patch.items():
            if not key.isdecimal() or len(key) > 9 or int(key) >= len(old):
                raise Damaged("a change of what is not there")
            old[int(key)] = patched(old[int(key)], change)
        return old
    raise Damaged("a change of what is not there")
