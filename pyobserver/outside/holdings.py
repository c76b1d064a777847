"""What each allocator holds, item by item: files, mappings, stacks and blocks, the largest of them by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..model.readings import Holding
from ..protocol.clean import clean_tail
from .mappings import Mapping, PageTable
from .regions import Part, Region

MOST = 30  # items of each allocator; the others are one
_LABEL = 200  # characters
_MOST_BLOCKS = 4096  # whose resident bytes are looked up one by one
OWNERS = ("large_blocks", "native_other", "stacks", "files", "shared")


@dataclass
class _Item:
    count: int = 0
    size: int = 0
    resident: int | None = 0
    proportional: int | None = 0


class Inventory:
    """Takes note of what the mappings hold while these are divided."""

    def __init__(self) -> None:
        self._items: dict[str, dict[str, _Item]] = {owner: {} for owner in OWNERS}
        self.unclaimed: list[Part] = []  # of the native memory of which nobody knows yet whose it is
        self.unnamed: int | None = None  # resident bytes of it for which no name was found
        self.of_kind: dict[tuple[str, str], int] = {}  # resident bytes by the kind and the owner of regions

    def add(self, owner: str, label: str, mapping: Mapping, size: int, resident: int) -> None:
        """A mapping, or the part of one that belongs to `owner`; alike labels are one item."""
        if owner not in self._items or owner == "large_blocks" or not resident:
            return
        item = self._items[owner].setdefault(label, _Item())
        item.count += 1
        item.size += size
        item.resident = (item.resident or 0) + resident
        whole = size == mapping.size and owner in ("files", "shared")
        item.proportional = (
            item.proportional + mapping.proportional if whole and item.proportional is not None else None
        )

    def add_regions(self, regions: Sequence[tuple[Part, Region]]) -> None:
        """Whose the unclaimed parts are."""
        self.unnamed = 0
        for part, region in regions:
            self.add("native_other", region.label(part), part.mapping, part.size, part.resident)
            key = (region.kind, region.owner)
            self.of_kind[key] = self.of_kind.get(key, 0) + part.resident
            self.unnamed += part.resident if not region.kind else 0

    def add_blocks(self, blocks: Sequence[tuple[int, int]], pages: PageTable) -> None:
        """Blocks that malloc has mapped one by one; those of the same size are one item."""
        for number, (low, high) in enumerate(blocks):
            item = self._items["large_blocks"].setdefault(f"{high - low}", _Item(proportional=None))
            item.count += 1
            item.size += high - low
            known = number < _MOST_BLOCKS and item.resident is not None
            item.resident = (item.resident or 0) + pages.resident(low, high) if known else None

    def largest(self) -> tuple[Holding, ...]:
        """The largest items of each allocator, by resident bytes, and the others of each together, without a label."""
        return tuple(holding for owner, items in self._items.items() for holding in _largest(owner, items))


def _largest(owner: str, items: dict[str, _Item]) -> list[Holding]:
    ordered = sorted(items.items(), key=lambda item: (-(item[1].resident or item[1].size), item[0]))
    found = [_holding(owner, clean_tail(label, _LABEL), [item]) for label, item in ordered[:MOST]]
    if len(ordered) > MOST:
        found.append(_holding(owner, "", [item for _, item in ordered[MOST:]]))
    return found


def _holding(owner: str, label: str, items: Sequence[_Item]) -> Holding:
    residents = [item.resident for item in items if item.resident is not None]
    shares = [item.proportional for item in items if item.proportional is not None]
    return Holding(
        allocator=owner,
        label=label,
        count=sum(item.count for item in items),
        size=sum(item.size for item in items),
        resident=sum(residents) if len(residents) == len(items) else None,
        pss=sum(shares) if len(shares) == len(items) else None,
    )
