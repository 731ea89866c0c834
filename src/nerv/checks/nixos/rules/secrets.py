"""Secrets: none in the world-readable store, every file there, every key in it, every host able to read it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nerv import documents
from nerv.builders.sops import SopsError, ssh
from nerv.checks import secrets as clear
from nerv.checks.nixos.flake import Flake, Host
from nerv.checks.repository import Repository, items, mapping
from nerv.components.catalog import Platform
from nerv.errors import Problem
from nerv.nix.coercion import ROOT
from nerv.nix.values import Path
from nerv.rendering import secrets as rendered

_STORE = "everyone on the machine can read the store"
_TOKEN_FLAGS = ("--token=", "--agent-token=", "--datastore-endpoint=", "-t=")
_FILE_FLAGS = ("--token-file=", "--agent-token-file=")
_VARIABLE = re.compile(r"(?:^|_)(?:TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY|PASSPHRASE)$")
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"


def in_store(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """Values of secrets that Nix would copy into the store."""
    for host in flake.hosts:
        if host.get("services.k3s.token"):
            said = f"services.k3s.token puts the cluster's token into the store: {_STORE}"
            yield host.problem("services.k3s.token", said, "use services.k3s.tokenFile with a secret of sops")
        yield from _flags(host)
        for user in host.members("users.users"):
            for option in ("password", "initialPassword"):
                if host.get(f"users.users.{user}.{option}"):
                    said = f"users.users.{user}.{option} puts a password into the store: {_STORE}"
                    yield host.problem(f"users.users.{user}.{option}", said, "use hashedPasswordFile")
        for service in host.members("systemd.services"):
            yield from _environment(host, f"systemd.services.{service}")


def _flags(host: Host) -> Iterator[Problem]:
    for flag in _words(host):
        for name in _TOKEN_FLAGS:
            if flag.startswith(name):
                said = f"services.k3s.extraFlags holds the value of `{name[:-1]}`, which goes into the store: {_STORE}"
                yield host.problem("services.k3s.extraFlags", said, "use the flag that takes a file", value=flag)


def _words(host: Host) -> list[str]:
    flags = host.get("services.k3s.extraFlags")
    return str(flags).split() if isinstance(flags, str) else [str(x) for x in host.items("services.k3s.extraFlags")]


def _environment(host: Host, path: str) -> Iterator[Problem]:
    lines = host.items(f"{path}.serviceConfig.Environment") or [host.get(f"{path}.serviceConfig.Environment", "")]
    stated = [str(line).strip('"').partition("=") for line in lines]
    pairs = [(f"{path}.serviceConfig.Environment", name, value) for name, _, value in stated]
    named = ((name, host.get(f"{path}.environment.{name}")) for name in host.members(f"{path}.environment"))
    pairs += [(f"{path}.environment.{name}", name, value) for name, value in named if isinstance(value, str)]
    for option, name, value in pairs:
        if not value or not _VARIABLE.search(name.upper()):
            continue
        if not value.startswith("/"):
            said = f"{option} puts the value of {name} into the store: {_STORE}"
            yield host.problem(option, said, "use LoadCredential or EnvironmentFile with a secret of sops")
        elif name.upper().endswith(("TOKEN", "PASSWORD", "PASSWD")):
            said = f"{option} gives {name} the path of a file, not what is in it"
            yield host.problem(option, said, "use EnvironmentFile, or read the file in the script")


def token_files(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """Token files that nothing puts on the machine."""
    for host in flake.hosts:
        declared = {host.get(f"sops.secrets.{name}.path") for name in host.members("sops.secrets")}
        declared |= {host.get(f"sops.templates.{name}.path") for name in host.members("sops.templates")}
        file = host.get("services.k3s.tokenFile")
        given: list[tuple[str, object, object]] = [("services.k3s.tokenFile", file, file)]
        for flag in _words(host):
            name, _, path = flag.partition("=")
            if f"{name}=" in _FILE_FLAGS:
                given.append(("services.k3s.extraFlags", path, flag))
        for option, value, said_by in given:
            if isinstance(value, Path) or (isinstance(value, str) and value.startswith("/nix/store/")):
                yield host.problem(option, f"{option} names a file in the store: {_STORE}", "use a secret of sops")
            elif isinstance(value, str) and value.startswith("/") and value not in declared:
                said = f"{option} is {value}, which is the path of no secret in sops.secrets"
                hint = "declare the secret, and use config.sops.secrets.NAME.path"
                yield host.problem(option, said, hint, value=said_by)


def readable(_platform: Platform, flake: Flake, repository: Repository) -> Iterator[Problem]:
    """Secrets of sops that a host could not read: no file, no key, no recipient."""
    opened: dict[str, Any] = {}
    rules = {path: wanted for path, _, wanted in clear.ruled(repository)}
    for host in flake.hosts:
        if not host.members("sops.secrets"):
            continue
        recipient, problem = _recipient(host, repository)
        yield from problem
        files: dict[str, None] = {}
        for name in host.members("sops.secrets"):
            path, wrong = _file(host, name, repository)
            yield from wrong
            if path:
                files[path] = None
                if path not in opened:
                    opened[path] = _contents(repository.files[path])
                yield from _key(host, name, path, mapping(opened[path]))
        for path in files:
            yield from _opens(host, path, mapping(opened[path]), recipient, rules.get(path))
        yield from _keys_of_ssh(host)


def whole_keys(_platform: Platform, _flake: Flake, repository: Repository) -> Iterator[Problem]:
    """Rules of sops that split the key of a file, so that no reader alone can open it."""
    for rule in items(mapping(_contents(repository.files.get(rendered.RULES_FILE, ""))).get("creation_rules")):
        if len(items(mapping(rule).get("key_groups"))) > 1:
            path = mapping(rule).get("path_regex", "")
            said = (
                f"the rule for `{path}` has several key_groups: sops would split the key, "
                "and no host alone could read it"
            )
            yield Problem(rendered.RULES_FILE, 0, 0, said, "put all recipients under one entry")


def _file(host: Host, name: str, repository: Repository) -> tuple[str, list[Problem]]:
    """The file of a secret in the repository; empty where there is none."""
    option = f"sops.secrets.{name}.sopsFile"
    where = option if host.is_set(option) else "sops.defaultSopsFile"
    if not host.known(option, "sops.defaultSopsFile"):
        return "", []
    value = host.get(option)
    text = value.text if isinstance(value, Path) else value
    if text is None:
        return "", [host.problem(f"sops.secrets.{name}", f"secret `{name}` has no file", "set sops.defaultSopsFile")]
    if not isinstance(text, str) or not text.startswith(f"{ROOT}/"):
        said = f"{where} is {text}, which is outside the repository: sops-nix cannot check it"
        return "", [host.problem(where, said, "name the file as a path, such as ../secrets/servers.sops.yaml")]
    path = text.removeprefix(f"{ROOT}/")
    if path not in repository.files:
        return "", [host.problem(where, f"{path} does not exist", "`nerv render` makes the files of the platform")]
    return path, []


def _contents(text: str) -> Any:
    try:
        return documents.load(text)
    except documents.DocumentError:
        return {}


def _key(host: Host, name: str, path: str, contents: Mapping[str, Any]) -> Iterator[Problem]:
    if host.get(f"sops.secrets.{name}.format", "yaml") not in ("yaml", "json"):
        return
    key = host.get(f"sops.secrets.{name}.key")
    value: Any = contents
    for part in str(key).split("/") if key else ():
        value = mapping(value).get(part)
    if value is None and contents:
        yield host.problem(
            f"sops.secrets.{name}", f"{path} has no key `{key}`", "`nerv render` makes those of the platform"
        )


def _opens(
    host: Host, path: str, contents: Mapping[str, Any], recipient: str | None, rule: set[str] | None
) -> Iterator[Problem]:
    """Whether the host is a reader: of the file's rule where it has one, against which another check holds the file."""
    if rule is not None:
        if recipient and recipient not in rule:
            said = f"the rule for {path} does not name {host.name}, which must read it"
            yield Problem(rendered.RULES_FILE, 0, 0, said, "run `nerv render`")
        return
    found = {str(mapping(entry).get("recipient")) for entry in items(mapping(contents.get("sops")).get("age"))}
    if not found:
        yield Problem(path, 0, 0, "is not encrypted by sops", "`nerv render` makes the files of the platform")
    elif recipient and recipient not in found:
        yield Problem(path, 0, 0, f"{host.name} is no recipient and could not read it", "run `nerv render`")


def _recipient(host: Host, repository: Repository) -> tuple[str | None, list[Problem]]:
    path = rendered.key_file(host.name)
    line = repository.files.get(path)
    if line is None:
        return None, [Problem(path, 0, 0, f"the public host key of {host.name} is missing", "run `nerv render`")]
    try:
        return ssh.recipient(line), []
    except SopsError as error:
        return None, [Problem(path, 0, 0, str(error))]


def _keys_of_ssh(host: Host) -> Iterator[Problem]:
    paths = host.items("sops.age.sshKeyPaths")
    if _HOST_KEY not in paths and not host.get("sops.age.keyFile"):
        said = f"sops.age.sshKeyPaths does not name {_HOST_KEY}: {host.name} could not open its secrets"
        yield host.problem("sops.age.sshKeyPaths", said)
    if host.items("sops.gnupg.sshKeyPaths"):
        said = (
            f"sops would look for an RSA host key on {host.name}, which is not there when it starts for the first time"
        )
        hint = "list the ed25519 key alone in services.openssh.hostKeys, or set sops.gnupg.sshKeyPaths = [ ]"
        yield host.problem("services.openssh.hostKeys", said, hint)
