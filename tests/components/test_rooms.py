"""What holds for every room: complete, known to the catalog, right by the schemas that it brings itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support import platforms

from nerv.components import catalog, objects
from nerv.components.catalog import CATALOG, Components
from nerv.components.flux import resources as flux

ROOMS = Path(objects.__file__).parent
FOLDERS = sorted(path.name for path in ROOMS.iterdir() if (path / "settings.py").exists())
PLATFORM = platforms.small()


def workloads() -> list[dict[str, Any]]:
    """Every Deployment that NERV renders itself."""
    settings = PLATFORM.spec.components
    files = [docs for component in CATALOG for docs in component.apps_config(PLATFORM).values()]
    everything = [*flux.components(settings.flux), *(obj for docs in files for obj in docs)]
    return [obj for obj in everything if obj["kind"] == "Deployment"]


def test_catalog_settings_and_folders_name_the_same_rooms() -> None:
    assert sorted(component.name.replace("-", "_") for component in CATALOG) == FOLDERS
    assert sorted(Components.model_fields) == FOLDERS


@pytest.mark.parametrize("room", FOLDERS)
@pytest.mark.parametrize("file", ["README.md", "settings.py", "resources.py", "host.py", "programs.py"])
def test_a_room_is_complete(room: str, file: str) -> None:
    assert (ROOMS / room / file).exists()


def test_every_file_of_a_room_is_named_in_its_readme() -> None:
    silent = [
        f"{room}/{path.name}"
        for room in FOLDERS
        for path in (ROOMS / room).glob("*.*")
        if path.name not in ("__init__.py", "README.md") and path.name not in (ROOMS / room / "README.md").read_text()
    ]
    assert silent == []


@pytest.mark.parametrize("workload", workloads(), ids=lambda obj: obj["metadata"]["name"])
def test_our_own_workloads_meet_the_restricted_level(workload: dict[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    around = pod.get("securityContext", {})
    for container in pod["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert own.get("runAsNonRoot", around.get("runAsNonRoot")) is True
        assert own.get("seccompProfile", around.get("seccompProfile")) == {"type": "RuntimeDefault"}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert {"livenessProbe", "readinessProbe"} <= container.keys()
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all(volume.keys() & {"emptyDir", "secret", "configMap", "projected"} for volume in pod["volumes"])


@pytest.mark.parametrize("workload", workloads(), ids=lambda obj: obj["metadata"]["name"])
def test_selectors_find_their_own_pods(workload: dict[str, Any]) -> None:
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_images_have_one_program_each_and_no_tag() -> None:
    images = [program.image for component in CATALOG for program in component.programs]
    assert len(images) == len(set(images))
    assert not [image for image in images if ":" in image or image.count("/") > 1]


def test_real_programs_are_traefik_and_nerv() -> None:
    real = {p.image: p.name for component in CATALOG for p in component.programs if p.runtime == "process"}
    assert real == {"traefik": "traefik", "nerv-platform/nerv": "nerv"}


def test_the_console_may_read_no_secrets_and_write_nothing() -> None:
    files = next(component for component in CATALOG if component.name == "console").apps_config(PLATFORM)
    rules = next(obj for obj in files["permissions.yaml"] if obj["kind"] == "ClusterRole")["rules"]
    assert all(rule["verbs"] == ["get", "list", "watch"] for rule in rules)
    core = next(rule for rule in rules if rule["apiGroups"] == [""])
    assert not {"secrets", "configmaps", "*"} & set(core["resources"])
    assert not any(rule["apiGroups"] == ["*"] for rule in rules)


def test_dashboards_of_the_first_platform() -> None:
    hosts = {PLATFORM.host(dashboard.label) for dashboard in catalog.served(PLATFORM)}
    assert hosts == {"traefik.nerv.local", "longhorn.nerv.local", "flux.nerv.local"}


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": 1}, {"b": {"c": None}}, {"a": 1, "b": {"c": None}}),
    ],
)
def test_values_merge_as_helm_merges_them(ours: Any, theirs: Any, merged: Any) -> None:
    assert objects.merge(ours, theirs) == merged


def test_merging_changes_neither_side() -> None:
    ours, theirs = {"a": {"b": [1]}}, {"a": {"c": {"d": 1}}}
    made = objects.merge(ours, theirs)
    made["a"]["b"].append(2)
    made["a"]["c"]["d"] = 2
    assert (ours, theirs) == ({"a": {"b": [1]}}, {"a": {"c": {"d": 1}}})
