"""A program's arguments and environment as they must be where its pod shares this machine's network. Pure.

Known options are rewritten (`programs.Rewrites`), the environment leads to the cluster through the SOCKS proxy and to
the API server through a kubeconfig, and where there is no mount namespace, paths of mounts are replaced by real ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nerv.network.driver import Local
from nerv.node.programs import Rewrites

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_ADDRESS = re.compile(r"^(?:[0-9.]*|\[[0-9a-fA-F:]*\]|localhost):(\d+)(/tcp|/udp)?$")
_DIRECTLY = "localhost,127.0.0.0/8"
_API_VARIABLES = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS")

Paths = Sequence[tuple[str, str]]
"""Paths as the container says them, and where they really are; the longest first."""


class Rewritten(NamedTuple):
    """Arguments to run with, and what is not as the container says, for people. The environment is not told: it holds
    the proxy's login."""

    words: tuple[str, ...]
    changes: tuple[str, ...]


def arguments(words: Sequence[str], rewrites: Rewrites, local: Local, kubeconfig: str) -> Rewritten:
    """The arguments to run with. `kubeconfig` is the path of one, "" where the pod has no token."""
    found: list[str] = []
    changes: list[str] = []
    seen: set[str] = set()
    takes_next = False
    for word in words:
        name, equals, value = word.partition("=")
        pattern = next((each for each, _ in rewrites.listens if re.fullmatch(each, name)), None)
        if name in rewrites.dropped:
            changes.append(f"left out {word}")
            continue
        fitted = word
        if takes_next:
            fitted = listen(word, local)
        elif pattern and equals:
            fitted = f"{name}={listen(value, local)}"
        takes_next = bool(pattern) and not equals
        seen |= {pattern} if pattern else set()
        found.append(fitted)
        changes += [f"{word} -> {fitted}"] if fitted != word else []
    added = [f"{flag}={listen(default, local)}" for flag, default in rewrites.listens if default and flag not in seen]
    added += [f"{rewrites.kubeconfig}={kubeconfig}"] if rewrites.kubeconfig and kubeconfig else []
    return Rewritten((*found, *added), (*changes, *(f"added {word}" for word in added)))


def listen(value: str, local: Local) -> str:
    """An address to listen at, on loopback; other values (a URL, 0 for "not at all") stay as they are."""
    match = _ADDRESS.match(value)
    if not match or match[1] == "0":
        return value
    return f"{local.address}:{local.port(int(match[1]))}{match[2] or ''}"


def variables(given: Mapping[str, str], local: Local, kubeconfig: str) -> dict[str, str]:
    """The environment: what a pod has, and the ways to the cluster."""
    ways = {"HTTP_PROXY": local.proxy, "HTTPS_PROXY": local.proxy, "ALL_PROXY": local.proxy, "NO_PROXY": _DIRECTLY}
    # a program that works outside of the cluster is given another way for that
    ways = {name: given.get(name, way) for name, way in ways.items()}
    ways |= {name.lower(): way for name, way in ways.items()}
    host, port = local.api
    if local.isolation == "none":
        # without mounts the token is not where the in-cluster configuration looks: the kubeconfig must be used
        given = {name: value for name, value in given.items() if name not in _API_VARIABLES}
    else:
        ways |= dict(zip(_API_VARIABLES, (host, str(port), str(port)), strict=True))
    return {**given, **ways, **({"KUBECONFIG": kubeconfig} if kubeconfig else {})}


def kubeconfig(local: Local, namespace: str) -> dict[str, object]:
    """A kubeconfig of the pod's service account; its paths are those in the pod."""
    host, port = local.api
    cluster = {"server": f"https://{host}:{port}", "certificate-authority": f"{SERVICE_ACCOUNT}/ca.crt"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "pod", "cluster": cluster}],
        "users": [{"name": "pod", "user": {"tokenFile": f"{SERVICE_ACCOUNT}/token"}}],
        "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod", "namespace": namespace}}],
        "current-context": "pod",
    }


def replacer(paths: Paths) -> Callable[[str], str]:
    """What replaces paths of the container in a text by the real ones, wherever a path can begin and end."""
    if not paths:
        return lambda text: text
    real = dict(paths)
    names = "|".join(re.escape(path) for path in sorted(real, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w./-])(?:{names})(?![\w.-])")
    return lambda text: pattern.sub(lambda match: real[match[0]], text)
