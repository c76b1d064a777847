"""Tasks that have failed, and whose exception nobody has asked for, although somebody holds them.

Who gathers tasks asks for their exceptions when the last of them has ended: one that has just failed is not forgotten.
Only what has a row is seen. Of a task that nobody holds, asyncio itself says in the program's log that it has failed.
"""

from pyobserver.protocol import schema

PATIENCE_SECONDS = 10.0
MOST_KNOWN = 5000


class Unretrieved:
    """Sets the flag of rows of done tasks, and takes it from them again."""

    def __init__(self, agent):
        self._agent = agent
        self._since = {}  # id of a row -> when it was first seen that nobody has asked

    def look(self, row, is_unretrieved):
        """A done task has been looked at."""
        number = row.id
        since = self._since.get(number)
        if not is_unretrieved:
            if since is not None:
                del self._since[number]
                self._show(row, False)
        elif since is not None:
            if self._agent.clock() - since >= PATIENCE_SECONDS:
                self._show(row, True)
        elif len(self._since) < MOST_KNOWN:
            self._since[number] = self._agent.clock()

    def forget(self, row):
        """A task is no more."""
        if self._since:
            self._since.pop(row.id, None)

    def _show(self, row, is_shown):
        if bool(row.flags & schema.FLAG_UNRETRIEVED) != is_shown:
            row.flags ^= schema.FLAG_UNRETRIEVED
            self._agent.table.touch(row)
