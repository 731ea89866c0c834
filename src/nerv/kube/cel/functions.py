"""The functions that Kubernetes adds to CEL, and the string functions of CEL's own extension.

The string extension of the library cannot be used beside them: Kubernetes has `indexOf` on lists as well, and a
function can be declared once only. Quantities, addresses and URLs are passed as their text.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from nerv.kube import quantity

if TYPE_CHECKING:
    from cel_expr_python.cel import CelExtension


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _url(text: str) -> SplitResult:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(f"URL parse error during conversion from string: parse {text!r}: invalid URI for request")
    return parts


def _returning(parse: Callable[[str], object]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        parse(text)
        return text

    return convert


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise ValueError("index out of range")
    return text[start:stop]


def _last_index(items: list[Any], item: Any) -> int:
    return max((position for position, value in enumerate(items) if value == item), default=-1)


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in re.finditer(pattern, text)]
    return found if limit < 0 else found[:limit]


def _compare(left: str, right: str) -> int:
    one, two = quantity.parse(left), quantity.parse(right)
    return (one > two) - (one < two)


def _amount(value: Any) -> Any:
    return quantity.parse(value) if isinstance(value, (str, int)) else value


def _number(value: Any) -> str:
    return quantity.canonical(f"{int(value * 10**9)}n")


@cache
def extension() -> CelExtension:
    """All functions as one extension of the evaluator."""
    from cel_expr_python import cel

    kinds = cel.Type
    text, number, real, truth, any_, items = (
        kinds.STRING, kinds.INT, kinds.DOUBLE, kinds.BOOL, kinds.DYN, kinds.List(kinds.DYN),
    )  # fmt: skip
    texts = kinds.List(text)

    # name, parameters (the receiver first; none for global functions), result, implementation
    members: list[tuple[str, list[Any], Any, Callable[..., Any]]] = [
        ("isSorted", [items], truth, lambda values: all(a <= b for a, b in itertools.pairwise(values))),
        ("sum", [items], any_, sum),
        ("min", [items], any_, min),
        ("max", [items], any_, max),
        ("indexOf", [items, any_], number, lambda values, value: values.index(value) if value in values else -1),
        ("lastIndexOf", [items, any_], number, _last_index),
        ("indexOf", [text, text], number, lambda value, part: value.find(part)),
        ("indexOf", [text, text, number], number, lambda value, part, start: value.find(part, start)),
        ("lastIndexOf", [text, text], number, lambda value, part: value.rfind(part)),
        ("charAt", [text, number], text, lambda value, position: value[position : position + 1]),
        ("lowerAscii", [text], text, lambda value: value.lower()),
        ("upperAscii", [text], text, lambda value: value.upper()),
        ("trim", [text], text, lambda value: value.strip()),
        ("reverse", [text], text, lambda value: value[::-1]),
        ("replace", [text, text, text], text, lambda value, old, new: value.replace(old, new)),
        ("replace", [text, text, text, number], text, lambda value, old, new, count: value.replace(old, new, count)),
        ("split", [text, text], texts, lambda value, mark: value.split(mark) if mark else list(value)),
        ("split", [text, text, number], texts, lambda value, mark, count: value.split(mark, count - 1)),
        ("substring", [text, number], text, _substring),
        ("substring", [text, number, number], text, _substring),
        ("join", [items], text, lambda values: "".join(values)),
        ("join", [items, text], text, lambda values, mark: mark.join(values)),
        ("find", [text, text], text, lambda value, pattern: next(iter(_find_all(value, pattern)), "")),
        ("findAll", [text, text], texts, _find_all),
        ("findAll", [text, text, number], texts, _find_all),
        ("getScheme", [text], text, lambda value: _url(value).scheme),
        ("getHost", [text], text, lambda value: _url(value).netloc),
        ("getHostname", [text], text, lambda value: _url(value).hostname or ""),
        ("getPort", [text], text, lambda value: str(_url(value).port or "")),
        ("getEscapedPath", [text], text, lambda value: _url(value).path),
        ("getQuery", [text], any_, lambda value: parse_qs(_url(value).query)),
        ("isGreaterThan", [text, text], truth, lambda one, two: _compare(one, two) > 0),
        ("isLessThan", [text, text], truth, lambda one, two: _compare(one, two) < 0),
        ("compareTo", [text, text], number, _compare),
        ("sign", [text], number, lambda value: _compare(value, "0")),
        ("isInteger", [text], truth, lambda value: quantity.parse(value).denominator == 1),
        ("asInteger", [text], number, lambda value: int(quantity.parse(value))),
        ("asApproximateFloat", [text], real, lambda value: float(quantity.parse(value))),
        ("add", [text, any_], text, lambda one, two: _number(_amount(one) + _amount(two))),
        ("sub", [text, any_], text, lambda one, two: _number(_amount(one) - _amount(two))),
        ("family", [text], number, lambda value: ipaddress.ip_address(value).version),
        ("isLoopback", [text], truth, lambda value: ipaddress.ip_address(value).is_loopback),
        ("isUnspecified", [text], truth, lambda value: ipaddress.ip_address(value).is_unspecified),
        ("containsIP", [text, text], truth,
         lambda net, value: ipaddress.ip_address(value) in ipaddress.ip_network(net, strict=False)),
        ("containsCIDR", [text, text], truth,
         lambda net, value: ipaddress.ip_network(value).subnet_of(ipaddress.ip_network(net))),  # type: ignore[arg-type]
        ("prefixLength", [text], number, lambda net: ipaddress.ip_network(net, strict=False).prefixlen),
    ]  # fmt: skip
    globals_: list[tuple[str, list[Any], Any, Callable[..., Any]]] = [
        ("isURL", [text], truth, _parses(_url)),
        ("url", [text], text, _returning(_url)),
        ("isQuantity", [text], truth, _parses(quantity.parse)),
        ("quantity", [text], text, _returning(quantity.parse)),
        ("isIP", [text], truth, _parses(ipaddress.ip_address)),
        ("ip", [text], text, _returning(ipaddress.ip_address)),
        ("isCIDR", [text], truth, _parses(ipaddress.ip_network)),
        ("cidr", [text], text, _returning(ipaddress.ip_network)),
    ]
    overloads: dict[str, list[Any]] = {}
    for is_member, table in ((True, members), (False, globals_)):
        for name, parameters, result, implementation in table:
            identifier = "_".join(["nerv", name, *("l" if kind == items else kind.name()[0] for kind in parameters)])
            overload = cel.Overload(identifier, result, parameters, is_member, implementation)
            overloads.setdefault(name, []).append(overload)
    return cel.CelExtension("kubernetes", [cel.FunctionDecl(name, group) for name, group in overloads.items()])
