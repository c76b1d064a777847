"""The history of a recording up to a moment, read from its blocks when somebody asks for a part of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..model.history import COARSE, NO_CURVE, TIERS, Curve, History, Tiers
from .cells import NO_CELLS, Cells, coarser

KEPT_BLOCKS = 200  # decoded ones, of all sizes
SPARSEST = 2.0  # seconds between two readings of the slowest series: it fills cells of one second by half
LAST_SECONDS = 600.0  # how far back the last reading of a series is looked for


@dataclass(frozen=True)
class Block:
    """Where the cells of some time are: `seconds` is 1 for the finest ones, whatever they are."""

    seconds: float
    begin: float
    until: float


class Blocks:
    """The blocks of a recording, and those cells that are in none yet. `load` gets the content of one, None if lost."""

    def __init__(self, load: Callable[[Block], dict[int, Cells] | None]) -> None:
        self._load = load
        self._decoded: OrderedDict[Block, dict[int, Cells]] = OrderedDict()
        self.listed: dict[float, list[Block]] = {}
        self.recent: list[tuple[float, dict[int, Cells]]] = []  # time, cells
        self.series: dict[str, tuple[int, float, float]] = {}  # name -> number, seconds of its finest cells, begin

    def list_all(self, blocks: Iterable[Block]) -> None:
        """Say which blocks there are, ascending."""
        self.listed = {}
        for block in blocks:
            self.listed.setdefault(block.seconds, []).append(block)

    def _of(self, block: Block) -> dict[int, Cells]:
        found = self._decoded.get(block)
        if found is None:
            found = self._decoded[block] = self._load(block) or {}
            while len(self._decoded) > KEPT_BLOCKS:
                self._decoded.popitem(last=False)
        else:
            self._decoded.move_to_end(block)
        return found

    def cells(self, name: str, seconds: float, since: float, until: float) -> Cells:
        """Return the cells of a series of a width, from `since` to `until`, those before that are not over included.

        What is not in blocks of this width yet is put together from finer ones.
        """
        number, finest, _ = self.series[name]
        parts: list[Cells] = []
        for width in (*(w for w in (60.0, 10.0) if finest < w <= seconds), 1.0):
            own = finest if width == 1.0 else width
            for block in self.listed.get(width, ()):
                if block.until <= since or block.begin > until:
                    continue
                cells = self._of(block).get(number, NO_CELLS)
                ends = cells[:, 0] + own
                latest = until + own if width == 1.0 else until  # the last of the finest ones may go on
                chosen = cells[(ends > since) & (ends <= min(block.until, latest))]
                if len(chosen):
                    parts.append(chosen)
                    since = max(since, float(chosen[-1, 0]) + own)
        parts.append(self._recent(number, since, until, finest))
        found = [part for part in parts if len(part)]
        cells = np.concatenate(found) if found else NO_CELLS
        return coarser(cells, seconds) if seconds > finest else cells

    def _recent(self, number: int, since: float, until: float, width: float) -> Cells:
        """Cells that are in no block yet, each as it was last written by then."""
        found: dict[float, Cells] = {}
        for time, cells in self.recent:
            if time <= until:
                for cell in cells.get(number, NO_CELLS):
                    if cell[0] + width > since and cell[0] <= until:
                        found[float(cell[0])] = cell
        return np.array([found[start] for start in sorted(found)]) if found else NO_CELLS


class RecordedHistory(History):
    """What was known of all series at a moment."""

    def __init__(self, blocks: Blocks, until: float, lock: threading.RLock) -> None:
        super().__init__()
        self._blocks = blocks
        self._until = until
        self._reading = lock  # of the file, which is read when somebody asks

    def curve(self, name: str, since: float) -> Curve:
        """Return the cells of the tier that a live history would have taken."""
        known = self._blocks.series.get(name)
        if known is None:
            return NO_CURVE
        tiers = TIERS if known[1] < COARSE[0][0] else COARSE
        with self._reading:
            cells = self._reaching(name, tiers, known[2], since)
        if not len(cells):
            return NO_CURVE
        return Curve(cells[:, 0], cells[:, 1], cells[:, 2] / cells[:, 4], cells[:, 3])

    def _reaching(self, name: str, tiers: Tiers, begin: float, since: float) -> Cells:
        """The finest cells of which a live history would have those that reach back so far, or to the beginning."""
        back = self._until - max(since, begin)
        for seconds, count in tiers[:-1]:
            if back > 1.1 * SPARSEST * seconds * count:
                continue
            cells = self._blocks.cells(name, seconds, since, self._until)
            later = int((cells[:, 0] > since).sum())
            if later < count or (later == count and begin >= since):
                return cells
        return self._blocks.cells(name, tiers[-1][0], since, self._until)

    def peak(self, name: str) -> float | None:
        """Return the largest value up to the moment."""
        highs = self.curve(name, float("-inf")).high
        return float(highs.max()) if len(highs) else None

    def last(self, name: str) -> tuple[float, float] | None:
        """Return the last value before the moment, with its time."""
        curve = self.curve(name, self._until - LAST_SECONDS)
        return (float(curve.times[-1]), float(curve.mean[-1])) if len(curve) else None

    def names(self) -> list[str]:
        """Return the names of all series."""
        return list(self._blocks.series)
