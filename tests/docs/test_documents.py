"""What documents say is so: every `nerv ...` command exists with its options, links lead somewhere, verbs have help."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from nerv.cli import boundary

Command: TypeAlias = TyperCommand | TyperGroup
ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("README.md")])
_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PROGRAM = re.compile(r"^(?:\$ |sudo )*(?:\./)?nerv (\S.*)$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_LAUNCHER = ("test",)
"""What the launcher does itself, before there is a command line."""
_VERB = re.compile(r"^[a-z][a-z-]*$")


def _commands(text: str) -> Iterator[str]:
    """The arguments of every `nerv` command: lines of code blocks, and code within a line."""
    lines = [line.strip() for block in _FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *_INLINE.findall(_FENCE.sub("", text))]:
        for part in re.split(r";|&&|\|\|?", line):
            found = _PROGRAM.match(part.strip())
            if found:
                yield found[1]


def _words(arguments: str) -> list[str]:
    """Up to a comment, or to the words that explain a command behind it (two spaces)."""
    arguments = re.split(r"\s+#|\s{2,}", arguments)[0]
    try:
        return shlex.split(arguments)
    except ValueError:
        return arguments.split()


def _problem(arguments: str, root: Command) -> str:
    """Why the command does not exist; empty when it does. Placeholders of arguments are not looked at."""
    command: Command = root
    skip = False
    for word in _words(arguments):
        if skip:
            skip = False
        elif word.startswith("-") and word != "-":
            name, equals, _ = word.partition("=")
            option = next((each for each in command.params if name in (*each.opts, *each.secondary_opts)), None)
            if name in ("-h", "--help", "--version", "-V"):
                continue
            if option is None:
                return f"{command.name} has no option {name}"
            skip = not equals and not getattr(option, "is_flag", False)
        elif isinstance(command, TyperGroup):
            if not _VERB.match(word):
                return ""  # `nerv VERB`, `nerv ...`
            if command is root and word in _LAUNCHER:
                return ""
            if word not in command.commands:
                return f"{command.name} has no verb {word}"
            command = command.commands[word]
    return ""


@pytest.fixture(scope="module")
def root() -> Command:
    """The command line with every verb."""
    found: Any = typer.main.get_command(boundary.build([]))
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_exists_with_its_options(document: Path, root: Command) -> None:
    problems = {
        f"nerv {arguments}: {problem}"
        for arguments in _commands(document.read_text())
        if (problem := _problem(arguments, root))
    }
    assert not problems, "\n".join(sorted(problems))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", document.read_text())):
        if re.match(r"^[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document.relative_to(ROOT)}: {link} does not exist"
        if anchor:
            assert anchor in _anchors(target), f"{document.relative_to(ROOT)}: {link} has no such heading"


def _anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _all(command: Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from _all(below, (*path, name))
    if path:
        yield path, command


def test_every_verb_and_every_option_has_help(root: Command) -> None:
    missing = []
    for path, command in _all(root):
        if command.hidden:
            continue
        shown = " ".join(path)
        if not (command.help or "").strip():
            missing.append(shown)
        for option in command.params:
            if isinstance(option, TyperOption) and not option.hidden and not option.help:
                missing.append(f"{shown} {option.opts[0]}")
    assert not missing


def test_the_check_finds_what_does_not_exist(root: Command) -> None:
    """Itself, with commands of both kinds."""
    inline = "`nerv fly`, `nerv -C home status --no-such`, `nerv secrets lst`"
    text = f"{inline}\n```\n$ nerv get ks -o wide   # fine\nnerv up -x\n```\n"
    found = [problem for arguments in _commands(text) if (problem := _problem(arguments, root))]
    assert found == [
        "up has no option -x",
        "nerv has no verb fly",
        "status has no option --no-such",
        "secrets has no verb lst",
    ]
