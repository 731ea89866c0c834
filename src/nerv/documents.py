"""YAML and JSON text to plain values and back: the only module that reads YAML.

Kubernetes reads YAML as JSON: no dates, no octal surprises, no sexagesimal numbers. The loader here resolves scalars
by those rules on libyaml's parser (PyYAML's own resolvers follow YAML 1.1 and turn `12:30:45` into a number).
Duplicate keys are errors, as they are for Flux (sigs.k8s.io/yaml strict).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson
import yaml
from typing_extensions import override

from nerv.errors import NervError


class _Loader(yaml.CSafeLoader):
    """libyaml with the scalar rules of go-yaml as Kubernetes uses it."""

    # none of PyYAML's own resolvers; ours are added below
    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class _Dumper(yaml.CSafeDumper):
    """Block style; multi-line strings as literal blocks; never anchors."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))$"),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])


def _construct_mapping(loader: yaml.CSafeLoader, node: yaml.MappingNode) -> dict[str, Any]:
    own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    if len(own) != len(set(own)):
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f'key "{key.value}" already set in map', key.start_mark
                )
            seen.add(key.value)
    loader.flatten_mapping(node)
    return {
        key.value
        if isinstance(key, yaml.ScalarNode)
        else str(loader.construct_object(key, deep=True)): loader.construct_object(value, deep=True)
        for key, value in node.value
    }


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


# PyYAML takes `1e3` for a text and writes it bare; go-yaml and the loader here read a number
_BARE_EXPONENT = re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$")


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _BARE_EXPONENT.match(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


class DocumentError(NervError):
    """Text that is not YAML or JSON. `line` and `column` count from 1 (0: unknown)."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def load_all(text: str | bytes) -> list[Any]:
    """Every YAML document of `text`, empty ones left out. Raises DocumentError."""
    try:
        return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        place = f"line {line}: " if line else ""
        raise DocumentError(f"{place}{error.problem or error.context or 'not valid YAML'}", line, column) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DocumentError(str(error).splitlines()[0]) from None


def load(text: str | bytes) -> Any:
    """The single YAML document of `text`, or None. Raises DocumentError."""
    documents = load_all(text)
    if len(documents) > 1:
        raise DocumentError(f"expected one YAML document, found {len(documents)}")
    return documents[0] if documents else None


def dump(value: Any) -> str:
    """One YAML document; keys keep their order."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=1000, allow_unicode=True
    )
    return text


def dump_all(values: Iterable[Any]) -> str:
    """YAML documents with `---` before each."""
    return "".join(f"---\n{dump(value)}" for value in values)


def load_json(data: bytes | str) -> Any:
    """Raises DocumentError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DocumentError(f"line {error.lineno}: {error.msg}", error.lineno, error.colno) from None


def dump_json(value: Any, *, indent: bool = False) -> bytes:
    """Compact JSON, or indented by two for people."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None)
