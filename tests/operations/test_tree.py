"""Down to the pods and up to the source, over objects as Flux and Kubernetes leave them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hypothesis import given
from hypothesis import strategies as st
from tests.support import foreign
from tests.support.foreign import kustomization, obj, ready

from nerv.kube.objects import Object
from nerv.operations import trace, tree
from nerv.operations.tree import Key, World

_APPS = Key("kustomize.toolkit.fluxcd.io", "Kustomization", "flux-system", "apps")
_UI = Key("apps", "Deployment", "longhorn-system", "longhorn-ui")
_RELEASE = Key("helm.toolkit.fluxcd.io", "HelmRelease", "longhorn-system", "longhorn")


def _world(found: list[Object], **parts: tuple[Key, ...]) -> World:
    by_kind = {"apps": _APPS, "longhorn": _RELEASE}
    return World(
        {Key.of(each): each for each in found},
        {by_kind[name]: keys for name, keys in parts.items()},
        tree.by_owner(found),
    )


def test_a_tree_goes_from_the_kustomization_to_the_pod_that_waits() -> None:
    world = _world(foreign.everything(), apps=(_RELEASE,), longhorn=(_UI,))
    grown = tree.grow(_APPS, world)
    shown = [f"{node.kind} {node.level}" for node in grown.walk()]
    assert shown == [
        "Kustomization Failed",
        "HelmRelease Failed",
        "Deployment InProgress",
        "ReplicaSet InProgress",
        "Pod InProgress",
    ]
    assert [node.message for node in grown.walk()][-1] == f"longhorn-ui: {foreign.PULL}"


def test_what_is_missing_stands_in_the_tree() -> None:
    grown = tree.grow(_APPS, _world([kustomization("apps", ready("True", "a", "b"), [])], apps=(_RELEASE,)))
    assert [(node.kind, node.level) for node in grown.children] == [("HelmRelease", "NotFound")]


def test_old_replica_sets_are_left_out_and_suspension_is_shown() -> None:
    deployment, replicas, pod = foreign.workload("default/web", "web", pulled=True)
    old = obj(
        "apps/v1", "ReplicaSet", "default/web-old", spec={"replicas": 0}, ownerReferences=foreign.owned(deployment)
    )
    grown = tree.grow(Key.of(deployment), _world([deployment, replicas, pod, old]))
    assert [child.name for child in grown.children] == ["web-5d9"]
    held = kustomization("apps", ready("True", "a", "b"), [], suspend=True)
    assert tree.level_of(held)[0] == "Suspended"


@given(st.dictionaries(st.integers(0, 5), st.lists(st.integers(0, 5), max_size=4)))
def test_every_object_that_can_be_reached_is_in_the_tree_once_with_what_is_below(graph: dict[int, list[int]]) -> None:
    """Circles end, nothing is lost."""

    def key(number: int) -> Key:
        return Key("g", "K", "n", str(number))

    found = {key(each): obj("g/v1", "K", f"n/{each}") for each in range(6)}
    parts = {key(each): tuple(map(key, below)) for each, below in graph.items()}
    grown = tree.grow(key(0), World(found, parts))
    reached, frontier = {0}, [0]
    while frontier:
        for below in graph.get(frontier.pop(), ()):
            if below not in reached:
                reached.add(below)
                frontier.append(below)
    assert {int(node.name) for node in grown.walk()} == reached
    expanded = [node.name for node in grown.walk() if node.children]
    assert len(expanded) == len(set(expanded))


def _get(found: list[Object]) -> Callable[[Key], Awaitable[Object | None]]:
    known = {Key.of(each): each for each in found}

    async def get(key: Key) -> Object | None:
        return known.get(key)

    return get


async def _climb(kind: str, name: str) -> list[str]:
    found = foreign.everything()
    start = next(each for each in found if (each["kind"], each["metadata"]["name"]) == (kind, name))
    steps = await trace.climb(start, _get(found))
    return [f"{step.link or 'of'} {step.kind} {step.name}" for step in steps]


async def test_a_pod_is_traced_to_the_commit() -> None:
    assert await _climb("Pod", "longhorn-ui-5d9-x7k2p") == [
        "of Pod longhorn-ui-5d9-x7k2p",
        "owned by ReplicaSet longhorn-ui-5d9",
        "owned by Deployment longhorn-ui",
        "released by HelmRelease longhorn",
        "chart from HelmChart longhorn-system-longhorn",
        "chart from HelmRepository longhorn",
        "applied by Kustomization apps",
        "content from GitRepository flux-system",
    ]


async def test_the_revision_is_that_of_the_source() -> None:
    found = foreign.everything()
    start = next(each for each in found if each["metadata"]["name"] == "apps")
    steps = await trace.climb(start, _get(found))
    assert [(step.revision, step.level) for step in steps] == [
        ("main@sha1:0f0ab0c4", "Failed"),
        ("main@sha1:0f0ab0c4", "Current"),
    ]
    assert steps[-1].detail == "ssh://git@github.com/you/home"


async def test_what_nobody_applied_ends_at_itself() -> None:
    assert await _climb("Node", "nerv-1") == ["of Node nerv-1"]
