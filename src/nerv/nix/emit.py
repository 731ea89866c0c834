"""Text of Nix expressions: deterministic, one style (much as nixfmt's), every special character escaped.

What fits into a line stands in one, unless it is a set of several bindings. A negative number is written as one, with
parentheses in lists and arguments; `parse` reads it back as one. No expression is changed on the way: parentheses
stand where the language needs them, and where leaving them out would join two values into one (`(a.b).c`).
"""

from __future__ import annotations

import math
import re
from enum import IntEnum

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
from nerv.nix.strings import KEYWORDS, NAME, indented_line, indented_lines, quoted

WIDTH = 100
_STEP = 2
_LARGEST = 2**63 - 1


class _Level(IntEnum):
    """How tightly a form binds; names of the operators' levels as in the Nix manual."""

    ANYTHING = 0
    IMPLICATION = 1
    OR = 2
    AND = 3
    EQUALITY = 4
    COMPARISON = 5
    UPDATE = 6
    NOT = 7
    SUM = 8
    PRODUCT = 9
    CONCATENATION = 10
    HAS_ATTRIBUTE = 11
    NEGATION = 12
    APPLICATION = 13
    SELECTION = 14
    SIMPLE = 15
    PARENTHESES = 16
    """Nothing stands there without them."""


# level, and which side may hold the same operator again without parentheses
_OPERATORS: dict[str, tuple[_Level, str]] = {
    "->": (_Level.IMPLICATION, ""),
    "||": (_Level.OR, "left"),
    "&&": (_Level.AND, "left"),
    "==": (_Level.EQUALITY, ""),
    "!=": (_Level.EQUALITY, ""),
    "<": (_Level.COMPARISON, ""),
    "<=": (_Level.COMPARISON, ""),
    ">": (_Level.COMPARISON, ""),
    ">=": (_Level.COMPARISON, ""),
    "//": (_Level.UPDATE, "right"),
    "+": (_Level.SUM, "left"),
    "-": (_Level.SUM, "left"),
    "*": (_Level.PRODUCT, "left"),
    "/": (_Level.PRODUCT, "left"),
    "++": (_Level.CONCATENATION, "right"),
}
_UNARY = {"!": _Level.NOT, "-": _Level.NEGATION}
# what a minus can stand right before
_UNSIGNED = re.compile(r"[A-Za-z_(\[{\"']")


def text(expression: Expression) -> str:
    """The expression as the contents of a file, with a newline. Raises ValueError for what Nix cannot say."""
    return _lines(expression, 0, 0, _Level.ANYTHING) + "\n"


def line(expression: Expression) -> str:
    """The expression in one line, whatever its length; comments are left out."""
    return _flat(expression, _Level.ANYTHING)


def attribute_path(names: tuple[str | Template, ...]) -> str:
    """`a.b."c d"`"""
    return ".".join(_attribute(name) for name in names)


def _attribute(name: str | Template) -> str:
    if isinstance(name, Template):
        return quoted(_parts(name))
    return name if NAME.fullmatch(name) and name not in KEYWORDS else quoted((name,))


def _parts(template: Template) -> tuple[str | tuple[str], ...]:
    """Texts as they are; interpolated expressions as tuples of their text."""
    return tuple(part if isinstance(part, str) else (line(part),) for part in template.parts)


# ---- levels


def _level(expression: Expression) -> _Level:
    match expression:
        case bool() | None | str() | tuple() | Template() | Path() | Variable():
            return _Level.SIMPLE
        case int() | float():
            return _Level.NEGATION if _negative(expression) else _Level.SIMPLE
        case AttributeSet():
            return _Level.SIMPLE
        case Select():
            return _Level.SELECTION
        case Apply():
            return _Level.APPLICATION
        case HasAttribute():
            return _Level.HAS_ATTRIBUTE
        case Unary(operator):
            return _UNARY[operator]
        case Binary(operator):
            return _OPERATORS[operator][0]
        case _:
            return _Level.ANYTHING


def _negative(number: float) -> bool:
    return math.copysign(1, number) < 0


def _sides(expression: Binary) -> tuple[_Level, _Level]:
    """The least level that each operand must have to stand without parentheses."""
    level, chains = _OPERATORS[expression.operator]
    tighter = _Level(level + 1)

    def side(operand: Expression, which: str) -> _Level:
        same = isinstance(operand, Binary) and _OPERATORS[operand.operator][0] == level
        return level if same and chains == which else tighter

    return side(expression.left, "left"), side(expression.right, "right")


def _subject(expression: Expression) -> _Level:
    """What stands before a dot: numbers and paths would swallow the dot, a selection would join."""
    alone = isinstance(expression, (Path, Select)) or (
        isinstance(expression, (int, float)) and not isinstance(expression, bool)
    )
    return _Level.PARENTHESES if alone else _Level.SIMPLE


def _unary(expression: Unary) -> str:
    """`-(5)` is not the number -5, `-./a` would be a path, and `--x` reads badly."""
    written = _flat(expression.operand, _UNARY[expression.operator])
    alone = expression.operator == "!" or _UNSIGNED.match(written)
    return f"{expression.operator}{written}" if alone else f"{expression.operator}({written})"


# ---- one line


def _flat(expression: Expression, least: _Level) -> str:
    written = _flat_inside(expression)
    return f"({written})" if _level(expression) < least else written


def _flat_inside(expression: Expression) -> str:
    match expression:
        case bool() | None | int() | float() | str() | Path() | Variable():
            return _atom(expression)
        case Template(_, indented):
            return indented_line(_parts(expression)) if indented else quoted(_parts(expression))
        case tuple():
            return " ".join(("[", *(_flat(item, _Level.SELECTION) for item in expression), "]"))
        case AttributeSet(bindings, recursive):
            return " ".join(("rec {" if recursive else "{", *(_binding_line(item) for item in bindings), "}"))
        case Select(subject, names, default):
            written = f"{_flat(subject, _subject(subject))}.{attribute_path(names)}"
            return written if default is None else f"{written} or {_flat(default[0], _Level.SELECTION)}"
        case HasAttribute(subject, names):
            return f"{_flat(subject, _Level.NEGATION)} ? {attribute_path(names)}"
        case Apply(function, argument):
            return f"{_flat(function, _Level.APPLICATION)} {_flat(argument, _Level.SELECTION)}"
        case Function(body):
            return f"{_parameters(expression)}: {_flat(body, _Level.ANYTHING)}"
        case Let(bindings, body):
            written = " ".join(("let", *(_binding_line(item) for item in bindings), "in"))
            return f"{written} {_flat(body, _Level.ANYTHING)}"
        case With(scope, body):
            return f"with {_flat(scope, _Level.ANYTHING)}; {_flat(body, _Level.ANYTHING)}"
        case Assert(condition, body):
            return f"assert {_flat(condition, _Level.ANYTHING)}; {_flat(body, _Level.ANYTHING)}"
        case If(condition, yes, no):
            return f"if {line(condition)} then {line(yes)} else {line(no)}"
        case Unary():
            return _unary(expression)
        case Binary(operator, left, right):
            first, second = _sides(expression)
            return f"{_flat(left, first)} {operator} {_flat(right, second)}"
    raise ValueError(f"{type(expression).__name__} is no expression")


def _atom(expression: bool | float | str | Path | Variable | None) -> str:
    match expression:
        case None:
            return "null"
        case bool():
            return "true" if expression else "false"
        case int() | float():
            return _number(expression)
        case str():
            return quoted((expression,))
        case Path(written):
            return written
        case Variable(name):
            if not NAME.fullmatch(name) or name in KEYWORDS:
                raise ValueError(f"`{name}` cannot be a variable of Nix")
            return name


def _number(number: float) -> str:
    if isinstance(number, int):
        if abs(number) > _LARGEST:
            raise ValueError(f"{number} is too large for Nix")
        return str(number)
    if not math.isfinite(number):
        raise ValueError(f"{number} cannot be said in Nix")
    written = repr(number)
    # Nix wants a point in every floating-point number
    return written if "." in written else re.sub(r"(?=e|$)", ".0", written, count=1)


def _binding_line(item: Binding | Inherit) -> str:
    if isinstance(item, Inherit):
        source = "" if item.source is None else f" ({line(item.source[0])})"
        return "".join(("inherit", source, *(f" {_attribute(name)}" for name in item.names), ";"))
    return f"{attribute_path(item.names)} = {line(item.value)};"


def _parameters(function: Function) -> str:
    if function.parameters is None:
        return _atom(Variable(function.name or "_"))
    listed = [_parameter(parameter) for parameter in function.parameters] + (["..."] if function.open else [])
    written = f"{{ {', '.join(listed)} }}" if listed else "{ }"
    return f"{written}@{_atom(Variable(function.name))}" if function.name else written


def _parameter(parameter: Parameter) -> str:
    name = _atom(Variable(parameter.name))
    return name if parameter.default is None else f"{name} ? {line(parameter.default[0])}"


# ---- several lines


def _wants_lines(expression: Expression) -> bool:
    """Whether it reads better in several lines even where one would do."""
    match expression:
        case AttributeSet(bindings):
            return len(bindings) > 1 or any(
                isinstance(item, Binding) and (bool(item.comment) or _wants_lines(item.value)) for item in bindings
            )
        case Template(parts, indented):
            return indented and any(isinstance(part, str) and "\n" in part for part in parts)
        case tuple():
            return any(_wants_lines(item) for item in expression)
        case Let():
            return True
        case Apply(function, argument):
            return _wants_lines(function) or _wants_lines(argument)
        case Function(body) | With(_, body) | Assert(_, body) | Unary(_, body):
            return _wants_lines(body)
        case If(condition, yes, no):
            return any(_wants_lines(part) for part in (condition, yes, no))
        case Binary(_, left, right):
            return _wants_lines(left) or _wants_lines(right)
        case Select(subject):
            return _wants_lines(subject)
        case _:
            return False


def _lines(expression: Expression, indent: int, column: int, least: _Level) -> str:
    """The expression from `column` on; further lines are indented by `indent` at least."""
    if not _wants_lines(expression):
        flat = _flat(expression, least)
        if column + len(flat) < WIDTH:
            return flat
    if _level(expression) < least:
        return f"({_broken(expression, indent, column + 1)})"
    return _broken(expression, indent, column)


def _broken(expression: Expression, indent: int, column: int) -> str:
    deeper, pad = indent + _STEP, "\n" + " " * indent
    inner = "\n" + " " * deeper
    match expression:
        case Template(_, True):
            return indented_lines(_parts(expression), indent)
        case tuple() if expression:
            items = (inner + _lines(item, deeper, deeper, _Level.SELECTION) for item in expression)
            return f"[{''.join(items)}{pad}]"
        case AttributeSet(bindings, recursive) if bindings:
            return f"{'rec ' if recursive else ''}{{{_bindings(bindings, deeper)}{pad}}}"
        case Let(bindings, body):
            return f"let{_bindings(bindings, deeper)}{pad}in{pad}{_lines(body, indent, indent, _Level.ANYTHING)}"
        case Function(body):
            parameters = _parameters(expression)
            named = expression.parameters is None
            after = " " if named else pad
            start = column + len(parameters) + 2 if named else indent
            return f"{parameters}:{after}{_lines(body, indent, start, _Level.ANYTHING)}"
        case With(scope, body):
            head = f"with {line(scope)};"
            return f"{head} {_lines(body, indent, column + len(head) + 1, _Level.ANYTHING)}"
        case Assert(condition, body):
            return f"assert {line(condition)};{pad}{_lines(body, indent, indent, _Level.ANYTHING)}"
        case If(condition, yes, no):
            then = _lines(yes, deeper, deeper, _Level.ANYTHING)
            otherwise = _lines(no, deeper, deeper, _Level.ANYTHING)
            return f"if {line(condition)} then{inner}{then}{pad}else{inner}{otherwise}"
        case Apply():
            return _application(expression, indent, column)
        case Binary(operator, left, right):
            first_level, second_level = _sides(expression)
            written = _lines(left, indent, column, first_level)
            return f"{written}{pad}{operator} {_lines(right, indent, indent + len(operator) + 1, second_level)}"
        case _:
            return _flat_inside(expression)


def _application(expression: Apply, indent: int, column: int) -> str:
    """`function argument {` where the last argument opens lines of its own; else one argument a line."""
    function, argument = expression.function, expression.argument
    head = _flat(function, _Level.APPLICATION)
    if not _wants_lines(function) and column + len(head) < WIDTH - _STEP:
        return f"{head} {_lines(argument, indent, column + len(head) + 1, _Level.SELECTION)}"
    inner = indent + _STEP
    start = _lines(function, indent, column, _Level.APPLICATION)
    return f"{start}\n{' ' * inner}{_lines(argument, inner, inner, _Level.SELECTION)}"


def _bindings(bindings: tuple[Binding | Inherit, ...], indent: int) -> str:
    pad = "\n" + " " * indent
    written = ""
    for item in bindings:
        if isinstance(item, Binding):
            # a comment opens a paragraph
            written += "\n" if item.comment and written else ""
            written += "".join(f"{pad}# {told}".rstrip(" ") for told in item.comment.splitlines())
            written += pad + _binding(item, indent)
        else:
            written += pad + _binding_line(item)
    return written


def _binding(item: Binding, indent: int) -> str:
    path = attribute_path(item.names)
    if isinstance(item.value, (Let, If, Binary)) and indent + len(path) + 3 + len(line(item.value)) >= WIDTH:
        inner = indent + _STEP
        return f"{path} =\n{' ' * inner}{_lines(item.value, inner, inner, _Level.ANYTHING)};"
    return f"{path} = {_lines(item.value, indent, indent + len(path) + 3, _Level.ANYTHING)};"
