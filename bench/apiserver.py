"""How fast the API server answers, beside kube-apiserver where one is given.

    .venv/bin/python bench/apiserver.py            # ours
    NERV_BENCH_KUBECONFIG=FILE ...                 # the peer: any cluster's kubeconfig (a kube-apiserver of one's own)

Prints medians of several rounds over TLS with client certificates; the client runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import base64
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric import ec

from nerv import certificates, documents
from nerv.apiserver.server import ApiServer, Config
from nerv.kube.client import Client
from nerv.kube.resources import CONFIG_MAPS, PODS
from nerv.kube.tls import TlsTransport
from nerv.operations import memory

_PEER = "NERV_BENCH_KUBECONFIG"
_OBJECTS = 1000
_WATCHERS = 50
_EVENTS = 100
_ROUNDS = 3


def pod(name: str) -> dict:
    """About 3 KB, as real ones are."""
    environment = [{"name": f"VARIABLE_{number}", "value": "x" * 40} for number in range(20)]
    container = {"name": "c", "image": "registry.example.com/team/application:v1.2.3", "env": environment}
    labels = {"app": "bench", "pod-template-hash": "5d4f8c7b9"}
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}, "spec": {"containers": [container]}}


def serve(folder: str, ready) -> None:  # type: ignore[no-untyped-def]  a multiprocessing pipe
    """Our server in its own process; sends the kubeconfig, answers with its memory at the end."""

    async def run() -> None:
        ca = certificates.create_ca("bench")
        key = certificates.private_key_pem(ec.generate_private_key(ec.SECP256R1()))
        pair = certificates.issue(ca, "kube-apiserver", names=["127.0.0.1"])
        server = ApiServer(Config(Path(folder) / "c.db", key, ca.certificate, pair))
        await server.start()
        memory.tune()
        user = certificates.issue(ca, "bench", organizations=["system:masters"], client=True, server=False)
        ready.send(kubeconfig(server.url, ca.certificate, user))
        await asyncio.to_thread(ready.recv)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        ready.send((usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime))
        await server.stop()

    uvloop.run(run())


def kubeconfig(url: str, ca: str, user: certificates.KeyPair) -> str:
    def data(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    return documents.dump(
        {
            "current-context": "b",
            "contexts": [{"name": "b", "context": {"cluster": "b", "user": "b"}}],
            "clusters": [{"name": "b", "cluster": {"server": url, "certificate-authority-data": data(ca)}}],
            "users": [
                {
                    "name": "b",
                    "user": {"client-certificate-data": data(user.certificate), "client-key-data": data(user.key)},
                }
            ],
        }
    )


async def many(count: int, parallel: int, work: Callable[[int], Awaitable[object]]) -> float:
    """Requests per second."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(parallel)))
    return count / (time.perf_counter() - begun)


async def rounds(measure: Callable[[int], Awaitable[float]]) -> float:
    return statistics.median([await measure(number) for number in range(_ROUNDS)])


async def fan_out(client: Client, round_number: int) -> float:
    """Deliveries per second, end to end."""
    prefix = f"w{round_number}"
    begun = asyncio.Event()
    opened = 0

    async def watch() -> None:
        nonlocal opened
        seen = 0
        async for event in client.watch(CONFIG_MAPS, "default", label_selector=f"round={prefix}", initial_events=True):
            if event.type == "BOOKMARK":
                opened += 1
                if opened == _WATCHERS:
                    begun.set()
            elif event.type == "ADDED":
                seen += 1
                if seen == _EVENTS:
                    return

    watchers = [asyncio.ensure_future(watch()) for _ in range(_WATCHERS)]
    await begun.wait()
    start = time.perf_counter()
    meta = {"namespace": "default", "labels": {"round": prefix}}
    await many(
        _EVENTS, 8, lambda number: client.create(CONFIG_MAPS, {"metadata": {**meta, "name": f"{prefix}-{number}"}})
    )
    await asyncio.gather(*watchers)
    return _WATCHERS * _EVENTS / (time.perf_counter() - start)


async def measure(client: Client) -> dict[str, float]:
    """All figures, in requests per second unless the name says otherwise."""
    found: dict[str, float] = {}
    unique = f"b{os.getpid()}"

    async def create(number: int) -> float:
        return await many(_OBJECTS, 32, lambda item: client.create(PODS, pod(f"{unique}-{number}-{item}")))

    async def got(number: int) -> float:
        path = f"/api/v1/namespaces/default/pods/{unique}-0-"
        return await many(2000, 32, lambda item: client.raw("GET", f"{path}{item % _OBJECTS}"))

    async def listed(number: int) -> float:
        return await many(60, 4, lambda item: client.raw("GET", "/api/v1/namespaces/default/pods"))

    async def patched(number: int) -> float:
        return await many(
            500,
            16,
            lambda item: client.patch(
                PODS, f"{unique}-0-{item}", "default", {"metadata": {"annotations": {"n": f"{number}"}}}
            ),
        )

    async def applied(number: int) -> float:
        return await many(
            300,
            16,
            lambda item: client.apply(
                CONFIG_MAPS,
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": f"{unique}-{item}", "namespace": "default"},
                    "data": {"round": f"{number}"},
                },
            ),
        )

    found["POST pod (3 KB)"] = await rounds(create)
    found["GET pod"] = await rounds(got)
    found["LIST all pods"] = await rounds(listed)
    found["PATCH pod (merge)"] = await rounds(patched)
    found["APPLY ConfigMap"] = await rounds(applied)
    found["watch deliveries"] = await rounds(lambda number: fan_out(client, number))
    return found


async def against(config: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        path.write_text(config)
        client = Client(TlsTransport.from_kubeconfig(path))
        try:
            return await measure(client)
        finally:
            await client.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, there))
        process.start()
        ours = uvloop.run(against(here.recv()))
        here.send("done")
        rss, cpu = here.recv()
        process.join()
    peer_file = os.environ.get(_PEER)
    peer = uvloop.run(against(Path(peer_file).read_text())) if peer_file else {}
    print(f"{'per second, median of ' + str(_ROUNDS):32}{'NERV':>10}{'kube-apiserver':>16}{'ratio':>8}")
    for name, value in ours.items():
        other = peer.get(name)
        beside = f"{other:16.0f}{value / other:8.1f}" if other else f"{'not run here':>16}{'':8}"
        print(f"{name:32}{value:10.0f}{beside}")
    print(f"{'resident memory, MB':32}{rss:10.0f}")
    print(f"{'CPU seconds of the server':32}{cpu:10.1f}")
    if not peer_file:
        print(f"no peer: set {_PEER} to the kubeconfig of a kube-apiserver", file=sys.stderr)


if __name__ == "__main__":
    main()
