"""modules/components/: what each component asks of every machine, from its `Host`."""

from __future__ import annotations

from nerv.components import catalog
from nerv.components.catalog import Platform
from nerv.components.site import Host
from nerv.nix.expressions import Binding, Template, name
from nerv.rendering.folders import Tree
from nerv.rendering.nixos.modules import FOLDER, module, option, packages

# Services that need more than being enabled.
_MORE = {
    # iscsid does not start without a name, and no two machines may have the same
    "openiscsi": {"name": Template(("iqn.2016-04.com.open-iscsi:", name("config.networking.hostName")))},
}


def files(platform: Platform) -> Tree:
    """One module for each component that asks for anything but open ports."""
    made = {component.name: _options(component.host) for component in catalog.enabled(platform)}
    return {
        f"{FOLDER}/modules/components/{found}.nix": module(f"What {found} needs on every machine.", options)
        for found, options in made.items()
        if options
    }


def _options(host: Host) -> list[Binding]:
    made = []
    if host.packages:
        made.append(option("environment.systemPackages", packages(host.packages)))
    if host.kernel_modules:
        made.append(option("boot.kernelModules", host.kernel_modules))
    if host.filesystems:
        made.append(option("boot.supportedFilesystems", host.filesystems))
    made += [option(f"services.{service}", {"enable": True, **_MORE.get(service, {})}) for service in host.services]
    if host.links:
        rules = [f"L+ {path} - - - - {target}" for path, target in host.links]
        made.append(option("systemd.tmpfiles.rules", rules))
    return made
