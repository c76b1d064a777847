"""What is known of the past of a group, and of a supervisor."""

from __future__ import annotations

import pytest

from pyobserver.analysis.group_facts import Scope
from pyobserver.analysis.group_past import past
from pyobserver.protocol import schema
from pyobserver.source.fake import FakeSource
from pyobserver.source.story import HOLDER, Story


def test_of_a_supervisor_and_of_a_group() -> None:
    """From when we have come, up to now; only in the window; nothing of what is not there."""
    source = FakeSource(Story(tasks=100, per_minute=30))
    source.play(120)
    snapshot = source.store.snapshot()
    function = int(snapshot.tasks["function"][snapshot.tasks.position(1001) or 0])
    key = (schema.KIND_TASK, function, False)
    for scope in (Scope(node=HOLDER), Scope(key, HOLDER), Scope(key)):
        known = past(snapshot, scope, 600.0)
        assert known.counts[-1] == 160 and known.counts[0] < 103 and len(known.counts) >= 30
        assert known.times[-1] - known.times[0] == pytest.approx(119, abs=3)
        assert known.bytes[-1] == pytest.approx(160 * 7_020_000, rel=0.01)
        assert past(snapshot, scope, 20.0).times[0] >= snapshot.taken_at - 22
    assert len(past(snapshot, Scope(node=999), 600.0).times) == 0 == len(past(snapshot, Scope(), 600.0).times)
