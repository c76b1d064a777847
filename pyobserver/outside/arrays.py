"""What the arrays of numpy have for their data, told from their objects: malloc has written it in front of the data.

`PyArrayObject_fields` begins alike in numpy 1 and 2 (numpy/core/include/numpy/ndarraytypes.h). Data that an array owns
comes from malloc; the word before it is the size of its chunk (malloc/malloc.c), which says also whether malloc has
mapped it by itself. Instances of subclasses in Python are not seen, nor is data that an array has from elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .mappings import PageTable
from .object_types import is_debug, is_pointer
from .remote import Addresses, RemoteMemory

TYPE = "numpy.ndarray"
WORDS = 9  # of an object that are looked at
_DATA, _BASE, _FLAGS = 2, 6, 8
_OWNS_DATA = 4
_IS_MMAPPED, _CHUNK_FLAGS = 2, 7
_LEAST, _MOST = 32, 1 << 44  # bytes of a chunk


@dataclass(frozen=True)
class ArrayBlocks:
    """Blocks of arrays: the pool in which each object is, bytes with malloc's own, and whether malloc mapped it."""

    pool: NDArray[np.int64]
    bytes: NDArray[np.int64]
    is_mapped: NDArray[np.bool_]


def array_blocks(
    memory: RemoteMemory, pool: NDArray[np.int64], objects: Addresses, pages: PageTable | None
) -> ArrayBlocks:
    """The blocks of arrays whose objects begin with these words, a row for each.

    With `pages`, data that is swapped out is left alone.
    """
    data = objects[:, _DATA]
    owns = (objects[:, _FLAGS] & np.uint64(_OWNS_DATA) != 0) & (objects[:, _BASE] == 0) & is_pointer(data)
    owns &= ~is_debug(objects[:, 1])  # with PYTHONMALLOC=debug the object is elsewhere
    pool, data = pool[owns], data[owns]
    if pages is not None:
        there = pages.present_each(data - np.uint64(8))
        pool, data = pool[there], data[there]
    heads = memory.read_each(data - np.uint64(8), 8).view(np.uint64).reshape(-1)
    size = heads & ~np.uint64(_CHUNK_FLAGS)
    is_mapped = heads & np.uint64(_IS_MMAPPED) != 0
    good = (size >= _LEAST) & (size < _MOST) & (size % np.uint64(16) == 0)
    return ArrayBlocks(pool[good], size[good].astype(np.int64), is_mapped[good])
