"""Edits of nerv.yaml change what they are asked to and not a byte more."""

from __future__ import annotations

import difflib

import pytest
from tests.support import platforms

from nerv.components import definition
from nerv.errors import NervError
from nerv.platform import editing
from nerv.rendering import template

ADA = "age1gsx2g5v4mfhhsqhakl9q4lcl6fetwq3vm3g3wpvwy57dmx2q3a0q2qyyec"
BOB = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"
TEXTS = {
    "scaffolded": template.definition("home"),
    "small": platforms.SMALL,
    "many nodes": (platforms.EXAMPLES / "many-nodes" / "nerv.yaml").read_text(),
    "block": platforms.SMALL + f"  secrets:\n    recipients:\n    - {BOB}  # Bob\n\n  # the end\n",
    "flow": platforms.SMALL + f"  secrets: # readers\n    recipients: [{BOB}]  # people\n# the end\n",
    "flow in flow": platforms.SMALL + f"  secrets: {{recipients: ['{BOB}']}}\n",
    "empty flow in flow": platforms.SMALL + "  secrets: {recipients: []}\n",
    "empty": platforms.SMALL + "  secrets: {}\n  # the end",
    "quoted, no line end": platforms.SMALL + f'  "secrets":\n    "recipients":\n        - "{BOB}"',
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_recipient_is_added_and_all_else_stays(name: str) -> None:
    text = TEXTS[name]
    known = definition.parse(text.encode()).spec.secrets.recipients
    changed = editing.add_recipient(text, ADA, "Ada")
    assert definition.parse(changed.encode()).spec.secrets.recipients == (*known, ADA)
    lost = [line for line in difflib.ndiff(text.splitlines(), changed.splitlines()) if line.startswith("- ")]
    assert all("recipients" in line or "secrets" in line for line in lost)
    comments = [line[line.index("#") :] for line in text.splitlines() if "#" in line]
    assert [comment for comment in comments if comment not in changed] == []


@pytest.mark.parametrize("name", TEXTS)
def test_adding_and_removing_comes_back_to_the_same_definition(name: str) -> None:
    text = TEXTS[name]
    again = editing.remove_recipient(editing.add_recipient(text, ADA, "Ada"), ADA)
    assert definition.parse(again.encode()) == definition.parse(text.encode())
    if name in ("block", "flow", "flow in flow", "empty flow in flow"):
        assert again == text


@pytest.mark.parametrize("name", ["block", "flow", "flow in flow", "quoted, no line end"])
def test_the_last_recipient_can_go(name: str) -> None:
    changed = editing.remove_recipient(TEXTS[name], BOB)
    assert definition.parse(changed.encode()).spec.secrets.recipients == ()
    assert ("# the end" in changed) == ("# the end" in TEXTS[name])


def test_comments_behind_entries_are_names() -> None:
    assert editing.recipient_comments(TEXTS["block"]) == {BOB: "Bob"}
    assert editing.recipient_comments(editing.add_recipient(TEXTS["scaffolded"], ADA, "Ada L.")) == {ADA: "Ada L."}


def test_who_is_not_in_cannot_be_taken_out() -> None:
    with pytest.raises(NervError, match="is not in spec"):
        editing.remove_recipient(platforms.SMALL, ADA)


def test_a_layout_that_is_not_known_is_refused_with_the_line_to_write() -> None:
    text = platforms.SMALL + f"  secrets:\n    <<: {{recipients: [{BOB}]}}\n"
    with pytest.raises(NervError, match="laid out") as raised:
        editing.add_recipient(text, ADA)
    assert raised.value.hint == f"add `- {ADA}` to spec.secrets.recipients by hand"
