"""The module system: modules and what they import -> one configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from typing_extensions import override

from nerv.checks.nixos import options
from nerv.checks.nixos.definitions import Definition
from nerv.checks.nixos.merging import Merging, Names
from nerv.checks.nixos.options import Node
from nerv.checks.nixos.report import Report
from nerv.errors import ProblemsError
from nerv.nix.arguments import attributes, items
from nerv.nix.coercion import show
from nerv.nix.evaluate import Evaluator
from nerv.nix.values import (
    Closure,
    EvaluationError,
    NotModelled,
    Partial,
    Path,
    Place,
    Set,
    apply,
    force,
    is_function,
    kind,
    later,
)

_STRUCTURE = frozenset(
    ("imports", "options", "config", "_file", "key", "meta", "disabledModules", "freeformType", "_class")
)


NIXPKGS = "/nix/store/00000000000000000000000000000000-nixpkgs"
"""Where nixpkgs would stand in the store."""


class Unmodelled(Partial):
    """What a flake or NixOS gives that is known in part: `what` it is."""

    __slots__ = ("what",)

    def __init__(self, what: str, known: Mapping[str, object] | None = None) -> None:
        super().__init__(known)
        self.what = what

    @override
    def missing(self, name: str) -> object:
        raise NotModelled(f"{self.what}: `{name}` is not known offline")


@dataclass(frozen=True)
class Module:
    """What one module says."""

    file: str
    config: object
    options: object
    free: object
    imports: tuple[object, ...]


class Modules:
    """Loads modules of a repository, and evaluates them together."""

    def __init__(self, evaluator: Evaluator, report: Report) -> None:
        self.evaluator = evaluator
        self.report = report

    def evaluate(
        self, modules: Sequence[object], file: str, arguments: Mapping[str, object], table: Node, path: Names = ()
    ) -> Configuration:
        """The configuration of modules that `file` names. What is wrong is reported, the rest evaluated."""
        return Configuration(self, modules, file, arguments, table, path)

    def load(
        self, modules: Iterable[object], file: str, arguments: Set, fallback: Callable[[str], object]
    ) -> tuple[list[Module], bool]:
        """The modules and all they import, each once, in NixOS's order; and whether one of them is not known here."""
        waiting = [(module, file) for module in modules]
        seen: set[str] = set()
        loaded: list[Module] = []
        foreign = False
        while waiting:
            module, name = waiting.pop(0)
            try:
                module, name = self._opened(module, name, seen)
                if module is not None:
                    made = self._read(module, name, arguments, fallback)
                    loaded.append(made)
                    waiting += ((inner, name) for inner in made.imports)
            except ProblemsError as error:
                foreign = True
                for problem in error.problems:
                    self.report.found[problem] = None
            except EvaluationError as error:
                foreign = True
                self.report.failed(error, name)
        return loaded, foreign

    def _opened(self, module: object, file: str, seen: set[str]) -> tuple[object, str]:
        """A module and the file it stands in; None for a file that was loaded already."""
        module = force(module)
        if not isinstance(module, (Path, str)):
            return module, file
        if str(module).startswith(f"{NIXPKGS}/"):
            said = f"not evaluated: {str(module).removeprefix(f'{NIXPKGS}/')} of nixpkgs"
            self.report.say(file, None, said, severity="note")
            return None, file
        inside = self.evaluator.module(module)
        if inside in seen:
            return None, inside
        seen.add(inside)
        return self.evaluator.file(inside), inside

    def _read(self, module: object, file: str, arguments: Set, fallback: Callable[[str], object]) -> Module:
        if is_function(module):
            module = apply(module, _asked_for(module, arguments, fallback))
        if not isinstance(module, Set):
            raise EvaluationError(f"a module is a function or a set, not {kind(module)}: {show(module)}")
        file = str(force(module["_file"])) if "_file" in module else file
        imports = tuple(items(module["imports"])) if "imports" in module else ()
        if "config" not in module and "options" not in module:
            said = Set({n: v for n, v in module.items() if n not in _STRUCTURE}, module.places)
            return Module(file, said, Set(), module.get("freeformType"), imports)
        for name in module.keys() - _STRUCTURE:
            place: Place | None = module.places.get(name)
            self.report.say(file, place, f"`{name}` stands beside `config` or `options`", "move it into `config`")
        return Module(
            file, module.get("config", Set()), module.get("options", Set()), module.get("freeformType"), imports
        )


class Configuration:
    """Modules evaluated together. `config` is computed where it is looked at; `finish` computes all of it."""

    def __init__(
        self,
        loader: Modules,
        modules: Sequence[object],
        file: str,
        arguments: Mapping[str, object],
        table: Node,
        path: Names,
    ) -> None:
        self._config = later(lambda: self._merge())
        self._loader = loader
        self._path = path
        self.modules: list[Module] = []
        self.loaded = False
        known = Set({"config": self._config, "options": later(self._options), **arguments})
        self.modules, foreign = loader.load(modules, file, known, lambda name: self._argument(name, file))
        self.loaded = True
        self._arguments = dict(arguments)
        self._table = table
        for module in self.modules:
            try:
                self._table = options.joined(self._table, options.declared(module.options, module.file))
            except EvaluationError as error:
                loader.report.failed(error, module.file)
        self.merging = Merging(loader.report, self._submodule, lambda: self.config, foreign=foreign)

    @property
    def config(self) -> Set:
        """The configuration. Raises EvaluationError."""
        return attributes(self._config)

    def finish(self) -> None:
        """Compute all that is defined; what is wrong is reported."""
        try:
            self._config.force()
        except EvaluationError as error:
            self._loader.report.failed(error, self.modules[0].file if self.modules else "")
        self.merging.finish()

    def files(self) -> list[str]:
        """The files of its modules."""
        return list(dict.fromkeys(module.file for module in self.modules))

    def _definitions(self) -> list[Definition]:
        # later modules come first, as in NixOS
        return [Definition(module.file, module.config) for module in reversed(self.modules)]

    def _merge(self) -> object:
        if not self.loaded:
            raise EvaluationError("infinite recursion: what a module imports depends on the configuration")
        free = next((module.free for module in self.modules if module.free is not None), None)
        wanted = None if free is None else options.type_of(free)
        return self.merging.group(self._path, self._table, wanted, self._definitions())

    def _options(self) -> object:
        return Unmodelled("options")

    def _argument(self, name: str, file: str) -> object:
        """An argument of a module that only `_module.args` can give."""
        if not self.loaded:
            raise EvaluationError(f"a module asks for `{name}` before it can say what it imports, and nothing gives it")
        given = force(self.config.get("_module", Set()))
        known = force(given.get("args", Set())) if isinstance(given, Set) else Set()
        if isinstance(known, Set) and name in known:
            return force(known[name])
        raise EvaluationError(f"a module asks for `{name}`, which nothing gives", None)

    def _submodule(self, path: Names, modules: list[object], given: list[Definition]) -> object:
        file = given[0].file if given else ""
        arguments = {**self._arguments, "name": path[-1]}
        whole = [*modules, *(_as_module(definition) for definition in given)]
        inner = self._loader.evaluate(whole, file, arguments, {"c": {}}, path)
        inner.merging = self.merging
        return inner.config


def _as_module(definition: Definition) -> object:
    if isinstance(definition.value, Set):
        return Set({"_file": definition.file, "config": definition.value})
    return definition.value


def _asked_for(module: object, arguments: Set, fallback: Callable[[str], object]) -> Set:
    """The arguments of a module: what is known, and what it asks for by name besides."""
    asked = module.parameters if isinstance(module, Closure) and module.parameters else {}
    absent = [name for name, has_default in asked.items() if name not in arguments and not has_default]
    return Set({**arguments, **{name: later(partial(fallback, name)) for name in absent}}) if absent else arguments
