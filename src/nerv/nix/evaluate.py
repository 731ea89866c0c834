"""Evaluating Nix files without Nix: a repository's texts in, values out, nothing read or run outside them.

The language is whole; builtins are those that modules use. What needs the network, a build or the machine is
`NotModelled` (or refused, where a flake is refused it too).
"""

from __future__ import annotations

import contextlib
import posixpath
import sys
from collections.abc import Iterator, Mapping

from nerv.errors import ProblemsError
from nerv.nix import builtins, parse
from nerv.nix.coercion import ROOT
from nerv.nix.compiling import Compiler
from nerv.nix.names import Environment, Scope
from nerv.nix.source import Source
from nerv.nix.values import EvaluationError, NotModelled, Path, Set, force, kind

_DEPTH = 12_000
IMPORTED = "nerv:imported"
"""The name in a set that holds what `import` of it gives (a flake's input, such as nixpkgs)."""


class Evaluator:
    """Evaluates files of a repository: paths from its root -> text. Files are read once, and so are values."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self._folders = {""} | {parent for path in files for parent in _parents(path)}
        self._values: dict[str, object] = {}
        self._read: set[str] = set()
        self._globals = Environment(builtins.make(self), None)
        self._scope = Scope(frozenset(self._globals.names), None)

    def file(self, path: str) -> object:
        """The value of a file, by its path in the repository. Raises EvaluationError, ProblemsError."""
        if path not in self._values:
            self._read.add(path)
            source = parse.read(self.files[path], path)
            self._values[path] = self.source(source)
        return self._values[path]

    def read(self) -> frozenset[str]:
        """The files that were asked for so far, the wrong ones too."""
        return frozenset(self._read)

    def source(self, source: Source) -> object:
        """The value of an expression that was read. Raises ProblemsError for names that are bound nowhere."""
        compiler = Compiler(source, posixpath.dirname(f"{ROOT}/{source.file}"))
        code = compiler.compile(source.expression, self._scope)
        if compiler.problems:
            raise ProblemsError(compiler.problems)
        return code(self._globals)

    def imported(self, path: object) -> object:
        """`import`: the value of a file, or of a folder's default.nix."""
        path = force(path)
        if isinstance(path, Set) and IMPORTED in path:
            return path[IMPORTED]
        return self.file(self.module(path))

    def module(self, path: object) -> str:
        """The file in the repository that a path of an import names. Raises EvaluationError."""
        inside = self.inside(path)
        if inside in self._folders:
            inside = posixpath.join(inside, "default.nix")
        if inside not in self.files:
            raise EvaluationError(f"{inside or '.'} is not in the repository")
        return inside

    def inside(self, path: object) -> str:
        """A path as it is named in the repository. Raises EvaluationError for one outside it."""
        path = force(path)
        if isinstance(path, Set) and "outPath" in path:
            path = force(path["outPath"])
        text = path.text if isinstance(path, Path) else path
        if not isinstance(text, str):
            raise EvaluationError(f"a path is wanted, but {kind(path)} is given")
        if text == ROOT or text.startswith(f"{ROOT}/"):
            return text.removeprefix(ROOT).strip("/")
        if text.startswith("/nix/store/"):
            raise NotModelled(f"{text} is known only when it is built or fetched")
        raise EvaluationError(f"{text} stands outside the repository: a flake cannot read it")

    def exists(self, inside: str) -> bool:
        """Whether the repository has a file or folder."""
        return inside in self.files or inside in self._folders

    def listed(self, inside: str) -> Mapping[str, str]:
        """Names in a folder, and what they are. Raises EvaluationError."""
        if inside not in self._folders:
            raise EvaluationError(f"folder {inside} is not in the repository")
        under = f"{inside}/" if inside else ""
        found = {path[len(under) :].split("/")[0] for path in self.files if path.startswith(under)}
        return {name: "directory" if under + name in self._folders else "regular" for name in sorted(found)}

    def text(self, path: object) -> str:
        """The text of a file. Raises EvaluationError."""
        inside = self.inside(path)
        if inside not in self.files:
            raise EvaluationError(f"{inside} is not in the repository")
        return self.files[inside]


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


@contextlib.contextmanager
def deep() -> Iterator[None]:
    """Room for deep recursion, which lazy evaluation needs; what goes deeper is an EvaluationError."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEPTH))
    try:
        yield
    except RecursionError:
        raise EvaluationError("infinite recursion, or nested too deeply") from None
    finally:
        sys.setrecursionlimit(before)
