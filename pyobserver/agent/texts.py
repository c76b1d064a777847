"""The texts that rows refer to by number: sent once, however many rows have them."""

MAX_TEXTS = 20000
MAX_TEXT = 300


class Texts:
    """Interned texts with ids counting from 1; id 0 is "no text". Full: further texts become "(too many texts)"."""

    def __init__(self):
        self.items = [""]
        self._ids = {"": 0}

    def intern(self, text):
        """Return the id of `text`, an exact str."""
        found = self._ids.get(text)
        if found is not None:
            return found
        if len(text) > MAX_TEXT:
            text = text[: MAX_TEXT - 1] + "\u2026"
            found = self._ids.get(text)
            if found is not None:
                return found
        if len(self.items) >= MAX_TEXTS:
            text = "(too many texts)"
            found = self._ids.get(text)
            if found is not None:
                return found
        number = self._ids[text] = len(self.items)
        self.items.append(text)
        return number
