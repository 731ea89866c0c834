"""What the API server is given as files: Pod Security by default, and what the audit log records."""

from __future__ import annotations

_LEVELS = {"enforce": "baseline", "audit": "restricted", "warn": "restricted"}

# Namespaces without labels of their own (ours have them) hold no privileged pods; K3s' own are left alone.
ADMISSION: dict[str, object] = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AdmissionConfiguration",
    "plugins": [
        {
            "name": "PodSecurity",
            "configuration": {
                "apiVersion": "pod-security.admission.config.k8s.io/v1",
                "kind": "PodSecurityConfiguration",
                "defaults": {**_LEVELS, **{f"{mode}-version": "latest" for mode in _LEVELS}},
                "exemptions": {"namespaces": ["kube-system"], "runtimeClasses": [], "usernames": []},
            },
        }
    ],
}

# Who changed what, never contents: bodies would put Secrets into the log. Reading Secrets is a line of its own.
AUDIT: dict[str, object] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "None",
            "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}, {"resources": ["events"]}],
        },
        {"level": "Metadata", "resources": [{"resources": ["secrets", "configmaps", "serviceaccounts/token"]}]},
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "Metadata"},
    ],
}
