"""The Pod Security Standards: what baseline and restricted forbid, in the words of k8s.io/pod-security-admission.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from nerv.kube.objects import Object


class Violation(NamedTuple):
    """One broken control."""

    reason: str
    detail: str = ""


Check = Callable[[Object], Violation | None]
"""Over a pod or a pod template."""

_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    }
)  # fmt: skip
_VOLUMES = frozenset(
    {
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
    }
)  # fmt: skip
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_PROFILES = frozenset({"RuntimeDefault", "Localhost"})


def violations(level: str, pod: Object) -> list[Violation]:
    """Everything in a pod (or template) that a level forbids; nothing for privileged and unknown levels."""
    found = (check(pod) for check in _LEVELS.get(level, ()))
    return [item for item in found if item is not None]


def _spec(pod: Object) -> Mapping[str, Any]:
    return pod.get("spec") or {}


def _containers(pod: Object) -> Iterator[Mapping[str, Any]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from _spec(pod).get(field) or ()


def _context(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return item.get("securityContext") or {}


def _windows(pod: Object) -> bool:
    return (_spec(pod).get("os") or {}).get("name") == "windows"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _named(names: list[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"container{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _where(pod: Object, wrong: Callable[[Mapping[str, Any]], Any]) -> list[str]:
    return [container["name"] for container in _containers(pod) if wrong(container)]


def _host_namespaces(pod: Object) -> Violation | None:
    found = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if _spec(pod).get(field)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def _host_path(pod: Object) -> Violation | None:
    found = [volume["name"] for volume in _spec(pod).get("volumes") or () if volume.get("hostPath") is not None]
    return Violation("hostPath volumes", f"volume{'s' if len(found) > 1 else ''} {_quoted(found)}") if found else None


def _host_ports(pod: Object) -> Violation | None:
    names = _where(pod, lambda item: any(port.get("hostPort") for port in item.get("ports") or ()))
    ports = sorted(
        {port["hostPort"] for item in _containers(pod) for port in item.get("ports") or () if port.get("hostPort")}
    )
    if not names:
        return None
    several = "s" if len(ports) > 1 else ""
    use = "uses" if len(names) == 1 else "use"
    return Violation("hostPort", f"{_named(names)} {use} hostPort{several} {', '.join(map(str, ports))}")


def _host_process(pod: Object) -> Violation | None:
    names = _where(pod, lambda item: (_context(item).get("windowsOptions") or {}).get("hostProcess"))
    pod_wide = (_context(_spec(pod)).get("windowsOptions") or {}).get("hostProcess")
    parts = [*(["pod"] if pod_wide else []), *([_named(names)] if names else [])]
    if not parts:
        return None
    return Violation(
        "hostProcess", f"{' and '.join(parts)} must not set securityContext.windowsOptions.hostProcess=true"
    )


def _privileged(pod: Object) -> Violation | None:
    names = _where(pod, lambda item: _context(item).get("privileged"))
    return Violation("privileged", f"{_named(names)} must not set securityContext.privileged=true") if names else None


def _proc_mount(pod: Object) -> Violation | None:
    names = _where(pod, lambda item: _context(item).get("procMount", "Default") != "Default")
    if not names:
        return None
    kinds = sorted({_context(item)["procMount"] for item in _containers(pod) if item["name"] in names})
    return Violation("procMount", f"{_named(names)} must not set securityContext.procMount to {_quoted(kinds)}")


def _added(item: Mapping[str, Any]) -> list[str]:
    return (_context(item).get("capabilities") or {}).get("add") or []


def _capabilities_baseline(pod: Object) -> Violation | None:
    names = _where(pod, lambda item: set(_added(item)) - _CAPABILITIES)
    if not names:
        return None
    wrong = sorted({name for item in _containers(pod) for name in _added(item)} - _CAPABILITIES)
    text = f"{_named(names)} must not include {_quoted(wrong)} in securityContext.capabilities.add"
    return Violation("non-default capabilities", text)


def _capabilities_restricted(pod: Object) -> Violation | None:
    if _windows(pod):
        return None
    parts = []
    undropped = _where(pod, lambda item: "ALL" not in ((_context(item).get("capabilities") or {}).get("drop") or ()))
    if undropped:
        parts.append(f'{_named(undropped)} must set securityContext.capabilities.drop=["ALL"]')
    adding = _where(pod, lambda item: set(_added(item)) - {"NET_BIND_SERVICE"})
    if adding:
        wrong = sorted({name for item in _containers(pod) for name in _added(item)} - {"NET_BIND_SERVICE"})
        parts.append(f"{_named(adding)} must not include {_quoted(wrong)} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(parts)) if parts else None


def _app_armor(pod: Object) -> Violation | None:
    prefix = "container.apparmor.security.beta.kubernetes.io/"
    wrong = []
    for holder in (_spec(pod), *_containers(pod)):
        kind = (_context(holder).get("appArmorProfile") or {}).get("type", "RuntimeDefault")
        if kind not in _PROFILES:
            wrong.append(f'"{kind}"')
    for key, value in ((pod.get("metadata") or {}).get("annotations") or {}).items():
        if key.startswith(prefix) and value not in ("", "runtime/default") and not value.startswith("localhost/"):
            wrong.append(f'{key}="{value}"')
    if not wrong:
        return None
    return Violation(f"forbidden AppArmor profile{'s' if len(wrong) > 1 else ''}", ", ".join(wrong))


def _selinux(pod: Object) -> Violation | None:
    wrong = []
    for holder in (_spec(pod), *_containers(pod)):
        options = _context(holder).get("seLinuxOptions") or {}
        if options.get("type", "") not in _SELINUX_TYPES:
            wrong.append(f'type "{options["type"]}"')
        wrong += [f"{field} may not be set" for field in ("user", "role") if options.get(field)]
    return Violation("seLinuxOptions", "; ".join(dict.fromkeys(wrong))) if wrong else None


def _profile(item: Mapping[str, Any]) -> str:
    kind: str = (_context(item).get("seccompProfile") or {}).get("type") or ""
    return kind


def _seccomp_baseline(pod: Object) -> Violation | None:
    names = _where(pod, lambda item: _profile(item) not in ("", *_PROFILES))
    pod_wide = _profile(_spec(pod)) not in ("", *_PROFILES)
    parts = [*(["pod"] if pod_wide else []), *([_named(names)] if names else [])]
    if not parts:
        return None
    return Violation(
        "seccompProfile", f'{" and ".join(parts)} must not set securityContext.seccompProfile.type to "Unconfined"'
    )


def _seccomp_restricted(pod: Object) -> Violation | None:
    if _windows(pod):
        return None
    wrong = _seccomp_baseline(pod)
    if wrong:
        return wrong
    if _profile(_spec(pod)):
        return None
    names = _where(pod, lambda item: not _profile(item))
    if not names:
        return None
    text = f'pod or {_named(names)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", text)


def _sysctls(pod: Object) -> Violation | None:
    found = [item["name"] for item in _context(_spec(pod)).get("sysctls") or () if item["name"] not in _SYSCTLS]
    return Violation("forbidden sysctls", ", ".join(found)) if found else None


def _escalation(pod: Object) -> Violation | None:
    if _windows(pod):
        return None
    names = _where(pod, lambda item: _context(item).get("allowPrivilegeEscalation") is not False)
    if not names:
        return None
    text = f"{_named(names)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", text)


def _restricted_volumes(pod: Object) -> Violation | None:
    wrong = {}
    for volume in _spec(pod).get("volumes") or ():
        kinds = [kind for kind in volume if kind != "name" and kind not in _VOLUMES]
        if kinds:
            wrong[volume["name"]] = kinds[0]
    if not wrong:
        return None
    kinds = sorted(set(wrong.values()))
    volumes = f"volume{'s' if len(wrong) > 1 else ''} {_quoted(wrong)} {'use' if len(wrong) > 1 else 'uses'}"
    return Violation(
        "restricted volume types", f"{volumes} restricted volume type{'s' if len(kinds) > 1 else ''} {_quoted(kinds)}"
    )


def _non_root(pod: Object) -> Violation | None:
    explicit = _where(pod, lambda item: _context(item).get("runAsNonRoot") is False)
    pod_wide = _context(_spec(pod)).get("runAsNonRoot")
    parts = ["pod must not set securityContext.runAsNonRoot=false"] if pod_wide is False else []
    if explicit:
        parts.append(f"{_named(explicit)} must not set securityContext.runAsNonRoot=false")
    if not parts and not pod_wide:
        implicit = _where(pod, lambda item: _context(item).get("runAsNonRoot") is None)
        if implicit:
            parts.append(f"pod or {_named(implicit)} must set securityContext.runAsNonRoot=true")
    return Violation("runAsNonRoot != true", " and ".join(parts)) if parts else None


def _user(pod: Object) -> Violation | None:
    names = _where(pod, lambda item: _context(item).get("runAsUser") == 0)
    parts = ["pod"] if _context(_spec(pod)).get("runAsUser") == 0 else []
    parts += [_named(names)] if names else []
    return Violation("runAsUser=0", f"{' and '.join(parts)} must not set runAsUser=0") if parts else None


# Within a level in the order of the checks' names, as the real server lists them.
_BASELINE_ONLY: tuple[Check, ...] = (_app_armor, _capabilities_baseline, _host_namespaces, _host_path)
_BOTH: tuple[Check, ...] = (_app_armor, _host_namespaces)
_LEVELS: Mapping[str, tuple[Check, ...]] = {
    "baseline": (
        *_BASELINE_ONLY, _host_ports, _host_process, _privileged, _proc_mount, _selinux, _seccomp_baseline, _sysctls,
    ),
    "restricted": (
        *_BOTH, _host_ports, _host_process, _privileged, _proc_mount, _selinux, _sysctls, _escalation,
        _capabilities_restricted, _restricted_volumes, _non_root, _user, _seccomp_restricted,
    ),
}  # fmt: skip
