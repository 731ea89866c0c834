"""The flake: what is rendered for five layouts of machines, byte for byte, and what must hold for all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pynix_parser
import pytest
from tests.support import golden, nix, platforms
from tests.support.nixos import LAYOUTS, layout

from nerv import documents
from nerv.components.catalog import Platform
from nerv.rendering.nixos import files
from nerv.rendering.tree import tree

GOLDEN = Path(__file__).parents[1] / "golden" / "rendered" / "layouts"


def rendered(platform: Platform) -> dict[str, str]:
    return files.files(platform)


def host(platform: Platform, name: str) -> str:
    return rendered(platform)[f"nixos/hosts/{name}.nix"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_render_to_what_is_kept(name: str) -> None:
    golden.check_tree(GOLDEN / name, rendered(layout(name)))


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_file_is_nix(name: str) -> None:
    for path, text in rendered(layout(name)).items():
        if path.endswith(".nix"):
            pynix_parser.parse(text)


@nix.needs_nix
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_file_is_nix_to_nix(name: str) -> None:
    for path, text in rendered(layout(name)).items():
        if path.endswith(".nix"):
            nix.said(text, "--parse")


@nix.needs_nix
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_lock_pins_every_input_of_the_flake(name: str) -> None:
    made = rendered(layout(name))
    inputs = documents.load_json(nix.said(f"({made['nixos/flake.nix']}).inputs", "--eval", "--strict", "--json"))
    lock = documents.load_json(made["nixos/flake.lock"])
    assert lock["version"] == 7
    assert lock["nodes"]["root"]["inputs"] == {found: found for found in inputs}
    for found, wanted in inputs.items():
        node = lock["nodes"][found]
        original = node["original"]
        named = original.get("ref") or original["rev"]
        assert wanted["url"] == f"{original['type']}:{original['owner']}/{original['repo']}/{named}"
        assert {key: original[key] for key in ("owner", "repo", "type")}.items() <= node["locked"].items()
        assert re.fullmatch(r"[0-9a-f]{40}", node["locked"]["rev"])
        assert re.fullmatch(r"sha256-[A-Za-z0-9+/]{43}=", node["locked"]["narHash"])
        followed = {key: [value["follows"]] for key, value in wanted.get("inputs", {}).items()}
        assert node.get("inputs", {}) == followed


@pytest.mark.parametrize("name", LAYOUTS)
def test_paths_lead_to_files_of_the_repository(name: str) -> None:
    platform = layout(name)
    made = tree(platform, platforms.public(platform))
    there = {*made, *(str(Path(path).parent) for path in made), "nixos/secrets/servers.sops.yaml"}
    if any(node.role == "agent" for node in platform.spec.nodes):
        there.add("nixos/secrets/agents.sops.yaml")
    found = 0
    for path, text in made.items():
        if not path.endswith(".nix"):
            continue
        for wanted in re.findall(r"(?<![\w/.])\.{1,2}/[\w./-]+", text):
            found += 1
            resolved = (Path("/") / Path(path).parent / wanted).resolve().relative_to("/")
            assert str(resolved) in there, f"{path}: {wanted}"
    assert found > 10


def test_only_the_first_server_starts_the_cluster_and_bootstraps_flux() -> None:
    platform = layout("highly-available")
    first = [node.name for node in platform.spec.nodes if "clusterInit = true" in host(platform, node.name)]
    flux = [node.name for node in platform.spec.nodes if "flux-bootstrap.nix" in host(platform, node.name)]
    assert first == flux == ["server-1"]
    assert 'serverAddr = "https://10.20.0.10:6443"' in host(platform, "server-2")
    assert 'serverAddr = "https://10.20.0.10:6443"' in rendered(platform)["nixos/modules/k3s-agent.nix"]


def test_agents_read_no_secret_of_servers() -> None:
    platform = layout("highly-available")
    imported = re.findall(r"\.\./(modules/\S+)", host(platform, "worker-1"))
    texts = "".join(rendered(platform)[f"nixos/{path}"] for path in imported)
    assert "servers.sops.yaml" not in texts
    assert "secrets.k3s-token" not in texts
    assert "k3s-agent-token" in texts


def test_the_world_reaches_ssh_alone() -> None:
    for name in LAYOUTS:
        for path, text in rendered(layout(name)).items():
            assert "allowedTCPPorts" not in text, path
            for rule in re.findall(r"iptables .*", text):
                assert re.search(r" -s [\d.,/]+ | -i cni0 ", rule), rule


def test_etcd_is_open_between_servers_alone() -> None:
    platform = layout("highly-available")
    (rule,) = re.findall(r"iptables .*2379,2380.*", host(platform, "server-2"))
    assert " -s 10.20.0.11,10.20.0.13 " in rule
    assert "2379" not in host(platform, "worker-1")


def test_operators_from_elsewhere_replace_the_nodes_own_network() -> None:
    (rule,) = re.findall(r"iptables .*--dport 6443.*", host(layout("single-bios"), "nerv-1"))
    assert " -s 10.99.0.0/24 " in rule


def test_flags_with_spaces_are_one_argument_to_systemd() -> None:
    """services.k3s joins its flags with spaces into ExecStart and quotes nothing."""
    text = rendered(layout("single-bios"))["nixos/modules/k3s-server.nix"]
    assert r'"\"--etcd-snapshot-schedule-cron=30 2 * * *\""' in text
    flags = re.findall(r'^    "(--[^"]*)"$', text, re.MULTILINE)
    assert flags
    assert not [flag for flag in flags if " " in flag]


def test_options_that_this_release_does_not_have_are_not_used() -> None:
    for name in LAYOUTS:
        for path, text in rendered(layout(name)).items():
            assert not re.search(r"k3s\.(disable|nodeLabel|nodeTaint|nodeIP|agentTokenFile)\b", text), path


def test_what_longhorn_needs_comes_with_longhorn() -> None:
    with_it = rendered(layout("single-uefi"))["nixos/modules/components/longhorn.nix"]
    assert 'name = "iqn.2016-04.com.open-iscsi:${config.networking.hostName}"' in with_it
    assert '"L+ /usr/local/bin - - - - /run/current-system/sw/bin"' in with_it
    without = rendered(layout("server-and-workers"))
    assert not [path for path, text in without.items() if "longhorn" in text.lower()]


def test_k3s_waits_for_the_disk_of_longhorn() -> None:
    text = host(layout("single-bios"), "nerv-1")
    assert 'mountpoint = "/srv/long-horn"' in text
    assert r'systemd.services.k3s.after = [ "srv-long\\x2dhorn.mount" ]' in text


def test_the_card_is_found_by_name_or_by_address_or_is_the_first() -> None:
    platform = layout("highly-available")
    texts = {node.name: host(platform, node.name) for node in platform.spec.nodes}
    assert 'PermanentMACAddress = "52:54:00:00:00:11"' in texts["server-1"]
    cards = {
        name: set(re.findall(r'(?:flannel-iface=|matchConfig.Name = "|interface = ")(\w+)', text))
        for name, text in texts.items()
    }
    assert cards == {
        "server-1": {"lan0"},
        "server-2": {"enp3s0"},
        "server-3": {"eth0"},
        "worker-1": {"eth0"},
        "worker-2": {"eth0"},
    }
    assert "usePredictableInterfaceNames = false" in texts["server-3"]


def test_a_definition_without_keys_renders_even_so() -> None:
    """`nerv up` needs no keys; checks and `nerv deploy` speak of it."""
    assert "authorizedKeys.keys = [ ]" in rendered(platforms.example("nerv"))["nixos/modules/base.nix"]
