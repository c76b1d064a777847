"""The dashboards on child processes: each is opened from the one on its parent, and leads back to it."""

from __future__ import annotations

import asyncio

from ..source.base import SourceError
from .dashboard import Dashboard
from .view import Tab
from .watched import Watched


class ChildProcesses(Dashboard):
    """The dashboard on a source, and on the child processes that are opened from it."""

    _above: tuple[Watched, ...] = ()  # the processes from which it was opened, the first one first

    def on_unmount(self) -> None:
        """The targets above go on untouched, too."""
        for watched in self._above:
            watched.end()

    def _opened_from(self) -> list[str]:
        return [each.program for each in self._above]

    async def on_tab_process_wanted(self, event: Tab.ProcessWanted) -> None:
        """Watch a child process; where that cannot be, say why, and tell what is known of it from outside."""
        watched = self._watched
        try:
            source = await asyncio.to_thread(watched.source.child, event.pid)
        except SourceError as error:
            self.notify(str(error), severity="warning", timeout=8)
            self.post_message(Tab.TaskWanted(event.row_id))
            return
        if self._watched is not watched or len(self.screen_stack) > 1:
            return  # the user has gone elsewhere meanwhile
        child = Watched(source, watched.tab.id or "memory", event.row_id)
        await self._main.mount(child, after=watched)
        watched.display = False
        self._above = (*self._above, watched)
        self._show_process(child)
        child.begin()

    async def _leave(self) -> None:
        """Back to the process from which this one was opened. The agent in it ends by itself, as at the end."""
        if not self._above:
            return
        child = self._watched
        *above, parent = self._above
        parent.remember(child)
        self._above = tuple(above)
        self._show_process(parent)
        self._watched.display = True
        await child.remove()
        await asyncio.to_thread(child.end)

    def _show_process(self, watched: Watched) -> None:
        self._watched = watched
        self._open(watched.tab)
        if watched.paused_at is None:
            self.refresh_now()
        else:
            self._present()
