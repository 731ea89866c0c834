"""JSONPath of printer columns."""

from typing import Any

import pytest

from nerv.kube import jsonpath

OBJ = {
    "metadata": {"name": "w", "annotations": {"example.com/x": "y"}},
    "spec": {"ports": [{"port": 80, "name": "a"}, {"port": 443, "name": "b"}]},
    "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".metadata.name", ["w"]),
        ("{.metadata.name}", ["w"]),
        ("$.metadata.name", ["w"]),
        ("metadata.name", ["w"]),
        (".missing.name", []),
        (".spec.ports[0].port", [80]),
        (".spec.ports[-1].port", [443]),
        (".spec.ports[9].port", []),
        (".spec.ports[*].name", ["a", "b"]),
        (".spec.ports[0:1].name", ["a"]),
        (".metadata.annotations.example\\.com/x", ["y"]),
        (".metadata.annotations['example\\.com/x']", ["y"]),
        ('.metadata.annotations["example.com/x"]', ["y"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type == 'Ready')].status", ["True"]),
        (".spec.ports[?(@.port>100)].name", ["b"]),
        (".spec.ports[?(@.name)].port", [80, 443]),
        (".spec.ports[?(@.name>1)].port", []),
        ("..port", [80, 443]),
        (".", [OBJ]),
    ],
)
def test_find(path: str, found: list[Any]) -> None:
    assert jsonpath.parse(path).find(OBJ) == found


@pytest.mark.parametrize("path", [".a[", ".a[?(@.b==x)]", ".a]b["])
def test_bad_paths(path: str) -> None:
    with pytest.raises(ValueError, match="unrecognized"):
        jsonpath.parse(path)


def test_show() -> None:
    values = ("a", True, None, 3, {"b": [1]})
    assert [jsonpath.show(value) for value in values] == ["a", "true", "", "3", '{"b":[1]}']
