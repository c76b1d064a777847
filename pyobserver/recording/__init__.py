"""Recordings: one SQLite file that holds all that was known of a target, tick by tick, and can be read while it grows.

The file, format 1 (`PRAGMA user_version`; `PRAGMA application_id` is "pyob"):

note        key, value: what was recorded by whom: `target` (a text for people), `begun` (Unix seconds), `interval`
            (seconds between two ticks), `writer` (the version of pyobserver)
tick        number (ascending, without a meaning), time (Unix seconds), is_key: the moments that can be shown
detail      number of a tick, `rows` and `state`: what has changed since the tick before, each compressed by zlib. With
            `is_key` both are whole, and need no tick before them
text        number, text: those that the columns `function`, `waiting` and `where` of the rows mean, and names of groups
series      number, name, seconds of its finest cells, begin: where its first cell begins
recent      time, cells: the finest cells of all series that have begun, or have got a reading, since the tick before;
            removed when the block of their minute is written
block       seconds of a cell, begin (Unix seconds), until (up to when it is complete), cells: the cells of all series
            in a minute (the finest ones), in ten minutes (10 s), in an hour (60 s)
census      time, content: objects by type, and what the next census compares with
containers  time, content: the large containers

`rows` are made in `rows.py`, `state` in `state.py` (a tree of JSON, or the changes of one: `patches.py`), `cells` in
`cells.py`. Fields are named in all of them, so that what a newer version writes beside is passed over by an older one,
and what an older one has not written is not known. A change that an older version would misread gets a new format.

Each tick is one transaction of a write-ahead log. Whoever dies at any moment loses the tick being written at most; who
reads sees whole ticks only. When the file would become larger than it may, the oldest ticks go first; the blocks stay,
until they too have more than their share.
"""
