"""The programs of the engine: which module each is built from, in which version, for which image. Plain data.

Versions are those that the Go module proxy gives out. Of Flux 2.6 two controllers are not to be had; the next minor of
those serves the same API versions, and `nerv engine versions` says so wherever an image's tag is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

KUBERNETES = "v1.31.4"
ETCD = "v3.5.16"
RELEASE = f"kubernetes-{KUBERNETES}"
"""Name of the folder that holds a whole set of programs."""

_STAMPED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True)
class Source:
    """One program and where it comes from. `module` is a folder of `modules/` with the go.mod and go.sum it needs."""

    program: str
    module: str
    package: str
    version: str
    image: str = ""
    """Image name without registry and tag whose pods this program is; empty for what runs beside the cluster."""
    stamps: Mapping[str, str] | None = None
    """Variables that the linker sets."""


def _kubernetes(program: str) -> Source:
    major, minor = KUBERNETES.removeprefix("v").split(".")[:2]
    values = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    stamps = {f"{package}.{name}": value for package in _STAMPED for name, value in values.items()}
    return Source(program, "kubernetes", f"k8s.io/kubernetes/cmd/{program}", KUBERNETES, stamps=stamps)


def _flux(program: str, version: str) -> Source:
    return Source(program, program, f"github.com/fluxcd/{program}", version, image=f"fluxcd/{program}")


SOURCES = (
    Source("etcd", "etcd", "go.etcd.io/etcd/server/v3", ETCD),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _flux("source-controller", "v1.7.0"),
    _flux("kustomize-controller", "v1.6.0"),
    _flux("helm-controller", "v1.4.0"),
    _flux("notification-controller", "v1.6.0"),
)
PROGRAMS = tuple(source.program for source in SOURCES)
