"""From text to a checked model, with every problem at once.

A value that its own rule refuses does not hide the cross-field rules: it is taken out of the tree (what cannot be
missing is taken from a minimal definition), and rules run over what is left, except those that need the part it stood
in (findings.Rule.reads).
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from nerv.errors import NervError, Problem, ProblemsError
from nerv.platform import source, wording
from nerv.platform.findings import Finding, Rule
from nerv.platform.source import Node, Path

M = TypeVar("M", bound=BaseModel)


def read_file(path: pathlib.Path) -> bytes:
    """The bytes of a definition. Raises NervError when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NervError(f"{path} does not exist", f"`nerv init {path.parent}` makes one") from None
    except OSError as error:
        raise NervError(f"{path} cannot be read: {error.strerror}") from None


@dataclass(frozen=True)
class Format(Generic[M]):
    """What a definition must be: its model, its cross-field rules, and the smallest definition that is right."""

    model: type[M]
    rules: tuple[Rule[M], ...]
    minimal: Mapping[str, Any]


def parse(data: bytes, file: str, form: Format[M]) -> M:
    """The model of `data`; `file` names it in problems. Raises ProblemsError with all of them."""
    tree = source.read(file, data)
    if not isinstance(tree, source.Mapping):
        mark = tree.mark
        raise ProblemsError([Problem(file, mark.line, mark.column, "expected a mapping", "it begins with apiVersion:")])
    findings, details = _refused(tree, form.model)
    problems = [_problem(file, tree, found) for found in findings]
    removed: list[Path] = []
    rest: Node = tree
    while findings:
        rest, gone = _repaired(rest, findings, details, form.minimal)
        removed += gone
        findings, details = _refused(rest, form.model)
    loaded = form.model.model_validate_json(json.dumps(source.plain(rest)))
    for rule in form.rules:
        if not any(_touches(path, part) for path in removed for part in rule.reads):
            problems += [_problem(file, rest, found) for found in rule.check(loaded)]
    if problems:
        raise ProblemsError(problems)
    return loaded


def _refused(tree: Node, model: type[BaseModel]) -> tuple[list[Finding], list[str]]:
    """What the model refuses in `tree`, and pydantic's name for the kind of each refusal."""
    try:
        model.model_validate_json(json.dumps(source.plain(tree)))
    except ValidationError as error:
        details = [detail for detail in error.errors(include_url=False) if not wording.is_consequence(detail)]
        return [wording.finding(detail, model) for detail in details], [detail["type"] for detail in details]
    return [], []


def _repaired(
    tree: Node, findings: Sequence[Finding], kinds: Sequence[str], minimal: Mapping[str, Any]
) -> tuple[Node, list[Path]]:
    """`tree` without what was refused, and the paths that are no longer the user's own words."""
    gone: list[Path] = []
    # from the last to the first, so that positions in lists stay true
    for path, kind in sorted(
        {(found.path, kind) for found, kind in zip(findings, kinds, strict=True)},
        key=lambda item: _order(item[0]),
        reverse=True,
    ):
        known = _at(minimal, path)
        if known is not None:
            tree = source.with_value(source.without(tree, path), path, known)
        else:
            path = path[:-1] if kind == "missing" else path
            known = _at(minimal, path)
            tree = source.without(tree, path)
            if known is not None:
                tree = source.with_value(tree, path, known)
        gone.append(path)
    return tree, gone


def _at(minimal: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(minimal, Mapping) or step not in minimal:
            return None
        minimal = minimal[step]
    return minimal


def _order(path: Path) -> tuple[tuple[int, int, str], ...]:
    return tuple((1, step, "") if isinstance(step, int) else (0, 0, step) for step in path)


def _touches(removed: Path, part: Path) -> bool:
    shorter = min(len(removed), len(part))
    return removed[:shorter] == part[:shorter]


def _problem(file: str, tree: Node, found: Finding) -> Problem:
    mark = source.mark_of(tree, found.path)
    return Problem(file, mark.line, mark.column, found.message, found.hint)
