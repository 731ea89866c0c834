"""Structural schemas: defaults, pruning, validation, rules."""

from typing import Any

import pytest

from nerv.kube import fields, schemas
from nerv.kube.objects import clone

Json = dict[str, Any]


def spec_schema(**properties: Json) -> schemas.Schema:
    spec = {"type": "object", "properties": properties}
    return schemas.structural({"type": "object", "properties": {"spec": spec}})


def widget(**spec: Any) -> Json:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}


def messages(schema: schemas.Schema, **spec: Any) -> list[str]:
    return [error.message for error in schemas.validate(widget(**spec), schema)]


def test_defaults_and_nulls() -> None:
    schema = spec_schema(
        foo={"type": "string", "default": "d"},
        kept={"type": "string", "nullable": True},
        gone={"type": "string"},
        nested={"type": "object", "default": {}, "properties": {"x": {"type": "integer", "default": 5}}},
        items={"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
    )
    obj = schemas.default(widget(foo=None, kept=None, gone=None, items=[{}, {"p": "UDP"}]), schema)
    assert obj["spec"] == {
        "foo": "d",
        "kept": None,
        "nested": {"x": 5},
        "items": [{"p": "TCP"}, {"p": "UDP"}],
    }
    again = clone(obj)
    assert schemas.default(again, schema) == obj


def test_defaults_are_copies() -> None:
    schema = spec_schema(nested={"type": "object", "default": {"a": 1}, "x-kubernetes-preserve-unknown-fields": True})
    first = schemas.default(widget(), schema)
    first["spec"]["nested"]["a"] = 2
    assert schemas.default(widget(), schema)["spec"]["nested"] == {"a": 1}


def test_pruning_keeps_what_the_schema_leaves_open() -> None:
    schema = spec_schema(
        open={"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "object"}}},
        map={"type": "object", "additionalProperties": {"type": "string"}},
        template={"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}},
    )
    obj = widget(
        open={"b": {"c": 1}, "a": {"gone": 1}},
        map={"x": "y"},
        other=1,
        template={"apiVersion": "v1", "kind": "P", "metadata": {"name": "n", "gone": 1}, "gone": 1},
    )
    obj["metadata"]["labels"] = {"a": "b"}
    assert sorted(schemas.prune(obj, schema)) == [
        "spec.open.a.gone",
        "spec.other",
        "spec.template.gone",
        "spec.template.metadata.gone",
    ]
    assert obj["spec"]["open"] == {"b": {"c": 1}, "a": {}}
    assert obj["spec"]["template"] == {"apiVersion": "v1", "kind": "P", "metadata": {"name": "n"}}
    assert obj["metadata"] == {"name": "w", "labels": {"a": "b"}}


def test_without_a_schema_everything_stays() -> None:
    obj = widget(a={"b": [1, {"c": None}]})
    before = clone(obj)
    schema = schemas.structural(None)
    assert schemas.prune(obj, schema) == []
    assert schemas.default(obj, schema) == before
    assert schemas.validate(obj, schema) == []


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ({"type": "integer"}, "x", 'spec.f: Invalid value: "string": spec.f in body must be of type integer: "string"'),
        ({"type": "string"}, 1, 'spec.f: Invalid value: "integer": spec.f in body must be of type string: "integer"'),
        ({"type": "string"}, None, 'spec.f: Invalid value: "null": spec.f in body must be of type string: "null"'),
        ({"type": "boolean"}, [], 'spec.f: Invalid value: "array": spec.f in body must be of type boolean: "array"'),
        (
            {"x-kubernetes-int-or-string": True},
            True,
            'spec.f: Invalid value: "boolean": spec.f in body must be of type integer,string: "boolean"',
        ),
        (
            {"type": "integer", "maximum": 10},
            11,
            "spec.f: Invalid value: 11: spec.f in body should be less than or equal to 10",
        ),
        (
            {"type": "integer", "minimum": 1},
            0,
            "spec.f: Invalid value: 0: spec.f in body should be greater than or equal to 1",
        ),
        (
            {"type": "number", "minimum": 1, "exclusiveMinimum": True},
            1,
            "spec.f: Invalid value: 1: spec.f in body should be greater than 1",
        ),
        ({"type": "integer", "multipleOf": 2}, 3, "spec.f: Invalid value: 3: spec.f in body should be a multiple of 2"),
        (
            {"type": "string", "pattern": "^a+$"},
            "b",
            "spec.f: Invalid value: \"b\": spec.f in body should match '^a+$'",
        ),
        (
            {"type": "string", "pattern": "^a$"},
            "a\n",
            "spec.f: Invalid value: \"a\\n\": spec.f in body should match '^a$'",
        ),
        (
            {"type": "string", "minLength": 2},
            "a",
            'spec.f: Invalid value: "a": spec.f in body should be at least 2 chars long',
        ),
        ({"type": "string", "maxLength": 1}, "ab", "spec.f: Too long: may not be longer than 1"),
        (
            {"type": "string", "enum": ["b", "c"]},
            "a",
            'spec.f: Unsupported value: "a": supported values: "b", "c"',
        ),
        (
            {"type": "string", "format": "date-time"},
            "now",
            'spec.f: Invalid value: "now": spec.f in body must be of type date-time: "now"',
        ),
        (
            {"type": "array", "minItems": 1, "items": {"type": "string"}},
            [],
            "spec.f: Invalid value: 0: spec.f in body should have at least 1 items",
        ),
        (
            {"type": "array", "maxItems": 1, "items": {"type": "string"}},
            ["a", "b"],
            "spec.f: Too many: 2: must have at most 1 item",
        ),
        (
            {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            ["a", "a"],
            'spec.f[1]: Duplicate value: "a"',
        ),
        (
            {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            {},
            "spec.f.name: Required value",
        ),
        (
            {"type": "string", "oneOf": [{"enum": ["a"]}, {"enum": ["b"]}]},
            "c",
            '<nil>: Invalid value: "": "spec.f" must validate one and only one schema (oneOf). Found none valid',
        ),
        (
            {"type": "string", "anyOf": [{"minLength": 3}, {"pattern": "^x"}]},
            "c",
            '<nil>: Invalid value: "": "spec.f" must validate at least one schema (anyOf)',
        ),
        (
            {"type": "string", "not": {"enum": ["c"]}},
            "c",
            '<nil>: Invalid value: "": "spec.f" must not validate the schema (not)',
        ),
    ],
)
def test_errors_are_in_the_servers_words(field: Json, value: Any, expected: str) -> None:
    assert messages(spec_schema(f=field), f=value) == [expected]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ({"type": "integer"}, 3.0),
        ({"type": "number"}, 3),
        ({"x-kubernetes-int-or-string": True}, "80%"),
        ({"type": "string", "nullable": True}, None),
        ({"type": "string", "format": "made-up"}, "x"),
        ({"type": "string", "format": "duration"}, "1h30m"),
        ({"type": "string", "pattern": "(?i)^ABC$"}, "abc"),
        ({"type": "string", "oneOf": [{"enum": ["a"]}, {"enum": ["b"]}]}, "a"),
        ({"type": "object", "x-kubernetes-preserve-unknown-fields": True}, {"a": [1]}),
    ],
)
def test_valid_values(field: Json, value: Any) -> None:
    assert messages(spec_schema(f=field), f=value) == []


def test_items_of_a_list_map_are_unique_by_their_keys() -> None:
    item = {"type": "object", "properties": {"name": {"type": "string"}, "v": {"type": "integer"}}}
    schema = spec_schema(
        f={"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item}
    )
    assert messages(schema, f=[{"name": "a", "v": 1}, {"name": "a", "v": 2}]) == [
        'spec.f[1]: Duplicate value: map[string]interface {}{"name":"a"}'
    ]


def rules(*found: Json, **properties: Json) -> schemas.Schema:
    properties = properties or {"min": {"type": "integer"}, "max": {"type": "integer"}}
    spec = {"type": "object", "properties": properties, "x-kubernetes-validations": list(found)}
    return schemas.structural({"type": "object", "properties": {"spec": spec}})


def test_rules() -> None:
    schema = rules({"rule": "self.min <= self.max", "message": "min must not exceed max"})
    assert messages(schema, min=1, max=2) == []
    assert messages(schema, min=3, max=2) == ['spec: Invalid value: "object": min must not exceed max']
    plain = rules({"rule": "self.min <= self.max"})
    assert messages(plain, min=3, max=2) == ['spec: Invalid value: "object": failed rule: self.min <= self.max']


def test_a_rule_that_cannot_be_evaluated_says_so() -> None:
    schema = rules({"rule": "self.min <= self.max"})
    assert messages(schema, max=2) == [
        'spec: Invalid value: "object": no such key: min evaluating rule: self.min <= self.max'
    ]


def test_message_expression_reason_and_field_path() -> None:
    schema = rules(
        {
            "rule": "self.min <= self.max",
            "messageExpression": "'max must be at least ' + string(self.min)",
            "reason": "FieldValueForbidden",
            "fieldPath": ".max",
        }
    )
    errors = schemas.validate(widget(min=3, max=2), schema)
    assert [(error.field, error.reason, error.text) for error in errors] == [
        ("spec.max", fields.FORBIDDEN, "Forbidden: max must be at least 3")
    ]


def test_transition_rules_need_an_old_value() -> None:
    schema = rules({"rule": "self == oldSelf", "message": "immutable"}, f={"type": "string"})
    assert schemas.validate(widget(f="a"), schema) == []
    assert schemas.validate(widget(f="a"), schema, widget(f="a")) == []
    assert [error.message for error in schemas.validate(widget(f="b"), schema, widget(f="a"))] == [
        'spec: Invalid value: "object": immutable'
    ]


def test_optional_old_self_runs_on_create_as_well() -> None:
    schema = rules(
        {"rule": "oldSelf.hasValue() || self.f == 'first'", "optionalOldSelf": True, "message": "begin with first"},
        f={"type": "string"},
    )
    assert messages(schema, f="first") == []
    assert messages(schema, f="x") == ['spec: Invalid value: "object": begin with first']
    assert schemas.validate(widget(f="x"), schema, widget(f="first")) == []
