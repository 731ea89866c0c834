"""nixpkgs by name: packages that are never built, and builders that keep the text they are given.

A name that is not in the list of known ones may exist all the same; it is noted, not refused.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import resources

from typing_extensions import override

from nerv.checks.nixos.declarations import ANY
from nerv.nix import coercion
from nerv.nix.arguments import attributes, member, text
from nerv.nix.functions import function
from nerv.nix.values import Builtin, Partial, Set, force, is_function, later

TEXT = "nerv:text"
"""The name in a package's set that holds the text it was made of."""


@functools.cache
def known() -> frozenset[str]:
    """Names of packages that NixOS 25.05 has."""
    listed = (resources.files("nerv.checks.nixos") / "data" / "packages.txt").read_text(encoding="utf-8")
    return frozenset(line for line in listed.split() if line)


class Package(Partial):
    """A package or a set of them; what is asked of it is one too."""

    __slots__ = ()

    @override
    def missing(self, name: str) -> object:
        return package(f"{force(self['pname'])}.{name}")


def package(name: str, content: str | None = None) -> Package:
    """A package by name, made of a text or not."""
    made = Package(
        {
            "type": "derivation",
            "pname": name,
            "name": name,
            "version": "0",
            "outPath": coercion.store_path(name, content or "package"),
            "meta": Set({"mainProgram": name}),
            "__functor": Builtin("package", 2, lambda self, _argument: _called(self)),
        }
    )
    if content is not None:
        made[TEXT] = content
    made |= dict.fromkeys(("out", "bin", "dev", "lib", "man"), made)
    return made


def _called(value: object) -> object:
    return force(value)


class Packages(Partial):
    """nixpkgs. `asked`: names that are in no list."""

    __slots__ = ("asked",)

    def __init__(self, library: object, system: str) -> None:
        super().__init__()
        self.asked: dict[str, None] = {}
        self |= {name: function(name, builder) for name, builder in _BUILDERS.items()}
        platform = Set(
            {
                "system": system,
                "isLinux": True,
                "isDarwin": False,
                "isx86_64": system.startswith("x86_64"),
                "isAarch64": system.startswith("aarch64"),
            }
        )
        self |= {
            "lib": library,
            "system": system,
            "hostPlatform": platform,
            "stdenv": Package({**package("stdenv"), "hostPlatform": platform, "isLinux": True}),
            "config": Set(),
            "formats": later(_formats),
        }

    @override
    def missing(self, name: str) -> object:
        if name not in known():
            self.asked[name] = None
        made = self[name] = package(name)
        return made


def _formats() -> object:
    names = (
        "json",
        "yaml",
        "toml",
        "ini",
        "keyValue",
        "systemd",
        "xml",
        "hocon",
        "lua",
        "iniWithGlobalSection",
        "libconfig",
    )
    return Set({name: function(name, lambda _options: _format()) for name in names})


def _format() -> object:
    generate = function("generate", lambda name, value: package(text(name), coercion.to_json(value)))
    return Set({"generate": generate, "type": ANY})


def _of_text(name: object, content: object) -> object:
    return package(text(name), coercion.interpolated(content))


def _script(name: object, content: object) -> object:
    return package(text(name), "#!/bin/bash\n" + coercion.interpolated(content))


def _application(given: object) -> object:
    values = attributes(given)
    head = "#!/bin/bash\nset -o errexit\nset -o nounset\nset -o pipefail\n"
    return package(text(member(values, "name")), head + coercion.interpolated(member(values, "text")))


def _text_file(given: object) -> object:
    values = attributes(given)
    return package(text(member(values, "name")), coercion.interpolated(member(values, "text")))


def _command(name: object, _given: object, content: object) -> object:
    return package(text(name), coercion.interpolated(content))


def _named(given: object) -> object:
    values = force(given)
    name = force(values.get("name", values.get("pname", "package"))) if isinstance(values, Set) else "package"
    return package(str(name)) if not is_function(values) else package("package")


_BUILDERS: dict[str, Callable[..., object]] = {
    "writeText": _of_text,
    "writeScript": _of_text,
    "writeScriptBin": _of_text,
    "writeTextDir": _of_text,
    "writeShellScript": _script,
    "writeShellScriptBin": _script,
    "writeShellApplication": _application,
    "writeTextFile": _text_file,
    "runCommand": _command,
    "runCommandLocal": _command,
    "symlinkJoin": _named,
    "buildEnv": _named,
    "mkShell": lambda _given: package("shell"),
    "mkShellNoCC": lambda _given: package("shell"),
    "fetchurl": _named,
    "fetchFromGitHub": _named,
    "fetchzip": _named,
    "callPackage": lambda _package, _given: package("package"),
}
