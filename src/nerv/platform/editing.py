"""Changing single values in the text of nerv.yaml, so that every other byte stays: comments, order, quotes.

Belongs here: edits that a command makes for the user. Each is checked by reading the result back; a layout that an edit
does not know is refused with the line to write by hand.
"""

from __future__ import annotations

import re
from typing import Any

import ruamel.yaml
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from nerv.errors import NervError
from nerv.platform import source

_FILE = "nerv.yaml"
_COMMENTED = re.compile(r"""^\s*-\s*["']?(age1[a-z0-9]+)["']?\s+#\s*(.+?)\s*$""", re.MULTILINE)


def add_recipient(text: str, recipient: str, comment: str = "") -> str:
    """nerv.yaml with one more entry in spec.secrets.recipients. Raises NervError, ProblemsError."""
    before = _recipients(text)
    changed = _added(text, recipient, f"  # {comment}" if comment else "")
    _check(changed, [*before, recipient], f"add `- {recipient}` to spec.secrets.recipients by hand")
    return changed


def remove_recipient(text: str, recipient: str) -> str:
    """nerv.yaml without that entry. Raises NervError, ProblemsError."""
    before = _recipients(text)
    if recipient not in before:
        raise NervError(f"{recipient} is not in spec.secrets.recipients", "`nerv secrets list` shows who can read what")
    changed = _removed(text, recipient)
    after = [known for known in before if known != recipient]
    _check(changed, after, f"take {recipient} out of spec.secrets.recipients by hand")
    return changed


def recipient_comments(text: str) -> dict[str, str]:
    """What the comments behind entries say: names of people, by recipient."""
    return dict(_COMMENTED.findall(text))


def _recipients(text: str) -> list[str]:
    spec = source.plain(source.read(_FILE, text.encode())).get("spec") or {}
    return list((spec.get("secrets") or {}).get("recipients") or [])


def _check(changed: str, expected: list[str], remedy: str) -> None:
    if _recipients(changed) != expected:
        raise NervError(f"{_FILE} is laid out in a way that is not changed here", remedy)


def _added(text: str, recipient: str, comment: str) -> str:
    lines = text.splitlines(keepends=True)
    spec = _value(ruamel.yaml.YAML(typ="safe", pure=True).compose(text), "spec")
    secrets = _value(spec, "secrets")
    listed = _value(secrets, "recipients")
    if isinstance(listed, SequenceNode) and listed.value and not listed.flow_style:
        item = listed.value[-1]
        return _insert(lines, item.end_mark.line + 1, [f"{' ' * listed.start_mark.column}- {recipient}{comment}"])
    if isinstance(listed, SequenceNode) and (listed.value or secrets.flow_style):
        close = listed.end_mark.index - 1
        return f"{text[:close].rstrip()}{', ' if listed.value else ''}{recipient}{text[close:]}"
    # the list is missing or empty
    if listed is not None or (secrets is not None and secrets.value and not secrets.flow_style):
        key = _key(secrets, "recipients")
        if key is None:
            first = secrets.value[0][0].start_mark
            made = [f"{' ' * first.column}recipients:", f"{' ' * (first.column + 2)}- {recipient}{comment}"]
            return _insert(lines, first.line, made)
        return _filled(lines, key, [f"{' ' * (key.start_mark.column + 2)}- {recipient}{comment}"])
    indent = " " * spec.value[0][0].start_mark.column
    made = [f"{indent}  recipients:", f"{indent}    - {recipient}{comment}"]
    key = _key(spec, "secrets")
    if key is not None:
        return _filled(lines, key, made)
    return _insert(lines, _last_line(spec) + 1, [f"{indent}secrets:", *made])


def _removed(text: str, recipient: str) -> str:
    secrets = _value(_value(ruamel.yaml.YAML(typ="safe", pure=True).compose(text), "spec"), "secrets")
    listed = _value(secrets, "recipients")
    kept = [item for item in listed.value if str(item.value) != recipient]
    if listed.flow_style:
        inside = ", ".join(text[item.start_mark.index : item.end_mark.index] for item in kept)
        return f"{text[: listed.start_mark.index]}[{inside}]{text[listed.end_mark.index :]}"
    lines = text.splitlines(keepends=True)
    for item in listed.value:
        if item not in kept:
            lines[item.start_mark.line] = ""
    if not kept:
        key = _key(secrets, "recipients")
        line = lines[key.end_mark.line]
        colon = line.index(":", key.end_mark.column) + 1
        lines[key.end_mark.line] = f"{line[:colon]} []{line[colon:]}"
    return "".join(lines)


def _filled(lines: list[str], key: Any, made: list[str]) -> str:
    """Lines put below a key whose value is `[]` or `{}`; a comment behind it stays."""
    line = lines[key.end_mark.line]
    colon = line.index(":", key.end_mark.column) + 1
    rest = re.sub(r"^\s*(?:\[\s*\]|\{\s*\})", "", line[colon:])
    lines[key.end_mark.line] = line[:colon] + rest
    return _insert(lines, key.end_mark.line + 1, made)


def _insert(lines: list[str], position: int, made: list[str]) -> str:
    before = lines[:position]
    if before and not before[-1].endswith("\n"):
        before[-1] += "\n"
    return "".join([*before, *(f"{line}\n" for line in made), *lines[position:]])


def _value(node: Any, key: str) -> Any:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)


def _key(node: Any, key: str) -> Any:
    return next((name for name, _ in node.value if name.value == key), None)


def _last_line(node: Any) -> int:
    """The line where the text of a node ends; a block's own end mark lies behind the comments that follow it."""
    if isinstance(node, ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.line)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)
