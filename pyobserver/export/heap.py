"""The small objects by type and the large containers, as the snapshot's document has them."""

from __future__ import annotations

from typing import Any

from ..analysis.containers import container_rows
from ..analysis.heap import NORMAL_95, TypeRow, sort_types, type_rows
from ..model.census import OTHER_TYPES, UNIDENTIFIED
from ..model.snapshot import Snapshot

MOST_TYPES = 200  # the largest ones, beside all that grow


def heap(snapshot: Snapshot, window: float) -> dict[str, Any]:
    """Return what the newest census has found; without one `problem` says why, and all else is null or empty."""
    record = snapshot.heap
    census = record.newest
    rows = [row for row in sort_types(type_rows(snapshot, window), "bytes", descending=True) if row.count]
    types = [row for row in rows if row.is_type]
    shown = [row for place, row in enumerate(types) if place < MOST_TYPES or row.growing]
    return {
        "taken_at": census.taken_at if census else None,
        "sampled_share": census.sampled_share if census else None,
        "cost_seconds": census.cost_seconds if census else None,
        "in_use": round(census.in_use) if census else None,
        "in_use_error": _error(census.in_use_error) if census else None,
        "objects": round(census.count[OTHER_TYPES:].sum()) if census else None,
        "unidentified_bytes": round(census.bytes[UNIDENTIFIED]) if census else None,
        "types_total": len(types) if census else None,
        "types": [_type(row) for row in shown],
        "problem": record.problem or (None if census else "the objects were not counted"),
    }


def containers(snapshot: Snapshot, window: float) -> dict[str, Any]:
    """Return the large containers of the newest walk; without one `problem` says why."""
    record = snapshot.containers
    reading = record.newest
    return {
        "taken_at": reading.taken_at if reading else None,
        "cost_seconds": reading.answer.seconds if reading else None,
        "rows": [
            {
                "path": row.path,
                "type": row.type,
                "containers": row.containers,
                "items": row.items,
                "largest": row.largest,
                "growth": row.growth,
                "growing": row.growing,
            }
            for row in container_rows(snapshot, window)
        ],
        "note": (reading.answer.note or None) if reading else None,
        "problem": record.problem or (None if reading else "the containers were not looked for"),
    }


def _type(row: TypeRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "count": round(row.count),
        "count_error": _error(row.count_error),
        "bytes": round(row.bytes),
        "bytes_error": _error(row.bytes_error),
        "share": row.share,
        "count_growth": row.count_growth,
        "count_growth_error": _growth_error(row.count_growth_error),
        "bytes_growth": row.bytes_growth,
        "bytes_growth_error": _growth_error(row.bytes_growth_error),
        "growing": row.growing,
    }


def _error(error: float) -> int:
    return round(NORMAL_95 * error)


def _growth_error(error: float | None) -> float | None:
    return None if error is None else NORMAL_95 * error
