"""Text to expressions: what `emit` writes comes back, what Nix refuses is refused with its place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from tests.support.nix import expressions, needs_nix, normal, run

from nerv.errors import ProblemsError
from nerv.nix import emit, parse
from nerv.nix.expressions import Apply, Binary, Expression, Path, Select, Template, Unary, Variable

X = Variable("x")


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(max_examples=300, deadline=None)
@given(expressions())
def test_what_is_written_is_read_back(expression: Expression) -> None:
    for text in (emit.text(expression), emit.line(expression)):
        assert parse.parse(text) == normal(expression), text


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("''\n  a ${x}\n   ''$ ''' ''\\n $${ \n  ''", Template(("a ", X, "\n $ '' \n$${ \n"), indented=True)),
        ("''\n    two\n  one\n\n      \n  ''", "  two\none\n\n    \n"),
        ("''  same line\n  next''", "same line\nnext"),
        ('"a\\n$$x\\${y}\\t\\q"', "a\n$$x${y}\tq"),
        ('"a${"b"}${"c${x}"}"', Template(("abc", X))),
        ("''${x}''", Template((X,), indented=True)),
        ("./a/${x}/b.nix", Binary("+", Path("./a"), Template(("/", X, "/b.nix")))),
        ("./${x}.nix", Binary("+", Path("./."), Template(("/", X, ".nix")))),
        ("-1", -1),
        ("-(1)", Unary("-", 1)),
        ("http://a.b/c", "http://a.b/c"),
        ("[ 01 1. .5 ]", (1, 1.0, 0.5)),
        ("(x.a).b", Select(Select(X, ("a",)), ("b",))),
        ("x # why\n/* and */ x", Apply(X, X)),
    ],
)
def test_forms(text: str, expression: Expression) -> None:
    assert parse.parse(text) == expression


WRONG = {
    "{ a = ; }": "1:7: not valid Nix: unexpected `;`",
    "{ a = 1 }": "1:9: not valid Nix: unexpected `}` (expected `;`)",
    "{\n  a = [ 1;\n}": "2:10: not valid Nix: unexpected `;`",
    "{\n  a = 1;\n\n# end": "4:6: ends too early (something is not closed)",
    '{ é = "é"; }': "1:3: not valid Nix: unexpected `é`",
    '{ a = "é"; b = ]; }': "1:16: not valid Nix: unexpected `]`",
    "": "1:1: ends too early (something is not closed)",
    "{ a = 1;\n  b.c = 1;\n  a = 2; }": "3:3: `a` is set twice (first in line 1)",
    "{ b.c = 1; b.c = 2; }": "1:14: `b.c` is set twice (first in line 1)",
    "{ a = { b = 1; };\n  a.b = 2; }": "2:5: `a.b` is set twice (first in line 1)",
    "{ a = 1; inherit a; }": "1:18: `a` is set twice (first in line 1)",
    "let a = 1; a = 2; in a": "1:12: `a` is set twice (first in line 1)",
    "{ x, x }: x": "1:1: a function has an argument of one name twice",
    "x@{ x }: x": "1:1: a function has an argument of one name twice",
    "let ${x} = 1; in 2": "1:5: a name in `let` cannot be computed",
    "99999999999999999999": "1:1: 99999999999999999999 is too large for an integer",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_has_a_place(text: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        parse.parse(text, "hosts/a.nix")
    assert [str(problem) for problem in caught.value.problems] == [f"hosts/a.nix:{WRONG[text]}"]


@needs_nix
@pytest.mark.parametrize("text", WRONG)
def test_nix_refuses_it_too(text: str) -> None:
    assert run(text, "--parse").returncode


def test_all_names_that_are_set_twice_are_found() -> None:
    with pytest.raises(ProblemsError) as caught:
        parse.parse("{ a = 1; a = 2;\n b = { c = 1; c = 2; }; }")
    assert [problem.line for problem in caught.value.problems] == [1, 2]


def test_names_may_be_set_in_parts() -> None:
    assert parse.parse("{ a.b = 1; a = { c = 2; }; a.d.e = 3; a.d.f = 4; }")
