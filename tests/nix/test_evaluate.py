"""Evaluation without Nix: values as Nix gives them, errors with their place, nothing outside the repository."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.nix import expressions, needs_nix, run

from nerv.errors import ProblemsError
from nerv.nix import builtins, coercion, emit, library, parse
from nerv.nix.evaluate import Evaluator, deep
from nerv.nix.expressions import (
    Apply,
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
    Select,
    Template,
    Unary,
    Variable,
    With,
    attributes,
    call,
    name,
)
from nerv.nix.values import EvaluationError, NotModelled, apply


def value(text: str, files: dict[str, str] | None = None) -> object:
    """The value of an expression in nixos/flake.nix."""
    with deep():
        return coercion.plain(Evaluator(files or {}).source(parse.read(text, "nixos/flake.nix")))


def wrong(text: str, files: dict[str, str] | None = None) -> str:
    """What is said of an expression that fails, with its place."""
    with pytest.raises(EvaluationError) as caught:
        value(text, files)
    place = caught.value.place
    if place is None:
        return caught.value.message
    source, offset = place
    return f"{source.file}:{':'.join(map(str, source.text.place(offset)))}: {caught.value.message}"


SAME = r"""
1 + 2 * 3 - 4 / 3
-7 / 2
7.5 / 2
1 < 2.5 && [ 1 2 ] < [ 1 3 ] || throw "not asked"
"a" + "b" + toString [ 1 true null "c" [ 2 ] ]
{ a = 1; b.c = 2; } // { b.d = 3; }
rec { a = b + 1; b = c.d; c.d = 4; }.a
rec { inherit ({ x = 1; }) x; y = x; }
let a = b; b = 1; in [ a (let a = 2; inherit ({ b = a; }) b; in b) ]
let f = { a, b ? a * 2, ... }@all: [ a b (all.c or "none") ]; in [ (f { a = 1; }) (f { a = 1; b = 5; c = 3; }) ]
let f = { b ? a, a ? 1 }: b; in f { }
with { a = 1; b = 2; }; with { b = 3; }; let a = 4; in [ a b ]
let x = { a.b.c = 1; }; in [ (x ? a.b) (x ? a.z) (x.a.b.c or 2) (x.q.z or 2) (x ? "${"a"}") ]
{ "${"a" + "b"}" = 1; ${null} = 2; ${if true then "c" else "d"}.e = 3; }
if 1 == 1.0 then assert true; "yes" else "no"
[ (null == null) ({ a = 1; } == { a = 1; }) ([ 1 ] == [ 1.0 ]) ((x: x) == (x: x)) ("a" != "b") (true -> false) ]
let s = { __toString = self: "text ${self.x}"; x = "y"; }; in "${s}"
let s = { __functor = self: x: x + self.n; n = 2; }; in s 3
(x: y: x - y) 5 3
let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in fib 15
builtins.attrNames { b = 1; a = 2; }
builtins.mapAttrs (n: v: n + toString v) { a = 1; b = 2; }
builtins.listToAttrs [ { name = "a"; value = 1; } { name = "a"; value = 2; } ]
builtins.removeAttrs { a = 1; b = 2; } [ "a" "z" ]
builtins.intersectAttrs { a = 1; } { a = 2; b = 3; }
builtins.functionArgs ({ a, b ? 1 }: a)
builtins.concatMap (x: [ x x ]) [ 1 2 ]
builtins.filter (x: x > 1) [ 1 2 3 ]
builtins.foldl' (a: b: a + b) 0 [ 1 2 3 ]
builtins.sort (a: b: a < b) [ 3 1 2 ]
builtins.genList (x: x * x) 4
builtins.partition (x: x > 1) [ 1 2 3 ]
builtins.groupBy (x: if x > 1 then "big" else "small") [ 1 2 3 ]
builtins.elem 2 [ 1 2 ]
builtins.replaceStrings [ "a" "bb" "" ] [ "1" "2" "-" ] "abbc"
builtins.replaceStrings [ "x" ] [ "y" ] "axbx"
builtins.substring 1 3 "abcdef"
builtins.substring 4 (-1) "abcdef"
builtins.stringLength "é"
builtins.match "([[:alnum:]_]+)=(.*)" "key_1=a value"
builtins.match "a|b" "c"
builtins.match "[]a.]+" "a]."
builtins.split "(,) *" "a, b,c"
builtins.concatStringsSep ", " [ "a" "b" ]
builtins.toJSON { b = [ 1 1.5 null true ]; a = "x\"y"; }
builtins.fromJSON "{\"a\": [1, 2.5, null, {\"b\": true}]}"
builtins.fromTOML "a = 1\n[b]\nc = [\"d\"]"
builtins.compareVersions "1.10" "1.9"
[ (builtins.compareVersions "2.3pre1" "2.3") (builtins.compareVersions "1.0" "1.0a") ]
[ (builtins.compareVersions "a" "1") (builtins.compareVersions "a" "b") (builtins.compareVersions "1.2" "1.2") ]
builtins.splitVersion "1.2.3-rc1"
builtins.parseDrvName "hello-world-1.2"
builtins.hashString "sha256" "abc"
builtins.baseNameOf "/a/b/c.nix"
builtins.dirOf "/a/b/c.nix"
toString /a/../b/./c
[ (builtins.typeOf 1) (builtins.typeOf { }) (builtins.typeOf (x: x)) (builtins.typeOf null) (builtins.typeOf 1.5) ]
[ (builtins.isInt true) (builtins.isAttrs { }) (builtins.isFunction map) (builtins.isString "x") (isNull null) ]
builtins.tryEval (throw "no")
builtins.tryEval (assert false; 1)
builtins.catAttrs "a" [ { a = 1; } { b = 2; } { a = 3; } ]
builtins.zipAttrsWith (n: vs: vs) [ { a = 1; } { a = 2; b = 3; } ]
builtins.genericClosure { startSet = [ { key = 1; } ]; operator = x: if x.key < 3 then [ { key = 2; } ] else [ ]; }
builtins.deepSeq [ 1 ] (builtins.seq 1 2)
''
    indented ${toString 1}
      more ''${not} '''
  least
''
"${"nested ${"deep"}"}"
let { body = x; x = 5; }
map (x: x + 1) [ 1 2 ]
builtins.ceil 1.2 + builtins.floor 1.8
builtins.bitAnd 12 10 + builtins.bitOr 12 10 + builtins.bitXor 12 10
builtins.all (x: x) [ ] && !(builtins.any (x: x) [ ])
"""


def _cases() -> list[str]:
    """The lines of SAME; an indented string is one case of several lines."""
    made: list[str] = []
    inside = False
    for line in SAME.strip().split("\n"):
        if inside:
            made[-1] += f"\n{line}"
            inside = line != "''"
        else:
            made.append(line)
            inside = line == "''"
    return made


@needs_nix
def test_values_are_those_of_nix() -> None:
    cases = _cases()
    theirs = run("[\n" + "\n".join(f"({case})" for case in cases) + "\n]", "--eval", "--strict", "--json")
    assert theirs.returncode == 0, theirs.stderr
    for case, expected in zip(cases, json.loads(theirs.stdout), strict=True):
        assert value(case) == expected, case


ERRORS = {
    "{ a = 1; }.b": "nixos/flake.nix:1:1: attribute `b` is missing",
    "let x = { enable = 1; }; in x.enabel": "nixos/flake.nix:1:29: attribute `enabel` is missing; "
    "did you mean `enable`?",
    "1 + true": "nixos/flake.nix:1:1: `+` wants numbers, but is given a boolean",
    '"a" + 1': "nixos/flake.nix:1:1: an integer cannot be made part of a string",
    '"${{ }}"': "nixos/flake.nix:1:1: a set cannot be made part of a string",
    "1 2": "nixos/flake.nix:1:1: an integer is called as if it were a function",
    "({ a }: a) { }": "nixos/flake.nix:1:2: a function is called without `a`",
    "({ a }: a) { a = 1; b = 2; }": "nixos/flake.nix:1:2: a function is given `b`, which it does not take",
    "if 1 then 2 else 3": "nixos/flake.nix:1:1: the condition of `if` is an integer, not a boolean",
    "assert 1 == 2; 3": "nixos/flake.nix:1:1: an assertion does not hold",
    'throw "said by the module"': "nixos/flake.nix:1:1: said by the module",
    "with { }; a": "nixos/flake.nix:1:11: `a` is not defined",
    "rec { a = b; b = a; }.a": "nixos/flake.nix:1:1: infinite recursion: a value needs itself",
    "let f = x: f x; in f 1": "infinite recursion, or nested too deeply",
    "let f = x: 1 + builtins.foldl' (a: b: f b) 0 [ x ]; in f 1": "infinite recursion, or nested too deeply",
    "builtins.head [ ]": "nixos/flake.nix:1:1: position 0 is outside a list of 0",
    "import ./missing.nix": "nixos/flake.nix:1:1: nixos/missing.nix is not in the repository",
    "import /etc/nixos/configuration.nix": "nixos/flake.nix:1:1: /etc/nixos/configuration.nix stands outside the "
    "repository: a flake cannot read it",
    "<nixpkgs>": "nixos/flake.nix:1:1: `<nixpkgs>` depends on the machine: a flake cannot use it",
    "9223372036854775807 + 1": "nixos/flake.nix:1:1: an integer is too large",
    "1 / 0": "nixos/flake.nix:1:1: division by zero",
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors_have_a_place(text: str) -> None:
    before = sys.getrecursionlimit()
    assert wrong(text) == ERRORS[text]
    assert sys.getrecursionlimit() == before


def test_names_that_are_bound_nowhere_are_all_found() -> None:
    with pytest.raises(ProblemsError) as caught:
        value("{ lib }: {\n  a = libb.x;\n  b = { inherit hostname; };\n}")
    assert [str(problem) for problem in caught.value.problems] == [
        "nixos/flake.nix:2:7: `libb` is not defined",
        "nixos/flake.nix:3:17: `hostname` is not defined",
    ]


FILES = {
    "nixos/modules/default.nix": "{ base = import ./base.nix; text = builtins.readFile ../../clusters/a.yaml; }",
    "nixos/modules/base.nix": "{ here = baseNameOf ./.; names = builtins.attrNames (builtins.readDir ./.); }",
    "clusters/a.yaml": "kind: Kustomization\n",
}


def test_files_of_the_repository_are_read_and_no_others() -> None:
    assert value("import ./modules", FILES) == {
        "base": {"here": "modules", "names": ["base.nix", "default.nix"]},
        "text": "kind: Kustomization\n",
    }
    assert value("map builtins.pathExists [ ./modules ./modules/base.nix ./none.nix /etc/passwd ]", FILES) == [
        True,
        True,
        False,
        False,
    ]
    store = value('"${./modules/base.nix}"', FILES)
    assert isinstance(store, str)
    assert store.startswith("/nix/store/")
    assert store.endswith("-base.nix")


@pytest.mark.parametrize("text", ['builtins.fetchGit { url = "https://a"; }', 'import (builtins.fetchTarball "x")'])
def test_what_cannot_be_known_offline_is_said_to_be_so(text: str) -> None:
    with pytest.raises(NotModelled, match="is not run offline"):
        value(text)


def test_an_alternative_hides_no_lack_of_knowledge() -> None:
    with pytest.raises(NotModelled):
        value('(builtins.getFlake "x").lib or 1')


Strategy = st.SearchStrategy[Expression]


@dataclass(frozen=True)
class Typed:
    """Expressions that evaluate without an error, by the type of their value."""

    numbers: Strategy
    truths: Strategy
    strings: Strategy
    lists: Strategy
    sets: Strategy


def deeper(of: Typed) -> Typed:
    """Expressions of those."""
    build = st.builds
    any_of_them = of.numbers | of.strings | of.truths | of.lists
    numbers = st.one_of(
        of.numbers,
        build(Binary, st.sampled_from("+-*"), of.numbers, of.numbers),
        build(lambda a: Unary("-", a), of.numbers),
        build(If, of.truths, of.numbers, of.numbers),
        build(lambda a, b: Apply(Function(Binary("-", Variable("n"), b), "n"), a), of.numbers, of.numbers),
        build(_called, of.numbers, of.numbers, of.numbers),
        build(lambda a, b: _let(a, b), of.numbers, of.numbers),
        build(lambda a, b: With(attributes({"v": a}), Binary("+", Variable("v"), b)), of.numbers, of.numbers),
        build(lambda a: call(name("builtins.length"), a), of.lists),
        build(lambda a, b: Select(a, ("z", "l"), (b,)), of.sets, of.numbers),
    )
    truths = st.one_of(
        of.truths,
        build(Binary, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), of.numbers, of.numbers),
        build(Binary, st.sampled_from(["&&", "||", "->"]), of.truths, of.truths),
        build(lambda a: Unary("!", a), of.truths),
        build(lambda a, b: HasAttribute(a, (b,)), of.sets, st.sampled_from(["k", "a b"])),
        build(lambda a, b: Binary("==", a, b), of.strings, of.strings),
        build(lambda a, b: Binary("==", a, b), of.sets, of.sets),
    )
    strings = st.one_of(
        of.strings,
        build(lambda a, b, i: Template(("\n  a", a, " '\n", b, "$"), i), of.strings, of.strings, st.booleans()),
        build(Binary, st.just("+"), of.strings, of.strings),
        build(lambda a: call(Variable("toString"), a), of.numbers),
        build(lambda a: call(name("builtins.toJSON"), a), of.sets),
    )
    lists = st.one_of(
        st.lists(any_of_them, max_size=3).map(tuple),
        build(Binary, st.just("++"), of.lists, of.lists),
        build(lambda a, b: call(Variable("map"), Function((Variable("x"), a), "x"), b), of.numbers, of.lists),
    )
    sets = st.one_of(
        st.dictionaries(st.sampled_from(["k", "a b", "n"]), any_of_them, max_size=3).map(attributes),
        build(lambda a: AttributeSet((Binding(("z", "l"), a), Binding(("m",), 1)), recursive=True), of.numbers),
        build(Binary, st.just("//"), of.sets, of.sets),
        build(lambda a: AttributeSet((Inherit(("n",)), Binding((Template((Variable("t"),)),), a))), of.numbers),
    )
    return Typed(numbers, truths, strings, lists, sets)


def _called(default: Expression, body: Expression, argument: Expression) -> Expression:
    """A function of a set with a default, called."""
    function = Function(body, "all", (Parameter("n"), Parameter("p", (default,))), open=True)
    return Apply(function, attributes({"n": argument, "other": 1}))


FLAT = Typed(
    st.integers(-100, 100) | st.sampled_from([Variable("n"), name("s.n"), Variable("w")]),
    st.booleans(),
    st.text(st.sampled_from("ab $'{}\\\"\n\té"), max_size=6) | st.just(Variable("t")),
    st.just(()),
    st.just(AttributeSet()),
)


def _let(value: Expression, body: Expression) -> Expression:
    bound = (Binding(("own",), value), Inherit(("w",), (Variable("s"),)))
    return Let(bound, Binary("+", Variable("own"), body))


TYPED = deeper(deeper(deeper(FLAT)))
KNOWN = attributes({"n": 7, "w": 3, "t": "text"})


@needs_nix
@settings(max_examples=8, deadline=None)
@given(st.lists(TYPED.numbers | TYPED.truths | TYPED.strings | TYPED.lists | TYPED.sets, min_size=20, max_size=50))
def test_nix_reads_what_is_written_and_both_evaluate_it_alike(given_: list[Expression]) -> None:
    bound = (*KNOWN.bindings, Binding(("s",), attributes({"n": 1, "w": 2})))
    whole = emit.text(Let(bound, tuple(given_)))
    theirs = run(whole, "--eval", "--strict", "--json")
    assert theirs.returncode == 0, f"{theirs.stderr}\n{whole}"
    assert value(whole) == json.loads(theirs.stdout)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(max_examples=150, deadline=None)
@given(expressions(), expressions())
def test_whatever_is_written_gives_a_value_or_an_error(expression: Expression, argument: Expression) -> None:
    known = {"x": name("builtins"), "y": argument, "z": Function(Variable("x"), "x"), "_1": 1, "or'": "text"}
    bound = tuple(Binding((key,), meant) for key, meant in known.items())
    whole = Let(bound, call(Variable("map"), expression, (argument,)))
    for text in (emit.text(whole), emit.text(Let(bound, expression))):
        with contextlib.suppress(EvaluationError, ProblemsError):
            value(text)


ARGUMENTS = ("null", "1.5", "2", '"["', "./a", "[ ]", "[ null ]", '{ a = "b"; }', "(x: x)")
LIBRARY = library.make("25.05", {})


def test_functions_refuse_what_they_are_not_for() -> None:
    """Nothing but an error of Nix comes out of builtins and `lib`, whatever they are given."""
    values = [Evaluator({}).source(parse.read(text, "nixos/flake.nix")) for text in ARGUMENTS]
    for made in (*builtins.functions().values(), *LIBRARY.values()):
        for first, second in itertools.product(values, values):
            with contextlib.suppress(EvaluationError), deep():
                coercion.plain(apply(made, first, second, second))
