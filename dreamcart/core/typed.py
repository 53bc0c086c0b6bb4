"""Makes frozen dataclasses from mappings that a person or a file wrote, checking names, types and
ranges.

A field's type says what is allowed: int, float, str, bool, another dataclass, Literal, list[…],
dict[str, …], and Annotated with a bound: (low, high) of a number, or of the length of a list, a
mapping or a text, or a `Pattern`.
"""

import dataclasses
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from dreamcart.core.errors import UserError, shown

T = TypeVar("T")

Positive = Annotated[int, (1, 10**9)]
Count = Annotated[int, (0, 10**9)]
Share = Annotated[float, (0.0, 1.0)]
Scale = Annotated[float, (0.0, 10.0)]
Rate = Annotated[float, (1e-7, 1.0)]

WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True)
class Pattern:
    """What a text must look like: a regular expression, and the same in words."""

    expression: str
    words: str


def build(cls: type[T], values: Any, where: str, source: str = "params") -> T:
    """Make dataclass `cls` from a mapping.

    Args:
        where: prefix of the keys' names in messages; source: what the mapping was read from.

    Raises:
        UserError: `values` is no mapping, or a key is unknown, missing, or of another type or
            range.
    """
    if not isinstance(values, dict):
        raise UserError(
            f"{source}: {where.rstrip('.') or 'the file'} must be a mapping of settings, not"
            f" {shown(values)}."
        )
    hints = get_type_hints(cls, include_extras=True)
    known = {field.name: field for field in dataclasses.fields(cls)}
    for name in values:
        if name not in known:
            raise UserError(
                f"{source}: unknown key {shown(f'{where}{name}')}; allowed here:"
                f" {', '.join(known)}."
            )
    checked = {}
    for name, field in known.items():
        if name in values:
            checked[name] = _check(hints[name], values[name], where + name, source)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(f"{source}: key {where + name!r} is missing.")
    return cls(**checked)


def _check(hint: Any, value: Any, key: str, source: str) -> Any:
    """Return `value` if it fits the type hint; whole numbers are accepted for floats.

    Raises UserError.
    """
    if dataclasses.is_dataclass(hint):
        return build(hint, value, key + ".", source)
    bound = None
    if get_origin(hint) is Annotated:
        hint, bound = get_args(hint)
    origin = get_origin(hint)
    if origin is Literal:
        if not any(type(value) is type(known) and value == known for known in get_args(hint)):
            raise UserError(
                f"{source}: {key} is {shown(value)}; allowed:"
                f" {', '.join(map(repr, get_args(hint)))}."
            )
        return value
    kind = origin or hint
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < 1e300 else value
    if type(value) is not kind:
        exponent = (
            kind is float
            and isinstance(value, str)
            and re.fullmatch(r"[-+]?\d+e[-+]?\d+", value.lower())
        )
        # yes, no, on, off and numbers are no texts in YAML
        quotes = kind is str and isinstance(value, (int, float))
        hint_for_yaml = (
            " (YAML wants 1.0e-3, not 1e-3)" if exponent else " (in quotes)" if quotes else ""
        )
        raise UserError(
            f"{source}: {key} is {shown(value)}; it must be {WORDS[kind]}{hint_for_yaml}."
        )
    _check_bound(bound, value, key, source)
    if kind is list:
        return [
            _check(get_args(hint)[0], entry, f"{key}[{i}]", source) for i, entry in enumerate(value)
        ]
    if kind is dict:
        names, content = get_args(hint)
        return {
            _check(names, k, f"a name in {key}", source): _check(content, v, f"{key}.{k}", source)
            for k, v in value.items()
        }
    return value


def _check_bound(bound: Any, value: Any, key: str, source: str) -> None:
    """Raise UserError where a number, a length or a text is not as bound."""
    if isinstance(bound, Pattern):
        if not re.fullmatch(bound.expression, value, re.ASCII):
            raise UserError(f"{source}: {key} is {shown(value)}; allowed: {bound.words}.")
    elif bound is not None:
        sized = isinstance(value, (list, dict, str))
        unit = {list: " entries", dict: " entries", str: " characters"}.get(type(value), "")
        low, high = bound
        if not low <= (len(value) if sized else value) <= high:
            allowed = f"{low}{unit}" if low == high else f"{low} to {high}{unit}"
            raise UserError(f"{source}: {key} is {shown(value)}; allowed: {allowed}.")
