"""The real git against real repositories on this machine."""

import pytest
from tests.support.repository import Repository

from nerv.builders import git
from nerv.builders.git import Access, GitError


@pytest.fixture
def repository(tmp_path):
    found = Repository(tmp_path / "work")
    found.commit("first", {"a.yaml": "1", "sub/b.yaml": "2"})
    return found


async def test_a_branch_is_fetched_and_exported(repository, tmp_path):
    head = repository.git("rev-parse", "HEAD")
    bare = tmp_path / "bare"
    found = await git.fetch(bare, repository.url, "refs/heads/main", Access())
    assert (found.id, found.subject) == (head, "first")
    await git.export(bare, head, tmp_path / "out")
    assert (tmp_path / "out/sub/b.yaml").read_text() == "2"


async def test_a_new_commit_and_a_rewritten_branch(repository, tmp_path):
    bare = tmp_path / "bare"
    await git.fetch(bare, repository.url, "refs/heads/main", Access())
    second = repository.commit("second", {"a.yaml": "changed"})
    assert (await git.fetch(bare, repository.url, "refs/heads/main", Access())).id == second
    repository.git("reset", "--quiet", "--hard", "HEAD^")
    other = repository.commit("other", {"c.yaml": "3"})
    assert (await git.fetch(bare, repository.url, "refs/heads/main", Access())).id == other


async def test_tags_point_to_commits(repository, tmp_path):
    head = repository.git("rev-parse", "HEAD")
    repository.git("tag", "light")
    repository.git("tag", "-a", "v1.0.0", "-m", "annotated")
    found = await git.references(repository.url, Access(), "refs/tags/*")
    assert found == {"refs/tags/light": head, "refs/tags/v1.0.0": head}
    assert (await git.fetch(tmp_path / "bare", repository.url, "refs/tags/v1.0.0", Access())).id == head


async def test_links_and_export_attributes(repository, tmp_path):
    (repository.path / "link").symlink_to("/etc/passwd")
    head = repository.commit("tricky", {".gitattributes": "hidden.yaml export-ignore\n", "hidden.yaml": "x"})
    bare = tmp_path / "bare"
    await git.fetch(bare, repository.url, "refs/heads/main", Access())
    await git.export(bare, head, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".gitattributes",
        "a.yaml",
        "hidden.yaml",
        "sub",
    ]


async def test_a_missing_branch_and_a_missing_repository(repository, tmp_path):
    with pytest.raises(GitError) as caught:
        await git.fetch(tmp_path / "bare", repository.url, "refs/heads/none", Access())
    assert str(caught.value) == f"unable to clone '{repository.url}': couldn't find remote ref \"refs/heads/none\""
    with pytest.raises(GitError, match="does not appear to be a git repository"):
        await git.references(f"file://{tmp_path}/none", Access())


def test_credentials_travel_in_the_environment_for_their_url_alone():
    found = Access(username="git", password="token", proxy="http://127.0.0.1:1").environment("https://x/y.git")
    pairs = {
        found[f"GIT_CONFIG_KEY_{n}"]: found[f"GIT_CONFIG_VALUE_{n}"] for n in range(int(found["GIT_CONFIG_COUNT"]))
    }
    assert pairs["http.https://x/y.git.extraHeader"] == "Authorization: Basic Z2l0OnRva2Vu"
    assert pairs["http.proxy"] == "http://127.0.0.1:1"
    assert Access(bearer_token="t").environment("https://x")["GIT_CONFIG_VALUE_1"] == "Authorization: Bearer t"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("fatal: Authentication failed for 'https://x/'", "authentication required"),
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", "authentication required"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", "authorization failed"),
        ("remote: Not Found\nfatal: repository 'https://x/' not found", "repository not found"),
        (
            "fatal: unable to access 'https://x/': Could not resolve host: x",
            "unable to access 'https://x/': Could not resolve host: x",
        ),
    ],
)
def test_the_words_of_git_come_to_those_of_flux(output, reason):
    assert git.reason(output) == reason


async def test_a_commit_without_files(repository, tmp_path):
    repository.git("rm", "-q", "-r", ".")
    head = repository.commit("nothing left")
    bare = tmp_path / "bare"
    await git.fetch(bare, repository.url, "refs/heads/main", Access())
    await git.export(bare, head, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
