"""The console's image: what is in the archive, and that its program runs with nothing but what is in it.

No container runtime is here: the image's root file system is entered with `unshare --root`, as a user namespace allows.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import os
import socket
import subprocess
import tarfile
from pathlib import Path

import aiohttp
import bcrypt
import pytest
from tests.support.apiserver import kubeconfig, running, serving
from tests.support.platforms import small

from nerv import documents
from nerv.components import catalog
from nerv.components.console import resources
from nerv.operations import console_image
from nerv.platform.versions import NERV_IMAGE

PATIENCE = 60.0
LOGIN = {"Authorization": "Basic " + base64.b64encode(b"admin:right").decode()}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "console.tar.gz"
    made = asyncio.run(console_image.build(path))
    assert (made.path, made.name) == (path, NERV_IMAGE)
    return path


@pytest.fixture(scope="module")
def unpacked(archive: Path) -> Path:
    """The archive's files, and the layer's in `root`."""
    folder = archive.parent / "unpacked"
    with tarfile.open(archive) as outer:
        outer.extractall(folder, filter="data")
    with tarfile.open(folder / "layer.tar") as layer:
        layer.extractall(folder / "root", filter="tar")
    return folder


def test_the_archive_is_one_that_container_runtimes_import(unpacked: Path) -> None:
    (entry,) = documents.load_json((unpacked / "manifest.json").read_text())
    assert entry["RepoTags"] == [NERV_IMAGE]
    text = (unpacked / entry["Config"]).read_bytes()
    assert entry["Config"] == f"{hashlib.sha256(text).hexdigest()}.json"
    layers = [hashlib.sha256((unpacked / name).read_bytes()).hexdigest() for name in entry["Layers"]]
    configuration = documents.load_json(text)
    assert configuration["rootfs"]["diff_ids"] == [f"sha256:{digest}" for digest in layers]
    assert configuration["os"] == "linux"
    assert configuration["architecture"] in ("amd64", "arm64")
    # the Deployment runs as this user and gives arguments only
    assert configuration["config"]["User"].startswith("65532:")
    assert configuration["config"]["Entrypoint"][-2:] == ["-m", "nerv"]


def test_nothing_in_it_tells_of_this_machine_or_of_when_it_was_made(archive: Path, unpacked: Path) -> None:
    with gzip.open(archive) as zipped, tarfile.open(fileobj=zipped) as outer:
        assert {(entry.mtime, entry.uid, entry.uname) for entry in outer} == {(0, 0, "")}
    with tarfile.open(unpacked / "layer.tar") as layer:
        assert {(entry.mtime, entry.uid, entry.uname) for entry in layer} == {(0, 0, "")}
        names = layer.getnames()
    assert len(names) == len(set(names))
    assert not [name for name in names if name.endswith((".pyc", "bin/traefik", "bin/kubectl"))]


async def test_the_console_runs_with_nothing_but_what_is_in_the_image(unpacked: Path, tmp_path: Path) -> None:
    root = unpacked / "root"
    # container runtimes bring it, NiceGUI's queues need it
    (root / "dev" / "shm").mkdir()
    (root / "tmp" / "users").write_text("admin:" + bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode() + "\n")
    entry = documents.load_json((unpacked / "manifest.json").read_text())[0]
    configuration = documents.load_json((unpacked / entry["Config"]).read_text())["config"]
    port = _free_port()
    async with running(tmp_path, serving=serving()) as server:
        (root / "tmp" / "kubeconfig").write_text(kubeconfig(server, tmp_path).read_text())
        child = await asyncio.create_subprocess_exec(
            *("unshare", "--map-root-user", f"--root={root}", "--wd=/tmp"),
            *configuration["Entrypoint"],
            *("console", "--listen", f"127.0.0.1:{port}", "--kubeconfig", "/tmp/kubeconfig"),
            *("--credentials", "/tmp/users"),
            env=dict(variable.split("=", 1) for variable in configuration["Env"]),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            async with aiohttp.ClientSession() as session:
                url = f"http://127.0.0.1:{port}/"
                assert await _status(session, url, child) == 401
                async with session.get(url, headers=LOGIN) as answer:
                    assert answer.status == 200
                    assert "NERV" in await answer.text()
        finally:
            if child.returncode is None:
                child.kill()
            await child.communicate()


def _free_port() -> int:
    """Below those that the kernel gives to whoever asks: the console takes it a while later."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


async def _status(session: aiohttp.ClientSession, url: str, child: asyncio.subprocess.Process) -> int:
    """The first answer of the console, which takes a while to start."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            async with session.get(url) as answer:
                return answer.status
        except aiohttp.ClientConnectorError:
            if child.returncode is not None:
                output = await child.stdout.read() if child.stdout else b""
                raise AssertionError(f"the console ended: {output.decode()}") from None
            assert asyncio.get_running_loop().time() < deadline, f"still waiting for {url} after {PATIENCE:.0f} s"
            await asyncio.sleep(0.1)


def test_the_pod_goes_where_its_image_runs() -> None:
    """One architecture is made; where machines differ the pod goes to those of the first server's."""
    plain = small()
    alone = resources.apps_config(plain.spec.components.console, catalog.site(plain))["deployment.yaml"][0]
    assert "nodeSelector" not in alone["spec"]["template"]["spec"]
    nodes = (plain.spec.nodes[0], plain.spec.nodes[0].model_copy(update={"architecture": "aarch64"}))
    mixed = plain.model_copy(update={"spec": plain.spec.model_copy(update={"nodes": nodes})})
    chosen = resources.apps_config(mixed.spec.components.console, catalog.site(mixed))["deployment.yaml"][0]
    assert chosen["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
