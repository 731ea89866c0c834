"""Edits of nerv.yaml: one node more or less, one value set, and every other byte as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.platforms import EXAMPLES, SMALL

from nerv.components import definition
from nerv.errors import NervError
from nerv.platform import node_edits

ENTRY = {
    "name": "worker-9",
    "role": "agent",
    "address": "192.168.1.29",
    "disks": [{"device": "/dev/vda", "purpose": "system"}, {"device": "/dev/vdb", "purpose": "storage"}],
}
ADDED = """\
    - name: worker-9
      role: agent
      address: 192.168.1.29
      disks:
        - device: /dev/vda
          purpose: system
        - device: /dev/vdb
          purpose: storage
"""


def test_a_node_is_added_below_the_others() -> None:
    changed = node_edits.add_node(SMALL, ENTRY)
    assert changed == SMALL.replace("      address: 192.168.1.10\n", f"      address: 192.168.1.10\n{ADDED}")
    assert definition.parse(changed.encode()).spec.nodes[-1].name == "worker-9"
    assert node_edits.remove_node(changed, "worker-9") == SMALL


@pytest.mark.parametrize("example", ["nerv", "many-nodes"])
def test_examples_take_a_node_and_give_it_back_byte_for_byte(example: str) -> None:
    text = (EXAMPLES / example / "nerv.yaml").read_text()
    changed = node_edits.add_node(text, ENTRY)
    assert node_edits.remove_node(changed, "worker-9") == text


def test_a_node_of_one_line_goes() -> None:
    text = (EXAMPLES / "many-nodes" / "nerv.yaml").read_text()
    changed = node_edits.remove_node(text, "server-2")
    assert changed == text.replace("    - {name: server-2, address: 10.20.0.12, mac: 52:54:00:00:00:12}\n", "")


def test_layouts_that_are_not_known_are_refused() -> None:
    flow = "spec:\n  nodes: [{name: a, address: 192.168.1.1}]\n"
    with pytest.raises(NervError, match="laid out in a way"):
        node_edits.add_node(flow, ENTRY)
    with pytest.raises(NervError, match="laid out in a way"):
        node_edits.remove_node(flow, "a")
    with pytest.raises(NervError, match="the definition has no node b"):
        node_edits.remove_node(flow, "b")
    # the anchor that another node refers to cannot go
    text = (EXAMPLES / "many-nodes" / "nerv.yaml").read_text()
    with pytest.raises(NervError):
        node_edits.remove_node(text, "worker-1")


@given(st.sampled_from(["v1.31", "v1.32", "v1.33"]), st.sampled_from(["", " # pinned", "   "]))
def test_a_value_is_set_where_it_stands(value: str, behind: str) -> None:
    text = SMALL.replace("  repository:\n", f"  kubernetes:\n    version: v1.30{behind}\n  repository:\n")
    changed = node_edits.set_value(text, ("kubernetes", "version"), value)
    assert changed == text.replace("v1.30", value)


def test_a_value_that_is_missing_is_put_before_the_repository() -> None:
    changed = node_edits.set_value(SMALL, ("kubernetes", "version"), "v1.32")
    assert changed == SMALL.replace("  repository:\n", "  kubernetes:\n    version: v1.32\n  repository:\n")
    assert definition.parse(changed.encode()).spec.kubernetes.version == "v1.32"
    quoted = SMALL.replace("  repository:\n", "  nixos:\n    timeZone: UTC\n  repository:\n")
    assert '  nixos:\n    version: "25.05"\n    timeZone: UTC\n' in node_edits.set_value(
        quoted, ("nixos", "version"), "25.05"
    )


def test_a_version_of_a_component() -> None:
    path = ("components", "longhorn", "version")
    empty = SMALL + "    longhorn: {}  # storage\n"
    assert node_edits.set_value(empty, path, "1.9.2") == SMALL + "    longhorn:  # storage\n      version: 1.9.2\n"
    block = SMALL + "    longhorn:\n      replicas: 1\n"
    expected = SMALL + "    longhorn:\n      version: 1.9.2\n      replicas: 1\n"
    assert node_edits.set_value(block, path, "1.9.2") == expected
    flow = SMALL + "    longhorn: {replicas: 1, version: 1.9.1}\n"
    assert node_edits.set_value(flow, path, "1.9.2") == flow.replace("1.9.1", "1.9.2")
    with pytest.raises(NervError, match="laid out in a way") as caught:
        node_edits.set_value(SMALL + "    longhorn: {replicas: 1}\n", path, "1.9.2")
    assert caught.value.hint == "set spec.components.longhorn.version to 1.9.2 by hand"
