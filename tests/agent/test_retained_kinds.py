"""What is known of types outlasts a slice only where nobody can change it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pyobserver.agent.attributes import HEAP_TYPE, IMMUTABLE, flags_of
from pyobserver.agent.retention.kinds import Kinds

IN_C: Any = re.compile("x")


class Changeable:
    pass


@pytest.fixture
def kinds() -> Any:
    """What is known at first."""
    if flags_of(type(IN_C)) & (HEAP_TYPE | IMMUTABLE) != HEAP_TYPE | IMMUTABLE:
        pytest.skip("this type is static in this interpreter")
    return Kinds()


def test_a_class_in_c_is_known_in_the_next_slice(kinds: Any) -> None:
    """One in Python is not, as it may have another size by then, or be gone."""
    kinds.learn(IN_C)
    kinds.learn(Changeable())
    kinds.begin_slice()
    assert id(type(IN_C)) in kinds.sizes.known
    assert id(type(IN_C)) in kinds.sizes.plain
    assert id(Changeable) not in kinds.sizes.known


def test_what_comes_from_a_new_barrier_is_recognised(kinds: Any) -> None:
    """A class that was known before is learned anew, in each slice."""
    kinds.learn(IN_C)
    kinds.add_barrier(object)
    for _ in range(2):
        kinds.begin_slice()
        assert id(type(IN_C)) not in kinds.sizes.known
        kinds.learn(IN_C)
        assert id(type(IN_C)) in kinds.barrier


def test_a_barrier_itself_is_one_in_each_slice(kinds: Any) -> None:
    """Without being learned again."""
    kinds.add_barrier(type(IN_C))
    kinds.learn(IN_C)
    for _ in range(2):
        kinds.begin_slice()
        assert id(type(IN_C)) in kinds.barrier
        assert id(type(IN_C)) in kinds.sizes.known
