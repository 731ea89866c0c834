"""Nix's builtins, as modules use them: of sets, lists, strings and control, and those that read the repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from typing_extensions import override

from nerv.nix.arguments import attributes, member
from nerv.nix.builtins import control, lists, sets, strings
from nerv.nix.functions import function
from nerv.nix.values import EvaluationError, NotModelled, Partial, Set, force

NIX_VERSION = "2.28.5"
"""Of NixOS 25.05."""


_GLOBAL = (
    *("abort", "baseNameOf", "derivation", "dirOf", "fetchGit", "fetchTarball", "fetchTree", "fromTOML", "import"),
    *("isNull", "map", "placeholder", "removeAttrs", "throw", "toString"),
)


class Files(Protocol):
    """The repository, as builtins read it."""

    def imported(self, path: object) -> object: ...
    def inside(self, path: object) -> str: ...
    def exists(self, inside: str) -> bool: ...
    def listed(self, inside: str) -> Mapping[str, str]: ...
    def text(self, path: object) -> str: ...


def make(files: Files) -> dict[str, object]:
    """The names that are known everywhere; `builtins` is the set of all."""
    reading: dict[str, Callable[..., object]] = {
        "import": files.imported,
        "readFile": files.text,
        "pathExists": lambda path: _exists(files, path),
        "readDir": lambda path: Set(files.listed(files.inside(path))),
        "readFileType": lambda path: _type_of(files, path),
        "filterSource": lambda _keep, path: force(path),
        "path": lambda arguments: force(member(attributes(arguments), "path")),
    }
    read = {name: function(name, python) for name, python in reading.items()}
    made = _Builtins({**functions(), **read, **_CONSTANTS})
    made["builtins"] = made
    everywhere: dict[str, object] = {name: made[name] for name in _GLOBAL}
    everywhere |= {f"__{name}": value for name, value in made.items()}
    return {**everywhere, "__curPos": None, "builtins": made}


def functions() -> dict[str, object]:
    """Builtins that read no file."""
    return {name: function(name, python) for name, python in _FUNCTIONS.items()}


class _Builtins(Partial):
    """The set `builtins`."""

    __slots__ = ()

    @override
    def missing(self, name: str) -> object:
        raise NotModelled(f"builtins.{name} is not known offline")


def _exists(files: Files, path: object) -> object:
    try:
        return files.exists(files.inside(path))
    except NotModelled:
        raise
    except EvaluationError:
        return False


def _type_of(files: Files, path: object) -> object:
    folder, _, name = files.inside(path).rpartition("/")
    return member(Set(files.listed(folder)), name)


_CONSTANTS: dict[str, object] = {
    "nixVersion": NIX_VERSION,
    "langVersion": 6,
    "storeDir": "/nix/store",
    "nixPath": [],
    "true": True,
    "false": False,
    "null": None,
}

_FUNCTIONS = {**sets.FUNCTIONS, **lists.FUNCTIONS, **strings.FUNCTIONS, **control.FUNCTIONS}
