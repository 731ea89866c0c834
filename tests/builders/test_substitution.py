"""The expressions of postBuild substitution, one table, and what must hold for every text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv.builders.kustomize import substitution
from nerv.builders.kustomize.errors import BuildError

VALUES = {"name": "World", "empty": "", "path": "a/b/c.tar.gz", "n": "3", "_x1": "y"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${name}", "World"),
        ("a ${name}, b ${_x1}", "a World, b y"),
        ("${undefined}", ""),
        ("$name $1 $", "$name $1 $"),
        ("$${name}", "${name}"),
        ("$$${name}", "$World"),
        ("${undefined:=word}", "word"),
        ("${empty:=word}", "word"),
        ("${empty:-a b}", "a b"),
        ("${name:=word}", "World"),
        ("${undefined=word}", "word"),
        ("${undefined:=}", ""),
        ("${undefined:=${name}!}", "World!"),
        ("${undefined:=${other:=deep}}", "deep"),
        ("${#name}", "5"),
        ("${#undefined}", "0"),
        ("${name:1}", "orld"),
        ("${name:1:2}", "or"),
        ("${name:-2}", "World"),
        ("${name: -2}", "World"),
        ("${name:9}", ""),
        ("${name:2:99}", "rld"),
        ("${name:x}", "World"),
        ("${name:0:${n}}", "Wor"),
        ("${name/o/0}", "W0rld"),
        ("${path//\\//-}", "a-b-c.tar.gz"),
        ("${path/b/}", "a//c.tar.gz"),
        ("${path/#a/z}", "z/b/c.tar.gz"),
        ("${path/%gz/xz}", "a/b/c.tar.xz"),
        ("${path/#z/y}", "a/b/c.tar.gz"),
        ("${path#*/}", "b/c.tar.gz"),
        ("${path##*/}", "c.tar.gz"),
        ("${path%.*}", "a/b/c.tar"),
        ("${path%%.*}", "a/b/c"),
        ("${path%.zip}", "a/b/c.tar.gz"),
        ("${name^^}", "WORLD"),
        ("${name,,}", "world"),
        ("${name,}", "world"),
        ("${_x1^}", "Y"),
    ],
)
def test_expressions(text, expected):
    assert substitution.expand(text, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${", "unable to parse variable name"),
        ("${ name}", "unable to parse variable name"),
        ("${name", "missing closing brace"),
        ("${name-word}", "missing closing brace"),
        ("${name!}", "missing closing brace"),
        ("${name/a}", "bad substitution"),
        ("${name^^x}", "bad substitution"),
        ("${name:=word", "unable to parse substitution within function"),
    ],
)
def test_what_is_no_expression_is_refused(text, why):
    with pytest.raises(BuildError) as caught:
        substitution.expand(text, VALUES)
    assert str(caught.value) == f"envsubst error: variable substitution failed: {why}"


@given(st.text(alphabet=st.characters(exclude_characters="$")))
def test_text_without_a_dollar_stays(text):
    assert substitution.expand(text, VALUES) == text


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="$")))
def test_a_value_is_put_in_as_it_is_and_never_looked_at_again(value, around):
    assert substitution.expand(f"{around}${{v}}{around}", {"v": value}) == around + value + around


@given(st.text())
def test_doubling_dollars_escapes_any_text(text):
    assert substitution.expand(text.replace("$", "$$"), VALUES) == text


@given(st.text(), st.integers(0, 30), st.integers(0, 30))
def test_a_part_is_a_slice(value, start, length):
    assert substitution.expand(f"${{v:{start}:{length}}}", {"v": value}) == value[start : start + length]


def test_later_sources_win_and_inline_wins_over_all():
    merged = substitution.variables([{"a": "1", "b": "1"}, {"b": "2\n", "c": "2"}], {"c": "3"})
    assert merged == {"a": "1", "b": "2", "c": "3"}


def test_a_name_that_is_none_is_refused():
    with pytest.raises(BuildError, match=r"'1st-name' var name is invalid, must match"):
        substitution.variables([], {"1st-name": "x"})


def test_an_expression_that_stands_for_a_number_becomes_one():
    deployment = {"kind": "Deployment", "spec": {"replicas": "${n}", "on": "${flag}", "text": "v${n}"}}
    assert substitution.substitute(deployment, {"n": "3", "flag": "true"})["spec"] == {
        "replicas": 3,
        "on": True,
        "text": "v3",
    }


@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_an_object_can_opt_out(where):
    config = {"kind": "ConfigMap", "metadata": {where: {substitution.SWITCH: "disabled"}}, "data": {"a": "${name}"}}
    assert substitution.substitute(config, VALUES) is config


def test_a_value_that_breaks_the_document_is_refused():
    config = {"kind": "ConfigMap", "data": {"a": "${v}"}}
    with pytest.raises(BuildError, match="YAMLToJSON"):
        substitution.substitute(config, {"v": "{"})


def test_variables_of_secrets_are_decoded():
    assert substitution.from_data({"kind": "Secret", "data": {"a": "eA=="}}) == {"a": "x"}
    assert substitution.from_data({"kind": "ConfigMap", "data": {"a": "x"}}) == {"a": "x"}
    assert substitution.from_data({"kind": "ConfigMap"}) == {}


@pytest.mark.parametrize("text", ["1e3", "0755", "yes", "~", "12:30", "1_000", "a: b", "line\nline\n", " x", "#x"])
def test_texts_that_look_like_something_else_stay_texts(text):
    config = {"kind": "ConfigMap", "data": {"kept": text, "a": "${name}"}}
    assert substitution.substitute(config, VALUES)["data"] == {"kept": text, "a": "World"}
