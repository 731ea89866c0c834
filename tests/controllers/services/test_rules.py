"""Pure rules: address pools, Go durations, renewal, Longhorn's names."""

from __future__ import annotations

import datetime
import ipaddress

import pytest
from hypothesis import given, strategies

from nerv.controllers.presence import image_name
from nerv.controllers.services.certificates import durations
from nerv.controllers.services.load_balancer import pools
from nerv.controllers.services.load_balancer.pools import PoolError
from nerv.controllers.services.storage import resources, settings
from nerv.kube.objects import Object


def pool(name: str, *addresses: str, **spec: object) -> Object:
    return {"metadata": {"name": name}, "spec": {"addresses": list(addresses), **spec}}


@given(strategies.integers(1, (1 << 32) - 300), strategies.integers(0, 255))
def test_a_range_holds_exactly_its_addresses(first: int, count: int) -> None:
    start, end = ipaddress.IPv4Address(first), ipaddress.IPv4Address(first + count)
    found = [address for network in pools.parse(f"{start}-{end}") for address in network]
    assert [int(each) for each in found] == list(range(first, first + count + 1))


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        (
            ["10.0.0.5-10.0.0.1"],
            'invalid IP range "10.0.0.5-10.0.0.1": start IP "10.0.0.5" is after the end IP "10.0.0.1"',
        ),
        (["10.0.0.0/33"], 'invalid CIDR "10.0.0.0/33"'),
        (["10.0.0.1"], 'invalid CIDR "10.0.0.1"'),
        (["x-10.0.0.1"], 'invalid IP range "x-10.0.0.1": invalid start IP "x"'),
        ([], "pool has no prefixes defined"),
    ],
)
def test_pools_that_cannot_be_read_are_refused_in_metallbs_words(addresses: list[str], message: str) -> None:
    with pytest.raises(PoolError) as refused:
        pools.validate([pool("home", *addresses)])
    assert str(refused.value).endswith(message)


def test_addresses_that_confuse_firmware_can_be_left_out() -> None:
    (found,) = pools.validate([pool("home", "10.0.0.0/24", avoidBuggyIPs=True)])
    assert found.size(4) == 254
    assert not found.holds(ipaddress.ip_address("10.0.0.255"))
    assert str(next(found.addresses(4))) == "10.0.0.1"


@given(strategies.timedeltas(datetime.timedelta(0), datetime.timedelta(days=4000)))
def test_durations_are_read_as_they_are_written(value: datetime.timedelta) -> None:
    whole = datetime.timedelta(seconds=int(value.total_seconds()))
    assert durations.parse(durations.write(whole)) == whole


@pytest.mark.parametrize("text", ["90d", "", "1h 2m", "h", "1"])
def test_what_is_no_go_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("spec", "hours"),
    [({}, 60), ({"renewBefore": "10h"}, 80), ({"renewBeforePercentage": 50}, 45), ({"renewBefore": "100h"}, 60)],
)
def test_renewal_is_due_after_two_thirds_unless_said_otherwise(spec: Object, hours: int) -> None:
    begin = datetime.datetime(2025, 6, 1, tzinfo=datetime.UTC)
    due = durations.renewal(spec, begin, begin + datetime.timedelta(hours=90))
    assert due == begin + datetime.timedelta(hours=hours)


def test_names_of_longhorns_objects_follow_from_what_they_are_for() -> None:
    """Names follow from images and nodes alone, so that every manager finds the same objects."""
    name = resources.engine_image("longhornio/longhorn-engine:v1.9.1")
    assert name == f"ei-{resources.checksum('longhornio-longhorn-engine-v1.9.1', 8)}"
    assert len(resources.instance_manager("n1", "image")) == len("instance-manager-") + 32


def test_settings_of_tolerations_and_selectors_are_read() -> None:
    assert settings.tolerations("a=b:NoSchedule; c:NoExecute") == [
        {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"},
        {"key": "c", "operator": "Exists", "effect": "NoExecute"},
    ]
    assert settings.selector("disk:ssd; zone:a") == {"disk": "ssd", "zone": "a"}


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("quay.io/metallb/controller:v0.15.2", "metallb/controller"),
        ("localhost:5000/longhornio/longhorn-manager", "longhornio/longhorn-manager"),
        ("docker.io/library/traefik:v3", "library/traefik"),
        ("quay.io/jetstack/cert-manager-webhook@sha256:0123", "jetstack/cert-manager-webhook"),
    ],
)
def test_images_are_known_by_their_last_two_parts(image: str, name: str) -> None:
    assert image_name(image) == name
