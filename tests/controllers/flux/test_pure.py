"""The pure rules of the Flux controllers: durations, ignore patterns, versions, patches, artifacts."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv.controllers.flux import artifacts, draft, durations, ignore, versions
from nerv.controllers.runtime import VirtualClock


@pytest.mark.parametrize(
    ("text", "seconds"), [("1m0s", 60), ("500ms", 0.5), ("1h30m", 5400), ("2s", 2), ("1.5s", 1.5), ("10m", 600)]
)
def test_durations(text, seconds):
    assert durations.parse(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (60, "1m0s"), (300, "5m0s"), (3600, "1h0m0s"), (0.25, "250ms"), (1.5, "1.5s"), (0.0001, "100µs")],
)
def test_durations_are_shown_as_go_does(seconds, text):
    assert durations.text(seconds) == text


@given(st.integers(1, 10**6))
def test_durations_read_what_they_write(seconds):
    assert durations.parse(durations.text(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "1m x", "-1s"])
def test_no_duration(text):
    with pytest.raises(ValueError, match="invalid duration"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("apps/a.yaml", False),
        ("logo.png", True),
        ("docs/logo.png", True),
        (".github/workflows/x.yaml", True),
        (".sops.yaml", True),
        ("deep/.sops.yaml", True),
        (".gitignore", True),
        ("archive.tar.gz", True),
    ],
)
def test_the_default_list(path, out):
    assert ignore.excluded(path, ignore.patterns({}, None)) is out


def test_ignore_files_and_the_spec():
    files = {"": "/secret/\n*.md\n!keep.md\n# comment\n", "apps": "local.yaml\n/top.yaml\n"}
    rules = ignore.patterns(files, None)
    out = [
        path
        for path in (
            *("secret/x.yaml", "apps/secret/x.yaml", "a.md", "keep.md", "apps/local.yaml", "apps/b/local.yaml"),
            *("local.yaml", "apps/top.yaml", "apps/b/top.yaml"),
        )
        if ignore.excluded(path, rules)
    ]
    assert out == ["secret/x.yaml", "a.md", "apps/local.yaml", "apps/b/local.yaml", "apps/top.yaml"]


def test_the_spec_replaces_the_default_list():
    only = ignore.patterns({}, "/*\n!/deploy\n")
    assert ignore.excluded("a.yaml", only)
    assert not ignore.excluded("deploy/a.yaml", only)
    assert not ignore.excluded("deploy/logo.png", only)
    assert ignore.excluded("deploy/.gitattributes", only)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*", "2.1.0"),
        ("1.x", "1.10.0"),
        ("1.2.x", "1.2.4"),
        ("1.2", "1.2.4"),
        ("1.2.3", "1.2.3"),
        ("v1.2.3", "1.2.3"),
        ("~1.2.3", "1.2.4"),
        ("~1", "1.10.0"),
        ("^1.2", "1.10.0"),
        ("^0.3", "0.3.1"),
        (">=1.2 <1.10", "1.2.4"),
        (">=1.2, <1.10", "1.2.4"),
        ("1.2.3 - 1.9", "1.2.4"),
        ("<1 || 1.2.3", "1.2.3"),
        (">2.1.0", None),
        (">=2.1.0-0", "3.0.0-rc.1"),
        ("!=2.x <3", "1.10.0"),
        ("=0.3.0", "0.3.0"),
    ],
)
def test_constraints(expression, expected):
    known = ["0.3.0", "0.3.1", "1.2.3", "1.2.4", "1.10.0", "2.1.0", "3.0.0-rc.1", "not a version"]
    assert versions.newest(known, expression) == expected


@pytest.mark.parametrize("text", ["", "abc", ">=x.y.z.q!", "1.2.3 &"])
def test_no_constraint(text):
    with pytest.raises(versions.ConstraintError, match="improper constraint"):
        versions.constraint(text)


def test_the_order_of_pre_releases():
    texts = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"]
    assert sorted(texts, key=versions.parse) == texts


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def merged(old, patch):
    result = dict(old)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result[key] if isinstance(result.get(key), dict) else {}, value)
        else:
            result[key] = value
    return result


@given(st.dictionaries(st.text(max_size=2), JSON, max_size=4), st.dictionaries(st.text(max_size=2), JSON, max_size=4))
def test_a_difference_is_the_merge_patch_between_two_states(old, new):
    old, new = without_nulls(old), without_nulls(new)
    assert merged(old, draft.difference(old, new)) == new
    assert draft.difference(new, new) == {}


@pytest.fixture
def storage(tmp_path):
    return artifacts.Storage(tmp_path / "storage", "host.", VirtualClock())


def folder(path, **files):
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def test_files_are_stored_unpacked_and_shared(storage, tmp_path):
    files = folder(tmp_path / "files", **{"a.yaml": "1", "sub/b.yaml": "2"})
    artifact = storage.store_files("GitRepository", "ns", "repo", "main@sha1:1", "1.tar.gz", files)
    assert artifact["path"] == "gitrepository/ns/repo/1.tar.gz"
    assert artifact["url"] == "http://host./gitrepository/ns/repo/1.tar.gz"
    assert artifact["size"] == storage.path_of(artifact).stat().st_size
    assert storage.holds(artifact)
    sources = storage.sources(artifact)
    assert storage.sources(artifact) is sources
    assert (sources.root / "sub/b.yaml").read_text() == "2"


def test_an_artifact_found_after_a_restart_is_unpacked_and_verified(storage, tmp_path):
    files = folder(tmp_path / "files", **{"a.yaml": "1"})
    artifact = storage.store_files("GitRepository", "ns", "repo", "main@sha1:1", "1.tar.gz", files)
    again = artifacts.Storage(tmp_path / "storage", "host.", VirtualClock())
    assert again.holds(artifact)
    assert (again.sources(artifact).root / "a.yaml").read_text() == "1"
    storage.path_of(artifact).write_bytes(b"damaged")
    assert not artifacts.Storage(tmp_path / "storage", "host.", VirtualClock()).holds(artifact)


def test_equal_files_make_equal_archives(tmp_path):
    one = folder(tmp_path / "one", **{"b": "2", "a/c": "1"})
    two = folder(tmp_path / "two", **{"a/c": "1", "b": "2"})
    os.utime(two / "b", (1, 1))
    (two / "b").chmod(0o777)
    assert artifacts.pack(one) == artifacts.pack(two)


def test_old_artifacts_go(storage, tmp_path):
    stored = [storage.store("HelmChart", "ns", "c", str(n), f"{n}.tgz", str(n).encode()) for n in range(4)]
    for number, artifact in enumerate(stored):
        moment = VirtualClock().now().timestamp() - 10 * (3 - number)
        os.utime(storage.path_of(artifact), (moment, moment))
    assert storage.collect(stored[-1]) == 2
    assert [storage.holds(artifact) for artifact in stored] == [False, False, True, True]
    storage.remove_all("HelmChart", "ns", "c")
    assert not storage.holds(stored[-1])


def test_equal_artifacts_share_their_files_until_the_last_is_gone(storage, tmp_path):
    first = storage.store_files("G", "ns", "r", "1", "1.tar.gz", folder(tmp_path / "one", a="1"))
    second = storage.store_files("G", "ns", "r", "2", "2.tar.gz", folder(tmp_path / "two", a="1"))
    os.utime(storage.path_of(first), (1, 1))
    sources = storage.sources(second)
    assert storage.collect(second) == 1
    assert (sources.root / "a").read_text() == "1"
    third = storage.store_files("G", "ns", "r", "3", "3.tar.gz", folder(tmp_path / "three", a="3"))
    os.utime(storage.path_of(second), (1, 1))
    assert storage.collect(third) == 1
    assert not sources.root.exists()


def test_a_path_that_leads_out_is_refused(storage):
    with pytest.raises(ValueError, match="leads out"):
        storage.path_of({"path": "../../etc/passwd"})
