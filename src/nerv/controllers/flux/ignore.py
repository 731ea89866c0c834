"""Which files of a repository become part of an artifact: `.sourceignore` files, `spec.ignore`, Flux's own list. Pure.

The patterns are those of .gitignore: the last one that matches decides, `!` takes back, a slash inside anchors the
pattern to its folder, a slash at the end means folders alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FILE = ".sourceignore"
ALWAYS = (".git/", ".gitignore", ".gitmodules", ".gitattributes")
"""Never part of an artifact, whatever the patterns say."""
DEFAULT = (
    *(f"*.{ending}" for ending in ("jpg", "jpeg", "gif", "png", "wmv", "flv", "tar.gz", "zip")),
    *(".github/", ".circleci/", ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml"),
    *("codeship-services.yml", "codeship-steps.yml"),
    *("**/.goreleaser.yml", "**/.goreleaser.brew.yml"),
    *("**/.sops.yaml", "**/.flux.yaml"),
)


@dataclass(frozen=True)
class Pattern:
    """One line of an ignore file that stands in `folder` (a path from the root, empty for the root itself)."""

    expression: re.Pattern[str]
    negated: bool
    folders_only: bool


def parse(line: str, folder: str = "") -> Pattern | None:
    """The pattern of a line, None for comments and empty lines."""
    text = line.rstrip("\n").rstrip()
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    text = text[1:] if negated else text.removeprefix("\\")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    if not text:
        return None
    anchored = "/" in text
    body = _translate(text.lstrip("/"))
    prefix = re.escape(f"{folder}/") if folder else ""
    deep = "" if anchored else "(?:.*/)?"
    return Pattern(re.compile(f"^{prefix}{deep}{body}$"), negated, folders_only)


def _translate(glob: str) -> str:
    result = ""
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at):
            result += "(?:.*/)?"
            at += 3
        elif glob.startswith("**", at):
            result += ".*"
            at += 2
        elif glob[at] == "*":
            result += "[^/]*"
            at += 1
        elif glob[at] == "?":
            result += "[^/]"
            at += 1
        elif glob[at] == "[" and "]" in glob[at + 1 :]:
            end = glob.index("]", at + 2 if glob[at + 1] in "]!^" else at + 1)
            inner = glob[at + 1 : end]
            result += f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
            at = end + 1
        else:
            result += re.escape(glob[at])
            at += 1
    return result


def patterns(files: Mapping[str, str], extra: str | None) -> list[Pattern]:
    """All patterns in their order of growing weight: Flux's, those of `.sourceignore` files (path of the folder to
    text), and `spec.ignore`, which replaces Flux's list where it is given."""
    lines: list[tuple[str, str]] = [] if extra is not None else [(line, "") for line in DEFAULT]
    for folder in sorted(files, key=lambda path: (path.count("/"), path)):
        lines += [(line, folder) for line in files[folder].splitlines()]
    lines += [(line, "") for line in (extra or "").splitlines()]
    lines += [(line, "") for line in ALWAYS]
    return [pattern for pattern in (parse(line, folder) for line, folder in lines) if pattern]


def excluded(path: str, patterns: Iterable[Pattern]) -> bool:
    """Whether a file is left out: it, or a folder above it, is."""
    listed = list(patterns)
    parts = path.split("/")
    return any(_matches("/".join(parts[:depth]), depth < len(parts), listed) for depth in range(1, len(parts) + 1))


def _matches(path: str, folder: bool, patterns: list[Pattern]) -> bool:
    for pattern in reversed(patterns):
        if pattern.folders_only and not folder:
            continue
        if pattern.expression.match(path):
            return not pattern.negated
    return False
