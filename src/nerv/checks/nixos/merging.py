"""Definitions -> values: merged by type, by priority and in order, with everything that is wrong reported."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from typing_extensions import override

from nerv.checks.nixos import defaults, options, packages, types
from nerv.checks.nixos.definitions import (
    OPTION_DEFAULT,
    Definition,
    discharged,
    mark,
    of_name,
    pushed_down,
    strongest,
)
from nerv.checks.nixos.options import Node
from nerv.checks.nixos.report import Report
from nerv.checks.nixos.types import Type
from nerv.nix import coercion
from nerv.nix.builtins.control import force_all
from nerv.nix.values import (
    Absent,
    EvaluationError,
    NotModelled,
    Partial,
    Set,
    Thunk,
    apply,
    force,
    is_function,
    is_package,
    kind,
    later,
)

Names = tuple[str, ...]
Submodule = Callable[[Names, list[object], list[Definition]], object]
_TOKEN = re.compile(r"(--[\w-]*token=)[^\s\"]+")
"""A flag's value that no message shows."""
_SECRET = ("token", "password", "secret", "passphrase", "key")


class Filled(Partial):
    """A set to which NixOS adds what is not known here."""

    __slots__ = ("path",)

    def __init__(self, path: Names) -> None:
        super().__init__()
        self.path = path

    @override
    def missing(self, name: str) -> object:
        if ".".join(self.path) in options.PARTIAL and not options.known_elsewhere((*self.path, name), {"c": self}):
            near = options.close(name, {"c": self})
            raise Absent(f"attribute `{name}` is missing" + (f"; did you mean `{near}`?" if near else ""))
        return _unmodelled((*self.path, name))


class Merging:
    """Merges the definitions of one configuration. What is defined is computed at the end, by `finish`."""

    def __init__(self, report: Report, submodule: Submodule, config: defaults.Config, *, foreign: bool) -> None:
        self.report = report
        self.set_at: dict[Names, list[Definition]] = {}
        """The definitions that count, by option."""
        self.defined: set[Names] = set()
        """Options that some module says something of, be it under a condition."""
        self._config = config
        self.foreign = foreign
        """Whether modules take part that are not known here: unknown options may be theirs."""
        self._submodule = submodule
        self._waiting: deque[tuple[Thunk, Definition]] = deque()

    def finish(self) -> None:
        """Compute everything that is defined, so that all that is wrong is found."""
        while self._waiting:
            value, definition = self._waiting.popleft()
            try:
                value.force()
            except EvaluationError as error:
                self.report.failed(error, definition.file, definition.place)
            except RecursionError:
                self.report.about(definition, "infinite recursion, or nested too deeply")

    def _later(self, compute: Callable[[], object], definition: Definition) -> Thunk:
        made = later(compute)
        self._waiting.append((made, definition))
        return made

    def _named(self, path: Names, wanted: Type, live: list[Definition]) -> Thunk:
        """A value under a name that its module chose."""
        self.set_at[path] = live
        return self._later(partial(self.merge, path, wanted, live), live[0])

    # --- groups and options

    def group(self, path: Names, node: Node, free: Type | None, given: Sequence[Definition]) -> Set:
        """The value of a group of options; `free`: the type of what is set beside them, where that may be."""
        kids: dict[str, Node] = node.get("c", {})
        pushed = [inner for definition in given for inner in pushed_down(definition)]
        usable = [definition for definition in pushed if self._is_group(path, definition)]
        named: dict[str, list[Definition]] = {}
        for definition in usable:
            assert isinstance(definition.value, Set)
            places = definition.value.places
            for name, value in definition.value.items():
                made = definition._replace(value=value, place=places.get(name) or definition.place)
                named.setdefault(name, []).append(made)
        values: Set = Filled(path) if options.outside(path) else Set()
        for name, kid in kids.items():
            of = named.get(name)
            if of:
                self.defined.add((*path, name))
            compute = partial(self._kid, (*path, name), kid, of or ())
            values[name] = self._later(compute, of[0]) if of else later(compute)
        unknown = [name for name in named if name not in kids]
        if free is None:
            for name in unknown:
                self._unknown((*path, name), node, named[name])
                values[name] = later(partial(_unmodelled, (*path, name)))
        else:
            inner = free[1] if free[0] in ("attrsOf", "lazyAttrsOf") else ["any"]
            for name in unknown:
                live = self._live(named[name])
                if live:
                    values[name] = self._named((*path, name), inner, live)
        return values

    def _is_group(self, path: Names, definition: Definition) -> bool:
        if isinstance(definition.value, Set) and not is_package(definition.value):
            return True
        said = f"is a group of options, but is set to {kind(definition.value)}"
        self.report.about(definition, f"{dotted(path)} {said}")
        return False

    def _kid(self, path: Names, node: Node, given: Sequence[Definition]) -> object:
        if "o" in node:
            return self.option(path, node["o"], given)
        return self.group(path, node, None, given)

    def option(self, path: Names, option: Node, given: Sequence[Definition]) -> object:
        """The value of an option: what is defined, else its default."""
        wanted: Type = option["t"]
        live = self._live(given)
        if live:
            self.set_at[path] = live
            value = self.merge(path, wanted, live)
        elif (found := defaults.computed(path, self._config)) is not None:
            value = found[0]
        elif "v" in option:
            default = Definition(option.get("file", ""), option["v"], None, OPTION_DEFAULT)
            value = self.merge(path, wanted, self._live([default]))
        elif option.get("D"):
            value = coercion.from_plain(option.get("d"))
            if isinstance(value, Set) and options.outside(path):
                value = Filled(path)
        elif wanted[0] in ("sub", "module"):
            value = self.merge(path, wanted, [Definition("", Set())])
        elif "file" in option:
            raise EvaluationError(f"{dotted(path)} is used but not set, and has no default")
        elif wanted == ["package"]:
            value = packages.package(path[-2] if path[-1] == "package" else path[-1])
        else:
            raise NotModelled(f"the default of {dotted(path)} is not known offline")
        return apply(option["apply"], value) if "apply" in option else value

    def _live(self, given: Iterable[Definition]) -> list[Definition]:
        return strongest(discharged(given))

    def _unknown(self, path: Names, group: Node, given: Sequence[Definition]) -> None:
        name = dotted(path)
        hint = options.hint(path, group)
        for definition in given:
            if self.foreign or options.known_elsewhere(path, group):
                said = f"not evaluated: {name} is in no table that NERV has of NixOS's options"
                self.report.about(definition, said, severity="note")
                self._later(partial(self._look_through, path, definition), definition)
            else:
                self.report.about(definition, f"{name} does not exist", hint)

    def _look_through(self, path: Names, given: Definition) -> None:
        """Compute what is set where no option is known: values may fail, and what is called `enable` is a boolean."""
        for definition in discharged((given,)):
            value = definition.value
            if path[-1] == "enable" and not isinstance(value, bool):
                self.report.about(definition, f"{dotted(path)} is not of type boolean: {_shown(path, value)}")
            elif isinstance(value, Set) and not isinstance(value, Partial):
                for name, inner in value.items():
                    place = value.places.get(name) or definition.place
                    made = definition._replace(value=inner, place=place)
                    self._later(partial(self._look_through, (*path, name), made), made)
            elif isinstance(value, list):
                for inner in value:
                    made = definition._replace(value=inner)
                    self._later(partial(self._look_through, (*path, "item"), made), made)

    # --- types

    def merge(self, path: Names, wanted: Type, given: Sequence[Definition]) -> object:
        """The value of definitions (without marks, the strongest alone) of a type."""
        bad = [definition for definition in given if not types.fits(wanted, definition.value)]
        if bad:
            for definition in bad:
                said = f"{dotted(path)} is not of type {types.name(wanted)}: {_shown(path, definition.value)}"
                self.report.about(definition, said)
            return bad[0].value
        merge = _MERGES.get(wanted[0], Merging._same)
        return merge(self, path, wanted, list(given))

    def _null_or(self, path: Names, wanted: Type, given: list[Definition]) -> object:
        nulls = [definition.value is None for definition in given]
        if all(nulls):
            return None
        return self._conflict(path, given) if any(nulls) else self.merge(path, wanted[1], given)

    def _one_of(self, path: Names, wanted: Type, given: list[Definition]) -> object:
        for test in (types.fits_deeply, types.fits):
            for inner in wanted[1:]:
                if all(test(inner, definition.value) for definition in given):
                    return self.merge(path, inner, given)
        return self._conflict(path, given)

    def _list(self, path: Names, wanted: Type, given: list[Definition]) -> object:
        made: list[object] = []
        for definition in given:
            assert isinstance(definition.value, list)
            for item in definition.value:
                value = force(item) if wanted[1][0] in _CHECKED_AT_ONCE or mark(force(item)) else item
                for inner in discharged((definition._replace(value=value),)):
                    at = (*path[:-1], f"{path[-1]}[{len(made)}]")
                    if wanted[1][0] in _CHECKED_AT_ONCE:
                        made.append(self.merge(at, wanted[1], [inner]))
                    else:
                        made.append(self._later(partial(self.merge, at, wanted[1], [inner]), inner))
        return made

    def _attributes(self, path: Names, wanted: Type, given: list[Definition]) -> object:
        pushed = [inner for definition in given for inner in pushed_down(definition)]
        values: Set = Filled(path) if options.outside(path) else Set()
        for name in dict.fromkeys(n for definition in pushed for n in definition.value):  # type: ignore[attr-defined]
            live = self._live(of_name(pushed, name))
            if live:
                values[name] = self._named((*path, name), wanted[1], live)
        return values

    def _table_submodule(self, path: Names, wanted: Type, given: list[Definition]) -> object:
        node, free = wanted[1] or {}, wanted[2] if len(wanted) > 2 else None
        made: list[object] = []
        arguments = Set({"name": path[-1], "config": later(lambda: force(made[0]))})
        called = [d._replace(value=apply(d.value, arguments)) if is_function(d.value) else d for d in reversed(given)]
        made.append(self.group(path, node, free, [_without_module(d) for d in called]))
        return made[0]

    def _submodules(self, path: Names, wanted: Type, given: list[Definition]) -> object:
        return self._submodule(path, wanted[1], given)

    def _lines(self, _path: Names, _wanted: Type, given: list[Definition]) -> object:
        return "\n".join(str(definition.value) for definition in given)

    def _separated(self, _path: Names, wanted: Type, given: list[Definition]) -> object:
        return wanted[1].join(str(definition.value) for definition in given)

    def _systemd(self, path: Names, wanted: Type, given: list[Definition]) -> object:
        if any(isinstance(definition.value, list) for definition in given):
            lists = (d.value if isinstance(d.value, list) else [d.value] for d in given)
            return [item for values in lists for item in values]
        return self._same(path, wanted, given)

    def _anything(self, path: Names, wanted: Type, given: list[Definition]) -> object:
        values = [definition.value for definition in given]
        if all(isinstance(value, Set) and not is_package(value) and "_type" not in value for value in values):
            return self._attributes(path, ["attrsOf", ["any"]], given)
        if len(values) > 1 and all(isinstance(value, list) for value in values):
            return [item for value in values for item in value]  # type: ignore[attr-defined]
        return self._same(path, wanted, given)

    def _joined(self, _path: Names, _wanted: Type, given: list[Definition]) -> object:
        made = Set()
        for definition in given:
            assert isinstance(definition.value, Set)
            made = Set({**made, **definition.value}, {**made.places, **definition.value.places})
        self._later(lambda: force_all(made), given[0])
        return made

    def _same(self, path: Names, _wanted: Type, given: list[Definition]) -> object:
        first = given[0].value
        if isinstance(first, (list, Set)):
            self._later(lambda: force_all(first), given[0])
        if all(coercion.equal(first, definition.value) for definition in given[1:]):
            return first
        return self._conflict(path, given)

    def _conflict(self, path: Names, given: list[Definition]) -> object:
        places = "; ".join(f"{_place(definition)}: {_shown(path, definition.value)}" for definition in given)
        self.report.about(given[0], f"{dotted(path)} is set to different values", places)
        return given[0].value


# Items of these types are looked at when their list is: nothing in them can ask for the configuration.
_CHECKED_AT_ONCE = frozenset(("str", "int", "bool", "path", "package", "intBetween", "enum", "nonEmptyStr"))

_MERGES: dict[str, Callable[[Merging, Names, Type, list[Definition]], object]] = {
    "nullOr": Merging._null_or,
    "oneOf": Merging._one_of,
    "listOf": Merging._list,
    "attrsOf": Merging._attributes,
    "sub": Merging._table_submodule,
    "module": Merging._submodules,
    "lines": Merging._lines,
    "separated": Merging._separated,
    "systemdOption": Merging._systemd,
    "any": Merging._anything,
    "json": Merging._anything,
    "attrs": Merging._joined,
}


def dotted(path: Names) -> str:
    """An option's path as Nix writes it."""
    return ".".join(name if name and "." not in name and " " not in name else f'"{name}"' for name in path)


def is_hidden(path: Names) -> bool:
    """Whether the value of an option may be a secret, so that no message shows it."""
    last = path[-1].lower()
    return any(word in last for word in _SECRET) and not last.endswith(("file", "files", "path", "paths"))


def _shown(path: Names, value: object) -> str:
    if is_hidden(path) and not isinstance(value, (bool, int, float)):
        return kind(value)
    return _TOKEN.sub(r"\1...", coercion.show(value))


def _place(definition: Definition) -> str:
    if definition.place is None:
        return definition.file
    source, offset = definition.place
    return f"{source.file}:{source.text.place(offset)[0]}"


def _without_module(definition: Definition) -> Definition:
    value = definition.value
    if isinstance(value, Set) and "_module" in value:
        kept = Set({name: inner for name, inner in value.items() if name != "_module"}, value.places)
        return definition._replace(value=kept)
    return definition


def _unmodelled(path: Names) -> object:
    raise NotModelled(f"{dotted(path)} is not known offline")
