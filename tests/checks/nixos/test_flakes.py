"""Flakes as people write them: what of them can be evaluated offline, and what is said of the rest."""

from __future__ import annotations

import pytest

from nerv.checks.nixos import flake as flakes
from nerv.checks.nixos.report import Report

HOST = '{ nixpkgs.hostPlatform = "x86_64-linux"; networking.hostName = "a"; }'


def evaluated(outputs: str, inputs: str = "", **files: str) -> tuple[dict[str, object], list[str]]:
    """Host names of the flake's hosts, and findings."""
    report = Report()
    text = f"{{ inputs = {{ {inputs} }}; outputs = {outputs}; }}"
    made = flakes.evaluate({"nixos/flake.nix": text, "nixos/a.nix": HOST, **files}, report, "25.05")
    names = {host.name: host.get("networking.hostName") for host in made.hosts}
    return names, [f"{problem.severity}: {problem}" for problem in report.found]


KNOWN = {
    "a list of modules": """{ nixpkgs, ... }: {
        nixosConfigurations.a = nixpkgs.lib.nixosSystem { modules = [ ./a.nix ]; };
      }""",
    "hosts by name": """{ self, nixpkgs }:
        let host = name: nixpkgs.lib.nixosSystem { system = "x86_64-linux"; modules = [ (./. + "/${name}.nix") ]; };
        in { nixosConfigurations = nixpkgs.lib.genAttrs [ "a" ] host; }""",
    "files that are found": """{ self, nixpkgs }:
        let
          lib = nixpkgs.lib;
          names = map (lib.removeSuffix ".nix") (lib.filter (lib.hasPrefix "a") (lib.attrNames (builtins.readDir ./.)));
        in { nixosConfigurations = lib.genAttrs names (n: lib.nixosSystem { modules = [ ./${n}.nix ]; }); }""",
    "its own outputs": """{ self, nixpkgs, ... }: {
        nixosModules.a = import ./a.nix;
        nixosConfigurations.a = nixpkgs.lib.nixosSystem { modules = [ self.nixosModules.a ]; };
        packages.x86_64-linux.default = (import nixpkgs { system = "x86_64-linux"; }).hello;
      }""",
    "special arguments": """inputs@{ nixpkgs, ... }: { nixosConfigurations.a = nixpkgs.lib.nixosSystem {
        specialArgs = { inherit inputs; name = "a"; };
        modules = [ ({ name, ... }: { networking.hostName = name; }) ({ config, ... }: { _module.args.site = "home"; })
          ({ site, config, ... }: { networking.domain = site; }) ];
      }; }""",
}


@pytest.mark.parametrize("what", KNOWN)
def test_hosts_are_found_however_they_are_written(what: str) -> None:
    assert evaluated(KNOWN[what]) == ({"a": "a"}, [])


def test_frameworks_that_are_not_known_are_said_to_be_so() -> None:
    outputs = "inputs: inputs.flake-parts.lib.mkFlake { inherit inputs; } { imports = [ ./a.nix ]; }"
    assert evaluated(outputs, 'flake-parts.url = "github:hercules-ci/flake-parts";') == (
        {},
        ["note: nixos/flake.nix:1:87: not evaluated: flake input flake-parts: `lib` is not known offline"],
    )


def test_one_host_that_fails_leaves_the_others() -> None:
    outputs = """{ nixpkgs, ... }: { nixosConfigurations = {
      a = nixpkgs.lib.nixosSystem { modules = [ ./a.nix ]; };
      b = nixpkgs.lib.nixosSystem { modules = ./a.nix; };
      c = nixpkgs.lib.nixosSystem { modules = [ ./missing.nix ]; };
    }; }"""
    names, found = evaluated(outputs)
    assert names == {"a": "a", "c": "nixos"}
    assert found == [
        "error: nixos/flake.nix:3:11: a list is wanted, but a path is given",
        "error: nixos/flake.nix: nixos/missing.nix is not in the repository",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ }", "error: nixos/flake.nix: attribute `outputs` is missing"),
        ("[ ]", "error: nixos/flake.nix: a set is wanted, but a list is given"),
        ("{ outputs = inputs: 1; }", "error: nixos/flake.nix: a set is wanted, but an integer is given"),
        (
            "{ outputs = { nixpkgs }: { }; }",
            "error: nixos/flake.nix: a function is given `self`, which it does not take",
        ),
    ],
)
def test_what_is_no_flake(text: str, expected: str) -> None:
    report = Report()
    flakes.evaluate({"nixos/flake.nix": text}, report, "25.05")
    assert [f"{problem.severity}: {problem}" for problem in report.found] == [expected]
