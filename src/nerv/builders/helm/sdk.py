"""Helm's SDK in process: loaded once, when first needed, and called outside the event loop.

The library takes 75 MB and 0.1 s to load, so importing this module must not load it. Its calls release the
interpreter lock; two threads are enough, since more gave no speed-up. Its options are richer than its Python classes
show (`install` knows `kube_version`, `api_versions`, `skip_schema_validation`), so the C functions are called directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import orjson

from nerv.errors import NervError

T = TypeVar("T")

_NO_HANDLE = 0
_NO_CLUSTER = "apiVersion: v1\nkind: Config\n"


class HelmError(NervError):
    """What Helm refused, in Helm's words: a template that fails, values against their schema, a broken chart."""


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="helm")


async def call(work: Callable[[], T]) -> T:
    """Run `work` in one of Helm's threads."""
    return await asyncio.get_running_loop().run_in_executor(_pool(), work)


@cache
def _library() -> Any:
    """The binding's module of C functions; the first call loads the library."""
    from helm_python import _native

    return _native


@cache
def _error() -> type[Exception]:
    from helm_python.errors import HelmError as SdkError

    return SdkError


def _string(function: str, *arguments: Any) -> str:
    """A C function that answers text. Raises HelmError."""
    try:
        answer: str = _library().call_string(function, *arguments)
    except _error() as error:
        raise HelmError(str(error)) from None
    return answer


def install_dry_run(
    archive: bytes, name: str, values: Mapping[str, Any], options: Mapping[str, Any], kubeconfig: str = ""
) -> dict[str, Any]:
    """What an installation would store: `manifest` and `notes`. Blocks; nothing is created anywhere.

    With a kubeconfig the cluster answers `lookup`. Raises HelmError.
    """
    from helm_python import Chart, Config

    try:
        chart = Chart.load_archive(archive)
        config = Config(kubeconfig_content=kubeconfig or _NO_CLUSTER, namespace=str(options["namespace"]))
    except _error() as error:
        raise HelmError(str(error)) from None
    with chart, config:
        answer = _string(
            "helm_install",
            config._raw(),
            _library().HANDLE(_NO_HANDLE),
            chart._raw(),
            None,
            name,
            orjson.dumps(values).decode(),
            orjson.dumps(options).decode(),
        )
    summary: dict[str, Any] = orjson.loads(answer)
    return summary


def parse_yaml(text: str) -> dict[str, Any]:
    """One YAML document as Helm reads it. Raises HelmError."""
    value: dict[str, Any] = orjson.loads(_string("helm_values_from_yaml", text))
    return value


def parse_set(expression: str, *, as_string: bool) -> dict[str, Any]:
    """Values of a `--set` (or `--set-string`) expression. Raises HelmError."""
    function = "helm_strvals_parse_string" if as_string else "helm_strvals_parse"
    value: dict[str, Any] = orjson.loads(_string(function, expression))
    return value


def history(kubeconfig: str, namespace: str, name: str) -> list[dict[str, Any]]:
    """The revisions of a release as Helm itself reads them from a cluster, oldest first. Blocks. Raises HelmError."""
    return _read(kubeconfig, namespace, "helm_history", name)


def releases(kubeconfig: str, namespace: str) -> list[dict[str, Any]]:
    """All releases of a namespace as `helm list --all` finds them. Blocks. Raises HelmError."""
    return _read(kubeconfig, namespace, "helm_list", None, {"all": True})


def _read(
    kubeconfig: str, namespace: str, function: str, name: str | None, options: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    from helm_python import Config

    arguments: list[Any] = [] if name is None else [name]
    arguments.append(orjson.dumps(options).decode() if options else None)
    with Config(kubeconfig_content=kubeconfig, namespace=namespace) as config:
        answer: list[dict[str, Any]] = orjson.loads(_string(function, config._raw(), *arguments))
    return answer
