"""Things of numpy and pandas that a task can hold, as in `things`."""

import numpy
from things import THINGS, body, thing, times, word

THINGS.clear()


@thing
def numpy_array(size):
    return numpy.zeros(size // 8)


@thing
def numpy_view(size):
    return numpy.zeros(size // 8)[3:5]


@thing(share=0.02, why="what an array needs beside its data is in no size")
def numpy_arrays(size):
    return [numpy.arange(1 + i % 90) for i in times(size, 480)]


@thing(share=0.02, why="what an array needs beside its data is in no size")
def numpy_objects(size):
    return numpy.array([body() for _ in times(size, 241)], dtype=object)


@thing(flat=1000, share=0.02, why="what a type of records needs is in no size")
def numpy_records(size):
    return numpy.zeros(size // 12, dtype=[("a", "i4"), ("b", "f8")])


try:
    import pandas
except ImportError:
    pass
else:

    @thing(flat=6000, share=0.02, why="the index and the blocks of a frame are partly in C")
    def pandas_frame(size):
        many = size // 16
        return pandas.DataFrame({"a": numpy.arange(many), "b": numpy.zeros(many)})

    @thing(flat=6000, share=0.04, why="the index and the blocks of a series are partly in C")
    def pandas_texts(size):
        return pandas.Series([word(i) for i in times(size, 120)], dtype=object)
