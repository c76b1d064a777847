"""A service that keeps rows in SQLite, columns in Arrow, and a cache in dictionaries; `work N` answers N questions."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from typing import Any, Dict, List

import pyarrow
import pyarrow.parquet
from conversation import serve_blocking

ROWS = 500_000


def main() -> None:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("create table rows (a integer primary key, b text, c real)")
    database.executemany("insert into rows (b, c) values (?, ?)", (("row %d" % i * 3, i * 0.5) for i in range(200_000)))
    table = pyarrow.table({"a": pyarrow.array(range(ROWS)), "s": pyarrow.array([str(i % 1000) for i in range(ROWS)])})
    cache: Dict[int, Dict[str, Any]] = {i: {"id": i, "name": "x%d" % i} for i in range(100_000)}
    kept: List[Any] = [cache, table]

    def work(questions: str) -> Dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "table.parquet")
            pyarrow.parquet.write_table(table, path)
            for number in range(int(questions)):
                read = pyarrow.parquet.read_table(path)
                kept[2:] = [read.group_by("s").aggregate([("a", "sum")])]
                database.execute("select count(*), sum(c) from rows where b like ?", ("%%%d%%" % number,)).fetchall()
        return {"pool": pyarrow.default_memory_pool().bytes_allocated()}

    serve_blocking({"work": work})


if __name__ == "__main__":
    main()
