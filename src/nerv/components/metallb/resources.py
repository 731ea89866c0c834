"""MetalLB's objects.

The pool stands in apps-config: webhooks (failurePolicy Fail) check it, so the controller has to answer before.
"""

from __future__ import annotations

from nerv.components import objects
from nerv.components.metallb.settings import MetallbSettings
from nerv.components.objects import Folder, Ignored, Release, metadata
from nerv.components.site import Site
from nerv.platform import versions

NAMESPACE = "metallb-system"

RELEASE = Release(
    versions.METALLB,
    NAMESPACE,
    # the controller writes its CA into the conversion webhook of this definition
    ignored=(Ignored("CustomResourceDefinition", ("/spec/conversion",), "bgppeers.metallb.io"),),
)


def apps(settings: MetallbSettings) -> Folder:
    """Namespace (privileged: the speaker is in the host's network), chart source and release."""
    values = {
        # Layer 2 needs no routing daemon: four containers fewer on every node
        "speaker": {"frr": {"enabled": False}, "logLevel": "info"},
        "controller": {"logLevel": "info"},
    }
    return {
        "namespace.yaml": [objects.namespace(NAMESPACE, "privileged")],
        "repository.yaml": [objects.helm_repository(versions.METALLB.name, NAMESPACE, versions.METALLB)],
        "release.yaml": [objects.helm_release(RELEASE, settings, values)],
    }


def apps_config(settings: MetallbSettings, site: Site) -> Folder:
    """The pool, and its announcement by ARP."""
    name = site.platform.name
    pool = {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": metadata(name, NAMESPACE),
        "spec": {"addresses": [str(addresses) for addresses in settings.pool]},
    }
    announcement = {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "L2Advertisement",
        "metadata": metadata(name, NAMESPACE),
        "spec": {"ipAddressPools": [name]},
    }
    return {"pool.yaml": [pool, announcement]}
