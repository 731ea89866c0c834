"""CEL expressions with Kubernetes' functions."""

from typing import Any

import pytest

from nerv.kube import cel

SELF = {
    "a": [3, 1, 2],
    "s": "a-b-c",
    "m": {"k": "v"},
    "n": 1,
    "z": None,
    "namespace": "x",
    "x-y": 5,
    "conditions": [{"type": "Ready", "status": "True"}],
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("self.n == 1 && self.m.k == 'v'", True),
        ("self.conditions.filter(c, c.type == 'Ready').all(c, c.status == 'True')", True),
        ("has(self.missing)", False),
        ("has(self.z) && self.z == null", True),
        ("self.?missing.orValue('d')", "d"),
        ("self.a.isSorted()", False),
        ("self.a.sum() == 6 && self.a.min() == 1 && self.a.max() == 3", True),
        ("self.a.indexOf(1)", 1),
        ("self.a.indexOf(9)", -1),
        ("self.s.indexOf('b')", 2),
        ("self.s.split('-')", ["a", "b", "c"]),
        ("self.s.split('-', 2)", ["a", "b-c"]),
        ("['a', 'b'].join(',')", "a,b"),
        ("self.s.replace('-', '.').upperAscii()", "A.B.C"),
        ("self.s.substring(2, 3)", "b"),
        ("'abc123'.find('[0-9]+')", "123"),
        ("'a1b2'.findAll('[0-9]')", ["1", "2"]),
        ("isURL('https://x.y/z') && url('https://x.y:8080/z').getPort() == '8080'", True),
        ("isURL('::')", False),
        ("quantity('1Gi').isGreaterThan(quantity('500Mi'))", True),
        ("quantity('1500m').add(quantity('500m')).asInteger()", 2),
        ("isQuantity('5x')", False),
        ("isIP('192.168.1.1') && ip('::1').family() == 6", True),
        ("cidr('10.0.0.0/8').containsIP('10.1.1.1')", True),
        ("duration('1h') > duration('30m')", True),
        ("timestamp('2025-07-01T00:00:00Z').getFullYear()", 2025),
        ("self.__namespace__ + string(self.x__dash__y)", "x5"),
        ("cel.bind(n, self.n, n + n)", 2),
    ],
)
def test_values(expression: str, value: Any) -> None:
    assert cel.evaluate(expression, {"self": SELF}) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("self.missing == 1", "no such key: missing"),
        ("self.a[5]", "Index error"),
        ("1 / 0", "divide by zero"),
        ("self.s + 1", "No matching overloads"),
        ("self.", "compilation failed"),
        ("nobody", "compilation failed"),
        ("quantity('x')", "quantities must match"),
    ],
)
def test_errors(expression: str, message: str) -> None:
    with pytest.raises(cel.CelError, match=message):
        cel.evaluate(expression, {"self": SELF})


def test_optional_variables() -> None:
    expression = "oldSelf.hasValue() ? oldSelf.value() : 0"
    assert cel.evaluate(expression, {"self": 1}, {"oldSelf": 7}) == 7
    assert cel.evaluate(expression, {"self": 1}, {"oldSelf": None}) == 0


def test_check_and_mentions() -> None:
    cel.check("self.x > oldSelf.x")
    with pytest.raises(cel.CelError):
        cel.check("self.x >")
    assert cel.mentions("self == oldSelf", "oldSelf")
    assert not cel.mentions("self.oldSelfish", "oldSelf")
