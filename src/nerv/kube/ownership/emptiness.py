"""Objects of builtin kinds with nothing set: the fields that are written all the same, because their Go types are
structures or have no `omitempty` (k8s.io/api at v0.31). Pure.
"""

from __future__ import annotations

from typing import Any, Final

from nerv.kube.objects import Object

_METADATA: Final = {"creationTimestamp": None}
_TEMPLATE: Final = {"metadata": _METADATA, "spec": {"containers": []}}
_JOB: Final = {"template": _TEMPLATE}

_SPECS: Final[dict[tuple[str, str], Any]] = {
    ("apps/v1", "Deployment"): {"selector": None, "strategy": {}, "template": _TEMPLATE},
    ("apps/v1", "StatefulSet"): {"selector": None, "serviceName": "", "template": _TEMPLATE, "updateStrategy": {}},
    ("apps/v1", "DaemonSet"): {"selector": None, "template": _TEMPLATE, "updateStrategy": {}},
    ("apps/v1", "ReplicaSet"): {"selector": None, "template": _TEMPLATE},
    ("batch/v1", "Job"): _JOB,
    ("batch/v1", "CronJob"): {"schedule": "", "jobTemplate": {"metadata": _METADATA, "spec": _JOB}},
    ("v1", "Pod"): {"containers": []},
    ("v1", "PersistentVolumeClaim"): {"resources": {}},
}
_STATUSES: Final[dict[tuple[str, str], Any]] = {
    ("v1", "Service"): {"loadBalancer": {}},
    ("networking.k8s.io/v1", "Ingress"): {"loadBalancer": {}},
}


def of(obj: Object) -> Object:
    """The empty object of a kind; of `spec` and `status` what `obj` has at all."""
    kind = obj.get("apiVersion", ""), obj.get("kind", "")
    empty: Object = {"metadata": _METADATA}
    if "spec" in obj:
        empty["spec"] = _SPECS.get(kind, {})
    if "status" in obj:
        empty["status"] = _STATUSES.get(kind, {})
    return empty
