"""Loopback addresses and ports of pods that share this machine's network."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv.network import places
from nerv.network.places import Places
from nerv.network.routes import Inside


def _all_free(address: str, port: int) -> bool:
    return True


def test_a_pod_keeps_the_end_of_its_address_and_its_ports() -> None:
    here = Places(42, _all_free)
    assert here.add("10.42.0.16") == "127.42.0.16"
    assert here.port("10.42.0.16", 8443) == 8443
    assert here.find("10.42.0.16", 8443) == Inside("127.42.0.16", 8443)


def test_only_what_was_asked_for_leads_anywhere() -> None:
    here = Places(42, _all_free)
    here.port("10.42.0.16", 80)
    assert here.find("10.42.0.16", 22) is None
    assert here.find("10.42.0.17", 80) is None
    here.remove("10.42.0.16")
    assert here.find("10.42.0.16", 80) is None


def test_a_port_that_another_program_listens_at_is_replaced() -> None:
    here = Places(42)
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        taken = other.getsockname()[1]
        given = here.port("10.42.0.16", taken)
    assert given != taken
    assert places.can_bind("127.42.0.16", given)


def test_a_port_that_this_user_may_not_have_goes_up() -> None:
    here = Places(42, lambda _, port: port >= 1024)
    assert here.port("10.42.0.16", 80) == 8080


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 65535), st.integers(1, 65535)), max_size=30))
def test_no_two_pods_share_a_place(asked: list[tuple[int, int, int]]) -> None:
    here = Places(42, lambda _, port: port % 2 == 0)
    wanted = {(f"10.{42 + third}.{low >> 8}.{low & 255}", port) for third, low, port in asked}
    given = {key: (here.add(key[0]), here.port(*key)) for key in wanted}
    assert len(set(given.values())) == len(wanted)
    assert all(here.find(*key) == Inside(*place) for key, place in given.items())


def test_two_platforms_have_blocks_of_their_own() -> None:
    first, one = places.claim_block()
    second, other = places.claim_block()
    with one, other:
        assert first != second
    third, again = places.claim_block()
    with again:
        assert third == first


def test_all_blocks_taken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_BLOCKS", range(0))
    with pytest.raises(Exception, match="every loopback block is taken"):
        places.claim_block()
