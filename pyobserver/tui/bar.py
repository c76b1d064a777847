"""The lines around a tab: who is watched and is it well, which tabs there are, how it stands with the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from ..analysis.allocators import Outlook
from ..analysis.findings import LEVEL_WORDS, Verdict
from ..analysis.format import bytes_text, duration
from ..analysis.supervision import program_name
from ..model.snapshot import Phase, Snapshot
from .widgets.text import broken, printable, shorten, width_of
from .words import StatusWords, cost_words, exit_words

STYLES_FILE = Path(__file__).with_name("app.tcss")  # whole, as a subclass elsewhere would look beside itself
STATUS_LEAD = 3  # cells before the words of the status: its sign
CLOSE_SHARE = 0.85  # of the limit: from here on it is marked
STYLES = {
    "": "",
    "dim": "$foreground 60%",
    "quiet": "$foreground 75%",
    "grow": "bold $text-warning",
    "limit": "bold $text-error",
    "bold": "bold",
}
ALLOCATOR_WORDS = {  # as findings are about them, in a sentence
    "python": "Python objects",
    "c_heap": "C heap",
    "large_blocks": "large blocks",
    "native_other": "native memory",
}
LEVEL_STYLES = {"limit": "limit", "leak": "limit", "growing": "grow", "notice": "grow"}  # of findings
LEAST_SIZE = (60, 16)  # columns and lines in which something can be read
WIDTHS = [(0, "-too-narrow"), (LEAST_SIZE[0], "-narrow"), (100, "-wide")]  # classes of a screen, by its columns
HEIGHTS = [(0, "-too-low"), (LEAST_SIZE[1], "-low"), (28, "-high")]


@dataclass(frozen=True)
class Piece:
    """A part of a line. Those of the lowest priority go when the terminal is narrow."""

    text: str
    style: str = ""
    priority: int = 10
    gap: str = " · "


def fitted(pieces: Sequence[Piece], width: int) -> list[Piece]:
    """Return the pieces that fit, the rightmost of the lowest priority left out first."""
    kept = [piece for piece in pieces if piece.text]
    while len(kept) > 1 and sum(width_of(p.gap + p.text) for p in kept) > width:
        lowest = min(piece.priority for piece in kept)
        kept.remove(next(piece for piece in reversed(kept) if piece.priority == lowest))
    return kept


class Line(Widget):
    """One line of text that is drawn again only when it has changed."""

    DEFAULT_CSS = "Line { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: object = None

    def change(self, what: object) -> None:
        """Draw again when `what` differs from what was shown."""
        if what != self._shown:
            self._shown = what
            self.refresh()


def styled(text: str, style: str) -> Content:
    """Return text that nothing in it can change the meaning of."""
    return Content.styled(printable(text), STYLES.get(style, ""))


class TooSmall(Line):
    """Lies over everything while the terminal is too small, and says so in one line. What is under it lives on."""

    DEFAULT_CSS = """
    TooSmall { overlay: screen; position: absolute; height: 100%; display: none; background: $background; }
    """

    def on_resize(self) -> None:
        """The line names the size."""
        self.refresh()

    def render(self) -> Content:
        (width, height), (least_width, least_height) = self.app.size, LEAST_SIZE
        text = f"{width}x{height} is too small: {least_width}x{least_height} at least"
        return styled(shorten(text, max(1, self.size.width)), "bold")


class PiecesLine(Line):
    """A line of pieces, of which it shows as many as fit."""

    def render(self) -> Content:
        pieces = self._shown if isinstance(self._shown, tuple) else ()
        parts = []
        for piece in fitted(pieces, self.size.width):
            parts += [Content(piece.gap), styled(piece.text, piece.style)]
        return Content("").join(parts)


class TopBar(PiecesLine):
    """Who is watched, how much memory it has, when that is full, and how many findings there are."""

    DEFAULT_CSS = "TopBar { background: $panel; color: $foreground; }"

    def show(
        self,
        snapshot: Snapshot,
        outlook: Outlook,
        verdict: Verdict,
        now: float,
        above: Sequence[str] = (),
        banner: Piece | None = None,
    ) -> None:
        """Show who it is and how it is; `above` are the programs of the processes from which it was opened.

        The `banner` comes before all of it.
        """
        path = [banner] if banner is not None else []
        path += [Piece(f"{shorten(name, 20, 'start')} ▸", "dim", 1, gap=" ") for name in above]
        self.change((*path, *self._pieces(snapshot, outlook, verdict, now)))

    def _pieces(self, snapshot: Snapshot, outlook: Outlook, verdict: Verdict, now: float) -> list[Piece]:
        identity = snapshot.identity
        if identity is None:
            over = snapshot.status.phase is Phase.EXITED
            return [Piece("nothing was seen of the process" if over else "looking at the process", "dim", gap=" ")]
        exited = snapshot.status.phase is Phase.EXITED
        until = snapshot.status.since if exited else now
        pieces = [
            Piece(shorten(program_name(identity.command), 30, "start"), "bold", gap=" "),
            Piece(f"pid {identity.pid}", priority=7, gap="  "),
            Piece(exit_words(snapshot.status) if exited else "", "limit", 9),
            Piece(f"Python {identity.python}" if identity.python else "", "", 2),
            Piece(f"up {duration(until - identity.started_at)}", "", 3),
        ]
        if outlook.rss is not None:
            of = f" of {bytes_text(outlook.limit)}" if outlook.limit else ""
            close = outlook.limit is not None and outlook.rss > CLOSE_SHARE * outlook.limit
            pieces.append(Piece(f"RSS {bytes_text(outlook.rss)}{of}", "limit" if close else "", 8))
            if outlook.growing and not exited:
                pieces.append(Piece(f"▲ {bytes_text(outlook.growth)}/min", "grow", 6, gap=" "))
            if outlook.seconds_to_limit is not None and not exited:
                pieces.append(Piece(f"full in {duration(outlook.seconds_to_limit)}", "limit", 5))
        if verdict.worst is not None:
            pieces += _found(verdict)
        return pieces


def _found(verdict: Verdict) -> list[Piece]:
    """How many findings there are, and what the most serious one is about, where there is room for that."""
    worst = verdict.worst
    assert worst is not None
    number = len(verdict.findings)
    style = LEVEL_STYLES[worst.level]
    text = f"⚠ {number} finding{'s' if number > 1 else ''} (f)"
    name = shorten(ALLOCATOR_WORDS.get(worst.name, worst.name), 30, "start")
    return [Piece(text, style, 6, gap="   "), Piece(f"{LEVEL_WORDS[worst.level]} {name}", style, 0, gap=": ")]


class TabBar(Line):
    """The tabs with their keys at the left, what observing costs at the right. A click opens a tab."""

    class Chosen(Message):
        """A tab was clicked; `index` counts from 0."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, titles: Sequence[tuple[str, str]]) -> None:
        """`titles` has the long and the short title of each tab."""
        super().__init__()
        self._titles = tuple(titles)
        self._ends: list[int] = []

    def show(self, active: int, snapshot: Snapshot, note: str) -> None:
        """Mark the active tab. `note` is said before the costs, as what is unusual about the view."""
        self.change((active, cost_words(snapshot), cost_words(snapshot, short=True), note))

    def render(self) -> Content:
        active, cost, short_cost, note = self._shown if isinstance(self._shown, tuple) else (0, "", "", "")
        width = self.size.width
        titles = [f" {i} {long} " for i, (long, _) in enumerate(self._titles, 1)]
        left = sum(map(len, titles))
        room = width - left - len(note) - 3
        if room < len(short_cost):
            titles = [f" {i} {short} " for i, (_, short) in enumerate(self._titles, 1)]
            left = sum(map(len, titles))
            room = width - left - len(note) - 3
        right = cost if len(cost) <= room else short_cost if len(short_cost) <= room else ""
        self._ends = [sum(map(len, titles[: i + 1])) for i in range(len(titles))]
        parts = [
            Content.styled(title, "bold reverse" if i == active else "$foreground 80%")
            for i, title in enumerate(titles)
        ]
        gap = max(1, width - left - len(note) - len(right) - (2 if note and right else 0) - 1)
        parts += [Content(" " * gap), styled(note, "bold"), Content("  " if note and right else "")]
        return Content("").join([*parts, styled(right, "dim")])

    def on_click(self, event: events.Click) -> None:
        for index, end in enumerate(self._ends):
            if event.x < end:
                self.post_message(self.Chosen(index))
                return


class StatusLine(Line):
    """The line that is always true: connected, paused, stale, waiting, or how the target has ended.

    A reason that is longer than the terminal is wide gets a second line, as it says what would help.
    """

    def show(self, words: StatusWords, problem: str) -> None:
        """Show how it stands, and the last problem that somebody had."""
        self.change((words, problem))
        self._fit()

    def on_resize(self) -> None:
        """The same words may need another line now."""
        self._fit()

    def _fit(self) -> None:
        words = self._shown[0] if isinstance(self._shown, tuple) else StatusWords("")
        height = 2 if self.size.width and width_of(words.text) + STATUS_LEAD > self.size.width else 1
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height

    def render(self) -> Content:
        if not isinstance(self._shown, tuple):
            return Content("")
        words, problem = self._shown
        sign = {"": "●", "grow": "◐", "limit": "■"}[words.level]
        lines = broken(words.text, self.size.width - STATUS_LEAD, self.size.height)
        said = f" {sign} " + ("\n" + " " * STATUS_LEAD).join(lines)
        room = self.size.width - width_of(lines[-1]) - STATUS_LEAD - 3 if lines else 0
        parts = [_over_lines(said, words.level or "dim")]
        if problem and room > 20:
            parts.append(styled("   " + shorten(problem, room), "dim"))
        return Content("").join(parts)


def _over_lines(text: str, style: str) -> Content:
    return Content("\n").join(styled(line, style) for line in text.split("\n"))
