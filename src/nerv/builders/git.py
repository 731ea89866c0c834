"""Git repositories through the git program: what a reference points to, and the files of a commit.

Credentials travel in the environment of the child process and in private files that end with it, never in its
arguments. A bare repository is kept for each source, so that a new commit costs one fetch of what changed, and a look
at an unchanged branch transfers nothing.
"""

from __future__ import annotations

import base64
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nerv import process
from nerv.builders import archives, ssh
from nerv.builders.ssh import Identity
from nerv.errors import NervError, ProcessError

_FIXED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_SSH_VARIANT": "ssh",
    "SHELL": "/bin/sh",  # runs ssh's ProxyCommand
    "LC_ALL": "C",
}
_LOCAL = "refs/nerv/head"


class GitError(NervError):
    """The remote refused, is not there, or has no such reference."""


@dataclass(frozen=True)
class Access:
    """How a remote is reached. `proxy` is the URL of an HTTP proxy, login included, `ca_file` trusted authorities."""

    proxy: str = field(default="", repr=False)
    ca_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    authorities: str = ""
    """certificates (PEM) that are trusted beside those of `ca_file`, or of the system"""
    identity: Identity | None = None
    """who logs in by ssh"""
    known_hosts: str = ""

    @contextmanager
    def prepared(self, url: str) -> Iterator[dict[str, str]]:
        """As `environment`, with the files that it names; they are gone at the end."""
        if not self.authorities and self.identity is None:
            yield self.environment(url)
            return
        with tempfile.TemporaryDirectory(prefix="nerv-git-") as name:
            folder, more = Path(name), {}
            if self.authorities:
                bundle = folder / "ca.crt"
                bundle.write_text(f"{trusted_bundle(self.ca_file)}\n{self.authorities}\n", encoding="utf-8")
                more["GIT_SSL_CAINFO"] = str(bundle)
            if self.identity is not None:
                more["GIT_SSH_COMMAND"] = ssh.command(url, folder, self.identity, self.known_hosts, self.proxy)
            yield self.environment(url) | more

    def environment(self, url: str) -> dict[str, str]:
        """Variables for the git program that talks to `url`."""
        settings = {"safe.directory": "*"}
        direct = {}
        if self.proxy:
            settings["http.proxy"] = self.proxy
            settings["http.proxyAuthMethod"] = "basic"  # else git asks once without the login of the URL
            direct = {"NO_PROXY": "", "no_proxy": ""}
        header = self._authorization()
        if header:
            settings[f"http.{url}.extraHeader"] = f"Authorization: {header}"
        # the variable, because one in the user's environment would win over the setting
        trust = {"GIT_SSL_CAINFO": str(self.ca_file)} if self.ca_file else {}
        return {**_FIXED, **trust, **direct, **_configuration(settings)}

    def _authorization(self) -> str:
        if self.bearer_token:
            return f"Bearer {self.bearer_token}"
        if self.username or self.password:
            return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return ""


_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def trusted_bundle(ca_file: Path | None = None) -> str:
    """The authorities in `ca_file`, else those of the system; empty where it has none."""
    found = [ca_file] if ca_file else [Path(name) for name in _SYSTEM_BUNDLES if Path(name).exists()]
    return found[0].read_text(encoding="utf-8", errors="replace") if found else ""


def _configuration(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings that git reads from its environment."""
    result = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        result[f"GIT_CONFIG_KEY_{number}"] = name
        result[f"GIT_CONFIG_VALUE_{number}"] = value
    return result


@dataclass(frozen=True)
class Commit:
    """A commit's hash, and the first line of its message."""

    id: str
    subject: str


async def references(url: str, access: Access, *patterns: str, timeout: float = 60) -> dict[str, str]:
    """The remote's references that match, with the commit of each; annotated tags point to their commit.

    Raises GitError.
    """
    text = await _run(["ls-remote", "--quiet", url, *patterns], url, access, timeout)
    found = dict(_reversed(line) for line in text.splitlines() if "\t" in line)
    # `refs/tags/x^{}` is what the annotated tag `refs/tags/x` stands for
    peeled = {name.removesuffix("^{}"): commit for name, commit in found.items() if name.endswith("^{}")}
    return {name: commit for name, commit in (found | peeled).items() if not name.endswith("^{}")}


def _reversed(line: str) -> tuple[str, str]:
    commit, _, name = line.partition("\t")
    return name, commit


async def fetch(repository: Path, url: str, reference: str, access: Access, *, timeout: float = 60) -> Commit:
    """Bring the commit of a full reference name (or a commit itself) into the bare repository, without history.

    Raises GitError.
    """
    if not (repository / "HEAD").exists():
        await _run(["init", "--quiet", "--bare", str(repository)], url, access, timeout)
        # files of the commit as they are, whatever its attributes ask of archives
        (repository / "info").mkdir(exist_ok=True)
        (repository / "info" / "attributes").write_text("* -export-ignore -export-subst\n")
    target = ["--git-dir", str(repository)]
    options = ["--quiet", "--force", "--no-tags", "--depth=1", "--no-write-fetch-head", "--no-auto-gc"]
    try:
        await _run([*target, "fetch", *options, url, f"+{reference}:{_LOCAL}"], url, access, timeout)
        text = await _run([*target, "log", "-1", "--format=%H%n%s", _LOCAL], "", Access(), timeout)
    except GitError as error:
        raise GitError(f"unable to clone '{url}': {error.message}") from None
    found, _, subject = text.strip().partition("\n")
    return Commit(found, subject)


async def export(repository: Path, commit: str, target: Path) -> None:
    """Write the files of a commit below the new folder `target`: regular files alone, no links. Raises GitError."""
    archive = target.with_name(target.name + ".tar")
    # of the tree, not the commit: tarfile cannot read an archive that holds a commit's comment and no files
    tree = f"{commit}^{{tree}}"
    try:
        command = ["--git-dir", str(repository), "archive", "--format=tar", "-o", str(archive), tree]
        await _run(command, "", Access(), 60)
        target.mkdir(parents=True)
        with tarfile.open(archive, "r:") as members:
            archives.unpack(members, target)
    finally:
        archive.unlink(missing_ok=True)


async def _run(arguments: Sequence[str], url: str, access: Access, timeout: float) -> str:
    try:
        with access.prepared(url) as environment:
            done = await process.run(["git", *arguments], env=environment, timeout=timeout)
    except ProcessError as error:
        raise GitError(reason(error.output)) from None
    except NervError as error:
        raise GitError(error.message) from None
    return done.stdout


_NOT_LET_IN = "ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain"
# what git and ssh say, in the words of Flux's Git client
_REASONS = (
    (
        re.compile(r"'https://(?:[^@/']*@)?([^:/']+)[^\n]*(?:CONNECT tunnel failed, response|HTTP code) 503"),
        r"offline: \1 is not mirrored here",
    ),
    (re.compile(r"connect: (.*)"), r"\1"),
    (re.compile(r"REMOTE HOST IDENTIFICATION HAS CHANGED"), "ssh: handshake failed: knownhosts: key mismatch"),
    (re.compile(r"Host key verification failed"), "ssh: handshake failed: knownhosts: key is unknown"),
    (re.compile(r"Permission denied \(.*?\)"), f"ssh: handshake failed: {_NOT_LET_IN}"),
    (re.compile(r"cannot run ssh"), "the OpenSSH client is not installed here (Debian: openssh-client)"),
    (re.compile(r"ssh: (?:connect to host|Could not resolve hostname) .*"), r"\g<0>"),
    (re.compile(r"couldn't find remote ref (\S+)"), 'couldn\'t find remote ref "\\1"'),
    (re.compile(r"Authentication failed|could not read Username|returned error: 401"), "authentication required"),
    (re.compile(r"returned error: 403"), "authorization failed"),
    (re.compile(r"returned error: 404|repository '\S+' not found"), "repository not found"),
    (re.compile(r"(?:fatal: |error: )(.*)"), r"\1"),
)


def reason(output: str) -> str:
    """What git's output comes to, in one line."""
    for pattern, text in _REASONS:
        match = pattern.search(output)
        if match:
            return match.expand(text)
    return output.strip().splitlines()[-1] if output.strip() else "git failed without a word"
