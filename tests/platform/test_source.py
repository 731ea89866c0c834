"""The tree of values with positions: scalars as Kubernetes reads them, edits, no crash on any text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerv import documents
from nerv.components import definition
from nerv.errors import ProblemsError
from nerv.platform import source

TEXT = """\
a: 1
b: [x, 25.05, 2020-01-01, on, "1", ~]
c:
  d: true
"""


def read(text: str) -> source.Node:
    return source.read("file.yaml", text.encode())


def test_scalars_are_those_of_kubernetes() -> None:
    assert source.plain(read(TEXT)) == {"a": 1, "b": ["x", 25.05, "2020-01-01", "on", "1", None], "c": {"d": True}}


def test_positions_count_from_one_and_fall_back_to_the_nearest_parent() -> None:
    tree = read(TEXT)
    assert source.mark_of(tree, ("c", "d")) == source.Mark(4, 3)
    assert source.mark_of(tree, ("b", 1)) == source.Mark(2, 8)
    assert source.mark_of(tree, ("c", "missing", "deeper")) == source.Mark(3, 1)


def test_taking_values_out_leaves_the_rest_where_it_was() -> None:
    tree = source.without(source.without(read(TEXT), ("b", 0)), ("a",))
    assert source.plain(tree) == {"b": [25.05, "2020-01-01", "on", "1", None], "c": {"d": True}}
    assert source.mark_of(tree, ("b", 0)) == source.Mark(2, 8)
    assert source.without(tree, ("nothing", 3)) is tree


def test_putting_a_value_in_makes_its_parents() -> None:
    tree = source.with_value(read("a: 1\n"), ("b", "c"), {"d": [1]})
    assert source.plain(tree) == {"a": 1, "b": {"c": {"d": [1]}}}


def test_own_keys_win_over_merged_ones() -> None:
    assert source.plain(read("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n"))["y"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a: \xff\n", "file.yaml:1:4: not UTF-8 text (save the file as UTF-8)"),
        (b"? [a]\n: 1\n", "file.yaml:1:3: a key must be plain text"),
        (b'a: "\\ud800"\n', "file.yaml:1:4: half of a surrogate pair is not text (write the character itself)"),
        (b"a: &a [*a]\n", "file.yaml:1:4: nested too deeply (an alias may contain itself)"),
        (b"[" * 5000, "file.yaml:1:1: nested too deeply (not valid YAML)"),
    ],
)
def test_text_that_is_no_definition(data: bytes, said: str) -> None:
    with pytest.raises(ProblemsError) as raised:
        source.read("file.yaml", data)
    assert str(raised.value.problems[0]) == said


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ProblemsError, match="1 problem"):
        read("\n".join(lines))


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="abc:[]{}&*!|>-? \n\t\"'#%@`<~01.", max_size=80).map(str.encode))
def test_any_bytes_are_a_definition_or_problems(data: bytes) -> None:
    with contextlib.suppress(ProblemsError):
        definition.parse(data)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "apiVersion": st.just("nerv.dev/v1") | yaml_values,
            "kind": st.just("Platform") | yaml_values,
            "metadata": st.fixed_dictionaries({"name": st.just("home") | yaml_values}) | yaml_values,
            "spec": st.dictionaries(
                st.sampled_from(["domain", "nodes", "network", "repository", "components", "nixos", "other"]),
                yaml_values
                | st.lists(st.dictionaries(st.sampled_from(["name", "address", "disks"]), yaml_values), max_size=3)
                | st.dictionaries(st.sampled_from(["cidr", "gateway", "url", "metallb", "traefik"]), yaml_values),
            )
            | yaml_values,
        }
    )
)
def test_any_value_is_a_definition_or_problems(value: object) -> None:
    with contextlib.suppress(ProblemsError):
        definition.parse(documents.dump(value).encode())
