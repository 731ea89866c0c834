"""What cert-manager's webhook refuses and fills in: /validate and /mutate.

Rules and wording of internal/apis/certmanager/validation and internal/webhook/admission of cert-manager 1.18, for what
can be used on this machine; solvers of ACME and the settings of Vault and Venafi are left to their schemas.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Mapping

from nerv.controllers.services.certificates import durations, keys, resources, signing, subjects
from nerv.controllers.services.webhooks.reviews import Allowed, Denied, Review, Verdict
from nerv.kube.objects import Object

_IDENTITY = ("uid", "username", "groups", "extra")
_ISSUER_KINDS = ("acme", "ca", "vault", "selfSigned", "venafi")


def reviews() -> Mapping[str, Review]:
    """By path."""
    return {"/validate": validate, "/mutate": mutate}


def validate(request: Object) -> Verdict:
    """Any object of cert-manager's groups, its status included."""
    check = _CHECKS.get(request["kind"]["kind"])
    obj = request.get("object")
    if check is None or not obj:
        return Allowed()
    problems = check(obj, request.get("oldObject"), request)
    if not problems:
        return Allowed()
    return Denied(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def mutate(request: Object) -> Verdict:
    """A new CertificateRequest says who asks."""
    user = request.get("userInfo") or {}
    wanted = {field: user.get(field) for field in _IDENTITY if user.get(field)}
    present = request["object"].get("spec") or {}
    patch = [
        {"op": "add", "path": f"/spec/{field}", "value": value}
        for field, value in wanted.items()
        if present.get(field) != value
    ]
    return Allowed(patch)


def _certificate(obj: Object, old: Object | None, request: Object) -> list[str]:
    spec = obj.get("spec") or {}
    found = []
    if not spec.get("secretName"):
        found.append("spec.secretName: Required value: must be specified")
    found += _issuer_reference(spec.get("issuerRef") or {})
    names = ("commonName", "dnsNames", "uris", "ipAddresses", "emailAddresses", "otherNames", "literalSubject")
    if not any(spec.get(name) for name in names):
        text = "at least one of commonName (from the commonName field or from a literalSubject), dnsNames, uriSANs, "
        found.append(f'spec: Invalid value: "": {text}ipAddresses, emailSANs or otherNames must be set')
    if len(spec.get("commonName") or "") > 64:
        found.append("spec.commonName: Too long: may not be more than 64 bytes")
    for index, text in enumerate(spec.get("ipAddresses") or []):
        if not _is_address(text):
            found.append(f'spec.ipAddresses[{index}]: Invalid value: "{text}": invalid IP address')
    found += _private_key(spec.get("privateKey") or {})
    for index, usage in enumerate(spec.get("usages") or []):
        if usage not in subjects.USAGES:
            found.append(f'spec.usages[{index}]: Invalid value: "{usage}": unknown keyusage')
    return found + _durations(spec)


def _private_key(key: Object) -> list[str]:
    size, algorithm = key.get("size"), key.get("algorithm") or "RSA"
    if algorithm == "RSA" and size and size not in keys.RSA_SIZES:
        text = f"must be between {keys.RSA_SIZES.start} and {keys.RSA_SIZES.stop - 1} for rsa keyAlgorithm"
        return [f"spec.privateKey.size: Invalid value: {size}: {text}"]
    if algorithm == "ECDSA" and size and size not in keys.EC_SIZES:
        listed = ", ".join(f'"{each}"' for each in keys.EC_SIZES)
        return [f"spec.privateKey.size: Unsupported value: {size}: supported values: {listed}"]
    return []


def _durations(spec: Object) -> list[str]:
    try:
        duration = durations.wanted(spec)
        before = durations.parse(spec["renewBefore"]) if spec.get("renewBefore") else None
    except ValueError as error:
        return [f"spec.duration: Invalid value: {error}"]
    found = []
    written = durations.write(duration)
    if duration < durations.SHORTEST:
        text = f"certificate duration must be greater than {durations.write(durations.SHORTEST)}"
        found.append(f'spec.duration: Invalid value: "{written}": {text}')
    if before is None:
        return found
    field = f'spec.renewBefore: Invalid value: "{durations.write(before)}"'
    if before < durations.SHORTEST_RENEW_BEFORE:
        shortest = durations.write(durations.SHORTEST_RENEW_BEFORE)
        found.append(f"{field}: certificate renewBefore must be greater than {shortest}")
    if duration <= before:
        text = f"certificate duration {written} must be greater than renewBefore {durations.write(before)}"
        found.append(f"{field}: {text}")
    return found


def _request(obj: Object, old: Object | None, request: Object) -> list[str]:
    spec = obj.get("spec") or {}
    if old:
        return _changes(obj, old)
    found = _issuer_reference(spec.get("issuerRef") or {})
    encoded = spec.get("request") or ""
    if not encoded:
        found.append("spec.request: Required value: must be specified")
    else:
        try:
            signing.load_request(encoded)
        except ValueError as error:
            found.append(f"spec.request: Invalid value: {_bytes(encoded)}: failed to decode csr: {error}")
    if not request.get("subResource"):
        found += _identity(spec, request.get("userInfo") or {})
    return found


def _identity(spec: Object, user: Object) -> list[str]:
    """Who asks must be who is named; the mutating webhook has named them before."""
    return [
        f"spec.{field}: Forbidden: {field} identity must be that of the requester"
        for field in _IDENTITY
        if (spec.get(field) or None) != (user.get(field) or None)
    ]


def _changes(obj: Object, old: Object) -> list[str]:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    found = []
    if spec != before:
        found.append("spec: Forbidden: cannot change spec after creation")
        found += [
            f"spec.{field}: Forbidden: {field} identity cannot be changed once set"
            for field in _IDENTITY
            if spec.get(field) != before.get(field)
        ]
    if _own_annotations(obj) != _own_annotations(old):
        found.append("metadata.annotations: Forbidden: cannot change cert-manager annotations after creation")
    return found + _approval(obj, old)


def _approval(obj: Object, old: Object) -> list[str]:
    now, then = _conditions(obj), _conditions(old)
    found = []
    if "Approved" in now and "Denied" in now:
        found.append("status.conditions: Forbidden: both 'Denied' and 'Approved' conditions cannot coexist")
    for type in ("Approved", "Denied"):
        if type in then and now.get(type) != then[type]:
            text = f"'{type}' condition may not be modified once set"
            found.append(f"status.conditions: Forbidden: {text}")
        elif type in now and now[type][0] != "True":
            text = f'"{type}" condition may only be set to True'
            found.append(f'status.conditions: Invalid value: "{now[type][0]}": {text}')
    return found


def _conditions(obj: Object) -> dict[str, tuple[str, str, str]]:
    listed = (obj.get("status") or {}).get("conditions") or []
    return {each["type"]: (each.get("status", ""), each.get("reason", ""), each.get("message", "")) for each in listed}


def _own_annotations(obj: Object) -> dict[str, str]:
    found = (obj.get("metadata") or {}).get("annotations") or {}
    return {key: value for key, value in found.items() if key.partition("/")[0].endswith(resources.GROUP)}


def _issuer_reference(reference: Object) -> list[str]:
    if not reference.get("name"):
        return ["spec.issuerRef.name: Required value: must be specified"]
    kind, group = reference.get("kind") or "Issuer", reference.get("group") or ""
    if group in ("", resources.GROUP) and kind not in ("Issuer", "ClusterIssuer"):
        return [f'spec.issuerRef.kind: Invalid value: "{kind}": must be one of Issuer or ClusterIssuer']
    return []


def _issuer(obj: Object, old: Object | None, request: Object) -> list[str]:
    spec = obj.get("spec") or {}
    named = [kind for kind in _ISSUER_KINDS if kind in spec]
    if not named:
        return ["spec: Required value: at least one issuer must be configured"]
    found = [f"spec.{kind}: Forbidden: may not specify more than one issuer type" for kind in named[1:]]
    if "ca" in spec and not (spec["ca"] or {}).get("secretName"):
        found.append("spec.ca.secretName: Required value")
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _bytes(encoded: str) -> str:
    """As Go prints a byte slice."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        data = encoded.encode()
    return "[]byte{" + ", ".join(f"0x{each:x}" for each in data[:64]) + ("..." if len(data) > 64 else "") + "}"


_CHECKS: Mapping[str, Callable[[Object, Object | None, Object], list[str]]] = {
    "Certificate": _certificate,
    "CertificateRequest": _request,
    "Issuer": _issuer,
    "ClusterIssuer": _issuer,
}
