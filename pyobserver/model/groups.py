"""Rows of one kind and function, summed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..protocol import schema
from .tasks import Tasks

GroupKey = tuple[int, int, bool]  # kind, function (an index of the texts), done but still held


@dataclass(frozen=True)
class GroupSums:
    """The living rows of one group. `bytes` is estimated from the measured ones where some are not."""

    count: int
    measured: int
    bytes: float


def group_name(key: GroupKey, quantity: str) -> str:
    """The name of the series that keeps the history of a group's "count" or "bytes"."""
    return f"group/{key[0]}/{key[1]}/{int(key[2])}/{quantity}"


def group_numbers(tasks: Tasks) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """One number per row that tells its group; `group_key` turns it back."""
    held = (tasks["state"] == schema.STATE_DONE_HELD) & (tasks["kind"] != schema.KIND_CHILD)
    kinds = tasks["kind"].astype(np.int64) << 33
    return np.asarray(kinds | tasks["function"].astype(np.int64) << 1 | held, np.int64)


def group_key(number: int) -> GroupKey:
    """The key of the group that `group_numbers` gave this number."""
    return number >> 33, number >> 1 & 0xFFFFFFFF, bool(number & 1)


def group_sums(tasks: Tasks) -> dict[GroupKey, GroupSums]:
    """Count and bytes by group, of rows that have not ended."""
    alive = np.isnan(tasks["ended_at"].astype(np.float64))
    numbers = group_numbers(tasks)[alive]
    retained = tasks["retained"].astype(np.float64)[alive]
    if not len(numbers):
        return {}
    unique, which = np.unique(numbers, return_inverse=True)
    counts = np.bincount(which)
    known = retained >= 0
    measured = np.bincount(which[known], minlength=len(unique))
    sums = np.bincount(which[known], retained[known], minlength=len(unique))
    estimates = np.divide(sums * counts, measured, out=np.zeros(len(unique)), where=measured > 0)
    rows = zip(unique.tolist(), counts.tolist(), measured.tolist(), estimates.tolist(), strict=True)
    return {group_key(number): GroupSums(c, m, b) for number, c, m, b in rows}
