"""Makes text from the target harmless before it can reach a terminal, a file name or a log."""

REPLACEMENT = "\ufffd"
ELLIPSIS = "\u2026"


def clean(text, limit=200):
    # type: (str, int) -> str
    """Return `text` with everything that is not printable replaced, at most `limit` characters long.

    Control characters, escape sequences, line breaks, bidirectional overrides, surrogates and unassigned code points
    all become U+FFFD. A longer text keeps its beginning and ends in an ellipsis.
    """
    if len(text) > limit:
        text = text[: limit - 1] + ELLIPSIS
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else REPLACEMENT for c in text])


def clean_tail(text, limit=200):
    # type: (str, int) -> str
    """Like `clean`, but a longer text keeps its end: what tells file names and qualified names apart."""
    if len(text) > limit:
        text = ELLIPSIS + text[len(text) - limit + 1 :]
    return clean(text, limit)
