"""The main job as a newcomer does it: one platform from nothing to healthy, seen through the real clients."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.commands import BIN, Home, eventually

pytestmark = [pytest.mark.timeout(400)]
FLUX = os.environ.get("NERV_TEST_FLUX") or shutil.which("flux") or ""


@pytest.fixture(scope="module", params=commands.MACHINES)
def home(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Home]:
    base = tmp_path_factory.mktemp("main")
    with commands.up(Home.at(base), *request.param) as running:
        yield running
    eventually(lambda: commands.processes_of(base) == [], "all processes to be gone")


def test_status_ends_with_everything_ready(home: Home) -> None:
    status = home.status()
    assert status["healthy"], status["waiting"]
    assert [k["name"] for k in status["kustomizations"]] == ["flux-system", "apps", "apps-config"]
    assert {k["ready"] for k in status["kustomizations"]} == {"True"}
    assert sorted(r["name"] for r in status["releases"]) == ["cert-manager", "longhorn", "metallb", "traefik"]
    assert {r["ready"] for r in status["releases"]} == {"True"}
    assert Counter(pod["namespace"] for pod in status["pods"]) == {
        "longhorn-system": 19,
        "flux-system": 4,
        "cert-manager": 3,
        "metallb-system": 2,
        "kube-system": 2,
        "traefik-system": 1,
    }
    assert all(pod["ready"] for pod in status["pods"])
    assert [(a["service"], a["address"]) for a in status["addresses"]] == [("traefik", "192.168.1.111")]
    text = home.nerv("status").stdout
    assert "3 of 3 Kustomizations Ready, 4 of 4 HelmReleases Ready, 31 of 31 pods Running" in text


def test_nothing_simulated_pretends(home: Home) -> None:
    pods = home.get("pods", "-A")["items"]
    runtimes = {pod["metadata"]["name"]: pod["metadata"]["annotations"]["nerv.dev/runtime"] for pod in pods}
    assert set(runtimes.values()) <= {"process", "embedded", "simulated"}
    assert [r for name, r in runtimes.items() if name.startswith(("traefik-", "nerv-console-"))] == ["process"] * 2


def test_programs_that_share_this_machines_network_say_what_was_rewritten(home: Home) -> None:
    """Every pod that is a process listens where it is told, and nowhere else, with driver `proxy`."""
    is_proxy = json.loads((home.folder / ".nerv" / "network.json").read_text())["driver"] == "proxy"
    pods = [pod["metadata"] for pod in home.get("pods", "-A")["items"]]
    told = {
        pod["labels"].get("app", pod["labels"].get("app.kubernetes.io/name", pod["name"])): pod["annotations"]
        for pod in pods
        if pod["annotations"]["nerv.dev/runtime"] == "process"
    }
    controllers = {f"{name}-controller" for name in ("source", "kustomize", "helm", "notification")}
    is_upstream = home.status()["engine"] == "upstream"
    assert told.keys() == {"traefik", "nerv-console"} | (controllers if is_upstream else set())
    if not is_proxy:
        assert not any("nerv.dev/rewritten" in each for each in told.values())
        return
    rewritten = {name: each["nerv.dev/rewritten"] for name, each in told.items()}
    listens = {
        "traefik": ("--entryPoints.metrics.address",),
        "nerv-console": ("0.0.0.0:8000 ->",),
        **dict.fromkeys(controllers, ("--health-addr", "--metrics-addr")),
        "source-controller": ("--health-addr", "--metrics-addr", "--storage-addr"),
        "notification-controller": ("--health-addr", "--metrics-addr", "--events-addr", "--receiverAddr"),
    }
    for name, said in rewritten.items():
        for option in listens[name]:
            assert re.search(rf"{option}[= ]127(\.\d+){{3}}:\d+", said), (name, option, said)
        assert "socks5" not in said  # its login is a secret


def test_kubectl_reads_everything(home: Home) -> None:
    table = home.kubectl("get", "ks,hr,pods,svc", "-A")
    assert re.search(r"apps-config\s+\S+\s+True\s+Applied revision: main@sha1:", table)
    assert re.search(r"traefik-system\s+service/traefik\s+LoadBalancer\s+10\.43\.\S+\s+192\.168\.1\.111", table)
    described = home.kubectl("describe", "helmrelease", "-n", "traefik-system", "traefik")
    assert "Helm install succeeded for release traefik-system/traefik.v1 with chart traefik@37.1.1" in described
    assert "FIELDS:" in home.kubectl("explain", "helmrelease.spec")
    assert "Traefik version" in home.kubectl("logs", "-n", "traefik-system", "deploy/traefik")


def test_kubectl_writes_as_on_any_cluster(home: Home) -> None:
    manifest = home.folder.parent / "config-map.yaml"
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: default}\ndata: {a: b}\n")
    assert "serverside-applied" in home.kubectl("apply", "--server-side", "-f", str(manifest))
    watch = subprocess.Popen(
        [
            str(BIN / "kubectl"),
            "--kubeconfig",
            str(home.folder / ".nerv" / "kubeconfig"),
            "get",
            "cm",
            "mine",
            "-w",
            "-o",
            "name",
        ],
        env=home.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watch.stdout is not None
        assert watch.stdout.readline() == "configmap/mine\n"
        home.kubectl("label", "configmap", "mine", "seen=yes")
        assert watch.stdout.readline() == "configmap/mine\n"
    finally:
        watch.kill()
        watch.communicate()
    home.kubectl("delete", "configmap", "mine")


def test_a_webhook_of_the_cluster_refuses_in_its_own_words(home: Home) -> None:
    manifest = home.folder.parent / "issuer.yaml"
    manifest.write_text(
        "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: none, namespace: default}\nspec: {}\n"
    )
    said = home.run(
        "kubectl", "--kubeconfig", str(home.folder / ".nerv" / "kubeconfig"), "create", "-f", str(manifest), code=1
    ).stderr
    assert said == (
        f'Error from server (Forbidden): error when creating "{manifest}": admission webhook '
        '"webhook.cert-manager.io" denied the request: spec: Required value: at least one issuer must be configured\n'
    )


def test_helm_lists_four_releases_with_history(home: Home) -> None:
    import helm_python

    content = (home.folder / ".nerv" / "kubeconfig").read_text()
    with helm_python.Config(kubeconfig_content=content, namespace="traefik-system") as config:
        listed = config.list(all_namespaces=True)
        assert sorted(release["name"] for release in listed) == ["cert-manager", "longhorn", "metallb", "traefik"]
        history = config.history("traefik")
    assert [release["status"] for release in history][-1] == "deployed"


@pytest.mark.skipif(not FLUX, reason="needs the flux program (on PATH, or NERV_TEST_FLUX=PATH)")
def test_the_flux_program_finds_everything_in_order(home: Home) -> None:
    def flux(*arguments: str) -> str:
        kubeconfig = str(home.folder / ".nerv" / "kubeconfig")
        # it asks the world for its newest version, which is no matter of a test
        done = home.run("env", "HTTPS_PROXY=http://127.0.0.1:9", FLUX, "--kubeconfig", kubeconfig, *arguments)
        return done.stdout + done.stderr

    said = flux("check")
    assert re.search(r"Kubernetes 1\.31\.\d+\S* >=1\.", said)
    for controller in ("source", "kustomize", "helm", "notification"):
        assert f"✔ {controller}-controller: deployment ready" in said
    assert "✔ all checks passed" in said
    # suspended, revision, ready, message
    assert re.search(r"kustomization/apps-config\s+main@sha1:\w+\s+False\s+True\s+Applied revision", flux("get", "all"))
    head = home.git("rev-parse", "HEAD").strip()
    assert f"✔ fetched revision main@sha1:{head}" in flux("reconcile", "source", "git", "flux-system")
    assert f"✔ applied revision main@sha1:{head}" in flux("reconcile", "kustomization", "apps-config")
    assert "✔ applied revision" in flux("reconcile", "helmrelease", "-n", "traefik-system", "traefik", "--force")
    assert "HelmRelease/traefik-system/traefik" in flux("tree", "kustomization", "apps")
    traced = flux("trace", "-n", "traefik-system", "deployment", "traefik")
    assert re.search(r"HelmRelease:\s+traefik\n", traced)
    try:
        assert "✔ kustomization suspended" in flux("suspend", "kustomization", "apps-config")
    finally:
        resumed = flux("resume", "kustomization", "apps-config")
    assert "✔ Kustomization apps-config reconciliation completed" in resumed


@pytest.mark.parametrize("name", ["traefik", "longhorn", "flux"])
def test_dashboards_verify_and_ask_for_a_login(home: Home, name: str) -> None:
    assert home.curl(name) == "401"
    assert home.curl(name, "-L", "-u", f"admin:{home.password()}") == "200"
    assert home.curl(name, "-u", "admin:wrong") == "401"


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_browser_sees_the_live_state(home: Home, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    from nerv.operations import access
    from nerv.operations.access import Served
    from nerv.operations.status import Dashboard

    host, port = home.published()
    ca = (home.folder / ".nerv" / "ca.crt").read_text()
    pins = [
        access.served_pin(Served(Dashboard(name, f"{name}.nerv.local", ""), host, port), ca)
        for name in ("flux", "longhorn", "traefik")
    ]
    arguments = [
        f"--host-resolver-rules=MAP *.nerv.local {host}",
        f"--ignore-certificate-errors-spki-list={','.join(pins)}",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-gpu",
    ]
    credentials = {"username": "admin", "password": home.password()}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments, chromium_sandbox=False
        )
        context = browser.new_context(http_credentials=credentials, viewport={"width": 1360, "height": 1000})
        page = context.new_page()
        page.set_default_timeout(commands.PATIENCE * 1000)
        page.goto(f"https://flux.nerv.local:{port}/")
        page.get_by_text("apps-config", exact=True).wait_for()
        page.get_by_text("Helm install succeeded").first.wait_for()
        home.kubectl("annotate", "ns", "default", "seen=by-browser")
        home.kubectl(
            "patch", "ks", "-n", "flux-system", "apps-config", "--type=merge", "-p", '{"spec":{"suspend":true}}'
        )
        try:
            page.get_by_text("Suspended", exact=True).wait_for()
        finally:
            home.kubectl(
                "patch", "ks", "-n", "flux-system", "apps-config", "--type=merge", "-p", '{"spec":{"suspend":false}}'
            )
        page.goto(f"https://longhorn.nerv.local:{port}/")
        page.get_by_text("Volumes", exact=True).first.wait_for()
        page.goto(f"https://traefik.nerv.local:{port}/dashboard/")
        page.get_by_text("Entrypoints").first.wait_for()
        browser.close()


def _edit(home: Home, old: str, new: str) -> None:
    path = home.folder / "apps" / "traefik" / "release.yaml"
    text = path.read_text()
    assert old in text, text
    path.write_text(text.replace(old, new))


def _condition(home: Home, kind: str, namespace: str, name: str) -> dict[str, str]:
    status = home.get(kind, "-n", namespace, name).get("status", {})
    return next((c for c in status.get("conditions", []) if c["type"] == "Ready"), {})


def test_an_edit_is_applied_and_its_revert_undone(home: Home) -> None:
    def replicas() -> int:
        return int(home.get("deployment", "-n", "traefik-system", "traefik")["spec"]["replicas"])

    assert replicas() == 1
    _edit(home, "replicas: 1", "replicas: 2")
    home.commit("Two Traefiks")
    eventually(lambda: replicas() == 2, "the edited value in the Deployment")
    home.git("revert", "--no-edit", "HEAD")
    eventually(lambda: replicas() == 1, "the reverted value")
    eventually(lambda: home.status()["healthy"], "health after the revert")


def test_bad_yaml_says_so_and_the_rest_stays_healthy(home: Home) -> None:
    (home.folder / "apps" / "broken.yaml").write_text("kind: [\n")
    kustomization = home.folder / "apps" / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text().replace("resources:\n", "resources:\n  - broken.yaml\n"))
    home.commit("Break it")
    eventually(lambda: _condition(home, "ks", "flux-system", "apps").get("reason") == "BuildFailed", "BuildFailed")
    assert all(release["ready"] == "True" for release in home.status()["releases"])
    assert home.curl("traefik") == "401"
    home.git("revert", "--no-edit", "HEAD")
    eventually(lambda: home.status()["healthy"], "health after the revert")


def test_an_unknown_chart_value_is_named_by_the_release(home: Home) -> None:
    path = home.folder / "apps" / "cert-manager" / "release.yaml"
    path.write_text(path.read_text().replace("  values:\n", "  values:\n    noSuchValue: 1\n"))
    home.commit("A typo")
    failed = eventually(
        lambda: "noSuchValue" in _condition(home, "hr", "cert-manager", "cert-manager").get("message", ""),
        "the release to name the value",
    )
    assert failed
    assert _condition(home, "hr", "cert-manager", "cert-manager")["reason"] == "UpgradeFailed"
    home.git("revert", "--no-edit", "HEAD")
    if home.status()["engine"] == "upstream":
        _help_flux(home)
    eventually(lambda: home.status()["healthy"], "health after the revert")


def _help_flux(home: Home) -> None:
    """What an operator of Flux 2.6 does after such a revert (docs/explanation/engines.md): kustomize-controller looks
    at no new revision while it waits for health, and helm-controller takes the reverted release for in sync and leaves
    its failed upgrade standing until it is forced."""
    home.kubectl("delete", "pod", "-n", "flux-system", "-l", "app=kustomize-controller")
    eventually(
        lambda: "noSuchValue" not in str(home.get("hr", "-n", "cert-manager", "cert-manager")["spec"]["values"]),
        "the reverted values in the release",
    )
    asked = [f"reconcile.fluxcd.io/{name}=now" for name in ("requestedAt", "forceAt")]
    home.kubectl("annotate", "--overwrite", "hr", "-n", "cert-manager", "cert-manager", *asked)


def _add_to_apps(home: Home, name: str, text: str) -> None:
    (home.folder / "apps" / name).write_text(text)
    kustomization = home.folder / "apps" / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text().replace("resources:\n", f"resources:\n- {name}\n"))


def test_a_plaintext_secret_is_found_before_it_is_pushed(home: Home) -> None:
    secret = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: leak, namespace: default}\nstringData: {password: hunter2}\n"
    )
    _add_to_apps(home, "leak.yaml", secret)
    try:
        done = home.nerv("check", code=1)
        assert "apps/leak.yaml" in done.stderr
        assert "hunter2" not in done.stdout + done.stderr
    finally:
        home.git("checkout", "-q", ".")
        home.git("clean", "-fdq", "apps")


def test_an_encrypted_secret_where_nothing_decrypts_is_named(home: Home) -> None:
    encrypted = next((home.folder / "secrets").glob("traefik-system-*.sops.yaml")).read_text()
    # ciphertext in `data`: that of `stringData` is applied as it is by kustomize-controller 1.6 (docs/explanation)
    _add_to_apps(home, "encrypted.yaml", encrypted.replace("stringData:", "data:"))
    home.commit("A secret in the wrong folder")
    message = eventually(
        lambda: "SOPS" in (found := _condition(home, "ks", "flux-system", "apps").get("message", "")) and found,
        "the Kustomization to name the Secret",
    )
    assert "is SOPS encrypted, configuring decryption is required" in message
    home.git("revert", "--no-edit", "HEAD")
    eventually(lambda: home.status()["healthy"], "health after the revert")


def test_a_missing_dependency_is_named(home: Home) -> None:
    path = next((home.folder / "clusters").glob("*/apps-config.yaml"))
    path.write_text(re.sub(r"(dependsOn:\n\s*- name: )apps\n", r"\1nothing\n", path.read_text()))
    home.commit("A dependency that is not there")
    eventually(
        lambda: "flux-system/nothing" in _condition(home, "ks", "flux-system", "apps-config").get("message", ""),
        "the dependency to be named",
    )
    assert _condition(home, "ks", "flux-system", "apps-config")["reason"] == "DependencyNotReady"
    home.git("revert", "--no-edit", "HEAD")
    eventually(lambda: home.status()["healthy"], "health after the revert")


def test_a_second_up_says_that_it_runs(home: Home) -> None:
    done = home.nerv("up", str(home.folder), code=1)
    assert f"runs already (pid {home.pid()})" in done.stderr
    assert home.folder.name in home.nerv("list").stdout
