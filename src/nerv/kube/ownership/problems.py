"""What can be wrong with an apply: conflicts with other managers, and fields that the schema does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nerv.kube import objects


@dataclass(frozen=True)
class Conflict:
    """A field that another manager owns and the applied object changes. `manager` is the text shown to people."""

    manager: str
    field: str

    def cause(self) -> dict[str, str]:
        """The entry of `details.causes` of a 409 Status."""
        return {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {self.manager}",
            "field": self.field,
        }


class ApplyConflict(Exception):
    """The apply would change fields of other managers and is not forced: a 409 of the API server."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        self.conflicts = tuple(conflicts)
        super().__init__(_text(self.conflicts))

    def causes(self) -> list[dict[str, str]]:
        """`details.causes` of the Status."""
        return [conflict.cause() for conflict in self.conflicts]


def _text(conflicts: Sequence[Conflict]) -> str:
    if len(conflicts) == 1:
        return f"Apply failed with 1 conflict: conflict with {conflicts[0].manager}: {conflicts[0].field}"
    lines: list[str] = []
    for manager in sorted({conflict.manager for conflict in conflicts}):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {conflict.field}" for conflict in conflicts if conflict.manager == manager]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)


class SchemaMismatch(ValueError):
    """The applied object has fields or types that its schema does not have."""

    def __init__(self, obj: Mapping[str, Any], problems: Sequence[str]) -> None:
        version, kind = objects.api_version(obj), objects.kind(obj)
        listed = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {item}" for item in problems)
        name = f"{objects.namespace(obj)}/{objects.name(obj)}"
        typed = version if "/" in version else f"/{version}"
        super().__init__(f"failed to create typed patch object ({name}; {typed}, Kind={kind}): {listed}")


def describe_manager(entry: Mapping[str, Any]) -> str:
    """A manager as conflicts name it: `"kubectl" using apps/v1`, or `"flux"` for one that applies."""
    text = f'"{entry.get("manager", "")}"'
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    return f"{text} using {entry.get('apiVersion', '')}" if entry.get("operation") == "Update" else text
