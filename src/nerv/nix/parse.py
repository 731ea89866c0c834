"""Text -> expressions, on top of rnix: what Nix itself would refuse when it reads a file is a Problem with its place.

rnix knows the syntax; names that are bound twice, dynamic names where none may stand and numbers that are too large
are found here. Forms that mean the same come out the same: a string without interpolation is a str, in either kind of
quotes; a string that is interpolated into a string becomes part of it; a minus before a number makes it negative;
parentheses leave no trace; `let { body = ...; }` is a selection from a set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import pynix_parser
from pynix_parser import SyntaxNode

from nerv.errors import Problem, ProblemsError
from nerv.nix import groups, unescaping
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
)
from nerv.nix.source import Source, Text

_LARGEST = 2**63 - 1
_CONSTANTS: dict[str, Expression] = {"true": True, "false": False, "null": None}
_MAX_DEPTH = 400

_TOKENS = {
    "TOKEN_SEMICOLON": "`;`",
    "TOKEN_R_BRACE": "`}`",
    "TOKEN_R_BRACK": "`]`",
    "TOKEN_R_PAREN": "`)`",
    "TOKEN_L_BRACE": "`{`",
    "TOKEN_L_BRACK": "`[`",
    "TOKEN_L_PAREN": "`(`",
    "TOKEN_ASSIGN": "`=`",
    "TOKEN_COLON": "`:`",
    "TOKEN_COMMA": "`,`",
    "TOKEN_IDENT": "a name",
    "TOKEN_STRING_END": "the end of the string",
    "TOKEN_THEN": "`then`",
    "TOKEN_ELSE": "`else`",
    "TOKEN_IN": "`in`",
}


def parse(text: str, file: str = "expression") -> Expression:
    """The expression that `text` is. Raises ProblemsError."""
    return read(text, file).expression


def read(text: str, file: str) -> Source:
    """The expression that `text` is, with the places of its parts. Raises ProblemsError with all that is wrong."""
    source = Source(file, Text(text))
    try:
        tree = pynix_parser.parse(text)
    except ValueError as error:
        raise ProblemsError([_syntax(source, text, str(error))]) from None
    reader = _Reader(source)
    try:
        source.expression = reader.read(tree, 0)
    except RecursionError:
        reader.problems.append(source.problem(0, "expressions are nested too deeply"))
    if reader.problems:
        raise ProblemsError(reader.problems)
    return source


def _syntax(source: Source, text: str, said: str) -> Problem:
    """rnix's first complaint in plain words; those behind it mostly follow from it."""
    first = said.partition("; ")[0]
    found = re.search(r"at (\d+)\.\.(\d+)", first)
    wanted = re.search(r"wanted any of \[([A-Z_]+)", first)
    hint = f"expected {_TOKENS[wanted[1]]}" if wanted and wanted[1] in _TOKENS and "," not in first[-20:] else ""
    if not found:
        missing = re.search(r"wanted any of \[([A-Z_]+)\]", said)
        hint = f"expected {_TOKENS[missing[1]]}" if missing and missing[1] in _TOKENS else "something is not closed"
        return source.problem(source.text.end, "ends too early", hint)
    token = text.encode()[int(found[1]) : int(found[2])].decode(errors="replace").split()[0][:40]
    return source.problem(int(found[1]), f"not valid Nix: unexpected `{token}`", hint)


def _template(parts: Iterable[str | tuple[Expression]], *, indented: bool = False) -> str | Template:
    """A string of texts and interpolated expressions (tuples of one); interpolated strings become part of it."""
    flat: list[str | tuple[Expression]] = []
    for part in parts:
        if isinstance(part, tuple) and isinstance(part[0], Template):
            flat += (inner if isinstance(inner, str) else (inner,) for inner in part[0].parts)
        else:
            flat.append(part[0] if isinstance(part, tuple) and isinstance(part[0], str) else part)
    made = tuple(part if isinstance(part, str) else part[0] for part in unescaping.joined(flat))
    if all(isinstance(part, str) for part in made):
        return "".join(map(str, made))
    return Template(made, indented)


class _Reader:
    """Turns rnix's tree into expressions; collects what is wrong."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def read(self, node: SyntaxNode, depth: int) -> Expression:
        """The expression of a node. The depth is counted, for Nix's own stack is not endless either."""
        if depth > _MAX_DEPTH:
            raise RecursionError
        kind = node.kind()
        reader = _READERS.get(kind)
        if reader is None:
            self.complain(node, f"`{node.text()[:40]}` is not understood")
            return None
        made = reader(self, node, depth + 1)
        if made is not None and not isinstance(made, (bool, int, float, str, tuple)):
            self.source.offsets.setdefault(id(made), node.text_range()[0])
        return made

    def complain(self, node: SyntaxNode, message: str, hint: str = "") -> None:
        """Note a problem at a node."""
        self.problems.append(self.source.problem(node.text_range()[0], message, hint))

    def literal(self, node: SyntaxNode, _depth: int) -> Expression:
        """A number, or a URI without quotes."""
        token = node.first_token()
        assert token
        kind, text = token.kind(), token.text()
        if kind == "TOKEN_INTEGER":
            if int(text) > _LARGEST:
                self.complain(node, f"{text} is too large for an integer")
            return int(text)
        return float(text) if kind == "TOKEN_FLOAT" else text

    def name(self, node: SyntaxNode, _depth: int) -> Expression:
        """A variable, or one of the constants."""
        text = node.text()
        return _CONSTANTS[text] if text in _CONSTANTS else Variable(text)

    def string(self, node: SyntaxNode, depth: int) -> str | Template:
        """A string in either kind of quotes."""
        indented = node.text().startswith("''")
        raw: list[str | tuple[Expression]] = []
        for element in node.children_with_tokens():
            inner = element.as_node()
            if inner is not None:
                raw.append((self.only(inner, depth),))
            elif element.kind() == "TOKEN_STRING_CONTENT":
                raw.append(element.text())
        parts = (
            unescaping.dedent(raw) if indented else [unescaping.unescape(x) if isinstance(x, str) else x for x in raw]
        )
        return _template(parts, indented=indented)

    def path(self, node: SyntaxNode, depth: int) -> Expression:
        """A path; one with interpolation is its first part and a string behind it."""
        parts: list[str | tuple[Expression]] = []
        for element in node.children_with_tokens():
            inner = element.as_node()
            parts.append(element.text() if inner is None else (self.only(inner, depth),))
        head, *rest = parts
        assert isinstance(head, str)
        if not rest:
            return self._path(node, head)
        folder, _, name = head.rpartition("/")
        start = folder if folder not in (".", "..") else f"{folder}/."
        return Binary("+", self._path(node, start or "/."), _template([f"/{name}", *rest]))

    def _path(self, node: SyntaxNode, text: str) -> Path:
        made = Path(text)
        self.source.offsets[id(made)] = node.text_range()[0]
        if text.endswith("/"):
            self.complain(node, f"path `{text}` ends in a slash", "leave it out")
        return made

    def only(self, node: SyntaxNode, depth: int) -> Expression:
        """The one expression inside a node."""
        child = node.first_child()
        assert child
        return self.read(child, depth)

    def items(self, node: SyntaxNode, depth: int) -> tuple[Expression, ...]:
        """The expressions inside a node, in turn."""
        return tuple(self.read(child, depth) for child in node.children())

    def names(self, node: SyntaxNode, depth: int) -> tuple[str | Template, ...]:
        """The names of an attribute path."""
        return tuple(self.attribute(child, depth) for child in node.children())

    def attribute(self, node: SyntaxNode, depth: int) -> str | Template:
        """One name of an attribute path."""
        kind = node.kind()
        if kind not in ("NODE_STRING", "NODE_DYNAMIC"):
            return node.text()
        made = self.string(node, depth) if kind == "NODE_STRING" else self.only(node, depth)
        if isinstance(made, str):
            return made
        return Template(made.parts if isinstance(made, Template) else (made,))

    def select(self, node: SyntaxNode, depth: int) -> Expression:
        """`a.b or c`"""
        subject, path, *default = node.children()
        alternative = (self.read(default[0], depth),) if default else None
        return Select(self.read(subject, depth), self.names(path, depth), alternative)

    def has(self, node: SyntaxNode, depth: int) -> Expression:
        """`a ? b.c`"""
        subject, path = node.children()
        return HasAttribute(self.read(subject, depth), self.names(path, depth))

    def apply(self, node: SyntaxNode, depth: int) -> Expression:
        """`f x`"""
        function, argument = self.items(node, depth)
        return Apply(function, argument)

    def function(self, node: SyntaxNode, depth: int) -> Expression:
        """A function of a name, or of a set taken apart."""
        parameter, body = node.children()
        if parameter.kind() == "NODE_IDENT_PARAM":
            return Function(self.read(body, depth), parameter.text())
        whole = next((x.text().strip("@ \t\n") for x in parameter.find_children_by_kind("NODE_PAT_BIND")), None)
        parameters = tuple(self._parameters(parameter, depth))
        names = [p.name for p in parameters]
        if len(set(names)) < len(names) or whole in names:
            self.complain(parameter, "a function has an argument of one name twice")
        is_open = any(element.kind() == "TOKEN_ELLIPSIS" for element in parameter.children_with_tokens())
        return Function(self.read(body, depth), whole, parameters, is_open)

    def _parameters(self, pattern: SyntaxNode, depth: int) -> Iterator[Parameter]:
        for entry in pattern.find_children_by_kind("NODE_PAT_ENTRY"):
            name, *default = entry.children()
            yield Parameter(name.text(), (self.read(default[0], depth),) if default else None)

    def attributes(self, node: SyntaxNode, depth: int) -> Expression:
        """`{ ... }` and `rec { ... }`"""
        recursive = any(element.kind() == "TOKEN_REC" for element in node.children_with_tokens()[:1])
        return AttributeSet(self.bindings(node.children(), depth), recursive)

    def let(self, node: SyntaxNode, depth: int) -> Expression:
        """`let ... in ...`"""
        *bound, body = node.children()
        return Let(self.bindings(bound, depth, dynamic=False), self.read(body, depth))

    def legacy_let(self, node: SyntaxNode, depth: int) -> Expression:
        """`let { ... body = ...; }`"""
        return Select(AttributeSet(self.bindings(node.children(), depth), True), ("body",))

    def bindings(self, nodes: list[SyntaxNode], depth: int, *, dynamic: bool = True) -> tuple[Binding | Inherit, ...]:
        """Bindings of a set or a let; what is bound twice is a problem."""
        made: list[Binding | Inherit] = []
        for node in nodes:
            made.append(self._inherit(node, depth) if node.kind() == "NODE_INHERIT" else self._binding(node, depth))
            if not dynamic and isinstance(made[-1].names[0], Template):
                self.complain(node, "a name in `let` cannot be computed")
        for twice in groups.group(made)[1]:
            offset, first = self._name(*twice.again), twice.first and self._name(*twice.first)
            hint = f"first in line {self.source.text.place(first)[0]}" if first is not None else ""
            self.problems.append(self.source.problem(offset, f"`{twice.path}` is set twice", hint))
        return tuple(made)

    def _name(self, binding: Binding | Inherit, number: int) -> int:
        return self.source.names[id(binding)][number]

    def _binding(self, node: SyntaxNode, depth: int) -> Binding:
        path, value = node.children()
        made = Binding(self.names(path, depth), self.read(value, depth))
        self.source.names[id(made)] = tuple(child.text_range()[0] for child in path.children())
        return made

    def _inherit(self, node: SyntaxNode, depth: int) -> Inherit:
        children = node.children()
        source = None
        if children and children[0].kind() == "NODE_INHERIT_FROM":
            source = (self.only(children.pop(0), depth),)
        names: list[str] = []
        for child in children:
            name = self.attribute(child, depth)
            if isinstance(name, Template):
                self.complain(child, "a name in `inherit` cannot be computed")
            names.append(str(name))
        made = Inherit(tuple(names), source)
        self.source.names[id(made)] = tuple(child.text_range()[0] for child in children)
        return made

    def with_scope(self, node: SyntaxNode, depth: int) -> Expression:
        """`with a; b`"""
        scope, body = self.items(node, depth)
        return With(scope, body)

    def condition(self, node: SyntaxNode, depth: int) -> Expression:
        """`if a then b else c`"""
        condition, yes, no = self.items(node, depth)
        return If(condition, yes, no)

    def assertion(self, node: SyntaxNode, depth: int) -> Expression:
        """`assert a; b`"""
        condition, body = self.items(node, depth)
        return Assert(condition, body)

    def unary(self, node: SyntaxNode, depth: int) -> Expression:
        """`-a` and `!a`"""
        token = node.first_token()
        assert token
        operand, child = self.only(node, depth), node.first_child()
        if token.text() == "-" and isinstance(operand, (int, float)) and child and child.kind() == "NODE_LITERAL":
            return -operand
        return Unary(token.text(), operand)

    def binary(self, node: SyntaxNode, depth: int) -> Expression:
        """`a + b`"""
        left, right = self.items(node, depth)
        signs = [x.text() for x in node.children_with_tokens() if x.is_token() and x.kind() not in _TRIVIA]
        if signs[0] in ("|>", "<|"):
            self.complain(node, f"`{signs[0]}` is an experimental operator", "write the call itself")
        return Binary(signs[0], left, right)

    def position(self, _node: SyntaxNode, _depth: int) -> Expression:
        """`__curPos`"""
        return Variable("__curPos")


_TRIVIA = ("TOKEN_WHITESPACE", "TOKEN_COMMENT")
_READERS: dict[str, Callable[[_Reader, SyntaxNode, int], Expression]] = {
    "NODE_ROOT": _Reader.only,
    "NODE_PAREN": _Reader.only,
    "NODE_LITERAL": _Reader.literal,
    "NODE_IDENT": _Reader.name,
    "NODE_STRING": _Reader.string,
    "NODE_PATH_ABS": _Reader.path,
    "NODE_PATH_REL": _Reader.path,
    "NODE_PATH_HOME": _Reader.path,
    "NODE_PATH_SEARCH": _Reader.path,
    "NODE_LIST": _Reader.items,
    "NODE_SELECT": _Reader.select,
    "NODE_HAS_ATTR": _Reader.has,
    "NODE_APPLY": _Reader.apply,
    "NODE_LAMBDA": _Reader.function,
    "NODE_ATTR_SET": _Reader.attributes,
    "NODE_LET_IN": _Reader.let,
    "NODE_LEGACY_LET": _Reader.legacy_let,
    "NODE_WITH": _Reader.with_scope,
    "NODE_IF_ELSE": _Reader.condition,
    "NODE_ASSERT": _Reader.assertion,
    "NODE_UNARY_OP": _Reader.unary,
    "NODE_BIN_OP": _Reader.binary,
    "NODE_CUR_POS": _Reader.position,
}
