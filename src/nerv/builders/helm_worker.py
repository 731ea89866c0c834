"""Helm's SDK in a process of its own, so that its 60 MB are there only while charts are rendered.

Started and spoken to by `builders.helm.sdk` alone. On standard input and output: frames of four bytes of length and
MessagePack, a request `[function, arguments]` answered by `[true, value]` or `[false, Helm's words]`. It ends with its
input. Imports are kept to what starts fast, which is why this module stands outside the package `helm`.

The options of the SDK are richer than its Python classes show (`install` knows `kube_version`, `api_versions`,
`skip_schema_validation`), so its C functions are called directly.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec

LENGTH_BYTES = 4
_NO_HANDLE = 0
_NO_CLUSTER = "apiVersion: v1\nkind: Config\n"


def install(archive: bytes, name: str, namespace: str, values: str, options: str, kubeconfig: str) -> str:
    """What an installation would store, as JSON; values and options are JSON. Nothing is created anywhere."""
    from helm_python import Chart, Config, _native

    chart = Chart.load_archive(archive)
    config = Config(kubeconfig_content=kubeconfig or _NO_CLUSTER, namespace=namespace)
    with chart, config:
        handle, none = config._raw(), _native.HANDLE(_NO_HANDLE)
        return _text("helm_install", handle, none, chart._raw(), None, name, values, options)


def read_yaml(texts: list[str]) -> list[str]:
    """YAML documents as Helm reads them, each as JSON."""
    return [_text("helm_values_from_yaml", text) for text in texts]


def read_set(expression: str, as_string: bool) -> str:
    """Values of a `--set` (or `--set-string`) expression, as JSON."""
    return _text("helm_strvals_parse_string" if as_string else "helm_strvals_parse", expression)


def ask_cluster(function: str, kubeconfig: str, namespace: str, arguments: list[str | None]) -> str:
    """What a reading C function answers about a cluster, as JSON."""
    from helm_python import Config

    with Config(kubeconfig_content=kubeconfig, namespace=namespace) as config:
        return _text(function, config._raw(), *arguments)


def _text(function: str, *arguments: Any) -> str:
    from helm_python import _native

    answer: str = _native.call_string(function, *arguments)
    return answer


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (install, read_yaml, read_set, ask_cluster)
}


def main() -> None:
    """Answer requests until the input ends."""
    from helm_python.errors import HelmError

    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    while request := _receive(incoming):
        name, arguments = msgspec.msgpack.decode(request)
        try:
            answer = (True, _FUNCTIONS[name](*arguments))
        except HelmError as error:
            answer = (False, str(error))
        frame = msgspec.msgpack.encode(answer)
        outgoing.write(len(frame).to_bytes(LENGTH_BYTES, "big") + frame)
        outgoing.flush()


def _receive(stream: BinaryIO) -> bytes:
    """The next request; empty at the end."""
    length = stream.read(LENGTH_BYTES)
    return stream.read(int.from_bytes(length, "big")) if length else b""


if __name__ == "__main__":
    main()
