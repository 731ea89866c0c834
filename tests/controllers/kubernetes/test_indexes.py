"""The text form of completion indexes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nerv.controllers.kubernetes.job import indexes


@given(st.sets(st.integers(0, 60)))
def test_text_and_back(found: set[int]) -> None:
    assert indexes.parse(indexes.render(found), 61) == found


def test_two_neighbours_are_no_range() -> None:
    assert indexes.render({1, 2, 4, 5, 6, 9}) == "1,2,4-6,9"


def test_indexes_beyond_the_completions_do_not_count() -> None:
    assert indexes.parse("0,3-5", 4) == {0, 3}


def test_missing_are_the_lowest_free() -> None:
    assert indexes.missing(2, 6, {0, 2}) == [1, 3]
