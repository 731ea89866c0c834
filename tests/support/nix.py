"""Real Nix in tests (nix-instantiate; no store, no network), and expressions that hypothesis makes."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import strategies as st

from nerv import documents
from nerv.checks.nixos import options, packages
from nerv.nix.expressions import (
    Apply,
    Assert,
    AttributeSet,
    Binary,
    Binding,
    Expression,
    Function,
    HasAttribute,
    If,
    Inherit,
    Let,
    Parameter,
    Path,
    Select,
    Template,
    Unary,
    Variable,
    With,
)
from nerv.nix.values import EvaluationError

needs_nix = pytest.mark.skipif(
    shutil.which("nix-instantiate") is None, reason="needs nix-instantiate (Debian: nix-bin)"
)

NAMES = st.sampled_from(["x", "y", "z", "a b", "or", "é", "e-f'", "_1", "if", ""])
PLAIN = st.sampled_from(["x", "y", "z", "or'", "_1"])
TEXTS = st.text(st.sampled_from("ab $'{}\\\"\n\t#é"), max_size=8)


def run(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What nix-instantiate says of an expression; it needs no store for that."""
    return _instantiate(*arguments, "-", text=text)


def said(text: str, *arguments: str) -> str:
    """What nix-instantiate says of an expression that must be right."""
    done = run(text, *arguments)
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    return done.stdout


def _instantiate(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["nix-instantiate", *arguments],
        input=text,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "NIX_REMOTE": "dummy://"},
    )


def expressions() -> st.SearchStrategy[Expression]:
    """Expressions of every class, at random."""
    numbers = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(0, 1e9, allow_nan=False)
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        numbers,
        TEXTS,
        PLAIN.map(Variable),
        st.sampled_from([Path("./a.nix"), Path("/etc/x"), Path("../b-1/c_d.nix")]),
    )
    return _forms(leaves | _forms(leaves | _forms(leaves)))


def _forms(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    default = st.none() | st.tuples(inner)
    templates = st.builds(
        Template, st.lists(TEXTS | inner.filter(lambda x: not isinstance(x, str)), max_size=4).map(tuple), st.booleans()
    )
    names = st.lists(NAMES | templates, min_size=1, max_size=3).map(tuple)
    bindings = st.one_of(
        st.builds(Binding, names, inner, st.sampled_from(["", "Why.\nIn two lines."])),
        st.builds(Inherit, st.lists(NAMES, min_size=1, max_size=2, unique=True).map(tuple), default),
    )
    in_let = st.builds(Binding, st.tuples(NAMES), inner)
    parameters = st.lists(st.builds(Parameter, PLAIN, default), max_size=3, unique_by=lambda p: p.name).map(tuple)
    signs = st.sampled_from(["->", "||", "&&", "==", "!=", "<", "<=", ">", ">=", "//", "+", "-", "*", "/", "++"])
    return st.one_of(
        templates,
        st.lists(inner, max_size=3).map(tuple),
        st.builds(Select, inner, names, default),
        st.builds(HasAttribute, inner, names),
        st.builds(Apply, inner, inner),
        st.builds(Function, inner, PLAIN),
        st.builds(Function, inner, st.none() | st.just("whole"), parameters, st.booleans()),
        st.builds(AttributeSet, st.lists(bindings, max_size=3).map(_once), st.booleans()),
        st.builds(Let, st.lists(in_let, max_size=3).map(_once), inner),
        st.builds(With, inner, inner),
        st.builds(If, inner, inner, inner),
        st.builds(Assert, inner, inner),
        st.builds(Unary, st.sampled_from("!-"), inner),
        st.builds(Binary, signs, inner, inner),
    )


def _once(bindings: list[Binding | Inherit]) -> tuple[Binding | Inherit, ...]:
    """Bindings whose first names are all different, since the same name twice is an error."""
    seen: set[str] = set()
    kept: list[Binding | Inherit] = []
    for binding in bindings:
        first = set(binding.names if isinstance(binding, Inherit) else binding.names[:1])
        plain = {normal_name(name) for name in first}
        if not plain & seen:  # type: ignore[operator]
            seen |= {name for name in plain if isinstance(name, str)}
            kept.append(binding)
    return tuple(kept)


def normal_name(name: str | Template) -> str | Template:
    """A name of an attribute as `parse` gives it back."""
    made = normal(name)
    if isinstance(made, str):
        return made
    return Template(made.parts if isinstance(made, Template) else (made,))


def normal(value: Expression) -> Expression:
    """The form that `parse` gives: strings without interpolation plain, neighbouring texts joined, no comments."""
    match value:
        case tuple():
            return tuple(map(normal, value))
        case Template(parts, indented):
            flat: list[Expression] = []
            for part in map(normal, parts):
                for inner in part.parts if isinstance(part, Template) else (part,):
                    if isinstance(inner, str) and flat and isinstance(flat[-1], str):
                        flat[-1] += inner
                    elif inner != "":
                        flat.append(inner)
            return "".join(map(str, flat)) if all(isinstance(p, str) for p in flat) else Template(tuple(flat), indented)
        case Select(subject, names, default):
            return Select(normal(subject), tuple(map(normal_name, names)), _default(default))
        case HasAttribute(subject, names):
            return HasAttribute(normal(subject), tuple(map(normal_name, names)))
        case Apply(function, argument):
            return Apply(normal(function), normal(argument))
        case Function(body, name, parameters, is_open):
            told = None if parameters is None else tuple(Parameter(p.name, _default(p.default)) for p in parameters)
            return Function(normal(body), name, told, is_open)
        case AttributeSet(bindings, recursive):
            return AttributeSet(tuple(map(_binding, bindings)), recursive)
        case Let(bindings, body):
            return Let(tuple(map(_binding, bindings)), normal(body))
        case With(scope, body):
            return With(normal(scope), normal(body))
        case If(condition, yes, no):
            return If(normal(condition), normal(yes), normal(no))
        case Assert(condition, body):
            return Assert(normal(condition), normal(body))
        case Unary(operator, operand):
            return Unary(operator, normal(operand))
        case Binary(operator, left, right):
            return Binary(operator, normal(left), normal(right))
        case _:
            return value


def _default(default: tuple[Expression] | None) -> tuple[Expression] | None:
    return None if default is None else (normal(default[0]),)


def _binding(binding: Binding | Inherit) -> Binding | Inherit:
    if isinstance(binding, Inherit):
        return replace(binding, source=_default(binding.source))
    return Binding(tuple(map(normal_name, binding.names)), normal(binding.value))


_CHECK = pathlib.Path(__file__).parent / "nix-instantiate" / "check.nix"


def evaluated(files: Mapping[str, str], folder: pathlib.Path, paths: Iterable[str] = ()) -> dict[str, Any]:
    """Hosts of a repository's flake as real Nix evaluates them with the small module system beside this file.

    `paths`: options whose values are wanted. Raises EvaluationError with what Nix says.
    """
    root = folder / "repository"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    table = folder / "options.json"
    table.write_bytes(documents.dump_json(options.table()))
    arguments = (
        *("--eval", "--strict", "--json", str(_CHECK), "--arg", "flake", str(root / "nixos")),
        *("--arg", "options", str(table), "--argstr", "packages", " ".join(sorted(packages.known()))),
        *("--argstr", "paths", " ".join(paths)),
    )
    done = _instantiate(*arguments)
    if done.returncode:
        raise EvaluationError(done.stderr)
    return cast("dict[str, Any]", documents.load_json(done.stdout))
