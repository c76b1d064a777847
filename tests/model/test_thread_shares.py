"""What a thread uses of a processor is told from readings far enough apart."""

from __future__ import annotations

from pyobserver.model.thread_shares import ThreadShares

from . import made


def test_shares_are_of_the_time_between_two_readings() -> None:
    shares = ThreadShares()
    assert shares.add([made.stack(60, cpu=5.0), made.stack(None, cpu=1.0)], 100.0) == {}
    assert shares.add([made.stack(60, cpu=5.2)], 100.5) == {}  # too soon
    assert shares.add([made.stack(60, cpu=5.5), made.stack(61, cpu=0.0)], 102.0) == {60: 0.25}
    assert shares.add([made.stack(60, cpu=5.6), made.stack(61, cpu=0.0)], 102.5) == {60: 0.25}
    assert shares.add([made.stack(60, cpu=7.6), made.stack(61, cpu=1.0)], 104.0) == {60: 1.0, 61: 0.5}


def test_the_number_of_a_thread_that_has_ended_begins_anew() -> None:
    shares = ThreadShares()
    shares.add([made.stack(60, cpu=5.0)], 100.0)
    shares.add([made.stack(60, cpu=6.0)], 102.0)
    assert shares.add([made.stack(60, cpu=0.1)], 104.0) == {}
    assert shares.add([], 106.0) == {}
    assert shares.add([made.stack(60, cpu=9.0)], 108.0) == {}
