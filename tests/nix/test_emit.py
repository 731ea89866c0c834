"""Text of Nix expressions: what it looks like, that Nix reads it as meant, and that it never changes."""

from __future__ import annotations

import pynix_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.nix import needs_nix, said

from nerv import documents
from nerv.nix import emit
from nerv.nix.expressions import (
    Apply,
    Assert,
    AttributeSet,
    Binary,
    Binding,
    Expression,
    Function,
    HasAttribute,
    If,
    Inherit,
    Let,
    Parameter,
    Path,
    Select,
    Template,
    Unary,
    Variable,
    With,
    attributes,
    call,
    name,
)

X, Y, Z = Variable("x"), Variable("y"), Variable("z")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (None, "null"),
        ((True, -1, 2.0, 1e16, 1e-7), "[ true (-1) 2.0 1.0e+16 1.0e-07 ]"),
        ('a "b" \\ ${c} $d\n', '"a \\"b\\" \\\\ \\${c} $d\\n"'),
        (Template(("$", X, "/${")), '"\\$${x}/\\${"'),
        (
            attributes({"a b": 1, "c.d": 2, "or": 3, "e-f'": 4}),
            '{\n  "a b" = 1;\n  "c.d" = 2;\n  "or" = 3;\n  e-f\' = 4;\n}',
        ),
        (AttributeSet((Binding(("a", "b c", Template((X,))), 1),)), '{ a."b c"."${x}" = 1; }'),
        ((call(X, Y), Function(Y, "x"), -1, name("a.b")), "[ (x y) (x: y) (-1) a.b ]"),
        (call(X, call(Y, Z), -1, Path("./a.nix")), "x (y z) (-1) ./a.nix"),
        (Binary("-", X, Binary("-", Y, Z)), "x - (y - z)"),
        (Binary("-", Binary("-", X, Y), Z), "x - y - z"),
        (Binary("++", Binary("++", X, Y), Z), "(x ++ y) ++ z"),
        (Binary("//", X, Binary("//", Y, Z)), "x // y // z"),
        (Binary("->", X, Binary("->", Y, Z)), "x -> (y -> z)"),
        (Unary("!", Binary("==", X, Y)), "!(x == y)"),
        (Unary("!", HasAttribute(X, ("a",))), "!x ? a"),
        (Unary("-", 5), "-(5)"),
        (Select(Select(X, ("a",)), ("b",)), "(x.a).b"),
        (Select(X, ("a",), (call(Y, Z),)), "x.a or (y z)"),
        (Select(Path("./a"), ("b",)), "(./a).b"),
        (Function(X, "all", (Parameter("a"), Parameter("b", (1,))), open=True), "{ a, b ? 1, ... }@all: x"),
        (Function(X, None, ()), "{ }: x"),
        (If(X, Assert(Y, Z), With(Y, ())), "if x then assert y; z else with y; [ ]"),
        (Let((Inherit(("a", "b c"), (X,)),), Y), 'let\n  inherit (x) a "b c";\nin\ny'),
        (
            Template(("#!/bin/sh\necho \"${A}\" ''\n", X, "\n"), indented=True),
            "''\n  #!/bin/sh\n  echo \"''${A}\" '''\n  ${x}\n''",
        ),
        (Template(("  indented\n    more",), indented=True), "''\n  ''\\  indented\n      more''"),
        (AttributeSet((Binding(("a",), 1, "Why."),)), "{\n  # Why.\n  a = 1;\n}"),
    ],
)
def test_forms(expression: Expression, text: str) -> None:
    assert emit.text(expression) == text + "\n"
    pynix_parser.parse(text)


def test_a_module_reads_as_people_write_it() -> None:
    body = attributes({"imports": [Path("./a.nix"), Path("./b.nix")], "networking.hostName": "nerv-1"})
    module = Function(body, None, (Parameter("config"), Parameter("pkgs")), open=True)
    assert emit.text(module) == (
        '{ config, pkgs, ... }:\n{\n  imports = [ ./a.nix ./b.nix ];\n  "networking.hostName" = "nerv-1";\n}\n'
    )


def test_what_is_too_long_for_a_line_stands_in_several() -> None:
    many = tuple(f"--tls-san=name-{number}.example.org" for number in range(4))
    assert emit.text(AttributeSet((Binding(("services", "k3s", "extraFlags"), many),))) == (
        "{\n  services.k3s.extraFlags = [\n" + "".join(f'    "{item}"\n' for item in many) + "  ];\n}\n"
    )


@pytest.mark.parametrize("wrong", [Variable("in"), Variable("a b"), 2**63, float("inf"), "a\0b"])
def test_what_nix_cannot_say_is_refused(wrong: Expression) -> None:
    with pytest.raises(ValueError, match="Nix"):
        emit.text(wrong)


texts = st.text(st.sampled_from("ab $'{}\\\"\n\r\t#é"), max_size=12)
parts = st.lists(texts | st.sampled_from([X, Select(Variable("s"), ("a b",)), Binary("+", X, "$")]), max_size=5)
templates = st.builds(lambda given, indented: Template(tuple(given), indented), parts, st.booleans())


@needs_nix
@settings(max_examples=8, deadline=None)
@given(st.lists(templates, min_size=50, max_size=100))
def test_every_string_is_to_nix_what_it_is_here(given_: list[Template]) -> None:
    meant = {X: "X$"}
    known = (Binding(("x",), "X$"), Binding(("s",), attributes({"a b": "'S"})))
    values = [
        "".join(
            part if isinstance(part, str) else meant.get(part, "'S" if isinstance(part, Select) else "X$$")  # type: ignore[call-overload]
            for part in template.parts
        )
        for template in given_
    ]
    whole = Let(known, tuple(given_))
    for text in (emit.text(whole), emit.line(whole)):
        assert documents.load_json(said(text, "--eval", "--strict", "--json")) == values


leaves = st.sampled_from([X, Y, 1, -2, 1.5, "s", True, None, Path("./a.nix"), (), AttributeSet()])


def _forms(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    operators = st.sampled_from(["->", "||", "&&", "==", "!=", "<", "<=", ">", ">=", "//", "+", "-", "*", "/", "++"])
    sets = st.dictionaries(st.sampled_from(["a", "b c", "or", "é"]), inner, max_size=3).map(attributes)
    return st.one_of(
        st.builds(Binary, operators, inner, inner),
        st.builds(Unary, st.sampled_from("!-"), inner),
        st.builds(Apply, inner, inner),
        st.builds(lambda subject, default: Select(subject, ("a", "b c"), default), inner, st.none() | st.tuples(inner)),
        st.builds(lambda subject: HasAttribute(subject, ("a",)), inner),
        st.builds(If, inner, inner, inner),
        st.builds(With, inner, inner),
        st.builds(Assert, inner, inner),
        st.builds(lambda body: Function(body, "x"), inner),
        st.builds(lambda body, default: Function(body, "z", (Parameter("x", (default,)),), open=True), inner, inner),
        st.builds(lambda value, body: Let((Binding(("x",), value), Inherit(("y",), (value,))), body), inner, inner),
        st.lists(inner, max_size=3).map(tuple),
        sets,
        st.builds(lambda part, indented: Template(("$", (part,), "\n"), indented), inner, st.booleans()),
    )


expressions = st.recursive(leaves, _forms, max_leaves=12)


def bracketed(expression: Expression) -> str:
    """The same with parentheses around every part, so that no level of an operator matters."""
    match expression:
        case Binary(operator, left, right):
            return f"({bracketed(left)} {operator} {bracketed(right)})"
        case Unary(operator, operand):
            return f"({operator} {bracketed(operand)})"
        case Apply(function, argument):
            return f"({bracketed(function)} {bracketed(argument)})"
        case Select(subject, names, default):
            otherwise = "" if default is None else f" or {bracketed(default[0])}"
            return f"({bracketed(subject)}.{emit.attribute_path(names)}{otherwise})"
        case HasAttribute(subject, names):
            return f"({bracketed(subject)} ? {emit.attribute_path(names)})"
        case If(condition, yes, no):
            return f"(if {bracketed(condition)} then {bracketed(yes)} else {bracketed(no)})"
        case With(scope, body):
            return f"(with {bracketed(scope)}; {bracketed(body)})"
        case Assert(condition, body):
            return f"(assert {bracketed(condition)}; {bracketed(body)})"
        case Function(body, "x"):
            return f"(x: {bracketed(body)})"
        case Function(body, own, (Parameter("x", (default,)),)):
            return f"({{ x ? {bracketed(default)}, ... }}@{own}: {bracketed(body)})"
        case Let((Binding(_, value), Inherit(_, (source,))), body):
            return f"(let x = {bracketed(value)}; inherit ({bracketed(source)}) y; in {bracketed(body)})"
        case tuple():
            return f"[ {' '.join(map(bracketed, expression))} ]"
        case AttributeSet(bindings):
            told = (f"{emit.attribute_path(item.names)} = {bracketed(item.value)};" for item in bindings)  # type: ignore[union-attr]
            return f"{{ {' '.join(told)} }}"
        case Template((_, part, _), indented):
            text = f"${{{bracketed(part)}}}"
            return f"''''${text}''\\n''" if indented else f'"\\${text}\\n"'
        case _:
            return f"({emit.line(expression)})"


@needs_nix
@settings(max_examples=12, deadline=None)
@given(st.lists(expressions, min_size=20, max_size=40))
def test_levels_and_sides_of_operators_are_those_of_nix(given_: list[Expression]) -> None:
    """Nix prints what it read with all parentheses: both layouts must be what was meant."""
    meant = said(f"x: y: z: [ {' '.join(map(bracketed, given_))} ]", "--parse")
    whole = Function(Function(Function(tuple(given_), "z"), "y"), "x")
    for text in (emit.text(whole), emit.line(whole)):
        # an indented string begins with an empty text to Nix, depending on its layout
        assert said(text, "--parse").replace('("" + ', "(") == meant.replace('("" + ', "(")
        pynix_parser.parse(text)
