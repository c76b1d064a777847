"""A job on tables and matrices, with numpy and pandas; `work N` does some rounds and keeps what they have made."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy
import pandas
from conversation import serve_blocking

kept: List[Any] = []
random = numpy.random.default_rng(1)


def work(rounds: str) -> Dict[str, Any]:
    rows = 1_000_000
    texts = pandas.Series(random.integers(0, 50, rows)).astype(str)
    for _ in range(int(rounds)):
        table = pandas.DataFrame({"k": random.integers(0, 1000, rows), "v": random.normal(size=rows), "s": texts})
        sums = table.groupby("k").agg({"v": ["mean", "std"]}).droplevel(0, axis=1).reset_index()
        kept[:] = [table, table.merge(sums, on="k")]
    matrix = random.normal(size=(1200, 1200))
    kept.append(matrix @ matrix)
    kept.append(numpy.linalg.svd(matrix[:400, :400]))
    return {"rounds": int(rounds)}


if __name__ == "__main__":
    serve_blocking({"work": work})
