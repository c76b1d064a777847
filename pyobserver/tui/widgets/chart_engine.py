"""Draws lines into a canvas of braille characters; the only module that knows plotext.

What plotext 5.3 does with bad input decides what it is given: an infinity is a ValueError, a point far outside the
limits costs seconds (a thousand times the range: 1.2 s, ten thousand times: 21 s), and a figure that was once built
empty keeps limits of its own. So every value is checked, clamped into the limits and thinned out, and every build
starts from a cleared figure with explicit limits. A process has one figure: only one thread may build at a time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .chart_view import Array

LARGEST = 1e18  # an exabyte: what claims to be more is a wrong reading, and left out like an unknown one

Run = tuple[str, int | None]
"""Some characters of a line, and the number of the series whose colour they have."""


@dataclass(frozen=True, eq=False)
class Trace:
    """The points of one series, of any quality."""

    xs: Array
    ys: Array


class ChartEngine(Protocol):
    """Draws traces into a canvas."""

    def draw(
        self, traces: Sequence[Trace], width: int, height: int, x: tuple[float, float], y: tuple[float, float]
    ) -> list[list[Run]]:
        """Returns `height` lines of exactly `width` cells, for the given first and last x, least and greatest y."""
        ...


def known(trace: Trace, x: tuple[float, float]) -> Trace:
    """The points within the window, ascending, with NaN for every value that is none."""
    size = min(trace.xs.size, trace.ys.size)
    xs, ys = np.asarray(trace.xs[:size], dtype=float), np.asarray(trace.ys[:size], dtype=float)
    inside = (xs >= x[0]) & (xs <= x[1])
    xs, ys = xs[inside], ys[inside]
    if xs.size > 1 and bool(np.any(np.diff(xs) < 0)):
        order = np.argsort(xs, kind="stable")
        xs, ys = xs[order], ys[order]
    with np.errstate(invalid="ignore"):
        ys = np.where(np.abs(ys) <= LARGEST, ys, np.nan)
    return Trace(xs, ys)


def thinned(trace: Trace, columns: int, x: tuple[float, float]) -> Trace:
    """At most two points for each column, its least and its greatest value, so that no spike is lost.

    A column whose values are all unknown stays a gap; one in which there was no reading does not become one.
    """
    if trace.xs.size <= 2 * columns or x[1] <= x[0]:
        return trace
    column = np.clip(((trace.xs - x[0]) * (columns / (x[1] - x[0]))).astype(int), 0, columns - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    ends = np.append(starts[1:], trace.xs.size) - 1
    least, greatest = np.fmin.reduceat(trace.ys, starts), np.fmax.reduceat(trace.ys, starts)
    with np.errstate(invalid="ignore"):
        rises = trace.ys[ends] >= trace.ys[starts]
    xs, ys = np.empty(2 * starts.size), np.empty(2 * starts.size)
    at = np.where(
        np.isfinite(trace.ys), trace.xs, np.nan
    )  # so that a gap does not shrink by what it shares a column with
    first, last = np.fmin.reduceat(at, starts), np.fmax.reduceat(at, starts)
    xs[0::2] = np.where(np.isnan(first), trace.xs[starts], first)
    xs[1::2] = np.where(np.isnan(last), trace.xs[ends], last)
    ys[0::2], ys[1::2] = np.where(rises, least, greatest), np.where(rises, greatest, least)
    return Trace(xs, ys)


def stretches(trace: Trace) -> list[Trace]:
    """The parts of a trace between its gaps, none of them empty."""
    at = np.flatnonzero(np.isfinite(trace.ys))
    if not at.size:
        return []
    parts = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)
    return [Trace(trace.xs[part], trace.ys[part]) for part in parts]


class PlotextEngine:
    """plotext 5, by its public functions of the module. Later traces cover earlier ones where they cross."""

    def draw(
        self, traces: Sequence[Trace], width: int, height: int, x: tuple[float, float], y: tuple[float, float]
    ) -> list[list[Run]]:
        import plotext  # here, in the thread of the charts, as it takes longer than a frame

        plotext.clear_figure()
        plotext.limit_size(False, False)
        plotext.plot_size(width, height)
        plotext.theme("clear")
        plotext.frame(False)
        plotext.xticks([])
        plotext.yticks([])
        plotext.xlim(0.0, 1.0)
        plotext.ylim(0.0, 1.0)
        for number, trace in enumerate(traces):
            for part in stretches(thinned(known(trace, x), width, x)):
                xs = ((part.xs - x[0]) / (x[1] - x[0])).tolist()
                ys = ((np.clip(part.ys, *y) - y[0]) / (y[1] - y[0])).tolist()
                draw = plotext.plot if len(xs) > 1 else plotext.scatter
                draw(xs, ys, marker="braille", color=FIRST_COLOR + number)
        text: str = plotext.build()
        plotext.clear_figure()
        lines = [_runs(line, width) for line in text.split("\n")[:height]]
        return lines + [[(" " * width, None)] for _ in range(height - len(lines))]


FIRST_COLOR = 16  # of 256: each series has a number of its own there, by which its characters are recognised
_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


def _runs(line: str, width: int) -> list[Run]:
    """A line of plotext's output as runs of exactly `width` cells; all its characters are one cell wide."""
    runs: list[Run] = []
    series: int | None = None
    left = width
    for position, part in enumerate(_ESCAPE.split(line)):
        if position % 2:
            series = int(part.rsplit(";", 1)[1]) - FIRST_COLOR if part.startswith("38;5;") else None
        elif part and left:
            runs.append((part[:left], series))
            left -= len(runs[-1][0])
    if left:
        runs.append((" " * left, None))
    return runs
