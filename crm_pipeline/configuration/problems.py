"""What is wrong with a user's YAML, in words that say what would be right.

No text made here holds a value of the YAML: only its keys and what these should hold.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

KeyPath: TypeAlias = tuple[str | int, ...]

CREDENTIAL_MODEL = "EnvVariable"
CREDENTIAL_REMEDY = (
    "a credential is never written here: put its value in an environment variable and name that variable as {{env: NAME}}, "
    "for example `{key}: {{env: {example}}}`"
)
_TYPE_ERRORS: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table of `key: value`",
    "model_type": "a table of `key: value`",
    "model_attributes_type": "a table of `key: value`",
    "none_required": "",
}
"""pydantic's errors that only say that a value is of another kind, and the kind that was due."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the YAML: the key it is about, and what is wrong and right in words without values."""

    path: KeyPath
    message: str

    def below(self, *prefix: str | int) -> Problem:
        """The same problem, seen from further up in the YAML."""
        return Problem((*prefix, *self.path), self.message)


class ProblemsError(ValueError):
    """Several problems found by one validator of a model; paths are relative to that model."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{dotted(problem.path)}: {problem.message}" for problem in problems))


def dotted(path: KeyPath) -> str:
    """The path as a user reads it, ``accounts.sync_on[0].name``: what cannot be printed as it is written in quotes."""
    text = "".join(f"[{segment}]" if isinstance(segment, int) else f".{segment}" for segment in path)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text.removeprefix("."))


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The nearest known word, or else all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known) or 'none'}"


def problems_of(error: ValidationError, *, model: type[BaseModel], raw: Any) -> list[Problem]:
    """What a validation of ``raw`` by ``model`` found, one problem per key, without pydantic's remarks on union members."""
    schema = _Schema(model)
    found = [(_yaml_path(details, raw), details) for details in error.errors(include_url=False, include_input=False)]
    return one_per_key(problem for path, details in found for problem in _translate(path, details, found=found, schema=schema, raw=raw))


def without_credentials(problems: Iterable[Problem], *, model: type[BaseModel]) -> list[Problem]:
    """The problems, but of what is in the place of a credential only that it does not belong there: even its key may be one."""
    schema = _Schema(model)
    return one_per_key(schema.credential_problem(problem.path) or problem for problem in problems)


def one_per_key(problems: Iterable[Problem]) -> list[Problem]:
    """The first problem of each key."""
    kept: dict[KeyPath, Problem] = {}
    for problem in problems:
        kept.setdefault(problem.path, problem)
    return list(kept.values())


def _translate(
    path: KeyPath,
    details: ErrorDetails,
    *,
    found: Sequence[tuple[KeyPath, ErrorDetails]],
    schema: _Schema,
    raw: Any,
) -> Iterator[Problem]:
    kind = details["type"]
    credential = schema.credential_problem(path)
    if kind == "missing" and (credential is None or credential.path == path):
        yield Problem(path, f"this key is missing{schema.hint(path)}")
    elif credential is not None:
        yield credential
    elif isinstance(cause := details.get("ctx", {}).get("error"), ProblemsError):
        yield from (problem.below(*path) for problem in cause.problems)
    elif kind == "literal_error" and any(place != path and place[: len(path)] == path for place, _ in found):
        return  # the member of the union that is meant is the one that has what is inside
    elif kind in _TYPE_ERRORS:
        if not any(_says_more(other, about=path) for other in found):
            due = dict.fromkeys(_TYPE_ERRORS[other["type"]] for place, other in found if place == path)
            yield Problem(path, f"must be {' or '.join(filter(None, due))}{_quote_hint(_value_at(raw, path))}")
    else:
        yield Problem(path, _message(path, details, schema=schema))


def _message(path: KeyPath, details: ErrorDetails, *, schema: _Schema) -> str:
    match details["type"]:
        case "extra_forbidden":
            return f"unknown key; {did_you_mean(str(path[-1]), schema.keys(path[:-1]))}"
        case "invalid_key":
            return "a key must be text; put it in quotes"
        case "literal_error":
            return f"must be one of: {details['ctx']['expected']}"
        case "string_pattern_mismatch":
            return f"does not have the right form{schema.hint(path)}"
        case "value_error":
            return str(details["ctx"]["error"])
        case _:
            return f"{details['msg']}{schema.hint(path)}"


def _says_more(other: tuple[KeyPath, ErrorDetails], *, about: KeyPath) -> bool:
    """Whether an error speaks about what is inside ``about``: then the member of the union that has it is the one meant."""
    path, details = other
    return path[: len(about)] == about and (len(path) > len(about) or details["type"] not in _TYPE_ERRORS)


def _yaml_path(details: ErrorDetails, raw: Any) -> KeyPath:
    """The error's place as the YAML has it: pydantic's own path without the names of union members."""
    path: list[str | int] = []
    value = raw
    location = details["loc"]
    for position, segment in enumerate(location):
        is_key = isinstance(value, Mapping) and segment in value
        is_item = isinstance(value, list) and isinstance(segment, int) and segment < len(value)
        if is_key or is_item:
            path.append(segment)
            value = value[segment]
        elif details["type"] == "missing" and position == len(location) - 1:
            path.append(segment)
    return tuple(path)


def _value_at(raw: Any, path: KeyPath) -> Any:
    for segment in path:
        raw = raw[segment]
    return raw


def _quote_hint(value: Any) -> str:
    match value:
        case bool():
            return "; YAML reads this as true or false: put it in quotes if text is meant"
        case int() | float():
            return "; YAML reads this as a number: put it in quotes if text is meant"
        case _:
            return ""


@cache
def _json_schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


class _Schema:
    """A model's JSON schema, asked by YAML path: which keys belong there, and what the key's description and example say."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._root = _json_schema(model)

    def keys(self, path: KeyPath) -> list[str]:
        return [key for node in self._nodes(path) for key in node.get("properties", {})]

    def hint(self, path: KeyPath) -> str:
        """What the key is for and an example, to be put behind a sentence; empty where neither is known."""
        nodes = list(self._nodes(path, follow=False))
        described = next((node["description"] for node in nodes if "description" in node), None)
        examples = next((node["examples"] for node in nodes if node.get("examples")), None)
        text = f". {described.removesuffix('.')}" if described else ""
        return f"{text}, for example {_as_yaml(examples[0])}" if examples else text

    def credential_problem(self, path: KeyPath) -> Problem | None:
        """What to say instead of anything about a path that leads to or into a credential."""
        for length in range(1, len(path) + 1):
            nodes = self._nodes(path[:length], follow=False)
            if any(node.get("$ref", "").endswith(f"/{CREDENTIAL_MODEL}") for node in nodes):
                examples = [example["env"] for node in nodes for example in node.get("examples", [])]
                return Problem(path[:length], CREDENTIAL_REMEDY.format(key=path[length - 1], example=(examples or ["NAME"])[0]))
        return None

    def _nodes(self, path: KeyPath, *, follow: bool = True) -> list[dict[str, Any]]:
        nodes = [self._root]
        for segment in path:
            nodes = [below for node in nodes for resolved in self._resolve(node) for below in _schema_below(resolved, segment)]
        if follow:
            return [resolved for node in nodes for resolved in self._resolve(node)]
        return [member for node in nodes for member in (node, *node.get("anyOf", ()))]

    def _resolve(self, node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if "$ref" in node:
            node = self._root["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        yield node
        for member in (*node.get("anyOf", ()), *node.get("allOf", ())):
            yield from self._resolve(member)


def _schema_below(node: dict[str, Any], segment: str | int) -> Iterator[dict[str, Any]]:
    other_keys = node.get("additionalProperties")
    below = node.get("items") if isinstance(segment, int) else node.get("properties", {}).get(segment, other_keys)
    if isinstance(below, dict):
        yield below


def _as_yaml(example: Any) -> str:
    text = yaml.safe_dump(example, default_flow_style=True, sort_keys=False, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")
