"""Rules over several machines, their secrets and the flake's inputs: a repository that is right but for one thing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.support import platforms
from tests.support.trees import ENCRYPTED, seen, whole

from nerv.checks.nixos import proof
from nerv.rendering import secrets
from nerv.rendering.folders import Tree

PLATFORM = platforms.example("many-nodes")
Change = Callable[[Tree], None]
LOCK, FLAKE, BASE = "nixos/flake.lock", "nixos/flake.nix", "nixos/modules/base.nix"
SERVERS, AGENTS = secrets.SERVERS_FILE, secrets.AGENTS_FILE
AS_EVER = "nobody could log in to server-1"
WORKER = platforms.public(PLATFORM).recipient("worker-1") or ""
SOPS = "17eea6f3816ba6568b8c81db8a4e6ca438b30b7c"


def replace(path: str, old: str, new: str, count: int = 1) -> Change:
    def change(files: Tree) -> None:
        assert old in files[path], f"{old} in {path}"
        files[path] = files[path].replace(old, new, count)

    return change


def remove(path: str) -> Change:
    def change(files: Tree) -> None:
        del files[path]

    return change


def host(name: str, line: str) -> Change:
    """A line more in a host's file."""

    def change(files: Tree) -> None:
        path = f"nixos/hosts/{name}.nix"
        files[path] = files[path].rstrip().removesuffix("}") + f"  {line}\n}}\n"

    return change


def found(*changes: Change) -> list[str]:
    """What is found, but for the missing key that every example has; where in a rendered file is no matter here."""
    files = whole(PLATFORM)
    for change in changes:
        change(files)
    problems = sorted(set(proof.hosts(PLATFORM, seen(files))))
    lines = [str(problem) for problem in problems if not problem.message.startswith(AS_EVER)]
    return [re.sub(r"^([^ ]+):\d+:\d+: ", r"\1: ", line) for line in lines]


def test_nothing_else_is_wrong_with_an_example() -> None:
    assert found() == []


REMEDY = "(run `nerv render`, or `nix flake lock` where you changed the inputs)"
WRONG: dict[str, tuple[Change, list[str]]] = {
    "two servers that start a cluster": (
        host("server-2", "services.k3s.clusterInit = true;"),
        [
            "nixos/hosts/server-2.nix: services.k3s.clusterInit is set on server-2, and on server-1 already: "
            "they would be two clusters (set it on the first server alone)"
        ],
    ),
    "no server that starts the cluster": (
        replace("nixos/hosts/server-1.nix", "services.k3s.clusterInit = true;", ""),
        [
            "nixos/modules/k3s-server.nix: no server sets services.k3s.clusterInit: the first would keep its "
            "data in SQLite, and none could join it (set it on server-1)"
        ],
    ),
    "a server that joins nobody": (
        replace("nixos/hosts/server-3.nix", 'services.k3s.serverAddr = "https://10.20.0.10:6443";', ""),
        [
            "nixos/modules/k3s-server.nix: server-3 is a server without services.k3s.serverAddr: it joins "
            "no cluster (the URL of the first server, https://ADDRESS:6443)"
        ],
    ),
    "agents that join nobody": (
        replace("nixos/modules/k3s-agent.nix", 'services.k3s.serverAddr = "https://10.20.0.10:6443";', ""),
        [
            f"nixos/modules/k3s-agent.nix: worker-{n} is an agent without services.k3s.serverAddr: it joins "
            "no cluster (the URL of the first server, https://ADDRESS:6443)"
            for n in (1, 2)
        ],
    ),
    "an address that is no URL": (
        replace("nixos/hosts/server-3.nix", "https://10.20.0.10:6443", "10.20.0.10:6443"),
        ["nixos/hosts/server-3.nix: services.k3s.serverAddr `10.20.0.10:6443` is no https:// URL"],
    ),
    "a node without a host": (
        replace(FLAKE, "worker-2 = machine ./hosts/worker-2.nix;", ""),
        [
            "nixos/flake.nix: no host `worker-2` in nixosConfigurations, but nerv.yaml has that node",
            "nixos/hosts/worker-2.nix: no host imports this module, so what it says has no effect (import it in the "
            "host's file or in one of its modules, or move it elsewhere)",
        ],
    ),
    "one name for two initiators": (
        replace("nixos/modules/components/longhorn.nix", "${config.networking.hostName}", "all"),
        [
            f"nixos/modules/components/longhorn.nix: services.openiscsi.name is `iqn.2016-04.com.open-iscsi:all` on "
            f"{a} as on {b}: volumes would be confused (make it unique, with networking.hostName in it)"
            for a, b in (
                ("server-2", "server-1"),
                ("server-3", "server-2"),
                ("worker-1", "server-3"),
                ("worker-2", "worker-1"),
            )
        ],
    ),
    "a state version that was raised": (
        replace(BASE, 'system.stateVersion = "25.05"', 'system.stateVersion = "25.11"'),
        [
            "nixos/modules/base.nix: system.stateVersion is 25.11, but spec.nixos.stateVersion is 25.05 (it is "
            "the release that the machines were first installed with, and never changes)"
        ],
    ),
    "manifests on an agent": (
        host("worker-1", 'services.k3s.manifests.a.content = { kind = "ConfigMap"; };'),
        [
            "nixos/hosts/worker-1.nix: services.k3s.manifests has no effect on worker-1: agents apply no manifests "
            "(set it on a server)"
        ],
    ),
    "a flag for another build of K3s": (
        replace(
            "nixos/modules/k3s-agent.nix", "{\n  ", '{\n  services.k3s.extraFlags = [ "--prefer-bundled-bin" ];\n  '
        ),
        [
            "nixos/modules/k3s-agent.nix: services.k3s.extraFlags: --prefer-bundled-bin does not work with nixpkgs' "
            "K3s, which bundles no programs (leave it out)"
        ],
    ),
    "a key in parts": (
        replace(
            ".sops.yaml",
            "- path_regex: ^nixos",
            "- path_regex: ^x\n  key_groups:\n  - age: [a]\n  - pgp: [b]\n- path_regex: ^nixos",
        ),
        [
            ".sops.yaml: the rule for `^x` has several key_groups: sops would split the key, and no host alone could "
            "read it (put all recipients under one entry)"
        ],
    ),
    "no file of secrets": (
        remove(AGENTS),
        [
            "nixos/modules/secrets-agents.nix: nixos/secrets/agents.sops.yaml does not exist (`nerv render` makes "
            "the files of the platform)"
        ],
    ),
    "no key in it": (
        replace(SERVERS, f"flux-git-login: {ENCRYPTED}\n", ""),
        [
            "nixos/modules/flux-bootstrap.nix: nixos/secrets/servers.sops.yaml has no key `flux-git-login` (`nerv "
            "render` makes those of the platform)"
        ],
    ),
    "no rule that lets a host read it": (
        replace(".sops.yaml", f",{WORKER}", ""),
        [
            ".sops.yaml: the rule for nixos/secrets/agents.sops.yaml does not name worker-1, which must read it (run "
            "`nerv render`)"
        ],
    ),
    "no public key of a host": (
        remove("nixos/keys/worker-1.pub"),
        ["nixos/keys/worker-1.pub: the public host key of worker-1 is missing (run `nerv render`)"],
    ),
    "a public key that is no ed25519": (
        replace("nixos/keys/worker-1.pub", "ssh-ed25519", "ssh-rsa"),
        ["nixos/keys/worker-1.pub: not an ed25519 public key of SSH: only those can read secrets"],
    ),
    "no lock file": (
        remove(LOCK),
        [f"nixos/flake.lock: does not exist: the inputs of the flake are not pinned {REMEDY}"],
    ),
    "a lock file that is no JSON": (
        replace(LOCK, "{", "", 1),
        [f"nixos/flake.lock: is not valid JSON {REMEDY}"],
    ),
    "an input that is not locked": (
        replace(LOCK, '"disko": "disko",', ""),
        [f"nixos/flake.lock: input `disko` of flake.nix is not locked {REMEDY}"],
    ),
    "an input without a node": (
        replace(LOCK, '"disko": "disko",', '"disko": "disko_2",'),
        [f"nixos/flake.lock: input `disko` has no node {REMEDY}"],
    ),
    "an input that is not pinned": (
        replace(LOCK, '"rev": "ac62194c3917d5f474c1a844b6fd6da2db95077d",', ""),
        [f"nixos/flake.lock: input `nixpkgs` is not pinned to a revision {REMEDY}"],
    ),
    "an input from elsewhere": (
        replace(FLAKE, "github:nix-community/disko/v1.13.0", "github:nix-community/disko/v1.14.0"),
        [
            "nixos/flake.lock: input `disko` is locked from elsewhere than `github:nix-community/disko/v1.14.0`, which "
            f"flake.nix says {REMEDY}"
        ],
    ),
    "an input at another revision": (
        replace(LOCK, f'"rev": "{SOPS}"', '"rev": "5c23dc8000000000000000000000000000000000"'),
        [f"nixos/flake.lock: input `sops-nix` is locked at another revision than flake.nix says {REMEDY}"],
    ),
    "sops-nix that 25.05 cannot build": (
        replace(LOCK, "1770145881", "1770232281"),
        [
            "nixos/flake.lock: sops-nix is newer than NixOS 25.05 can build: it needs Go 1.25 (pin "
            "17eea6f3816ba6568b8c81db8a4e6ca438b30b7c)"
        ],
    ),
    "disko that forgets": (
        replace(LOCK, "1768920986", "1750000000"),
        [
            "nixos/flake.lock: disko is older than v1.13.0: where two modules say something of a disk, it forgets one "
            "of them (pin v1.13.0)"
        ],
    ),
    "a release that is not that of nerv.yaml": (
        lambda files: [replace(path, "nixos-25.05", "nixos-25.11")(files) for path in (FLAKE, LOCK)].clear(),
        [
            "nixos/flake.nix: nixpkgs follows `nixos-25.11`, but nerv.yaml says NixOS 25.05 (follow nixos-25.05: "
            "options differ between releases)"
        ],
    ),
    "a module that nobody imports": (
        lambda files: files.update({"nixos/modules/mine.nix": "{ services.fstrim.enable = true; }\n"}),
        [
            "nixos/modules/mine.nix: no host imports this module, so what it says has no effect (import it in the "
            "host's file or in one of its modules, or move it elsewhere)"
        ],
    ),
    "a flake that cannot be read": (
        replace(FLAKE, "outputs =", "outputs"),
        ["nixos/flake.nix: not valid Nix: unexpected `{` (expected `=`)"],
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_found_and_nothing_else(what: str) -> None:
    change, expected = WRONG[what]
    assert found(change) == expected


def test_all_of_it_comes_at_once() -> None:
    changes = [WRONG[what][0] for what in ("two servers that start a cluster", "no lock file", "no key in it")]
    assert len(found(*changes)) == 3


def test_a_repository_without_a_flake_is_no_matter_of_nixos() -> None:
    assert list(proof.hosts(PLATFORM, seen({"apps/a.yaml": ""}))) == []
