"""Longhorn's objects."""

from __future__ import annotations

from typing import Any

from nerv.components import dashboards, objects
from nerv.components.dashboards import Dashboard
from nerv.components.longhorn.settings import LonghornSettings
from nerv.components.objects import Folder, Ignored, Release
from nerv.components.site import Site
from nerv.platform import versions

# The chart's README: no other namespace works.
NAMESPACE = "longhorn-system"

# These definitions are converted by a webhook of the manager, which writes its CA into them.
_CONVERTED = ("nodes", "volumes", "engineimages", "backingimages", "backuptargets")

RELEASE = Release(
    versions.LONGHORN,
    NAMESPACE,
    timeout="15m",
    # Cleaning up a failed installation runs the uninstall Job, which refuses (as it must) until deletion is confirmed:
    # retries end, and the last failure is left as it is for people to look at.
    install_retries=3,
    remediate_last=False,
    ignored=tuple(
        Ignored("CustomResourceDefinition", ("/spec/conversion",), f"{plural}.longhorn.io") for plural in _CONVERTED
    ),
)


def apps(settings: LonghornSettings) -> Folder:
    """Namespace (privileged: host paths and mounts; never pruned, it holds the data's objects), source and release."""
    return {
        "namespace.yaml": [objects.namespace(NAMESPACE, "privileged", prune=False)],
        "repository.yaml": [objects.helm_repository(versions.LONGHORN.name, NAMESPACE, versions.LONGHORN)],
        "release.yaml": [objects.helm_release(RELEASE, settings, _values(settings))],
    }


def _values(settings: LonghornSettings) -> dict[str, Any]:
    return {
        "persistence": {
            "defaultClass": settings.default_storage_class,
            "defaultClassReplicaCount": settings.replicas,
            "reclaimPolicy": settings.reclaim_policy,
        },
        "defaultSettings": {
            "defaultReplicaCount": settings.replicas,
            "defaultDataPath": settings.data_path,
            "storageMinimalAvailablePercentage": settings.minimal_available_percentage,
        },
        # without it the driver deployer starts a pod on the node only to find this path
        "csi": {"kubeletRootDir": "/var/lib/kubelet"},
        "longhornUI": {"replicas": settings.ui_replicas},
        # what the chart's documentation asks for under GitOps; the manager itself refuses downgrades
        "preUpgradeChecker": {"jobEnabled": False},
    }


def dashboard(settings: LonghornSettings) -> Dashboard | None:
    """Longhorn's dashboard."""
    return Dashboard("longhorn", NAMESPACE, "longhorn-frontend", 80) if settings.dashboard else None


def apps_config(settings: LonghornSettings, site: Site) -> Folder:
    """The route to the dashboard."""
    served = dashboard(settings)
    return {"dashboard.yaml": dashboards.objects(served, site)} if served else {}
