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


class _GoDumper(yaml.CSafeDumper):
    """What go-yaml v2 writes: both are libyaml's emitter, so only the choice of styles has to be the same."""

    # none of PyYAML's own resolvers: plain text then stays plain text
    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


# fmt: off
_GO_PLAIN_WORDS = frozenset({
    "", "~", "null", "Null", "NULL", "<<",
    "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE",
    "n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE",
    ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
})
# fmt: on
_GO_NUMBER = re.compile(
    r"[-+]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?[0-9])*)"
    r"|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
)
_GO_TIME = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:(?:[Tt]| )\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?(?:Z|[-+]\d{2}:\d{2})?)?")


def _go_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif text in _GO_PLAIN_WORDS or _GO_NUMBER.fullmatch(text) or _GO_TIME.fullmatch(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _go_plain(dumper: yaml.CSafeDumper, value: Any) -> yaml.ScalarNode:
    text = "null"
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int):
        text = str(value)
    elif isinstance(value, float):
        text = str(int(value)) if value.is_integer() and abs(value) < 2**63 else _go_float(value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text)


def _go_float(value: float) -> str:
    """The shortest form of Go's %g: an exponent below 1e-4 and from 1e21 on."""
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    if exponent and (value.is_integer() and abs(value) < 1e21):
        return str(int(value))
    return f"{mantissa.removesuffix('.0')}e{exponent}" if exponent else text


_GoDumper.add_representer(str, _go_text)
for _type in (bool, int, float, type(None)):
    _GoDumper.add_representer(_type, _go_plain)


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


def dump_sorted(value: Any) -> str:
    """One YAML document, byte for byte as go-yaml v2 writes it with sorted keys: what Flux takes digests over."""
    text: str = yaml.dump(value, Dumper=_GoDumper, sort_keys=True, default_flow_style=False, allow_unicode=True)
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
