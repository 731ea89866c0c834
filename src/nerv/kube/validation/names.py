"""Names, labels and keys: what is allowed, and the API server's words for what is not."""

from __future__ import annotations

import re
from typing import Final

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = f"({_QUALIFIED})?"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"
_ENV_NAME: Final = "[-._a-zA-Z][-._a-zA-Z0-9]*"


def _text(rule: str, pattern: str, *examples: str) -> str:
    shown = ",  or ".join(f"'{example}'" for example in examples)
    return f"{rule} (e.g. {shown}, regex used for validation is '{pattern}')"


_SUBDOMAIN_TEXT: Final = _text(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_LABEL_TEXT: Final = _text(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
_LABEL_1035_TEXT: Final = _text(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    _LABEL_1035,
    "my-name",
    "abc-123",
)
_QUALIFIED_TEXT: Final = _text(
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character",
    _QUALIFIED,
    "MyName",
    "my.name",
    "123-abc",
)
_VALUE_TEXT: Final = _text(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character",
    _VALUE,
    "MyValue",
    "my_value",
    "12345",
)
_CONFIG_KEY_TEXT: Final = _text(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
_ENV_TEXT: Final = _text(
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not "
    "start with a digit",
    _ENV_NAME,
    "my.env-name",
    "MY_ENV.NAME",
    "MyEnvName1",
)


def _check(value: str, pattern: str, message: str, limit: int) -> list[str]:
    problems = [f"must be no more than {limit} characters"] if len(value) > limit else []
    if not re.fullmatch(pattern, value):
        problems.append(message)
    return problems


def subdomain(value: str) -> list[str]:
    """A DNS-1123 subdomain: the name of most objects."""
    return _check(value, _SUBDOMAIN, _SUBDOMAIN_TEXT, 253)


def label(value: str) -> list[str]:
    """A DNS-1123 label: namespaces, containers, volumes."""
    return _check(value, _LABEL, _LABEL_TEXT, 63)


def service(value: str) -> list[str]:
    """A DNS-1035 label: Services."""
    return _check(value, _LABEL_1035, _LABEL_1035_TEXT, 63)


def path_segment(value: str) -> list[str]:
    """The name of RBAC objects: anything that can stand in a URL path."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{character}'" for character in ("/", "%") if character in value]


def qualified(value: str) -> list[str]:
    """The key of a label or annotation."""
    prefix, slash, name = value.rpartition("/")
    problems = []
    if slash:
        if "/" in prefix:
            return [
                f"a qualified name {_QUALIFIED_TEXT.removeprefix('name part ')} with an optional DNS subdomain prefix "
                "and '/' (e.g. 'example.com/MyName')"
            ]
        problems = [f"prefix part {problem}" for problem in (subdomain(prefix) if prefix else ["must be non-empty"])]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 characters")
    if not re.fullmatch(_QUALIFIED, name):
        problems.append(_QUALIFIED_TEXT)
    return problems


def label_value(value: str) -> list[str]:
    """The value of a label."""
    return _check(value, _VALUE, _VALUE_TEXT, 63)


def config_key(value: str) -> list[str]:
    """A key of a ConfigMap or Secret."""
    problems = _check(value, _CONFIG_KEY, _CONFIG_KEY_TEXT, 253)
    if value == ".":
        problems.append("must not be '.'")
    elif value.startswith(".."):
        problems.append("must not be '..'" if value == ".." else "must not start with '..'")
    return problems


def environment(value: str) -> list[str]:
    """The name of an environment variable."""
    return [] if re.fullmatch(_ENV_NAME, value) else [_ENV_TEXT]


def port_name(value: str) -> list[str]:
    """An IANA service name: the name of a container's port."""
    problems = ["must be no more than 15 characters"] if len(value) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def number(port: object) -> list[str]:
    """A port number."""
    fits = isinstance(port, int) and not isinstance(port, bool) and 1 <= port <= 65535
    return [] if fits else ["must be between 1 and 65535, inclusive"]
