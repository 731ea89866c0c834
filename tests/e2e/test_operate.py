"""Operating a running platform: every verb against what really goes on in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.support import commands
from tests.support.commands import Home, eventually

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    base = tmp_path_factory.mktemp("operate")
    with commands.up(Home.at(base)) as running:
        yield running
    assert commands.processes_of(base) == []


def test_get_shows_what_kubectl_shows(home: Home) -> None:
    def shown(text: str) -> list[str]:
        return re.sub(r"\d+[smh]\d*[sm]?", "AGE", text).split()  # a second may pass between the two

    assert shown(home.nerv("get", "nodes").stdout) == shown(home.kubectl("get", "nodes"))
    told = home.nerv("get", "all").stdout
    for title in ("Node", "Sources", "Kustomizations", "HelmReleases", "Pod", "Certificates", "Addresses"):
        assert f"\n{title}\n" in f"\n{told}"
    assert "everything is ready" in home.nerv("get", "hr", "--not-ready").stderr
    assert home.nerv("why").stdout == "nothing is wrong\n"


def test_a_watch_shows_a_change(home: Home) -> None:
    watch = subprocess.Popen(
        [sys.executable, "-m", "nerv", "-C", str(home.folder), "get", "ks", "-w"],
        env=home.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watch.stdout is not None
        for _ in range(4):
            watch.stdout.readline()  # the table: headers and three Kustomizations
        home.nerv("suspend", "ks/apps-config")
        # others may be reconciled meanwhile, which is a change too
        lines = (line.split() for line in watch.stdout)
        changed = next(cells for cells in lines if cells[1] == "apps-config" and cells[4] == "True")
        assert changed[3] == f"main@sha1:{home.git('rev-parse', 'HEAD').strip()[:8]}"
    finally:
        watch.kill()
        watch.communicate()
        told = home.nerv("resume", "ks/apps-config")
    assert "kustomization/flux-system/apps-config: resumed, Applied revision" in told.stdout


def test_the_tree_of_the_platform_ends_at_all_of_its_pods(home: Home) -> None:
    names = home.nerv("tree", "ks/flux-system", "-o", "name").stdout.split()
    pods = {name for name in names if name.startswith("pod/")}
    status = {f"pod/{pod['namespace']}/{pod['name']}" for pod in home.status()["pods"]}
    # what K3s itself and Longhorn's manager make is applied by nobody's repository
    assert pods <= status | {name for name in pods if "/nerv-system/" in name}
    assert {name.split("/")[1] for name in pods} >= {"flux-system", "cert-manager", "metallb-system", "traefik-system"}
    assert "ingressroute/traefik-system/traefik-dashboard" in names


def test_a_process_pods_lines_are_shown(home: Home) -> None:
    assert "Traefik version" in home.nerv("logs", "deploy/traefik").stdout
    assert len(home.nerv("logs", "hr/traefik", "--tail", "1").stdout.splitlines()) == 1


def test_reconcile_fetches_the_source_and_tells_the_outcome(home: Home) -> None:
    told = home.nerv("reconcile", "ks/apps", "--with-source")
    assert "kustomization/flux-system/apps: Applied revision: main@sha1:" in told.stdout
    assert "waiting for the reconciliation of gitrepository/flux-system/flux-system" in told.stderr
    upgraded = home.nerv("reconcile", "hr/metallb", "--force").stdout
    assert "Helm upgrade succeeded for release metallb-system/metallb.v2" in upgraded


def test_why_follows_a_broken_commit_to_its_file(home: Home) -> None:
    (home.folder / "apps" / "broken.yaml").write_text("kind: [\n")
    kustomization = home.folder / "apps" / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text().replace("resources:\n", "resources:\n- broken.yaml\n"))
    home.commit("Break it")
    chain = ["kustomization/flux-system/apps-config", "kustomization/flux-system/apps"]

    def explained() -> bool:
        found = json.loads(home.nerv("why", "-o", "json", code=None).stdout)
        return [[link["object"] for link in each["chain"]] for each in found] == [chain]

    eventually(explained, "one cause with the chain apps-config, apps")
    told = home.nerv("why", "ks/apps-config", code=1).stdout
    assert "broken.yaml" in told
    assert "`nerv check` finds it before it is pushed" in told
    home.git("revert", "--no-edit", "HEAD")
    eventually(lambda: "broken.yaml" not in home.nerv("why", code=None).stdout, "the revert to reach the cluster")
    assert home.nerv("wait", "--timeout", "80s").stdout == "everything is ready\n"


def test_why_finds_a_pod_that_fits_nowhere(home: Home) -> None:
    home.kubectl("create", "deployment", "huge", "--image=nginx")
    home.kubectl("set", "resources", "deployment/huge", "--requests=memory=4000Gi")
    eventually(
        lambda: "Insufficient memory" in home.nerv("why", "deployment/huge", code=None).stdout, "the scheduler's word"
    )
    told = home.nerv("why", "deployment/huge", code=1).stdout
    assert "Remedy  no node has that much left: add a node, or ask for less" in told
    home.kubectl("delete", "deployment", "huge")
    eventually(lambda: home.nerv("why", code=None).stdout == "nothing is wrong\n", "nothing to be wrong again")


def test_jobs_run_to_their_end(home: Home) -> None:
    image = home.get("deployment", "-n", "traefik-system", "traefik")["spec"]["template"]["spec"]["containers"][0][
        "image"
    ]
    home.kubectl("create", "job", "version", f"--image={image}", "--", "traefik", "version")
    home.kubectl("create", "cronjob", "nightly", f"--image={image}", "--schedule=0 3 * * *", "--", "traefik", "version")
    home.kubectl("create", "job", "by-hand", "--from=cronjob/nightly")
    home.kubectl("wait", "--for=condition=complete", "job/version", "job/by-hand", "--timeout=60s")
    assert "Codename" in home.nerv("logs", "job/version").stdout
    assert home.nerv("why").stdout == "nothing is wrong\n"  # pods that have ended well are no trouble
    home.kubectl("delete", "job/version", "cronjob/nightly")
    eventually(lambda: home.get("pods", "-n", "default")["items"] == [], "the Jobs' pods to be gone")


def test_a_job_that_cannot_be_done_here_says_so(home: Home) -> None:
    home.kubectl("create", "job", "backup", "--image=busybox", "--", "true")
    eventually(
        lambda: "no program" in home.nerv("why", "job/backup", code=None).stdout, "the cause of the Job's failure"
    )
    told = home.nerv("why", "job/backup", code=1).stdout
    assert "Remedy  no program of this machine stands for the image" in told
    home.kubectl("delete", "job", "backup")


def test_events_of_a_release_name_its_chart(home: Home) -> None:
    told = home.nerv("events", "hr/traefik").stdout
    assert "helmrelease/traefik-system/traefik" in told
    assert "Helm install succeeded" in told


def test_a_context_of_the_environment_reaches_it_too(home: Home) -> None:
    kubeconfig = home.folder / ".nerv" / "kubeconfig"
    name = home.run("kubectl", "--kubeconfig", str(kubeconfig), "config", "current-context").stdout.strip()
    environment = {**home.environment, "KUBECONFIG": str(kubeconfig)}
    command = [sys.executable, "-m", "nerv", "status", "--context", name, "-o", "json"]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["engine"] == "embedded"  # it is still a platform of this machine: its addresses are published
    assert told["addresses"][0]["published"]
