"""What rooms ask of the operating system: the facts that Longhorn and MetalLB do not run without."""

from __future__ import annotations

from nerv.components.catalog import CATALOG

HOSTS = {component.name: component.host for component in CATALOG}


def test_longhorn_finds_what_it_calls_on_the_host() -> None:
    host = HOSTS["longhorn"]
    assert {"openiscsi", "nfs-utils", "cryptsetup"} <= set(host.packages)
    assert "iscsi_tcp" in host.kernel_modules
    assert host.filesystems == ("nfs",)
    assert "openiscsi" in host.services
    assert host.links == (("/usr/local/bin", "/run/current-system/sw/bin"),)


def test_speakers_reach_each_other() -> None:
    host = HOSTS["metallb"]
    assert 7946 in host.tcp_ports
    assert 7946 in host.udp_ports
