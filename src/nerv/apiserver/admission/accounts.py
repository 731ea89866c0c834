"""ServiceAccount: a pod runs as one that exists, and finds its token, the CA and its namespace in a projected volume.

Facts: plugin/pkg/admission/serviceaccount (names, paths, 3607 seconds).
"""

from __future__ import annotations

from typing import Any

from nerv.apiserver import metadata
from nerv.apiserver.context import Attributes, Context
from nerv.kube import objects
from nerv.kube.objects import Object

_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SECONDS = 3607
_MODE = 0o644
_MIRROR = "kubernetes.io/config.mirror"


def project(context: Context, attributes: Attributes) -> None:
    """Raises errors.Forbidden when the service account does not exist."""
    obj = attributes.obj
    if attributes.key != "pods" or attributes.operation != "CREATE" or attributes.subresource or obj is None:
        return
    if _MIRROR in objects.annotations(obj):
        return
    spec = obj.setdefault("spec", {})
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    entry = context.store.head("serviceaccounts", attributes.namespace, name)
    if entry is None:
        raise attributes.served.forbidden(
            attributes.name,
            f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found',
        )
    account = entry.load()
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = account.get("automountServiceAccountToken", True)
    if wanted:
        _mount(spec)
    if account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account["imagePullSecrets"]


def _mount(spec: Object) -> None:
    containers = [
        container
        for field in ("initContainers", "containers")
        for container in spec.get(field) or ()
        if not any(mount.get("mountPath") == _PATH for mount in container.get("volumeMounts") or ())
    ]
    if not containers:
        return
    volumes = spec.setdefault("volumes", [])
    name = next((found for item in volumes if (found := item.get("name", "")).startswith("kube-api-access-")), "")
    if not name:
        name = f"kube-api-access-{metadata.random_suffix()}"
        volumes.append(_volume(name))
    for container in containers:
        mount = {"name": name, "readOnly": True, "mountPath": _PATH}
        container.setdefault("volumeMounts", []).append(mount)


def _volume(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "projected": {
            "defaultMode": _MODE,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": "namespace",
                                "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                            }
                        ]
                    }
                },
            ],
        },
    }
