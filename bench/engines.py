"""Both engines in one run, as ratios: start, commit to applied, memory, API requests, Flux.

    .venv/bin/python bench/engines.py [--seconds N] [--only api|platform]

Needs the upstream engine (`nerv engine build upstream`) and, for the API requests, `wrk` (Debian: apt-get install wrk).
The load generator runs on the same cores. API requests go to an API server of its own with each engine, over TLS with
an administrator's certificate turned into a service account's token; Flux and the platform are measured on a whole
`nerv up`. Prints what each engine reached, the ratio, and the goal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from bench.main_job import family, resident  # noqa: E402  the checkout is not a package
from tests.support.commands import Home  # noqa: E402

from nerv.kube.client import Client  # noqa: E402
from nerv.kube.objects import Object  # noqa: E402
from nerv.kube.resources import CONFIG_MAPS, SERVICE_ACCOUNTS, Resource  # noqa: E402
from nerv.operations import engines, session  # noqa: E402
from nerv.operations.collect import HELM_RELEASES, KUSTOMIZATIONS  # noqa: E402
from nerv.operations.fidelity import scratch  # noqa: E402
from nerv.operations.target import Target  # noqa: E402

EMBEDDED, UPSTREAM = engines.EMBEDDED, engines.UPSTREAM
_PATIENCE = 600.0
_MAPS = 500
_FLUX_OBJECTS = 100
_BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "bench"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
}
# higher is better for rates, lower for times and memory
_RATES = {
    "GET": 4.0,
    "LIST of 500": 10.0,
    "LIST of 500, gzip as Go's clients ask": 10.0,
    "POST": 1.5,
    "PATCH merge": 2.0,
    "PATCH apply": 2.0,
    "watch deliveries": None,
}
_LESS = {
    "start to healthy, s": 3.0,
    "memory, MB": 3.0,
    "commit to applied, s": None,
    "100 Kustomizations to Ready, s": 4.0,
    "100 that kustomize transforms, s": None,
    "100 HelmReleases to Ready, s": 4.0,
}


def _script(method: str, path: str, body: str, content_type: str) -> str:
    """A script for wrk: each thread counts names of its own, `@` in path and body stands for the next one."""
    return f"""
local thread_count = 0
function setup(thread) thread:set("id", thread_count); thread_count = thread_count + 1 end
local count = 0
function request()
  count = count + 1
  local name = "b" .. id .. "-" .. count .. "-{os.getpid()}-{time.monotonic_ns()}"
  local path, body = string.gsub({json.dumps(path)}, "@", name), string.gsub({json.dumps(body)}, "@", name)
  local headers = {{["Content-Type"] = "{content_type}", ["Authorization"] = wrk.headers["Authorization"]}}
  return wrk.format("{method}", path, headers, body)
end
"""


def _wrk(url: str, token: str, seconds: int, connections: int, script: str = "") -> float:
    """Answered requests in a second. A single answer that is no success ends the run."""
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "-H", f"Authorization: Bearer {token}"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if script:
            file.write(script)
            file.flush()
            command += ["-s", file.name]
        done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout:
        sys.exit(f"not every answer was a success:\n{done.stdout}")
    found = re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


async def api(engine: str, seconds: int) -> dict[str, float]:
    """Requests in a second, by what is asked."""
    async with scratch.served(engine) as (client, url):
        token = await _prepare(client)
        maps = f"{url}/api/v1/namespaces/default/configmaps"
        path = "/api/v1/namespaces/default/configmaps"
        small = json.dumps({"metadata": {"name": "@"}, "data": {"k": "v"}})
        applied = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m-1"}, "data": {"k": "@"}})
        merge = _script("PATCH", f"{path}/m-0", '{"data":{"k":"@"}}', "application/merge-patch+json")
        apply = _script("PATCH", f"{path}/m-1?fieldManager=b&force=true", applied, "application/apply-patch+yaml")
        create = _script("POST", path, small, "application/json")
        gzip = 'wrk.headers["Accept-Encoding"] = "gzip"'

        async def rate(url: str, connections: int, script: str = "") -> float:
            return await asyncio.to_thread(_wrk, url, token, seconds, connections, script)

        return {
            "GET": await rate(f"{maps}/m-0", 32),
            "LIST of 500": await rate(f"{maps}?limit=500", 8),
            "LIST of 500, gzip as Go's clients ask": await rate(f"{maps}?limit=500", 8, gzip),
            "PATCH merge": await rate(maps, 16, merge),
            "PATCH apply": await rate(maps, 16, apply),
            "watch deliveries": await _fan_out(client),
            "POST": await rate(maps, 16, create),
        }


async def _prepare(client: Client) -> str:
    """Objects to read and change; returns a token that may do so."""
    for number in range(_MAPS):
        metadata = {"name": f"m-{number}", "namespace": "default"}
        await client.create(CONFIG_MAPS, {"metadata": metadata, "data": {"k": "v"}})
    bindings = await client.resource_for("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")
    await client.create(bindings, _BINDING)

    async def account() -> bool:
        return bool((await client.list(SERVICE_ACCOUNTS, "default")).items)

    await _until(account, "the service account `default`")
    wanted: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made = await client.create(SERVICE_ACCOUNTS, wanted, namespace="default", name="default", subresource="token")
    token: str = made["status"]["token"]
    return token


async def _fan_out(client: Client, watchers: int = 50, changes: int = 100) -> float:
    """Events in a second that reach `watchers` watches of one resource together."""
    ready, reached = asyncio.Semaphore(0), 0

    async def follow() -> None:
        nonlocal reached
        seen = 0
        async for event in client.watch(CONFIG_MAPS, "default", label_selector="bench=watch"):
            if event.type == "ADDED":
                ready.release()
            elif event.type == "MODIFIED":
                seen += 1
                reached += 1
                if seen == changes:
                    return

    name = {"name": "watched", "namespace": "default", "labels": {"bench": "watch"}}
    await client.create(CONFIG_MAPS, {"metadata": name, "data": {"n": "0"}})
    tasks = [asyncio.create_task(follow()) for _ in range(watchers)]
    for _ in range(watchers):
        await ready.acquire()
    begun = time.perf_counter()
    for number in range(changes):
        await client.patch(CONFIG_MAPS, "watched", "default", {"data": {"n": str(number + 1)}})
    await asyncio.gather(*tasks)
    return reached / (time.perf_counter() - begun)


async def platform(engine: str) -> dict[str, float]:
    """Seconds and megabytes of a whole platform, and of Flux on it."""
    base = Path(tempfile.mkdtemp(prefix="nerv-bench-"))
    home = Home.at(base)
    # the engine's programs are where this user has them
    home.environment["XDG_DATA_HOME"] = os.environ.get("XDG_DATA_HOME", str(Path.home() / ".local" / "share"))
    try:
        begun = time.perf_counter()
        home.nerv("up", str(home.folder), "--engine", engine, "--offline", "--detach", timeout=_PATIENCE)
        found = {"start to healthy, s": time.perf_counter() - begun}
        async with session.connect(Target(home.folder / ".nerv" / "kubeconfig")) as client:
            found["commit to applied, s"] = await _commit(home, client)
            found["100 Kustomizations to Ready, s"] = await _many(client, KUSTOMIZATIONS, _kustomization, "plain")
            found["100 that kustomize transforms, s"] = await _many(client, KUSTOMIZATIONS, _transformed, "transformed")
            found["100 HelmReleases to Ready, s"] = await _many(client, HELM_RELEASES, _release, "release")
        lock = home.folder / ".nerv" / "lock"
        found["memory, MB"] = sum(resident(pid) for pid in family(int(lock.read_text())))
    finally:
        home.nerv("down", code=None, timeout=_PATIENCE)
        shutil.rmtree(base, ignore_errors=True)
    return found


async def _commit(home: Home, client: Client) -> float:
    """From `git commit` to the object in the cluster; brings the folders that the rest is made of."""
    folder = home.folder / "bench"
    files = {f"five/{n}.yaml": _config_map(f"five-{n}") for n in range(5)}
    files |= {f"plain/{k}/{n}.yaml": _config_map(f"plain-{k}-{n}") for k in range(_FLUX_OBJECTS) for n in range(5)}
    files |= {"one/one.yaml": _config_map("bench-one")}
    files |= {"chart/Chart.yaml": "apiVersion: v2\nname: bench\nversion: 1.0.0\n"}
    files |= {f"chart/templates/{n}.yaml": _config_map(f"{{{{ .Release.Name }}}}-{n}", "flux-system") for n in range(5)}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    top = home.folder / "apps-config" / "kustomization.yaml"
    top.write_text(top.read_text().replace("resources:\n", "resources:\n- ../bench/one/one.yaml\n", 1))
    home.run("git", "add", "--all")
    begun = time.perf_counter()
    home.run("git", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "bench")

    async def there() -> bool:
        found = await client.list(CONFIG_MAPS, "default", field_selector="metadata.name=bench-one")
        return bool(found.items)

    await _until(there, "the committed ConfigMap")
    return time.perf_counter() - begun


def _config_map(name: str, namespace: str = "default") -> str:
    return f'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: "{name}", namespace: {namespace}}}\ndata: {{k: v}}\n'


def _kustomization(number: int) -> Object:
    """Five objects in a folder of its own, as most are."""
    source = {"kind": "GitRepository", "name": "flux-system"}
    return {"interval": "10m", "prune": True, "path": f"./bench/plain/{number}", "sourceRef": source}


def _transformed(number: int) -> Object:
    """All of one folder; the real kustomize builds it on both engines."""
    return {**_kustomization(number), "path": "./bench/five", "nameSuffix": f"-{number}"}


def _release(number: int) -> Object:
    source = {"kind": "GitRepository", "name": "flux-system"}
    return {"interval": "10m", "chart": {"spec": {"chart": "./bench/chart", "sourceRef": source}}}


async def _many(client: Client, resource: Resource, spec: Callable[[int], Object], name: str) -> float:
    begun = time.perf_counter()
    for number in range(_FLUX_OBJECTS):
        metadata = {"name": f"{name}-{number}", "namespace": "flux-system", "labels": {"bench": name}}
        made = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec(number)}
        await client.create(resource, made)

    async def ready() -> bool:
        found = await client.list(resource, "flux-system", label_selector=f"bench={name}")
        return sum(_is_ready(item) for item in found.items) == _FLUX_OBJECTS

    await _until(ready, f"{_FLUX_OBJECTS} {resource.plural}")
    return time.perf_counter() - begun


def _is_ready(obj: Object) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


async def _until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not await holds():
        if time.monotonic() > deadline:
            sys.exit(f"waited {_PATIENCE:.0f} s for {what}")
        await asyncio.sleep(0.05)


def _show(name: str, embedded: float, upstream: float, ratio: float, goal: float | None) -> None:
    verdict = "" if goal is None else f"goal >= {goal:g}x {'reached' if ratio >= goal else 'MISSED'}"
    print(f"{name:38} {embedded:10.1f} {upstream:10.1f} {ratio:8.1f}x  {verdict}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", choices=("api", "platform"))
    asked = parser.parse_args()
    print(f"{'':38} {'embedded':>10} {'upstream':>10} {'ratio':>9}")
    if asked.only != "platform":
        if not shutil.which("wrk"):
            sys.exit("wrk is not installed (Debian: apt-get install wrk)")
        # the loop of `nerv up`, in which the embedded API server answers
        ours, theirs = (uvloop.run(api(engine, asked.seconds)) for engine in (EMBEDDED, UPSTREAM))
        for name, goal in _RATES.items():
            _show(name, ours[name], theirs[name], ours[name] / theirs[name], goal)
    if asked.only != "api":
        ours, theirs = (asyncio.run(platform(engine)) for engine in (EMBEDDED, UPSTREAM))
        for name, goal in _LESS.items():
            _show(name, ours[name], theirs[name], theirs[name] / ours[name], goal)


if __name__ == "__main__":
    main()
