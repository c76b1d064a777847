"""A Dask cluster with one worker process, that works on tables and keeps arrays; `worker` tells the worker's pid."""

from __future__ import annotations

from typing import Any, Dict

from conversation import serve_blocking


def _sums(number: int) -> Any:
    import numpy
    import pandas

    rows = 200_000
    texts = [str(each % 77) for each in range(rows)]
    table = pandas.DataFrame({"a": numpy.arange(rows) % 100, "b": numpy.random.rand(rows), "s": texts})
    return table.groupby("s").b.sum()


def _array(number: int) -> Any:
    import numpy

    return numpy.random.rand(500_000)


def main() -> None:
    from distributed import Client, LocalCluster, wait

    cluster = LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=":0")
    client = Client(cluster)
    kept: Dict[str, Any] = {}

    def work(count: str) -> Dict[str, Any]:
        client.gather(client.map(_sums, range(int(count)), pure=False))
        kept["arrays"] = client.map(_array, range(20), pure=False)
        wait(kept["arrays"])
        return {"done": int(count)}

    serve_blocking({"worker": lambda: {"pid": cluster.workers[0].pid}, "work": work})


if __name__ == "__main__":
    main()
