import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv import documents
from nerv.documents import DocumentError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30:45", "12:30:45"),
        ("2001-01-01", "2001-01-01"),
        ("yes", "yes"),
        ("on", "on"),
        ("0755", "0755"),
        ("=", "="),
        ("true", True),
        ("1e3", 1000.0),
        ("-7", -7),
        ("~", None),
        ("12345678901234567890", 12345678901234567890),
    ],
)
def test_scalars_resolve_as_kubernetes_reads_them(text: str, value: object) -> None:
    assert documents.load(f"key: {text}") == {"key": value}


def test_anchors_and_merge_keys() -> None:
    assert documents.load("a: &x {q: 1, z: 1}\nb:\n  <<: *x\n  z: 2\n")["b"] == {"q": 1, "z": 2}


def test_duplicate_keys_are_errors_with_their_line() -> None:
    with pytest.raises(DocumentError, match='line 2: key "a" already set in map') as caught:
        documents.load("a: 1\na: 2\n")
    assert (caught.value.line, caught.value.column) == (2, 1)


def test_broken_yaml_names_its_line() -> None:
    with pytest.raises(DocumentError, match=r"^line [23]: "):
        documents.load_all("a: 1\nb: [1\n")


def test_empty_documents_are_left_out() -> None:
    assert documents.load_all("---\n---\na: 1\n---\n# nothing\n") == [{"a": 1}]


def test_multi_line_text_is_written_as_a_block() -> None:
    assert documents.dump({"a": "one\ntwo\n"}) == "a: |\n  one\n  two\n"


_plain = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\x85\u2028\u2029")
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_plain, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_plain, _values, min_size=1, max_size=4))
def test_what_is_dumped_loads_again(value: dict[str, object]) -> None:
    assert documents.load(documents.dump(value)) == value
