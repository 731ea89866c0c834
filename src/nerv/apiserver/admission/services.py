"""Services get a cluster address and node ports; both stay the same while the Service needs them."""

from __future__ import annotations

from functools import partial

from nerv.apiserver.addresses import Addresses, Exhausted, OutOfRange, Taken
from nerv.apiserver.context import Attributes, Context
from nerv.kube import errors
from nerv.kube.objects import Object

_KEY = "services"


def allocate(context: Context, attributes: Attributes) -> None:
    """Raises errors.Invalid, errors.InternalError when nothing is free."""
    if attributes.key != _KEY or attributes.obj is None or attributes.subresource:
        return
    spec = attributes.obj.setdefault("spec", {})
    old = (attributes.old or {}).get("spec") or {}
    if spec.get("type") == "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            spec.pop(field, None)
        _drop_ports(spec)
        return
    _address(context.addresses, attributes, spec, old)
    _families(spec)
    if spec.get("type") == "NodePort" or (
        spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
    ):
        _node_ports(context.addresses, attributes, spec, old)
    elif spec.get("type") != "LoadBalancer":
        _drop_ports(spec)
    _health_port(context.addresses, attributes, spec, old)


def _address(addresses: Addresses, attributes: Attributes, spec: Object, old: Object) -> None:
    wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
    kept = old.get("clusterIP") or ""
    if not wanted and kept:
        wanted = kept
    if kept and wanted != kept:
        raise _invalid(
            attributes, "spec.clusterIPs[0]", f'Invalid value: []string{{"{wanted}"}}: may not change once set'
        )
    if not wanted:
        try:
            wanted = addresses.take_any()
        except Exhausted:
            raise errors.InternalError("failed to allocate a serviceIP: range is full") from None
        attributes.undo.append(partial(addresses.free, wanted))
    elif wanted not in ("None", kept):
        try:
            addresses.take(wanted)
        except Taken:
            why = "provided IP is already allocated"
        except (OutOfRange, ValueError):
            why = f"the provided IP ({wanted}) is not in the valid range. The range of valid IPs is {addresses.network}"
        else:
            attributes.undo.append(partial(addresses.free, wanted))
            why = ""
        if why:
            text = f'Invalid value: []string{{"{wanted}"}}: failed to allocate IP {wanted}: {why}'
            raise _invalid(attributes, "spec.clusterIPs", text)
    spec["clusterIP"] = wanted
    spec["clusterIPs"] = [wanted]


def _families(spec: Object) -> None:
    """One family: that of the Service network. A headless Service without selector asks for both where it can."""
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["ipFamilyPolicy"] == "RequireDualStack":
        spec["ipFamilyPolicy"] = "SingleStack"
    spec["ipFamilies"] = ["IPv4"]


def _node_ports(addresses: Addresses, attributes: Attributes, spec: Object, old: Object) -> None:
    before = {
        (port.get("port"), port.get("protocol")): port["nodePort"]
        for port in old.get("ports") or ()
        if port.get("nodePort")
    }
    held = set(before.values())
    for index, port in enumerate(spec.get("ports") or ()):
        wanted = port.get("nodePort") or before.get((port.get("port"), port.get("protocol")))
        if not wanted:
            try:
                wanted = addresses.take_any_port()
            except Exhausted:
                raise errors.InternalError("failed to allocate a nodePort: range is full") from None
            attributes.undo.append(partial(addresses.free_port, wanted))
        elif wanted not in held:
            _take_port(addresses, attributes, wanted, f"spec.ports[{index}].nodePort")
        held.add(wanted)  # one number may serve TCP and UDP
        port["nodePort"] = wanted


def _take_port(addresses: Addresses, attributes: Attributes, port: int, field: str) -> None:
    try:
        addresses.take_port(port)
    except Taken:
        why = "provided port is already allocated"
    except OutOfRange:
        why = "provided port is not in the valid range. The range of valid ports is 30000-32767"
    else:
        attributes.undo.append(partial(addresses.free_port, port))
        return
    raise _invalid(attributes, field, f"Invalid value: {port}: {why}")


def _health_port(addresses: Addresses, attributes: Attributes, spec: Object, old: Object) -> None:
    """A LoadBalancer with local traffic tells balancers on a port of its own which nodes have endpoints."""
    if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
        spec.pop("healthCheckNodePort", None)
        return
    wanted = spec.get("healthCheckNodePort") or old.get("healthCheckNodePort")
    if not wanted:
        wanted = addresses.take_any_port()
        attributes.undo.append(partial(addresses.free_port, wanted))
    elif wanted != old.get("healthCheckNodePort"):
        _take_port(addresses, attributes, wanted, "spec.healthCheckNodePort")
    spec["healthCheckNodePort"] = wanted


def _drop_ports(spec: Object) -> None:
    for port in spec.get("ports") or ():
        port.pop("nodePort", None)


def _invalid(attributes: Attributes, field: str, text: str) -> errors.Invalid:
    cause = {"reason": "FieldValueInvalid", "message": text, "field": field}
    return errors.invalid("Service", "", attributes.name, [cause])
