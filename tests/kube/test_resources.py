"""The table of served resources."""

from nerv.kube import resources
from nerv.kube.objects import GroupVersionKind


def test_no_resource_is_listed_twice() -> None:
    paths = [(item.group, item.version, item.plural) for item in resources.BUILTIN]
    assert len(paths) == len(set(paths)) == 58


def test_singular_is_the_lower_case_kind() -> None:
    for item in resources.BUILTIN:
        assert item.singular == item.kind.lower(), item


def test_paths() -> None:
    assert resources.path(resources.PODS) == "/api/v1/pods"
    assert resources.path(resources.PODS, "a", "b", "status") == "/api/v1/namespaces/a/pods/b/status"
    assert resources.path(resources.NODES, "ignored", "n") == "/api/v1/nodes/n"
    assert resources.path(resources.DEPLOYMENTS, "a") == "/apis/apps/v1/namespaces/a/deployments"


def test_lookup_by_kind() -> None:
    assert resources.builtin(GroupVersionKind("apps", "v1", "Deployment")) is resources.DEPLOYMENTS
    assert resources.builtin(GroupVersionKind("apps", "v1beta1", "Deployment")) is None


def test_scale_belongs_to_the_autoscaling_group() -> None:
    scale = resources.DEPLOYMENTS.subresource("scale")
    assert scale is not None
    assert (scale.kind, scale.group, scale.version) == ("Scale", "autoscaling", "v1")
    assert resources.CONFIG_MAPS.subresource("status") is None
    assert "deletecollection" not in resources.NAMESPACES.verbs
    assert resources.DEPLOYMENTS.qualified == "deployments.apps"
