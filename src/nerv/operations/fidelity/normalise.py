"""Taking away what no two runs share, and keeping what is the same within one: an object's uid is `<uid-1>` wherever it
stands again, a version `<version-2>`, so answers that mix objects up still differ. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from nerv import documents

_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_SERVICE_ADDRESS = re.compile(r"\b10\.43\.\d+\.\d+\b")
_GENERATED = re.compile(r"(?<=-gen-)[a-z0-9]{5}\b")
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_RECORD = re.compile(r"(?<=in record \()\d+(?=\))")
_PROBLEMS = re.compile(r"is invalid: \[(.*)\]$", re.DOTALL)
_BETWEEN = re.compile(r", (?=[A-Za-z<][\w.<>\[\]-]*: [A-Z])")
_AGE = re.compile(r"\d+(s|m\d*s?)|<invalid>")


@dataclass
class Names:
    """What was given a name so far in a case."""

    known: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def of(self, kind: str, value: str) -> str:
        """The name of a value: the same one each time it is met."""
        if value not in self.known:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self.known[value] = f"<{kind}-{self.counts[kind]}>"
        return self.known[value]


def answer(value: Any, names: Names) -> Any:
    """The answer's document without what differs between runs. Keys of mappings are walked in sorted order, so that
    names do not depend on the order in which a server writes its fields."""
    return _walk(value, "", names)


def _walk(value: Any, key: str, names: Names) -> Any:
    key = key.rpartition(".")[2]  # of a path that was kept
    if isinstance(value, dict):
        fields = {name: _walk(value[name], name, names) for name in sorted(value)}
        if isinstance(fields.get("items"), list) and isinstance(fields.get("metadata"), dict):
            # a list has the version of the whole store, in which others write too
            fields["metadata"].pop("resourceVersion", None)
        return fields
    if isinstance(value, list):
        walked = [_walk(item, key, names) for item in value]
        if key == "causes":  # the real server finds problems of custom resources in any order
            return sorted(walked, key=documents.dump_json)
        # who owns which fields has no order of its own where several were written within one second
        return sorted(walked, key=documents.dump_json) if key == "managedFields" else walked
    if key == "nodePort" and value:
        return "<node-port>"
    return _text(value, key, names) if isinstance(value, str) else value


def _text(text: str, key: str, names: Names) -> str:
    if key == "resourceVersion" and text not in ("", "0"):
        return names.of("version", text)
    if key == "continue" and text:
        return "<continue>" if _is_base64(text) else text
    if key == "message":
        text = _PROBLEMS.sub(lambda found: f"is invalid: [{', '.join(sorted(_BETWEEN.split(found[1])))}]", text)
    text = _RECORD.sub(lambda found: names.of("version", found[0]), text)
    text = _JWT.sub("<token>", text)
    text = _UID.sub(lambda found: names.of("uid", found[0]), text)
    text = _TIME.sub("<time>", text)
    text = _SERVICE_ADDRESS.sub(lambda found: names.of("service-address", found[0]), text)
    return _GENERATED.sub(lambda found: names.of("generated", found[0]), text)


def _is_base64(text: str) -> bool:
    try:
        base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return False
    return True


def table(value: Any) -> Any:
    """A Table with ages replaced: they count the seconds since the run began."""
    if isinstance(value, dict) and value.get("kind") == "Table":
        ages = [place for place, column in enumerate(value["columnDefinitions"]) if column["name"] == "Age"]
        for row in value.get("rows") or ():
            row["cells"] = [
                "<age>" if place in ages and _AGE.fullmatch(str(cell)) else cell
                for place, cell in enumerate(row["cells"])
            ]
    return value


def kept(value: Any, paths: tuple[str, ...]) -> Any:
    """Only the fields at these dotted paths; everything without any. What is missing is null."""
    if not paths:
        return value
    return {path: _at(value, path.split(".")) for path in paths}


def _at(value: Any, names: list[str]) -> Any:
    for position, name in enumerate(names):
        if isinstance(value, list):
            if name == "*":
                return [_at(item, names[position + 1 :]) for item in value]
            value = value[int(name)] if int(name) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    return value
