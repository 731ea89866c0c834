"""Encrypted files in their formats: where the metadata stands, and how the clear text is written."""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from nerv import documents
from nerv.builders.sops.age import Identities, data_key
from nerv.builders.sops.errors import SopsError
from nerv.builders.sops.values import Opener, Rules

MAX_FILE_SIZE = 5 << 20
"""Bytes; kustomize-controller opens nothing larger."""


class Format(enum.Enum):
    """The value is the name that kustomize-controller uses in its messages."""

    YAML = "YAML"
    JSON = "JSON"
    DOTENV = "dotenv"
    INI = "INI"
    BINARY = "binary"


_ENDINGS = {".yaml": Format.YAML, ".yml": Format.YAML, ".json": Format.JSON, ".ini": Format.INI, ".env": Format.DOTENV}
_MARKS = (
    (b"sops_mac=ENC[", Format.DOTENV),
    (b"[sops]", Format.INI),
    (b'"mac": "ENC[', Format.JSON),
    (b"mac: ENC[", Format.YAML),
)
_FLAT_KEY = re.compile(r"__(list|map)_")


def format_of(path: str) -> Format:
    """By the file's ending; whatever is unknown is binary."""
    return next((found for ending, found in _ENDINGS.items() if path.endswith(ending)), Format.BINARY)


def detect(data: bytes) -> Format | None:
    """The format of an encrypted file by the marks that sops leaves; None when it is not encrypted."""
    return next((found for mark, found in _MARKS if mark in data), None)


def is_encrypted(tree: Mapping[str, Any]) -> bool:
    """Whether an object carries the metadata of an encrypted file."""
    metadata = tree.get("sops")
    return isinstance(metadata, dict) and "mac" in metadata


def decrypt_tree(tree: Mapping[str, Any], identities: Identities, *, verify: bool = True) -> dict[str, Any]:
    """An encrypted object in the clear, without its metadata. Raises SopsError.

    `verify` checks the MAC over all values; kustomize-controller does not, because a build adds values to an object.
    """
    return _open([dict(tree)], identities, verify)[0]


def decrypt(
    data: bytes, identities: Identities, source: Format, target: Format | None = None, *, verify: bool = True
) -> bytes:
    """A whole encrypted file in the clear, written as `target` (default: as it came). Raises SopsError."""
    if len(data) > MAX_FILE_SIZE:
        raise SopsError(f"cannot decrypt file with size ({len(data)} bytes) exceeding limit ({MAX_FILE_SIZE})")
    opened = _open(_read(data, source), identities, verify)
    return _write(opened, source, target or source)


def _open(branches: list[dict[str, Any]], identities: Identities, verify: bool) -> list[dict[str, Any]]:
    metadata = next((branch["sops"] for branch in branches if isinstance(branch.get("sops"), dict)), None)
    if metadata is None:
        raise SopsError("sops metadata not found")
    opener = Opener(
        data_key(metadata, identities), Rules.of(metadata), mac_only_encrypted=_true(metadata.get("mac_only_encrypted"))
    )
    plain = [opener.open({key: value for key, value in branch.items() if key != "sops"}) for branch in branches]
    if verify:
        _verify(opener, metadata)
    return plain


def _verify(opener: Opener, metadata: Mapping[str, Any]) -> None:
    computed = opener.mac
    sealed = metadata.get("mac")
    if not sealed:
        raise SopsError("failed to verify sops data integrity: no MAC")
    try:
        original = opener.text(str(sealed), str(metadata.get("lastmodified", "")))
    except SopsError as error:
        raise SopsError(f"failed to verify sops data integrity: {error.message}") from None
    if original != computed:
        raise SopsError("failed to verify sops data integrity: the MAC does not fit the values")


def _true(value: Any) -> bool:
    return value is True or value == "true"


def _read(data: bytes, source: Format) -> list[dict[str, Any]]:
    try:
        if source in (Format.JSON, Format.BINARY):
            branches = [documents.load_json(data)]
        elif source is Format.YAML:
            branches = documents.load_all(data)
        elif source is Format.DOTENV:
            branches = [_read_dotenv(data.decode())]
        else:
            branches = [_read_ini(data.decode())]
    except (documents.DocumentError, UnicodeDecodeError) as error:
        raise SopsError(f"failed to load encrypted {source.value} data: {error}") from None
    if not all(isinstance(branch, dict) for branch in branches):
        raise SopsError(f"failed to load encrypted {source.value} data: the top level is no map")
    return branches


def _write(branches: list[dict[str, Any]], source: Format, target: Format) -> bytes:
    first = branches[0]
    if source is Format.BINARY or (source is Format.JSON and target is Format.BINARY and set(first) == {"data"}):
        # a binary file is kept as a JSON envelope with one text
        return str(first.get("data", "")).encode("utf-8", "surrogateescape")
    match target:
        case Format.YAML:
            return "---\n".join(documents.dump(branch) for branch in branches).encode()
        case Format.JSON:
            return documents.dump_json(first, indent=True)
        case Format.DOTENV:
            return _write_dotenv(first)
        case Format.INI:
            return _write_ini(first)
    return _write(branches, source, source)


def _read_dotenv(text: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if not sign or line.startswith("#"):
            continue
        if name.startswith("sops_"):
            metadata[name.removeprefix("sops_")] = value.replace("\\n", "\n")
        else:
            tree[name] = value.replace("\\n", "\n")
    return {**tree, "sops": _unflatten(metadata)} if metadata else tree


def _read_ini(text: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    section: dict[str, str] = tree.setdefault("DEFAULT", {})
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = tree.setdefault(line[1:-1], {})
        elif line and line[0] not in "#;":
            name, _, value = line.partition("=")
            section[name.strip()] = _unquote(value.strip())
    metadata = tree.pop("sops", None)
    if metadata is not None:
        tree["sops"] = _unflatten({name: value.replace("\\n", "\n") for name, value in metadata.items()})
    return tree


def _unquote(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "`\"'" else value


def _unflatten(flat: Mapping[str, str]) -> dict[str, Any]:
    """`age__list_0__map_enc` and its like as nested maps and lists."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        first, *rest = _FLAT_KEY.split(name)
        steps = [first, *(int(step) if kind == "list" else step for kind, step in _pairs(rest))]
        here: Any = tree
        for step, following in itertools.pairwise(steps):
            here = _child(here, step, [] if isinstance(following, int) else {})
        if isinstance(here, list):
            here.append(value)
        else:
            here[steps[-1]] = value
    return tree


def _pairs(parts: list[str]) -> Iterable[tuple[str, str]]:
    return zip(parts[::2], parts[1::2], strict=True)


def _child(parent: Any, step: Any, empty: Any) -> Any:
    if isinstance(parent, list):
        while len(parent) <= step:
            parent.append(type(empty)())
        return parent[step]
    return parent.setdefault(step, empty)


def _write_dotenv(tree: Mapping[str, Any]) -> bytes:
    lines = []
    for name, value in tree.items():
        if isinstance(value, (dict, list)):
            raise SopsError(
                "failed to emit encrypted file as decrypted dotenv: cannot use complex value in dotenv file"
            )
        lines.append(f"{name}={str(value).replace(chr(10), chr(92) + 'n')}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def _write_ini(tree: Mapping[str, Any]) -> bytes:
    lines = []
    for section, values in tree.items():
        if section != "DEFAULT":
            lines.append(f"[{section}]\n")
        lines += [f"{name} = {value}\n" for name, value in values.items()]
    return "".join(lines).encode("utf-8", "surrogateescape")
