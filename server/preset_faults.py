"""What is wrong with a preset, in words for a person: the key as it stands in the file, the value, the choices."""

from __future__ import annotations

import difflib
import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def explain(detail: Any, schema: type[BaseModel]) -> list[str]:
    """One pydantic error as lines for a person."""
    location = detail["loc"]
    key = ".".join(str(part) for part in location)
    value, kind = detail["input"], detail["type"]
    if kind == "extra_forbidden":
        fields = _fields_at(schema, location[:-1])
        return [f"{_key(location)}: unknown key; {not_one_of(str(location[-1]), fields)}"]
    if kind in ("union_tag_invalid", "literal_error"):
        expected = detail["ctx"].get("expected_tags") or detail["ctx"]["expected"]
        choices = [choice.strip().strip("'") for choice in expected.replace(" or ", ",").split(",")]
        tag = detail["ctx"].get("tag", value)
        where = key if kind == "literal_error" else f"{key}.{detail['ctx']['discriminator'].strip(chr(39))}"
        return [f"{_key(tuple(where.split('.')))}: {not_one_of(str(tag), choices)}"]
    if kind == "union_tag_not_found":
        return [f"{key}: needs the key {detail['ctx']['discriminator']}"]
    if kind == "missing":
        return [f"{_key(location)}: is missing"]
    if kind == "value_error" and not location:
        return str(detail["ctx"]["error"]).split("\n")
    if kind == "value_error":
        return [f"{_key(location)}: {value!r}: {detail['ctx']['error']}"]
    if kind == "tuple_type" and isinstance(value, str | int | float):
        return [f"{_key(location)}: {value!r}: must be a list; write [{value}]"]
    return [f"{_key(location)}: {value!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}"]


def _key(location: tuple[Any, ...]) -> str:
    """The key as it stands in the file: pydantic puts the tag of a choice, such as `vmc`, into it."""
    chosen = location[0] in ("dancers", "outputs") and len(location) > 2 and location[2] not in ("receive", "send")
    return ".".join(str(part) for place, part in enumerate(location) if not (chosen and place == 2))


def not_one_of(value: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(value, choices, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{value!r} is not one of {', '.join(choices) or 'none'}{hint}"


def _fields_at(schema: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that are legal at a place of the schema."""
    kind: Any = schema
    for part in location:
        kind = _descend(kind, part)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _descend(kind: Any, part: Any) -> Any:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        annotation = kind.model_fields[part].annotation
        options = [option for option in get_args(annotation) if option is not type(None)]
        optional = get_origin(annotation) in (Union, types.UnionType) and len(options) == 1
        return options[0] if optional else annotation
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    if get_origin(kind) is tuple:
        return get_args(kind)[0]
    tagged = [option for option in get_args(kind) if part in _tag_of(option)]
    return tagged[0] if tagged else kind


def _tag_of(model: Any) -> tuple[Any, ...]:
    fields = getattr(model, "model_fields", {})
    tag = fields.get("receive") or fields.get("send")
    return get_args(tag.annotation) if tag else ()
