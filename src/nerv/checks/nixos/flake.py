"""The repository's flake, evaluated: nixos/flake.nix -> hosts, each with its configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from typing_extensions import override

from nerv.checks.nixos import declarations, definitions, options, packages
from nerv.checks.nixos.modules import NIXPKGS, Configuration, Modules, Unmodelled
from nerv.checks.nixos.report import Report
from nerv.errors import Problem, ProblemsError, Severity
from nerv.nix import library
from nerv.nix.arguments import attributes, items, member, text
from nerv.nix.coercion import ROOT, store_path
from nerv.nix.evaluate import IMPORTED, Evaluator, deep
from nerv.nix.functions import function
from nerv.nix.values import EvaluationError, NotModelled, Partial, Set, apply, force, later

FOLDER = "nixos"
FLAKE = f"{FOLDER}/flake.nix"
LOCK = f"{FOLDER}/flake.lock"
_NAME = re.compile(r'"([^"]*)"|([^."]+)')
_EVALUATED = "nerv:configuration"
_KNOWN_INPUTS = ("disko", "sops-nix")
"""Inputs whose options are in the table: their modules are empty here."""


@dataclass(frozen=True)
class Host:
    """A machine of the flake."""

    name: str
    file: str
    """Where it is defined, for problems of the whole host."""
    configuration: Configuration

    def get(self, path: str, default: object = None) -> object:
        """The value of an option by its dotted path; `default` where it is not there or cannot be known."""
        value: object = self.configuration.config
        try:
            for name in _names(path):
                if not isinstance(value, Set) or name not in value:
                    return default
                value = force(value[name])
        except (EvaluationError, RecursionError):
            return default
        return value

    def members(self, path: str) -> Mapping[str, object]:
        """The value of an option that is a set; an empty one where there is none. Names with dots are in quotes."""
        found = self.get(path)
        return {f'"{n}"' if "." in n else n: value for n, value in found.items()} if isinstance(found, Set) else {}

    def known(self, *paths: str) -> bool:
        """Whether what modules say of these options could be evaluated; where it could not, a note says so."""
        defined, marker = self.configuration.merging.defined, object()
        return all(_names(p) not in defined or self.get(p, marker) is not marker for p in paths)

    def is_set(self, path: str) -> bool:
        """Whether a module says something of an option."""
        return _names(path) in self.configuration.merging.set_at

    def problem(
        self, path: str, message: str, hint: str = "", severity: Severity = "error", *, value: object = None
    ) -> Problem:
        """A finding about an option, where it is set (or the longest part of its path that is); else of the host.

        `value`: what is wrong with it, so that the definition that says it is shown.
        """
        names = _names(path)
        for length in range(len(names), 0, -1):
            found = self.configuration.merging.set_at.get(names[:length], [])
            chosen = next(
                (d for d in found if value is not None and _says(d.value, value)), found[0] if found else None
            )
            if chosen and chosen.place:
                source, offset = chosen.place
                return Problem(source.file, *source.text.place(offset), message, hint, severity)
        return Problem(self.file, 0, 0, f"{self.name}: {message}" if self.file == FLAKE else message, hint, severity)

    def items(self, path: str) -> list[object]:
        """The value of an option that is a list, its items forced; those that cannot be known are left out."""
        found = self.get(path)
        return forced(found) if isinstance(found, list) else []


def _names(path: str) -> tuple[str, ...]:
    """The names of a dotted path; one with dots in it stands in quotes."""
    return tuple(quoted or name for quoted, name in _NAME.findall(path))


def _says(definition: object, value: object) -> bool:
    return definition == value or (isinstance(definition, list) and value in forced(definition))


def forced(values: list[object]) -> list[object]:
    """The items of a list, but for those that cannot be computed."""
    made = []
    for value in values:
        try:
            made.append(force(value))
        except (EvaluationError, RecursionError):
            continue
    return made


@dataclass
class Flake:
    """The flake: its inputs as they are written, and its hosts."""

    inputs: Mapping[str, object] = field(default_factory=dict)
    hosts: tuple[Host, ...] = ()
    read: frozenset[str] = frozenset()
    """Files that were evaluated on the way."""


def evaluate(files: Mapping[str, str], report: Report, release: str) -> Flake:
    """The flake of a repository; what is wrong with it goes into the report."""
    evaluator = Evaluator(files)
    try:
        with deep():
            return _Reading(evaluator, report, release).flake()
    except ProblemsError as error:
        for problem in error.problems:
            report.found[problem] = None
    except EvaluationError as error:
        report.failed(error, FLAKE)
    return Flake()


class _Reading:
    """One reading of the flake."""

    def __init__(self, evaluator: Evaluator, report: Report, release: str) -> None:
        self.evaluator = evaluator
        self.report = report
        self.modules = Modules(evaluator, report)
        self.packages: dict[str, packages.Packages] = {}
        more = {
            "nixosSystem": function("nixosSystem", self._system),
            "fileContents": function("fileContents", lambda path: evaluator.text(path).removesuffix("\n")),
            "importJSON": function("importJSON", self._json),
        }
        self.library = library.make(release, {**definitions.FUNCTIONS, **declarations.FUNCTIONS, **more})

    def flake(self) -> Flake:
        """The whole flake, with the configuration of every host computed."""
        written = attributes(self.evaluator.file(FLAKE))
        inputs = attributes(written.get("inputs", Set()))
        outputs = self._outputs(written, inputs)
        systems = attributes(outputs.get("nixosConfigurations", Set()))
        hosts = [host for name in systems if (host := self._host(name, systems))]
        for host in hosts:
            host.configuration.finish()
        self._note_packages()
        return Flake(inputs, tuple(hosts), self.evaluator.read())

    def _outputs(self, written: Set, inputs: Set) -> Set:
        made = later(lambda: apply(member(written, "outputs"), given))
        given = self._inputs(inputs, lambda: attributes(made))
        return attributes(made)

    def _host(self, name: str, systems: Set) -> Host | None:
        try:
            found = attributes(systems[name])
        except EvaluationError as error:
            self.report.failed(error, FLAKE, systems.places.get(name))
            return None
        made = found.get(_EVALUATED)
        if not isinstance(made, Configuration):
            return None
        own = f"{FOLDER}/hosts/{name}.nix"
        return Host(name, own if own in made.files() else FLAKE, made)

    def _inputs(self, inputs: Set, outputs: Callable[[], Set]) -> Set:
        made = Set({name: later(partial(self._input, name)) for name in {"nixpkgs": 0, **inputs}})
        own = {"outPath": f"{ROOT}/{FOLDER}", "inputs": made, "sourceInfo": Set({"outPath": ROOT})}
        made["self"] = _Own(own, outputs)
        return made

    def _input(self, name: str) -> object:
        if name == "nixpkgs":
            return _Nixpkgs(
                {
                    "lib": self.library,
                    "legacyPackages": self._all_packages(),
                    "outPath": NIXPKGS,
                    IMPORTED: function("import", self._imported),
                }
            )
        known: dict[str, object] = {}
        if name in _KNOWN_INPUTS:
            empty = Set({"_file": f"flake input {name}", "config": Set()})
            short = name.removesuffix("-nix")
            known = {"nixosModules": Set({short: empty, "default": empty})}
        return Unmodelled(f"flake input {name}", {"outPath": store_path(name, "input"), **known})

    def _all_packages(self) -> Set:
        return Set({s: later(partial(self._packages, s)) for s in ("x86_64-linux", "aarch64-linux")})

    def _packages(self, system: str) -> packages.Packages:
        if system not in self.packages:
            self.packages[system] = packages.Packages(self.library, system)
        return self.packages[system]

    def _imported(self, given: object) -> object:
        """`import nixpkgs { system = ...; }`"""
        values = attributes(given)
        return self._packages(text(values["system"]) if "system" in values else "x86_64-linux")

    def _system(self, given: object) -> object:
        values = attributes(given)
        special = attributes(values.get("specialArgs", Set()))
        system = text(values["system"]) if "system" in values and force(values["system"]) else "x86_64-linux"
        arguments = {
            "lib": self.library,
            "pkgs": later(lambda: self._packages(system)),
            "modulesPath": f"{NIXPKGS}/nixos/modules",
            **special,
        }
        found = self.modules.evaluate(items(member(values, "modules")), FLAKE, arguments, options.table())
        known = {"config": later(lambda: found.config), _EVALUATED: found}
        return Unmodelled("a host's system", known)

    def _json(self, path: object) -> object:
        return apply(force(attributes(self.library)["fromJSON"]), self.evaluator.text(path))

    def _note_packages(self) -> None:
        for name in dict.fromkeys(name for found in self.packages.values() for name in found.asked):
            said = f"not evaluated: whether nixpkgs has a package `{name}`: NERV knows the most common names alone"
            self.report.say(FLAKE, None, said, severity="note")


class _Nixpkgs(Partial):
    """The input nixpkgs."""

    __slots__ = ()

    @override
    def missing(self, name: str) -> object:
        raise NotModelled(f"nixpkgs.{name} is not known offline")


class _Own(Partial):
    """The flake itself, as its outputs may ask for it."""

    __slots__ = ("outputs",)

    def __init__(self, values: Mapping[str, object], outputs: Callable[[], Set]) -> None:
        super().__init__(values)
        self.outputs = outputs

    @override
    def missing(self, name: str) -> object:
        return member(self.outputs(), name)
