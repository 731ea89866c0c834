"""Label and field selectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv.kube import selectors

LABELS = {"app": "web", "tier": "a", "n": "5"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier=a", True),
        ("app!=web", False),
        ("missing!=web", True),
        ("app in (db, web)", True),
        ("app in (db)", False),
        ("app notin (db),tier", True),
        ("missing notin (db)", True),
        ("missing in (db)", False),
        ("!missing", True),
        ("! app", False),
        ("app", True),
        ("n>4", True),
        ("n<5", False),
        ("app>1", False),
        ("empty=", False),
        ("example.com/role=", False),
    ],
)
def test_label_text(text: str, expected: bool) -> None:
    assert selectors.parse_label(text).matches(LABELS) is expected


@pytest.mark.parametrize("text", ["a b", "app in web", "app=a=b", ",", "a,,b", "-a=b", "n>x", "a=b c", "UPPER.x/y z=1"])
def test_bad_label_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse requirement"):
        selectors.parse_label(text)


def test_object_form() -> None:
    selector = selectors.from_object(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "x", "operator": "DoesNotExist"},
            ],
        }
    )
    assert selector.matches(LABELS)
    assert selector.text == "app=web,tier in (a,b),!x"
    assert not selectors.from_object(None).matches(LABELS)
    assert selectors.from_object({}).matches(LABELS)
    assert not selectors.from_labels({}).matches(LABELS)
    with pytest.raises(ValueError, match="not a valid label selector operator"):
        selectors.from_object({"matchExpressions": [{"key": "a", "operator": "Like"}]})


_word = st.from_regex(r"\A[a-z][a-z0-9]{0,5}\Z")
_requirements = st.builds(
    selectors.Requirement,
    _word,
    st.sampled_from(["in", "notin"]),
    st.lists(_word, min_size=1, max_size=3, unique=True).map(sorted).map(tuple),
) | st.builds(selectors.Requirement, _word, st.sampled_from(["exists", "!"]))


@given(st.lists(_requirements, max_size=4).map(tuple))
def test_text_form_reads_back(requirements: tuple[selectors.Requirement, ...]) -> None:
    selector = selectors.LabelSelector(requirements)
    assert selectors.parse_label(selector.text) == selector


POD = {"metadata": {"name": "web", "namespace": "a"}, "spec": {"nodeName": "n1", "hostNetwork": True}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("metadata.name=web,metadata.name=web", True),
        ("metadata.name==web", True),
        ("metadata.name!=web", False),
        ("spec.nodeName!=", True),
        ("status.phase=", True),
        ("spec.hostNetwork=true", True),
        ("metadata.name=a\\,b", False),
    ],
)
def test_field_text(text: str, expected: bool) -> None:
    assert selectors.parse_field(text).matches(POD) is expected


def test_exact_value_of_a_field() -> None:
    selector = selectors.parse_field("metadata.name=web,status.phase!=Failed")
    assert selector.exact("metadata.name") == "web"
    assert selector.exact("status.phase") is None
    with pytest.raises(ValueError, match="invalid field selector"):
        selectors.parse_field("metadata.name")
