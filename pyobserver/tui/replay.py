"""The dashboard on a recording: the same screens, with a line for the time and keys that move in it."""

from __future__ import annotations

import threading
from datetime import tzinfo
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ..source.replay import ReplaySource
from .app import ObserverApp
from .bar import Piece
from .keys import KEYS, Key, KeysLine
from .replay_marks import Marks, found_marks
from .timebar import Mark, Position, TimeBar, following

PLAY = Key("pause", "space", "space", "play", "play, and stand still; at the end it begins anew", 8)
REPLAY_KEYS = (
    PLAY,
    Key("skip", "right_square_bracket", "[ ]", "minute", "a minute back, a minute on", 8, "(1)"),
    Key("step", "full_stop", ", .", "moment", "the moment before, the moment after: one reading each", 8, "(1)"),
    Key("speed", "greater_than_sign", "< >", "speed", "slower, faster: up to ten minutes in a second", 4, "(1)"),
    Key(
        "finding",
        "right_parenthesis",
        "( )",
        "finding",
        "the finding before, the one after; ▲ in the line of the time",
        7,
        "(1)",
    ),
)
BACKWARDS = (
    Binding("left_square_bracket", "skip(-1)", show=False),
    Binding("comma", "step(-1)", show=False),
    Binding("less_than_sign", "speed(-1)", show=False),
    Binding("left_parenthesis", "finding(-1)", show=False),
)
MINUTE = 60.0


class ReplayApp(ObserverApp):
    """The dashboard on a recording. `marks` looks for what is marked in the time, on a thread of its own."""

    BINDINGS: ClassVar[list[BindingType]] = [*[key.binding() for key in REPLAY_KEYS], *BACKWARDS]
    all_keys = (*(key for key in KEYS if key.name not in ("pause", "record", "save")), *REPLAY_KEYS)

    def __init__(
        self,
        source: ReplaySource,
        *,
        tz: tzinfo | None = None,
        window: float = 600.0,
        tab: str = "memory",
        marks: Marks | None = found_marks,
    ) -> None:
        super().__init__(source, clock=lambda: source.now, tz=tz, window=window, tab=tab)
        self._replay = source
        self._find_marks = marks
        self._marks: tuple[Mark, ...] = ()
        self._closing = False

    def compose(self) -> ComposeResult:
        for widget in super().compose():
            if isinstance(widget, KeysLine):
                yield TimeBar()
            yield widget

    def on_mount(self) -> None:
        if self._find_marks is not None:
            threading.Thread(target=self._look_for_marks, name="pyobserver-marks", daemon=True).start()

    def on_unmount(self) -> None:
        self._closing = True

    def _look_for_marks(self) -> None:
        assert self._find_marks is not None
        for mark in self._find_marks(self._replay.path, self.view.allowed):
            if self._closing:
                return
            self._marks = (*self._marks, mark)

    def _banner(self) -> Piece | None:
        return Piece(f"REPLAY {self.view.date(self._replay.now)}", "grow", 9, gap=" ")

    def _hints(self) -> dict[str, str]:
        hints = super()._hints()
        for name in ("record", "save"):
            hints.pop(name, None)
        begin, end = self._replay.span
        if begin < end:
            hints["pause"] = "stop" if self._replay.is_playing else "play"
            hints.update(skip="", step="", speed="")
        else:
            hints.pop("pause", None)
        if self._marks:
            hints["finding"] = ""
        return hints

    def _show_status(self) -> None:
        super()._show_status()
        if self._is_open:
            begin, end = self._replay.span
            now = self._replay.now
            self._main.query_one(TimeBar).show(
                Position(
                    now,
                    self.view.time_of_day(now),
                    begin,
                    end,
                    self._replay.is_playing,
                    self._replay.speed,
                    self._marks,
                )
            )

    def check_action(self, action: str, parameters: tuple[Any, ...]) -> bool | None:
        if action in ("skip", "step", "speed", "finding") and len(self.screen_stack) > 1:
            return super().check_action("pause", parameters)
        return super().check_action(action, parameters)

    # -- keys --------------------------------------------------------------------------------------------------------

    def _moved(self) -> None:
        """What is said of the moment is said anew, and not when its time has come."""
        self._watched.pace.judge_soon()
        self.refresh_now()

    def action_pause(self) -> None:
        """Play, or stand still."""
        self._replay.play_or_pause()
        self._moved()

    def action_skip(self, direction: int) -> None:
        """A minute back or on."""
        self._replay.seek(self._replay.now + direction * MINUTE)
        self._moved()

    def action_step(self, direction: int) -> None:
        """The moment before or after."""
        self._replay.step(direction)
        self._moved()

    def action_speed(self, direction: int) -> None:
        """Play slower or faster."""
        self._replay.change_speed(direction)
        self._show_status()

    def action_finding(self, direction: int) -> None:
        """To the next finding, or to the one before."""
        mark = following(self._marks, self._replay.now, direction)
        if mark is None:
            self.notify("there is no finding " + ("after this" if direction > 0 else "before this"), timeout=2)
            return
        self._replay.is_playing = False
        self._replay.seek(mark.time)
        self._moved()
        self.notify(mark.text, timeout=5)

    def on_time_bar_chosen(self, event: TimeBar.Chosen) -> None:
        """To the time that was clicked."""
        self._replay.seek(event.time)
        self._moved()
