"""The order of names, kept from one moment to the next: of 100,000 names only those that are new are looked at."""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_DIGITS = "0123456789"
_WIDTH = 20
_FEW = 16  # one part in so many is new: it is put into the order, else all is sorted


def natural(name: str) -> str:
    """A text that sorts as people expect of `name`: in any case, and by the number at its end."""
    stem = name.rstrip(_DIGITS)
    return (stem + name[len(stem) :].zfill(_WIDTH) if len(stem) < len(name) else name).casefold()


class NameOrder:
    """Ranks the names of rows. It remembers the last order, as the next one is nearly the same; safe on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: Ints = np.empty(0, np.int64)
        self._keys: list[str] = []  # by position
        self._order: Ints = np.empty(0, np.int64)  # positions by key
        self._ranks: Ints = np.empty(0, np.int64)  # in that order: ascending, equal for equal keys

    def ranks(self, names: list[str], versions: Ints) -> NDArray[np.float64]:
        """Return the place of each name among all, equal for equal keys; NaN for an empty name.

        A position whose version is that of the call before has the same name: whoever keeps rows at their positions
        pays for what is new only.
        """
        with self._lock:
            fresh = self._renew(names, versions)
            at = np.flatnonzero(fresh)
            if len(at) * _FEW > len(names):
                self._sort(len(names))
            else:
                self._keep(~fresh)
                self._insert(sorted(at.tolist(), key=self._keys.__getitem__))
            found = np.empty(len(names))
            found[self._order] = self._ranks
            if len(names) and not self._keys[self._order[0]]:
                found[self._order[self._ranks == self._ranks[0]]] = np.nan
            return found

    def _renew(self, names: list[str], versions: Ints) -> NDArray[np.bool_]:
        """Take over the names; return which positions have another one than before."""
        common = min(len(names), len(self._keys))
        fresh = np.ones(len(names), bool)
        fresh[:common] = versions[:common] != self._versions[:common]
        del self._keys[len(names) :]
        self._keys.extend([""] * (len(names) - len(self._keys)))
        for position in np.flatnonzero(fresh).tolist():
            self._keys[position] = natural(names[position])
        self._versions = versions
        return fresh

    def _sort(self, count: int) -> None:
        key = self._keys.__getitem__
        order = sorted(range(count), key=key)
        self._order = np.array(order, np.int64)
        self._ranks = np.cumsum(_steps(list(map(key, order))))

    def _keep(self, stays: NDArray[np.bool_]) -> None:
        left = self._order < len(stays)
        left[left] = stays[self._order[left]]
        self._order, self._ranks = self._order[left], self._ranks[left]

    def _insert(self, fresh: list[int]) -> None:
        """Put positions, in the order of their keys, where they belong: each before what has the same key."""
        if not fresh:
            return
        keys = [self._keys[position] for position in fresh]
        places: list[int] = []
        for key in keys:
            lowest = places[-1] if places else 0
            places.append(bisect_left(self._order, key, lowest, key=self._keys.__getitem__))
        steps = np.concatenate([[True], np.diff(self._ranks) > 0])[: len(self._order)]
        for key, place in zip(keys, places, strict=True):
            if place < len(steps):
                steps[place] = self._keys[self._order[place]] != key
        self._ranks = np.cumsum(np.insert(steps, places, _steps(keys)))
        self._order = np.insert(self._order, places, fresh)


def _steps(keys: list[str]) -> NDArray[np.bool_]:
    """Where sorted keys differ from the one before; the first does."""
    return np.array([True, *(a != b for a, b in pairwise(keys))][: len(keys)], bool)
