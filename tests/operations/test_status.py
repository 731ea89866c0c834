from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nerv import certificates
from nerv.cli import live
from nerv.cli.status import page, summary
from nerv.engines.ports import HOST, HeldPort
from nerv.kube import errors, kubeconfig
from nerv.operations import failing, session
from nerv.operations.folder import PlatformFolder
from nerv.operations.status import Program, Status, platform_name, short_revision
from nerv.operations.target import Target


def _flux(kind: str, name: str, ready: str, message: str = "", **more: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "reason": more.pop("reason", "Succeeded"), "message": message}
    return {
        "kind": kind,
        "metadata": {"namespace": "flux-system", "name": name, "generation": 1, "labels": more.pop("labels", {})},
        "spec": more.pop("spec", {}),
        "status": {"observedGeneration": 1, "conditions": [condition], **more},
    }


def _pod(namespace: str, name: str, *, ready: bool = True, runtime: str = "simulated") -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name, "annotations": {"nerv.dev/runtime": runtime}},
        "status": {
            "phase": "Running" if ready else "Pending",
            "conditions": [{"type": "Ready", "status": str(ready), "message": "containers not ready"}],
        },
    }


def _status(**objects: list[dict[str, Any]]) -> Status:
    node = {"metadata": {"name": "nerv-1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    service = {
        "metadata": {"namespace": "traefik-system", "name": "traefik"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}, {"port": 443}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.168.1.111"}]}},
    }
    route = {
        "metadata": {"namespace": "traefik-system", "name": "dashboard"},
        "spec": {"routes": [{"match": "Host(`traefik.nerv.local`) && PathPrefix(`/`)"}]},
    }
    published = {"192.168.1.111": {80: ("127.168.1.111", 8080), 443: ("127.168.1.111", 8443)}}
    base = {
        "Node": [node],
        "Service": [service],
        "IngressRoute": [route],
        "GitRepository": [_flux("GitRepository", "flux-system", "True", "stored artifact")],
        "Kustomization": [_flux("Kustomization", "apps", "True", "Applied revision: main@sha1:1")],
        "Pod": [_pod("traefik-system", "traefik-1", runtime="process"), _pod("nerv-system", "nerv-console-1")],
    }
    return Status.from_objects("home", "embedded", {**base, **objects}, published=published)


def test_everything_ready_is_healthy_and_the_console_is_counted_apart() -> None:
    status = _status()
    assert status.healthy
    assert status.waiting() == ()
    assert [pod.name for pod in status.pods] == ["traefik-1"]
    assert [pod.name for pod in status.console_pods] == ["nerv-console-1"]


def test_what_is_not_ready_says_what_it_waits_for() -> None:
    release = _flux("HelmRelease", "traefik", "False", "Helm install failed", reason="InstallFailed")
    status = _status(HelmRelease=[release], Pod=[_pod("traefik-system", "traefik-1", ready=False)])
    assert not status.healthy
    assert status.waiting() == (
        "HelmRelease flux-system/traefik: Helm install failed",
        "Pod traefik-system/traefik-1: containers not ready",
    )


def test_a_generation_not_yet_seen_is_in_progress() -> None:
    stale = _flux("Kustomization", "apps", "True", "Applied")
    stale["metadata"]["generation"] = 2
    assert _status(Kustomization=[stale]).kustomizations[0].ready == "Unknown"


def test_suspended_objects_do_not_hold_health_up() -> None:
    assert _status(HelmRelease=[_flux("HelmRelease", "x", "False", spec={"suspend": True})]).healthy


def test_what_could_not_be_read_is_never_healthy() -> None:
    refused = replace(_status(), refused=('nodes is forbidden: User "x" cannot list resource "nodes"',))
    assert not refused.healthy
    assert "Not readable    nodes is forbidden" in _text(page(refused))


def test_a_control_plane_that_does_not_keep_running_is_not_healthy_and_said_first() -> None:
    line = "kube-scheduler (/p/kube-scheduler.log) ended with exit code 1: no such flag; started again after 8 s"
    found = replace(_status(Pod=[_pod("traefik-system", "traefik-1", ready=False)]), failing=(line,))
    assert not replace(_status(), failing=(line,)).healthy
    assert found.waiting()[0] == line
    assert f"Waiting for:\n  {line}" in _text(page(found))


async def test_an_api_server_that_does_not_keep_running_is_named_where_it_does_not_answer(tmp_path: Path) -> None:
    ca, port, folder = certificates.create_ca("test"), HeldPort(), PlatformFolder(tmp_path)
    admin = certificates.issue(ca, "admin", client=True, server=False)
    file = tmp_path / "kubeconfig"
    file.write_text(kubeconfig.inline(f"https://{HOST}:{port.number}", ca.certificate, admin, cluster="home"))
    line = "kube-apiserver (/p/kube-apiserver.log) ended with exit code 1: no such flag; started again after 8 s"
    failing.write(folder, [line])
    with pytest.raises(errors.Unreachable) as caught:
        await session.status(Target(file, folder=folder, engine="upstream"))
    assert f"{HOST}:{port.number} does not answer: connection refused ({line})" in caught.value.lines()[0]
    failing.forget(folder)
    assert failing.read(folder) == ()
    port.release()


def test_a_suspended_object_keeps_what_it_was() -> None:
    held = _flux("Kustomization", "apps", "True", "Applied", spec={"suspend": True})
    held["metadata"]["generation"] = 2
    assert _status(Kustomization=[held]).kustomizations[0].ready == "True"


def test_pods_of_other_clusters_have_no_runtime_and_nothing_is_made_up() -> None:
    pod = _pod("default", "web")
    del pod["metadata"]["annotations"]
    found = replace(_status(Pod=[pod]), engine="", server="https://192.168.1.10:6443", version="v1.31.9+k3s1")
    told = _text(page(found))
    assert "home on https://192.168.1.10:6443, Kubernetes v1.31.9+k3s1: healthy" in told
    assert "Pods            1 of 1 Running in 1 namespaces\n" in told


def test_the_platforms_name_is_that_of_its_folder_in_the_repository() -> None:
    root = {"metadata": {"name": "flux-system"}, "spec": {"path": "./clusters/home"}}
    assert platform_name([{"metadata": {"name": "apps"}, "spec": {"path": "./clusters/x"}}, root]) == "home"
    assert platform_name([]) == "platform"
    assert short_revision(f"main@sha1:{'a' * 40}") == "main@sha1:aaaaaaaa"
    assert short_revision("1.9.1") == "1.9.1"


def test_dashboards_are_given_as_seen_from_this_machine() -> None:
    status = _status()
    assert [dashboard.url for dashboard in status.dashboards] == ["https://traefik.nerv.local:8443/"]
    assert status.addresses[0].published == ("127.168.1.111:8080", "127.168.1.111:8443")


def test_stand_in_charts_are_named() -> None:
    deployment = {
        "metadata": {
            "name": "metallb-controller",
            "labels": {"helm.sh/chart": "metallb-0.15.2"},
            "annotations": {"nerv.dev/stand-in": "true"},
        }
    }
    assert _status(Deployment=[deployment]).stand_ins == ("metallb-0.15.2",)


def _text(renderable: Any) -> str:
    stream = StringIO()
    Console(file=stream, width=160, highlight=False).print(renderable)
    return stream.getvalue()


def test_programs_of_another_version_than_their_image_are_named() -> None:
    def flux(name: str, tag: str, program: str) -> dict[str, Any]:
        pod = _pod("flux-system", f"{name}-1", runtime="process")
        pod["metadata"]["annotations"]["nerv.dev/program"] = program
        return {**pod, "spec": {"containers": [{"image": f"ghcr.io/fluxcd/{name}:{tag}@sha256:0123"}]}}

    same = flux("kustomize-controller", "v1.6.0", "kustomize-controller v1.6.0")
    other = flux("source-controller", "v1.6.0", "source-controller v1.7.0")
    status = _status(Pod=[same, other, _pod("traefik-system", "traefik-1")])
    assert status.other_versions == ("source-controller v1.7.0 for v1.6.0",)
    with (shown := StringIO()):
        Console(file=shown, width=200).print(page(status))
        assert "Other versions  source-controller v1.7.0 for v1.6.0" in shown.getvalue()


def test_programs_of_the_engine_are_named_and_marked_where_they_are_not_the_pinned_ones() -> None:
    assert "Programs" not in _text(page(_status()))
    programs = (Program("etcd", "v3.4.23", "v3.5.16", True), Program("kube-apiserver", "v1.31.4", "v1.31", False))
    status = replace(_status(), programs=programs)
    assert "Programs        etcd v3.4.23 (pinned: v3.5.16), kube-apiserver v1.31.4\n" in _text(page(status))
    assert status.to_dict()["programs"][0] == {
        "name": "etcd",
        "version": "v3.4.23",
        "pinned": "v3.5.16",
        "differs": True,
    }


def test_the_page_for_people() -> None:
    told = _text(page(_status()))
    assert "1 of 1 Kustomizations Ready, 0 of 0 HelmReleases Ready, 1 of 1 pods Running" in told
    assert "192.168.1.111 on Service traefik-system/traefik, here 127.168.1.111:8080" in told
    assert "console 1 of 1 in nerv-system" in told


def test_the_tree_holds_source_kustomization_release_and_pods() -> None:
    labels = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    release = _flux("HelmRelease", "traefik", "Unknown", "Running 'install' action", labels=labels)
    release["metadata"]["namespace"] = "traefik-system"
    told = _text(live.tree(_status(HelmRelease=[release]), 1.5))
    order = ["GitRepository", "Kustomization apps", "HelmRelease traefik-system/traefik", "1 of 1 pods", "nerv-system"]
    assert sorted(order, key=told.index) == order
    assert "Running 'install' action" in told


def test_plain_lines_tell_only_what_is_new() -> None:
    stream = StringIO()
    with live.LiveView(Console(file=stream, width=160, highlight=False)) as view:
        view.show(_status(), 1.0)
        first = stream.getvalue()
        view.show(_status(), 2.0)
        assert stream.getvalue() == first
        view.show(_status(Kustomization=[_flux("Kustomization", "apps", "False", "bad", reason="BuildFailed")]), 3.0)
    assert stream.getvalue().removeprefix(first) == "   3.0 s  Kustomization flux-system/apps: BuildFailed bad\n"


def test_the_summary_counts() -> None:
    assert summary(_status()).startswith("1 of 1 Kustomizations Ready")
