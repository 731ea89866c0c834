"""Image names, addresses, log files, projected folders."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nerv.errors import NervError
from nerv.node import logs, programs, volumes
from nerv.node.addresses import AddressPool
from nerv.node.logs import LogFile, LogOptions
from nerv.node.programs import EmbeddedProgram, ProcessProgram
from nerv.node.volumes import Content


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("traefik", "traefik"),
        ("docker.io/traefik:v3.5.3", "traefik"),
        ("docker.io/library/traefik:v3@sha256:00", "traefik"),
        ("localhost:5000/me/app:1", "me/app"),
        ("quay.io/jetstack/cert-manager-controller:v1.18.2", "jetstack/cert-manager-controller"),
        ("longhornio/longhorn-ui:v1.9.1", "longhornio/longhorn-ui"),
    ],
)
def test_images_are_known_by_name_alone(image: str, name: str) -> None:
    assert programs.image_name(image) == name


def test_a_pod_is_as_real_as_its_most_real_container() -> None:
    table = {"a": ProcessProgram(("a",)), "b": EmbeddedProgram()}

    def runtime(*images: str) -> str:
        return programs.pod_runtime(table, {"spec": {"containers": [{"image": image} for image in images]}})

    assert [runtime("c", "b", "a"), runtime("c", "b"), runtime("c")] == ["process", "embedded", "simulated"]


def test_a_pod_tells_which_program_runs_and_what_it_is_not_given() -> None:
    table = {"a": ProcessProgram(("a",), without=("--elect",), name="a v2"), "b": ProcessProgram(("b",))}

    def told(image: str, *arguments: str) -> dict[str, str]:
        return programs.told(table, {"spec": {"containers": [{"image": image, "args": list(arguments)}]}})

    assert told("a", "--elect=true", "--elections=x") == {
        "nerv.dev/runtime": "process",
        "nerv.dev/program": "a v2",
        "nerv.dev/arguments": "without --elect=true",
    }
    assert told("a") == {"nerv.dev/runtime": "process", "nerv.dev/program": "a v2"}
    assert told("b", "--elect") == {"nerv.dev/runtime": "process"}
    assert table["a"].arguments(("--elect", "--elect=1", "elect", "--x")) == ("elect", "--x")


def test_addresses_are_kept_by_their_pods_and_go_round() -> None:
    pool = AddressPool("10.42.0.0/29")
    assert pool.claim("10.42.0.3", "old")
    assert not pool.claim("10.42.0.3", "other")
    assert not pool.claim("10.43.0.3", "other")
    assert [pool.take(name) for name in ("a", "old", "b", "a")] == ["10.42.0.2", "10.42.0.3", "10.42.0.4", "10.42.0.2"]
    pool.release("a")
    assert [pool.take(name) for name in ("c", "d", "e")] == ["10.42.0.5", "10.42.0.6", "10.42.0.2"]
    with pytest.raises(NervError, match=r"no address is free in 10\.42\.0\.0/29"):
        pool.take("f")


async def _text(log: LogFile, options: LogOptions) -> str:
    return b"".join([line async for line in logs.read(log.path, lambda: log, options)]).decode()


async def test_long_lines_are_kept_in_parts_and_read_as_one(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "pod" / "0.log")
    reader = asyncio.StreamReader()
    heard: list[bytes] = []
    copying = asyncio.create_task(log.copy(reader, "stdout", lambda stream, data: heard.append(data)))
    reader.feed_data(b"short\n" + b"x" * 20_000)
    await asyncio.sleep(0)
    reader.feed_data(b"y\nlast")
    reader.feed_eof()
    await copying
    log.close()
    assert await _text(log, LogOptions()) == "short\n" + "x" * 20_000 + "y\nlast\n"
    assert b"".join(heard) == b"short\n" + b"x" * 20_000 + b"y\nlast"
    assert log.path.stat().st_mode & 0o777 == 0o600


async def test_a_large_log_is_moved_aside_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LARGEST", 1000)
    log = LogFile(tmp_path / "0.log")
    following = asyncio.create_task(_text(log, LogOptions(follow=True)))
    for number in range(100):
        await asyncio.sleep(0)
        log.write(f"line {number}")
    log.close()
    lines = (await _text(log, LogOptions())).splitlines()
    assert lines[-1] == "line 99"
    assert 10 < len(lines) < 60
    assert await _text(log, LogOptions(tail=2)) == "line 98\nline 99\n"
    assert (await following).splitlines() == [f"line {number}" for number in range(100)]


async def test_following_hears_what_is_written_later(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "0.log")
    log.write("one")
    following = asyncio.create_task(_text(log, LogOptions(follow=True)))
    for text in ("two", "three"):
        await asyncio.sleep(0)
        log.write(text)
    log.close()
    assert await following == "one\ntwo\nthree\n"


def test_projected_files_are_exchanged_all_at_once(tmp_path: Path) -> None:
    place = tmp_path / "volume"
    volumes.project(place, {"a": Content(b"1", 0o644), "deep/b": Content(b"2", 0o400)})
    first = (place / "..data").resolve()
    assert (place / "a").read_bytes() == b"1"
    assert (place / "deep" / "b").read_bytes() == b"2"
    assert (place / "deep" / "b").stat().st_mode & 0o777 == 0o400
    volumes.project(place, {"a": Content(b"1", 0o644), "deep/b": Content(b"2", 0o400)})
    assert (place / "..data").resolve() == first
    volumes.project(place, {"a": Content(b"3", 0o644)})
    assert (place / "a").read_bytes() == b"3"
    assert sorted(entry.name for entry in place.iterdir() if not entry.name.startswith("..")) == ["a"]
    assert not first.exists()
