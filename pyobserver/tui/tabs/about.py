"""What screens that lie above a tab have in common: each tells all about one thing."""

from __future__ import annotations

from textual.screen import Screen
from textual.widgets import Static

from ...analysis.findings import Verdict
from ...model.snapshot import Snapshot
from ..view import View
from .help import HelpScreen


class AboutScreen(Screen[None]):
    """Everything about one thing, in blocks of text that can be scrolled, copied and left."""

    DEFAULT_CSS = """
    AboutScreen > VerticalScroll { height: 1fr; padding: 0 1; }
    AboutScreen Static { height: auto; margin-bottom: 1; }
    """

    def present(self, snapshot: Snapshot, view: View) -> None:
        """Show what is known of it by now."""
        raise NotImplementedError

    def judge(self, verdict: Verdict) -> None:
        """Show what was found about it, where there is a place for that."""

    def help(self) -> HelpScreen:
        """What explains this screen."""
        raise NotImplementedError

    def action_back(self) -> None:
        """Back to where one came from."""
        self.dismiss()

    def action_copy(self) -> None:
        """Copy what is known as text."""
        self.app.copy_to_clipboard(self.text())
        self.notify("copied", timeout=2)

    def text(self) -> str:
        """All that is shown, as plain text."""
        shown = [static for static in self.query("VerticalScroll Static").results(Static) if static.display]
        return "\n\n".join(str(static.render()) for static in shown)
