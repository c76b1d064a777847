"""Rows of one kind and function, summed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..protocol import schema
from .tasks import Tasks

Ints = NDArray[np.int64]
GroupKey = tuple[int, int, bool]  # kind, function (an index of the texts), done but still held


@dataclass(frozen=True)
class GroupSums:
    """The living rows of one group. `bytes` is estimated from the measured ones where some are not, and so is `count`
    where not all tasks have rows."""

    count: int
    measured: int
    bytes: float
    is_estimate: bool = False  # the count
    at_least: float = 0.0  # bytes of those of which some could not be followed


def group_name(key: GroupKey, quantity: str) -> str:
    """The name of the series that keeps the history of a group's "count" or "bytes"."""
    return f"group/{key[0]}/{key[1]}/{int(key[2])}/{quantity}"


def group_numbers(tasks: Tasks) -> Ints:
    """One number per row that tells its group; `group_key` turns it back."""
    held = (tasks["state"] == schema.STATE_DONE_HELD) & (tasks["kind"] != schema.KIND_CHILD)
    functions = tasks["function"].astype(np.int64) << 9
    return np.asarray(functions | tasks["kind"].astype(np.int64) << 1 | held, np.int64)


def group_number(key: GroupKey) -> int:
    """The number that `group_numbers` gives to rows of this group."""
    return key[1] << 9 | key[0] << 1 | int(key[2])


def group_key(number: int) -> GroupKey:
    """The key of the group that `group_numbers` gave this number."""
    return number >> 1 & 0xFF, number >> 9, bool(number & 1)


def distinct(numbers: Ints) -> tuple[Ints, Ints]:
    """Return the different values of `numbers`, none of which is negative, ascending; and for each its place there.

    As `numpy.unique`, but by counting where the values lie close enough: 100,000 rows in 1 ms instead of 9.
    """
    largest = int(numbers.max(initial=0))
    if largest > 4 * len(numbers) + 65_536:
        values, places = np.unique(numbers, return_inverse=True)
        return values, places
    there = np.zeros(largest + 1, bool)
    there[numbers] = True
    values = np.flatnonzero(there)
    table = np.zeros(largest + 1, np.int64)
    table[values] = np.arange(len(values))
    return values, table[numbers]


def sorted_by(numbers: Ints) -> Ints:
    """Return the places of `numbers`, none of which is negative, in ascending order; equal ones keep theirs.

    Numbers below 65,536 are counted instead of compared: 100,000 rows in 0.7 ms instead of 7.
    """
    small = int(numbers.max(initial=0)) <= 0xFFFF
    return np.argsort(numbers.astype(np.uint16) if small else numbers, kind="stable")


def group_sums(tasks: Tasks) -> dict[GroupKey, GroupSums]:
    """Count and bytes by group, of rows that have not ended."""
    alive = tasks.alive
    numbers = group_numbers(tasks)[alive]
    if not len(numbers):
        return {}
    groups, which = distinct(numbers)
    retained = tasks["retained"].astype(np.float64)[alive]
    counts = np.bincount(which)
    known = retained >= 0
    measured = np.bincount(which[known], minlength=len(groups))
    is_part = (tasks.known_share < 1) & ((groups >> 1 & 0xFF) == schema.KIND_TASK)
    counts = np.where(is_part, np.rint(counts / tasks.known_share), counts).astype(np.int64)
    sums = np.bincount(which[known], retained[known], minlength=len(groups))
    estimates = np.divide(sums * counts, measured, out=np.zeros(len(groups)), where=measured > 0)
    bound = known & (tasks["accuracy"][alive] == schema.AT_LEAST)
    at_least = np.bincount(which[bound], retained[bound], minlength=len(groups))
    columns = (groups, counts, measured, estimates, is_part, at_least)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {group_key(number): GroupSums(*sums) for number, *sums in rows}
