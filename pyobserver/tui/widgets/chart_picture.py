"""Puts a chart together: legend, axes, limit and the canvas between them, as lines of text with roles for colours.

The result knows no colour, so that another theme needs no new drawing. Which line is which is told without colours too:
every series has a number, in the legend and at the right edge where its line ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...analysis import format as fmt
from .chart_areas import PATTERNS, column_means, filled_in, paint, stacked
from .chart_axes import Axis, time_axis, value_axis
from .chart_engine import ChartEngine, Run, Trace, known
from .chart_view import SLOTS, ChartSeries, ChartView, Unit
from .text import shorten, width_of

Piece = tuple[str, str]
"""Text and its role: "axis", "limit", "title", "text", "" or "s1" to "s7" for the slots of the series."""

LEGEND_LABEL = 28  # cells at most
SHORT_LABEL = 9  # where there is no room for more
LIMIT_IN_REACH = 2.0  # times the largest value: further away, the limit would press the lines to the ground
MARKS = 2  # cells at the right for the numbers of the series
FINE = 400  # columns in which the height of areas together is looked for
HEADROOM = 0.02  # of the range, so that a line does not run along the upper edge
LEAST_PLOT = (8, 2)  # cells: below that there is only the legend
DASH = "┄"


@dataclass(frozen=True)
class Picture:
    """Finished lines, each of exactly `width` cells."""

    width: int
    height: int
    lines: tuple[tuple[Piece, ...], ...]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A series within the window: what the legend and the scale need of it."""

    number: int
    series: ChartSeries
    trace: Trace
    values: np.ndarray[tuple[int], np.dtype[np.float64]]
    sign: str = "━"  # what it is drawn with

    @property
    def role(self) -> str:
        return f"s{self.series.color % SLOTS + 1}"


def compose_chart(view: ChartView, width: int, height: int, engine: ChartEngine) -> Picture:
    """Draws `view` into `width` by `height` cells, however few these are."""
    if width <= 0 or height <= 0:
        return Picture(max(0, width), max(0, height), ((),) * max(0, height))
    drawn = []
    for number, series in enumerate(view.series, 1):
        trace = known(Trace(series.xs, series.ys), view.window)
        sign = PATTERNS[series.color % len(PATTERNS)] if view.areas else "━"
        drawn.append(_Drawn(number, series, trace, trace.ys[np.isfinite(trace.ys)], sign))
    top = _top(view, drawn)
    reached = view.limit is not None and 0 < view.limit[0] <= LIMIT_IN_REACH * top
    lines = _legend(view, drawn, reached, width, max(1, height // 4))
    rest = height - len(lines)
    if rest > 0:
        lines += _plot(view, drawn, reached, width, rest, engine)
    return Picture(width, height, tuple(tuple(_exactly(line, width)) for line in lines[:height]))


def _top(view: ChartView, drawn: list[_Drawn]) -> float:
    """The largest value of all, or of all together where they add up."""
    largest = [float(each.values.max()) for each in drawn if each.values.size]
    if not view.areas or view.window[1] <= view.window[0]:
        return max(largest, default=0.0)
    edges = _edges(drawn, FINE, view)
    return float(np.nanmax(edges[-1])) if largest and np.isfinite(edges[-1:]).any() else 0.0


def _edges(drawn: list[_Drawn], columns: int, view: ChartView) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The upper edges of the areas in each column."""
    means = column_means([each.trace for each in drawn], columns, view.window)
    return stacked(filled_in(means, [each.series.fills_in for each in drawn]))


def _exactly(line: list[Piece], width: int) -> list[Piece]:
    """The pieces cut or filled to `width` cells."""
    fitted, left = [], width
    for text, role in line:
        text = shorten(text, left)
        left -= width_of(text)
        fitted.append((text, role))
        if not left:
            return fitted
    return [*fitted, (" " * left, "")]


# The legend.


def value_text(value: float | None, unit: Unit) -> str:
    """A value of a chart as the legend and a readout show it."""
    if unit == "bytes":
        return fmt.bytes_text(value)
    return fmt.count(value) if unit == "count" else fmt.percent(value)


def change_text(change: float | None, unit: Unit) -> str:
    """A change of a value, with its sign."""
    if unit == "bytes":
        return fmt.growth_bytes(change)
    if unit == "count":
        return fmt.growth_count(change)
    return fmt.UNKNOWN if change is None else f"{change * 100:+.0f} %"


def _legend(view: ChartView, drawn: list[_Drawn], reached: bool, width: int, most: int) -> list[list[Piece]]:
    """At most `most` lines: title, limit, and an entry for each series, with as much in it as there is room for."""
    title: list[list[Piece]] = [[(view.title, "title")]] if view.title else []
    limit: list[list[Piece]] = []
    if view.limit is not None:
        value, source = view.limit
        where = "" if reached else ", above the chart"
        limit.append([(f"{DASH}{DASH} limit {value_text(value, view.unit)} ({source}){where}", "limit")])
    for figures in (2, 1, 0):
        lines = _flow([*title, *limit, *(_entry(each, view.unit, figures) for each in drawn)], width)
        if len(lines) <= most:
            return lines
    if not reached:  # a limit that is far away is not worth that names are cut for it
        lines = _flow([*title, *(_entry(each, view.unit, 0) for each in drawn)], width)
        if len(lines) <= most:
            return lines
    return _flow([*(_entry(each, view.unit, 0, SHORT_LABEL) for each in drawn), *limit, *title], width)[:most]


def _flow(entries: list[list[Piece]], width: int) -> list[list[Piece]]:
    """Writes entries one behind the other, each as a whole on one line."""
    lines: list[list[Piece]] = []
    used = width
    for entry in entries:
        size = sum(width_of(text) for text, _ in entry)
        if used + 3 + size > width:
            lines.append([(" ", ""), *entry])
            used = 1 + size
        else:
            lines[-1] += [("   ", ""), *entry]
            used += 3 + size
    return lines


def _entry(each: _Drawn, unit: Unit, figures: int, most: int = LEGEND_LABEL) -> list[Piece]:
    """Number, colour and label of a series; with one figure its last value, with two also its change in the window."""
    label = shorten(each.series.label, most, "start")
    pieces = [(f"{each.number}{each.sign} {label}", each.role)]
    if not each.values.size:
        return [*pieces, (" " + fmt.UNKNOWN, "text")]
    if figures >= 1:
        pieces.append((" " + value_text(float(each.trace.ys[-1]), unit), "title"))
    if figures >= 2:
        pieces.append((" " + change_text(float(each.values[-1] - each.values[0]), unit), "text"))
    return pieces


# The plot.


def _plot(
    view: ChartView, drawn: list[_Drawn], reached: bool, width: int, height: int, engine: ChartEngine
) -> list[list[Piece]]:
    below = 2 if height >= LEAST_PLOT[1] + 2 else 0
    rows = height - below
    if not any(each.values.size for each in drawn):
        return _message(view.empty, height)
    y = _value_axis(view, drawn, reached, rows)
    gutter = max(len(tick.label) for tick in y.ticks) + 1
    columns = width - gutter - 1 - MARKS
    if columns < LEAST_PLOT[0] or rows < LEAST_PLOT[1] or view.window[1] <= view.window[0]:
        return _message("too small", height)
    if view.areas:
        edges = _edges(drawn, columns, view)
        canvas = paint(edges, [each.series.color for each in drawn], rows, (y.low, y.high))
        ends = _middles(drawn, edges, rows)
    else:
        canvas = engine.draw([each.trace for each in drawn], columns, rows, view.window, (y.low, y.high))
        ends = {each.number: float(each.values[-1]) for each in drawn if each.values.size}
    if reached and view.limit is not None:
        at = _row(view.limit[0], y, rows)
        canvas[at] = _dashed(canvas[at])
    labels = {_row(tick.value, y, rows): tick.label for tick in y.ticks}
    marks = _marks(drawn, ends, y, rows)
    lines = []
    for row in range(rows):
        edge: list[Piece] = [(f"{labels.get(row, ''):>{gutter}}{'┤' if row in labels else '│'}", "axis")]
        lines.append([*edge, *(_piece(run, drawn) for run in canvas[row]), marks.get(row, ("", ""))])
    return lines + (_time_lines(view, gutter, columns) if below else [])


def _message(text: str, height: int) -> list[list[Piece]]:
    return [[("  " + text, "text") if row == (height - 1) // 2 else ("", "")] for row in range(height)]


def _value_axis(view: ChartView, drawn: list[_Drawn], reached: bool, rows: int) -> Axis:
    low = min(float(each.values.min()) for each in drawn if each.values.size)
    high = _top(view, drawn)
    if view.from_zero or view.areas:
        low, high = min(0.0, low), max(0.0, high)
    high += (high - low) * HEADROOM
    if reached and view.limit is not None:
        high = max(high, view.limit[0])
    return value_axis(low, high, view.unit, max(1, min(8, rows // 2)))


def _row(value: float, y: Axis, rows: int) -> int:
    """The line of the canvas in which a value lies; plotext has the least value in the middle of the lowest dot."""
    share = (value - y.low) / (y.high - y.low)
    dot = round(min(1.0, max(0.0, share)) * (rows * 4 - 1))
    return rows - 1 - dot // 4


def _piece(run: Run, drawn: list[_Drawn]) -> Piece:
    text, series = run
    if series is None or series >= len(drawn):
        return text, "limit" if DASH in text else ""
    return text, drawn[series].role


def _dashed(runs: list[Run]) -> list[Run]:
    """A line of the canvas with dashes where nothing is drawn."""
    return [(text.replace(" ", DASH), None) if series is None else (text, series) for text, series in runs]


def _middles(
    drawn: list[_Drawn], edges: np.ndarray[tuple[int, ...], np.dtype[np.float64]], most: int
) -> dict[int, float]:
    """Where the areas are at the right edge: their middles, by their numbers; those of no height have none, and of
    more than there is room for the highest have."""
    known_columns = np.flatnonzero(np.isfinite(edges[-1])) if len(edges) else np.array([], dtype=int)
    if not known_columns.size:
        return {}
    upper = edges[:, known_columns[-1]]
    lower = np.concatenate([[0.0], upper[:-1]])
    found = [
        (float(high - low), each.number, float(high + low) / 2)
        for each, low, high in zip(drawn, lower, upper, strict=True)
        if each.values.size and high > low
    ]
    return {number: middle for _, number, middle in sorted(found, reverse=True)[:most]}


def _marks(drawn: list[_Drawn], ends: dict[int, float], y: Axis, rows: int) -> dict[int, Piece]:
    """The numbers of the series where their lines end; of two that end together, the lower one is a line below."""
    marks: dict[int, Piece] = {}
    ending = sorted((each for each in drawn if each.number in ends), key=lambda each: -ends[each.number])[:rows]
    row = -1
    for place, each in enumerate(ending):
        row = max(row + 1, _row(ends[each.number], y, rows))
        row = min(row, rows - len(ending) + place)  # those that follow need a line too
        marks[row] = (f" {each.number}"[:MARKS], each.role)
    return marks


def _time_lines(view: ChartView, gutter: int, columns: int) -> list[list[Piece]]:
    """The axis of time and its labels, each in the middle below its tick."""
    x = time_axis(*view.window, columns // 14, view.timezone)
    line, labels = ["─"] * columns, [" "] * (gutter + 1 + columns + MARKS)
    for tick in x.ticks:
        at = round((tick.value - x.low) / (x.high - x.low) * (columns - 1))
        start = gutter + 1 + at - len(tick.label) // 2
        if start < 0 or start + len(tick.label) > len(labels):
            continue
        line[at] = "┬"
        labels[start : start + len(tick.label)] = tick.label
    return [[(" " * gutter + "└" + "".join(line), "axis")], [("".join(labels), "axis")]]
