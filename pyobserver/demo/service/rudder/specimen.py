"""A specimen: some megabytes as they came from the feed, in the many small records they came in."""

from __future__ import annotations

import hashlib
import os

RECORD = 448
RECORD_IN_MEMORY = RECORD + 33 + 8  # with the header of a `bytes` and the entry in a list


class Specimen:
    """One discovered specimen with its records."""

    def __init__(self, name: str, records: list[bytes]) -> None:
        self.name = name
        self.records = records
        self.headers = {"name": name, "records": str(len(records)), "origin": f"feed/{name}"}

    @classmethod
    def read(cls, name: str, size: int) -> Specimen:
        """Reads a specimen that takes `size` bytes of memory; for a thread of the pool."""
        records: list[bytes] = []
        left = size // RECORD_IN_MEMORY
        while left > 0:
            count = min(left, 128)
            block = os.urandom(count * RECORD)
            records.extend(block[at : at + RECORD] for at in range(0, len(block), RECORD))
            left -= count
        return cls(name, records)

    def digest(self) -> str:
        """The hash that the registry wants; for a thread of the pool."""
        state = hashlib.sha256()
        for record in self.records:
            state.update(record)
        return state.hexdigest()
