"""Nodes added to and taken out of the text of nerv.yaml, and single values set, so that every other byte stays.

A layout that is not known here is refused with what to write by hand; every edit is checked by reading the result back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nerv.errors import NervError
from nerv.platform import source
from nerv.platform.source import Node, Sequence

_FILE = "nerv.yaml"
_SCALAR = re.compile(r""""[^"]*"|'[^']*'|[^\s#,}\]]+""")


def add_node(text: str, entry: Mapping[str, Any]) -> str:
    """With one more node at the end of spec.nodes. `entry` holds texts and lists of mappings of texts."""
    tree = source.read(_FILE, text.encode())
    nodes = _nodes(tree)
    lines = text.splitlines(keepends=True)
    indent = _dash(lines, nodes, -1)
    made = [f"{indent}{line}\n" for line in _block(entry)]
    last = _last_line(nodes.items[-1])
    if not lines[last - 1].endswith("\n"):
        lines[last - 1] += "\n"
    changed = "".join([*lines[:last], *made, *lines[last:]])
    expected = [*source.plain(nodes), dict(entry)]
    _check(changed, expected, f"add the node to spec.nodes by hand:\n{''.join(made)}")
    return changed


def remove_node(text: str, name: str) -> str:
    """Without the node of that name. Raises NervError where there is none."""
    tree = source.read(_FILE, text.encode())
    nodes = _nodes(tree)
    plain = source.plain(nodes)
    position = next((index for index, node in enumerate(plain) if node.get("name") == name), None)
    if position is None:
        raise NervError(f"the definition has no node {name}")
    lines = text.splitlines(keepends=True)
    _dash(lines, nodes, position)
    first, last = nodes.items[position].mark.line, _last_line(nodes.items[position])
    changed = "".join([*lines[: first - 1], *lines[last:]])
    _check(changed, plain[:position] + plain[position + 1 :], f"take {name} out of spec.nodes by hand")
    return changed


def set_value(text: str, path: tuple[str, str], value: str) -> str:
    """With spec.<path> set, where two keys lead to a text: spec.kubernetes.version."""
    tree = source.read(_FILE, text.encode())
    spec = _spec(tree)
    group = source.plain(spec).get(path[0])
    lines = text.splitlines(keepends=True)
    by_hand = f"set spec.{path[0]}.{path[1]} to {value} by hand"
    place = source.mark_of(tree, ("spec", *path))
    if isinstance(group, dict) and path[1] in group:
        line = lines[place.line - 1]
        colon = line.index(":", place.column - 1 + len(path[1])) + 1
        found = _SCALAR.search(line, colon)
        if not found:
            raise NervError(f"{_FILE} is laid out in a way that is not changed here", by_hand)
        lines[place.line - 1] = f"{line[: found.start()]}{_quoted(value)}{line[found.end() :]}"
    else:
        anchor = source.mark_of(tree, ("spec", path[0])) if group else source.mark_of(tree, ("spec", "repository"))
        indent = " " * (anchor.column - 1)
        made = [f"{indent}  {path[1]}: {_quoted(value)}\n"]
        if group is None:
            made.insert(0, f"{indent}{path[0]}:\n")
        at = anchor.line if group else anchor.line - 1
        lines[at:at] = made
    changed = "".join(lines)
    found_value = (source.plain(source.read(_FILE, changed.encode()))["spec"].get(path[0]) or {}).get(path[1])
    if found_value != value:
        raise NervError(f"{_FILE} is laid out in a way that is not changed here", by_hand)
    return changed


def _quoted(value: str) -> str:
    return f'"{value}"' if re.fullmatch(r"[0-9.]+", value) else value


def _spec(tree: Node) -> Node:
    found = _entry(tree, "spec")
    if found is None:
        raise NervError(f"{_FILE} has no spec", "`nerv check` says more")
    return found


def _entry(node: Node, key: str) -> Node | None:
    entries = node.entries if isinstance(node, source.Mapping) else ()
    return next((entry.value for entry in entries if entry.key == key), None)


def _nodes(tree: Node) -> Sequence:
    found = _entry(_spec(tree), "nodes")
    if not isinstance(found, Sequence) or not found.items:
        raise NervError(f"{_FILE} has no spec.nodes", "`nerv check` says more")
    return found


def _dash(lines: list[str], nodes: Sequence, position: int) -> str:
    """The blanks before an item's dash. Raises NervError where the list is not one item below the other."""
    mark = nodes.items[position].mark
    before = lines[mark.line - 1][: mark.column - 1]
    if before.strip() != "-":
        raise NervError(f"spec.nodes of {_FILE} is laid out in a way that is not changed here", "edit it by hand")
    return before[: before.index("-")]


def _last_line(node: Node) -> int:
    if isinstance(node, source.Mapping):
        return max([node.mark.line, *(_last_line(entry.value) for entry in node.entries)])
    if isinstance(node, Sequence):
        return max([node.mark.line, *(_last_line(item) for item in node.items)])
    return node.mark.line


def _block(entry: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, value in entry.items():
        if isinstance(value, list):
            lines.append(f"{key}:")
            for item in value:
                pairs = [f"{name}: {text}" for name, text in item.items()]
                lines += [f"  {'- ' if not index else '  '}{pair}" for index, pair in enumerate(pairs)]
        else:
            lines.append(f"{key}: {value}")
    return [f"{'- ' if not index else '  '}{line}" for index, line in enumerate(lines)]


def _check(changed: str, expected: list[Any], remedy: str) -> None:
    if source.plain(_nodes(source.read(_FILE, changed.encode()))) != expected:
        raise NervError(f"spec.nodes of {_FILE} is laid out in a way that is not changed here", remedy)
