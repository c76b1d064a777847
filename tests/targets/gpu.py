"""A program with tensors on a GPU: `fill N` makes 2 N, `riddle` frees every other, `drop` all, `empty` gives back."""

from __future__ import annotations

from typing import Any, Dict, List

import torch
from conversation import serve_blocking

kept: List[Any] = []


def fill(count: str) -> Dict[str, int]:
    for _ in range(int(count)):
        # Those below a megabyte share segments, so that what is freed between them is split.
        kept.append((torch.zeros(30 << 20, dtype=torch.uint8, device="cuda"), torch.zeros(300_000, device="cuda")))
    torch.cuda.synchronize()
    return report()


def riddle() -> Dict[str, int]:
    kept[::2] = [None] * len(kept[::2])
    return report()


def drop() -> Dict[str, int]:
    kept.clear()
    return report()


def empty() -> Dict[str, int]:
    torch.cuda.empty_cache()
    return report()


def report() -> Dict[str, int]:
    said = torch.cuda.memory_stats()
    return {
        "allocated": torch.cuda.memory_allocated(),
        "reserved": torch.cuda.memory_reserved(),
        "peak": torch.cuda.max_memory_allocated(),
        "split": said["inactive_split_bytes.all.current"],
    }


def initialised() -> Dict[str, bool]:
    return {"initialised": torch.cuda.is_initialized()}


if __name__ == "__main__":
    serve_blocking({each.__name__: each for each in (fill, riddle, drop, empty, report, initialised)})
