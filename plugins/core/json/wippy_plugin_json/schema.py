"""JSON Schema validation for `json.validate` and `json.validate_string`.

The draft is the one that `$schema` names, 3 to 2020-12, and 2020-12 without it. `format` is checked. References are
resolved inside the schema and to the published meta-schemas, never over the network.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
from referencing.exceptions import Unresolvable

from wippy.errors import INTERNAL, INVALID, Error

__all__ = ["Schemas"]

#: How many compiled schemas are kept.
KEPT = 256
#: How many failures an error message spells out; its details hold all.
SHOWN = 5

# Keywords whose value is a schema, a map of schemas, or a list of schemas.
ONE = frozenset(
    {"additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"}
    | {"propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
)
MAP = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
LIST = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})


def restore_objects(schema: Any) -> Any:
    """Return a schema written as a Lua table with its empty tables as objects where only an object has a meaning."""
    if schema == []:
        return {}
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, value in schema.items():
        if key in LIST and isinstance(value, list) and value:
            value = [restore_objects(item) for item in value]
        elif key in ONE:
            value = restore_objects(value)
        elif key in MAP:
            value = {name: restore_objects(item) for name, item in value.items()} if isinstance(value, dict) else {}
        result[key] = value
    return result


def decode(text: str | bytes, what: str, kind: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Error(f"{what} is not JSON: {problem}", kind, retryable=False) from None


class Schemas:
    """Compiled schemas by their text, the least recently used going first."""

    def __init__(self) -> None:
        self._compiled: OrderedDict[tuple[str | bytes, bool], Validator] = OrderedDict()

    def validate(self, schema: str | bytes, document: str | bytes, from_table: bool) -> bool:
        """Return True for a document that satisfies the schema; both are JSON text.

        `from_table` tells that the schema was a Lua table, where an empty object looks like an empty array.

        Raises Error(Invalid) for one that does not, with details.errors [{path, message, keyword}], and for a schema
        that is none; Error(Internal) for a document that is not JSON.
        """
        validator = self._validator(schema, from_table)
        value = decode(document, "document", INTERNAL)
        try:
            problems = sorted(validator.iter_errors(value), key=lambda problem: list(map(str, problem.absolute_path)))
        except Unresolvable as problem:
            raise Error(f'schema: reference "{problem.ref}" cannot be resolved', INVALID, retryable=False) from None
        except RecursionError:
            raise Error("schema or document is nested too deeply", INVALID, retryable=False) from None
        if problems:
            raise failure(problems)
        return True

    def _validator(self, schema: str | bytes, from_table: bool) -> Validator:
        key = (schema, from_table)
        validator = self._compiled.get(key)
        if validator is None:
            validator = compile_schema(schema, from_table)
            self._compiled[key] = validator
            if len(self._compiled) > KEPT:
                self._compiled.popitem(last=False)
        else:
            self._compiled.move_to_end(key)
        return validator


def compile_schema(text: str | bytes, from_table: bool) -> Validator:
    schema = decode(text, "schema", INVALID)
    if from_table:
        schema = restore_objects(schema)
    if not isinstance(schema, dict | bool):
        raise Error("schema must be an object or a boolean", INVALID, retryable=False)
    kind: type[Validator] = validator_for(schema, default=Draft202012Validator)
    try:
        if isinstance(schema, dict):
            kind.check_schema(schema)
    except SchemaError as problem:
        raise Error(f"schema: {place(problem)}{problem.message}", INVALID, retryable=False) from None
    return kind(schema, registry=REGISTRY, format_checker=kind.FORMAT_CHECKER)


def path_of(problem: ValidationError | SchemaError) -> str:
    """Return where a problem is, as Lua programmers write it: `items[1].name`."""
    text = ""
    for part in problem.absolute_path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def place(problem: ValidationError | SchemaError) -> str:
    path = path_of(problem)
    return f"{path}: " if path else ""


def failure(problems: list[ValidationError]) -> Error:
    texts = [place(problem) + problem.message for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        texts.append(f"and {len(problems) - SHOWN} more")
    errors = [{"path": path_of(p), "message": p.message, "keyword": str(p.validator)} for p in problems]
    return Error("validation failed: " + "; ".join(texts), INVALID, retryable=False, details={"errors": errors})
