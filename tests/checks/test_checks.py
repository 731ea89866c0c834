"""Every check finds what it is for in a repository that is right but for one thing; the examples are right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support import platforms, trees
from tests.support.trees import ENCRYPTED

from nerv import checks
from nerv.checks import repository
from nerv.rendering.folders import Tree
from nerv.rendering.tree import tree

PLATFORM = trees.platform()
HOST = platforms.public(PLATFORM).recipient("nerv-1")
Change = Callable[[Tree], None]


def replace(path: str, old: str, new: str) -> Change:
    def change(files: Tree) -> None:
        assert old in files[path]
        files[path] = files[path].replace(old, new, 1)

    return change


def add(path: str, text: str, listed_in: str = "") -> Change:
    def change(files: Tree) -> None:
        files[path] = text
        if listed_in:
            files[listed_in] += f"- {path.rpartition('/')[2]}\n"

    return change


def remove(path: str) -> Change:
    def change(files: Tree) -> None:
        del files[path]

    return change


def found(change: Change) -> list[str]:
    files = trees.whole(PLATFORM)
    change(files)
    return [str(problem) for problem in checks.run(PLATFORM, repository.from_files(files))]


def secret(value: str) -> str:
    metadata = "{name: token, namespace: nerv-system}"
    return f"apiVersion: v1\nkind: Secret\nmetadata: {metadata}\nstringData: {{token: {value}}}\n"


APPS, CONFIG = "apps/kustomization.yaml", "apps-config/kustomization.yaml"
POOL = "apps-config/metallb/pool.yaml"
ROUTE = "apps-config/longhorn/dashboard.yaml"
CONSOLE = "apps-config/console/kustomization.yaml"


@pytest.mark.parametrize("name", ["nerv", "many-nodes"])
def test_examples_have_nothing_wrong(name: str) -> None:
    platform = platforms.example(name)
    found = checks.run(platform, repository.from_files(trees.whole(platform)))
    # no SSH key stands in an example: it runs here, and must not be installed so
    assert [(problem.severity, problem.message.partition(" to ")[0]) for problem in found] == [
        ("undeployable", "nobody could log in")
    ]


WRONG: dict[str, tuple[Change, str]] = {
    "text that is no YAML": (
        add("apps/metallb/release.yaml", "spec: [\n"),
        "apps/metallb/release.yaml:2:1: did not find expected node content (not valid YAML)",
    ),
    "plaintext Secret": (
        add("apps-config/console/token.yaml", secret("open"), CONSOLE),
        "apps-config/console/token.yaml: Secret nerv-system/token: `token` in clear (keep it in "
        "secrets/NAME.sops.yaml, encrypted: `sops encrypt --in-place FILE`; change the value if it was ever committed)",
    ),
    "plaintext Secret in a List": (
        add(
            "apps-config/console/token.yaml",
            f"kind: List\nitems:\n- {secret('open').replace(chr(10), chr(10) + '  ')}",
            CONSOLE,
        ),
        "apps-config/console/token.yaml: Secret nerv-system/token: `token` in clear (keep it in "
        "secrets/NAME.sops.yaml, encrypted: `sops encrypt --in-place FILE`; change the value if it was ever committed)",
    ),
    "encrypted Secret where nothing decrypts": (
        add(
            "apps/metallb/token.yaml",
            secret(ENCRYPTED.join("''")) + "sops: {mac: x}\n",
            "apps/metallb/kustomization.yaml",
        ),
        "apps/metallb/token.yaml: Secret nerv-system/token: is encrypted, and Kustomization flux-system/apps, which "
        "applies it, has no spec.decryption (keep it in secrets/, which one with decryption applies)",
    ),
    "machines' secrets in clear": (
        add("nixos/secrets/servers.sops.yaml", "k3s-token: open\n"),
        "nixos/secrets/servers.sops.yaml: is not encrypted (`sops encrypt --in-place nixos/secrets/servers.sops.yaml`; "
        "change the values if they were ever committed)",
    ),
    "a value added without sops": (
        replace("nixos/secrets/servers.sops.yaml", "k3s-agent-token", "wifi: {home: open}\nk3s-agent-token"),
        "nixos/secrets/servers.sops.yaml: `wifi.home` in clear (`nerv secrets edit nixos/secrets/servers.sops.yaml` "
        "writes it encrypted; change the value if it was ever committed)",
    ),
    "a reader too few": (
        replace("nixos/secrets/servers.sops.yaml", f"  - recipient: {HOST}\n", ""),
        f"nixos/secrets/servers.sops.yaml: {HOST} cannot read it, as .sops.yaml asks for (run `nerv render`)",
    ),
    "a reader too many": (
        replace("nixos/secrets/servers.sops.yaml", "  age:\n", f"  age:\n  - recipient: {platforms.RECIPIENTS[1]}\n"),
        f"nixos/secrets/servers.sops.yaml: {platforms.RECIPIENTS[1]} can read it, and .sops.yaml does not name him "
        "(run `nerv render`)",
    ),
    "private age key": (
        add("notes.txt", "the key:\n  AGE-SECRET-KEY-1" + "Q" * 58 + "\n"),
        "notes.txt:2:3: a private age key in clear (remove it, and replace the key)",
    ),
    "missing file": (
        remove("apps/metallb/release.yaml"),
        "apps/metallb/kustomization.yaml: `release.yaml` does not exist (Flux would apply nothing of this folder)",
    ),
    "missing kustomization.yaml": (
        remove("apps/longhorn/kustomization.yaml"),
        "apps/kustomization.yaml: `longhorn` has no kustomization.yaml (Flux would apply nothing of this folder)",
    ),
    "file that nothing lists": (
        add("apps-config/console/more.yaml", secret(ENCRYPTED.join("''"))),
        "apps-config/console/more.yaml: is not listed in kustomization.yaml, so Flux never applies it "
        "(add it to apps-config/console/kustomization.yaml, or move it elsewhere)",
    ),
    "missing source": (
        replace(
            "apps/metallb/release.yaml",
            "kind: HelmRepository\n        name: metallb",
            "kind: HelmRepository\n        name: metalb",
        ),
        "apps/metallb/release.yaml: HelmRelease metallb-system/metallb: source HelmRepository metallb-system/metalb "
        "does not exist (see sourceRef)",
    ),
    "chart value that the chart does not have": (
        replace("apps/cert-manager/release.yaml", "    crds:", "    crdz:"),
        "apps/cert-manager/release.yaml: HelmRelease cert-manager/cert-manager: values: Additional properties are "
        "not allowed ('crdz' was unexpected) (the chart's schema refuses it)",
    ),
    "missing folder": (
        replace("clusters/home/apps.yaml", "path: ./apps", "path: ./app"),
        "clusters/home/apps.yaml: Kustomization flux-system/apps: folder `./app` does not exist (see spec.path)",
    ),
    "missing dependency": (
        replace("clusters/home/apps-config.yaml", "- name: apps", "- name: aps"),
        "clusters/home/apps-config.yaml: Kustomization flux-system/apps-config: depends on flux-system/aps, "
        "which does not exist (the Kustomization waits for ever)",
    ),
    "circle": (
        replace("clusters/home/apps-config.yaml", "- name: apps", "- name: apps-config"),
        "clusters/home/apps-config.yaml: Kustomization flux-system/apps-config: depends on itself "
        "(break the circle in spec.dependsOn)",
    ),
    "custom resource beside its definition": (
        add(
            "apps/metallb/pool.yaml",
            tree(PLATFORM, platforms.public(PLATFORM))[POOL],
            "apps/metallb/kustomization.yaml",
        ),
        "apps/metallb/pool.yaml: IPAddressPool metallb-system/home: stands beside HelmRelease metallb, which defines "
        "its kind (move it to apps-config/, which waits for apps)",
    ),
    "unknown kind": (
        replace(POOL, "kind: L2Advertisement", "kind: L3Advertisement"),
        f'{POOL}: L3Advertisement metallb-system/home: no matches for kind "L3Advertisement" in version '
        '"metallb.io/v1beta1" (nothing defines it)',
    ),
    "unknown field": (
        replace(POOL, "ipAddressPools:", "ipAdressPools:"),
        f'{POOL}: L2Advertisement metallb-system/home: unknown field "spec.ipAdressPools"',
    ),
    "wrong duration for Flux": (
        replace("clusters/home/apps.yaml", "interval: 10m0s", "interval: 1d"),
        'clusters/home/apps.yaml: Kustomization flux-system/apps: spec.interval: Invalid value: "1d": '
        "spec.interval in body should match '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$'",
    ),
    "unknown field of a builtin kind": (
        replace("apps-config/console/deployment.yaml", "replicas: 1", "replica: 1"),
        'apps-config/console/deployment.yaml: Deployment nerv-system/nerv-console: unknown field "spec.replica"',
    ),
    "namespace that nothing makes": (
        replace(POOL, "namespace: metallb-system", "namespace: metallb"),
        f"{POOL}: IPAddressPool metallb/home: namespace metallb is not made anywhere (add a Namespace)",
    ),
    "no namespace": (
        replace(POOL, "  namespace: metallb-system\n", ""),
        f"{POOL}: IPAddressPool home: has no namespace (Flux would put it into the namespace of its Kustomization)",
    ),
    "no Pod Security level": (
        replace("apps/traefik/namespace.yaml", "pod-security.kubernetes.io/enforce: restricted", "team: web"),
        "apps/traefik/namespace.yaml: Namespace traefik-system: has no label pod-security.kubernetes.io/enforce "
        "(one of privileged, baseline, restricted)",
    ),
    "missing middleware": (
        replace(ROUTE, "- name: dashboard-login", "- name: login"),
        f"{ROUTE}: IngressRoute longhorn-system/longhorn-dashboard: "
        "middleware `login` does not exist in longhorn-system",
    ),
    "missing certificate": (
        replace(ROUTE, "  tls:\n    secretName: longhorn-dashboard-tls", "  tls:\n    secretName: longhorn-tls"),
        f"{ROUTE}: IngressRoute longhorn-system/longhorn-dashboard: no Certificate makes Secret `longhorn-tls` "
        "(see spec.tls.secretName)",
    ),
    "network policy that stops the console's route": (
        replace("apps-config/console/network-policy.yaml", "port: 8000", "port: 80"),
        "apps-config/console/network-policy.yaml: NetworkPolicy nerv-system/nerv-console: stops the route "
        "flux.<domain>: from traefik-system to port 8000 (console needs it)",
    ),
    "network policy that stops clients": (
        add(
            "apps/traefik/policy.yaml",
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: traefik-system}\n"
            "spec: {podSelector: {}, ingress: [{ports: [{port: 8443}, {port: 8080}]}]}\n",
            "apps/traefik/kustomization.yaml",
        ),
        "apps/traefik/policy.yaml: NetworkPolicy traefik-system/deny: stops web traffic from clients: "
        "from outside to port 8000 (traefik needs it)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_thing_wrong_is_found(case: str) -> None:
    change, said = WRONG[case]
    assert said in found(change)


def test_encrypted_secrets_and_templates_of_values_are_no_problem() -> None:
    def change(files: Tree) -> None:
        files["docs/values.yaml"] = "replicas: 3\n"
        files["docs/notes.yml"] = "- a list\n"

    assert found(change) == []


def test_a_login_that_is_missing_is_named() -> None:
    lines = found(remove("secrets/longhorn-system-dashboard-login.sops.yaml"))
    assert (
        f"{ROUTE}: Middleware longhorn-system/dashboard-login: Secret `dashboard-login` does not exist "
        "(`nerv render` makes the dashboards' logins)"
    ) in lines


def test_all_problems_come_at_once_sorted_by_place() -> None:
    def change(files: Tree) -> None:
        for one in ("missing dependency", "unknown field", "no Pod Security level"):
            WRONG[one][0](files)

    lines = found(change)
    assert len(lines) == 3
    assert lines == sorted(lines)
