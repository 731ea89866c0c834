"""Names and usages between a Certificate's spec and X.509. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from nerv.kube.objects import Object

_SUBJECT = (
    ("countries", NameOID.COUNTRY_NAME),
    ("organizations", NameOID.ORGANIZATION_NAME),
    ("organizationalUnits", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("localities", NameOID.LOCALITY_NAME),
    ("provinces", NameOID.STATE_OR_PROVINCE_NAME),
    ("streetAddresses", NameOID.STREET_ADDRESS),
    ("postalCodes", NameOID.POSTAL_CODE),
)
_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_EXTENDED = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": ObjectIdentifier("2.16.840.1.113730.4.1"),
}
USAGES = frozenset((*_KEY_USAGES, *_EXTENDED))
"""Every usage that may be asked for."""
DEFAULT_USAGES = ("digital signature", "key encipherment")


def subject(spec: Object) -> x509.Name:
    """The distinguished name."""
    given = spec.get("subject") or {}
    attributes = [x509.NameAttribute(oid, value) for key, oid in _SUBJECT for value in given.get(key) or []]
    if spec.get("commonName"):
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, spec["commonName"]))
    if given.get("serialNumber"):
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, given["serialNumber"]))
    return x509.Name(attributes)


def alternatives(spec: Object) -> list[x509.GeneralName]:
    """Subject alternative names. Raises ValueError for an address that is none."""
    return [
        *(x509.DNSName(each) for each in spec.get("dnsNames") or []),
        *(x509.IPAddress(ipaddress.ip_address(each)) for each in spec.get("ipAddresses") or []),
        *(x509.UniformResourceIdentifier(each) for each in spec.get("uris") or []),
        *(x509.RFC822Name(each) for each in spec.get("emailAddresses") or []),
    ]


def usages(names: Sequence[str], is_ca: bool) -> tuple[x509.KeyUsage, x509.ExtendedKeyUsage | None]:
    """The two extensions. Unknown names are left out; admission refuses them."""
    wanted = [*(names or DEFAULT_USAGES), *(["cert sign"] if is_ca else [])]
    flags = {_KEY_USAGES[name] for name in wanted if name in _KEY_USAGES}
    bits = {flag: flag in flags for flag in dict.fromkeys(_KEY_USAGES.values())}
    if not bits["key_agreement"]:
        # meaningless without it, and refused by the library
        bits |= {"encipher_only": False, "decipher_only": False}
    extended = list(dict.fromkeys(_EXTENDED[name] for name in wanted if name in _EXTENDED))
    return x509.KeyUsage(**bits), x509.ExtendedKeyUsage(extended) if extended else None


def violations(spec: Object, request: Object, csr: x509.CertificateSigningRequest) -> list[str]:
    """Fields of a Certificate that an earlier CertificateRequest was not made from."""
    found = []
    if csr.subject != subject(spec):
        names = {each.value for each in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
        found.append("spec.commonName" if names != {spec.get("commonName")} - {None} else "spec.subject")
    present = _names(csr)
    for field, kind in (
        ("dnsNames", x509.DNSName),
        ("ipAddresses", x509.IPAddress),
        ("uris", x509.UniformResourceIdentifier),
        ("emailAddresses", x509.RFC822Name),
    ):
        wanted = {str(each.value) for each in alternatives(spec) if isinstance(each, kind)}
        if wanted != {str(each.value) for each in present if isinstance(each, kind)}:
            found.append(f"spec.{field}")
    asked = request["spec"]
    if (asked.get("duration") or "") != (spec.get("duration") or ""):
        found.append("spec.duration")
    if bool(asked.get("isCA")) != bool(spec.get("isCA")):
        found.append("spec.isCA")
    if sorted(asked.get("usages") or DEFAULT_USAGES) != sorted(spec.get("usages") or DEFAULT_USAGES):
        found.append("spec.usages")
    if asked.get("issuerRef") != spec.get("issuerRef"):
        found.append("spec.issuerRef")
    return found


def _names(csr: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        return list(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []
