"""The Secret of a Certificate: its data, annotations and labels. Pure."""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.x509.oid import NameOID

from nerv.controllers.services.certificates import resources, signing
from nerv.kube import objects
from nerv.kube.objects import Object


def contents(certificate: Object, request: Object, key_pem: str) -> dict[str, str]:
    """`data` of the Secret."""
    status = request["status"]
    data = {"tls.crt": status["certificate"], "tls.key": base64.b64encode(key_pem.encode()).decode()}
    if status.get("ca"):
        data["ca.crt"] = status["ca"]
    return data


def metadata(certificate: Object, data: dict[str, str]) -> Object:
    """Labels and annotations that cert-manager keeps on the Secret, the template's first."""
    spec = certificate["spec"]
    template = spec.get("secretTemplate") or {}
    leaf = signing.load_chain(base64.b64decode(data["tls.crt"]).decode())[0]
    reference = spec["issuerRef"]
    annotations = {
        **(template.get("annotations") or {}),
        **_details(leaf),
        resources.CERTIFICATE_NAME: objects.name(certificate),
        resources.ISSUER_NAME: reference["name"],
        resources.ISSUER_KIND: reference.get("kind") or "Issuer",
        resources.ISSUER_GROUP: reference.get("group") or "",
    }
    labels = {**(template.get("labels") or {}), resources.MANAGED: "true"}
    return {"annotations": annotations, "labels": labels}


def _details(leaf: x509.Certificate) -> dict[str, str]:
    """What is in the certificate, for people. Empty parts of the subject are left out, empty names are not."""
    common = [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    found = {"common-name": ",".join(common), "alt-names": "", "ip-sans": "", "uri-sans": ""}
    optional = {}
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = None
    if names is not None:
        found["alt-names"] = ",".join(names.get_values_for_type(x509.DNSName))
        found["ip-sans"] = ",".join(map(str, names.get_values_for_type(x509.IPAddress)))
        found["uri-sans"] = ",".join(names.get_values_for_type(x509.UniformResourceIdentifier))
        optional["email-sans"] = ",".join(names.get_values_for_type(x509.RFC822Name))
    for name, oid in (
        ("subject-organizations", NameOID.ORGANIZATION_NAME),
        ("subject-organizationalunits", NameOID.ORGANIZATIONAL_UNIT_NAME),
        ("subject-countries", NameOID.COUNTRY_NAME),
        ("subject-provinces", NameOID.STATE_OR_PROVINCE_NAME),
        ("subject-localities", NameOID.LOCALITY_NAME),
        ("subject-serialnumber", NameOID.SERIAL_NUMBER),
    ):
        optional[name] = ",".join(str(each.value) for each in leaf.subject.get_attributes_for_oid(oid))
    kept = {**found, **{name: value for name, value in optional.items() if value}}
    return {f"{resources.GROUP}/{name}": value for name, value in kept.items()}
