"""Turns what is wrong with a user's YAML into lines that say where it is, what is wrong and what would be right.

No text made here holds a value of the YAML: only files, lines, keys and what the key should hold.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from crm_pipeline.errors import ConfigurationError

KeyPath: TypeAlias = tuple[str | int, ...]

CREDENTIAL_MODEL = "EnvVariable"
CREDENTIAL_REMEDY = (
    "a credential is never written here: put its value in an environment variable and name that variable as {{env: NAME}}, "
    "for example `{key}: {{env: {example}}}`"
)
DOCUMENT_KEYS = ("type", "attributes", "template_vars_module", "requirements", "post_processing")
"""What may stand at the top of a defs.yaml (dagster.components.core.defs_module.ComponentFileModel)."""

_PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_YAML_TAG = "tag:yaml.org,2002:"

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
    "dict_type": "a table of `key: value`",
    "model_type": "a table of `key: value`",
    "model_attributes_type": "a table of `key: value`",
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
    """The path as a user reads it: ``accounts.sync_on[0].name``."""
    text = "".join(f"[{segment}]" if isinstance(segment, int) else f".{segment}" for segment in path)
    return text.removeprefix(".")


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The nearest known word, or else all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known) or 'none'}"


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a YAML file, with the line of every key."""

    file: Path
    root: yaml.Node

    def line(self, path: KeyPath) -> int:
        """The line (from 1) of the key at this path, or of the nearest key above it that is there."""
        node, line = self.root, self.root.start_mark.line
        for segment in path:
            found = next(((key, value) for name, key, value in _children(node) if name == segment), None)
            if found is None:
                break
            key, node = found
            line = key.start_mark.line
        return int(line) + 1

    def traps(self, path: KeyPath) -> list[Problem]:
        """What below this path YAML reads other than it looks, repeats, or leaves empty."""
        node = self.root
        for segment in path:
            node = next((value for name, _, value in _children(node) if name == segment), node)
        return list(_traps(node, path, seen=set()))


def read_documents(file: Path) -> list[YamlDocument]:
    """The documents of a YAML file. Raises ConfigurationError with the line where it is no YAML."""
    try:
        roots = list(yaml.compose_all(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader))
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file}: this is not a text in UTF-8; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigurationError(
            f"{file}:{line}: this is no YAML ({error.problem or error.context}); check indentation (spaces, no tabs), colons and quotes"
        ) from None
    except yaml.YAMLError:
        raise ConfigurationError(f"{file}: this is no YAML; it holds characters that YAML does not allow") from None
    return [YamlDocument(file, root) for root in roots if root is not None]


def check_document(document: YamlDocument) -> list[Problem]:
    """What is wrong with the keys at the top of a defs.yaml, which Dagster would report together with their values."""
    if not isinstance(document.root, yaml.MappingNode):
        return [Problem((), "a defs.yaml holds `type:` and `attributes:`")]
    top = [str(name) for name, _, _ in _children(document.root)]
    problems = [
        Problem((name,), f"unknown key at the top of the file; indent it below `attributes:` if it belongs there, else {_or_else(name)}")
        for name in top
        if name not in DOCUMENT_KEYS
    ]
    attributes = next((value for name, _, value in _children(document.root) if name == "attributes"), None)
    if attributes is not None and not isinstance(attributes, yaml.MappingNode):
        problems.append(Problem(("attributes",), "must be a table of `key: value`, indented below it"))
    if "type" not in top:
        problems.append(Problem((), "the key `type` is missing, for example `type: crm_pipeline.CrmIntegration`"))
    return problems


def _or_else(name: str) -> str:
    return did_you_mean(name, DOCUMENT_KEYS)


def refusal(*, subject: str, document: YamlDocument | None, problems: Sequence[Problem]) -> ConfigurationError:
    """The error that tells all problems of one YAML, the first of each key, with file and line in the order of the file."""
    problems = _one_per_key(problems)
    if document is None:
        lines = [f"{dotted(problem.path)}: {problem.message}" for problem in problems]
    else:
        placed = sorted(((document.line(problem.path), problem) for problem in problems), key=lambda pair: pair[0])
        lines = [f"{document.file}:{line}: {_label(problem)}" for line, problem in placed]
    return ConfigurationError("\n".join([f"{subject} cannot be used:", *lines]))


def _label(problem: Problem) -> str:
    return f"{dotted(problem.path)}: {problem.message}" if problem.path else problem.message


def problems_of(error: ValidationError, *, model: type[BaseModel], raw: Any) -> list[Problem]:
    """What a validation of ``raw`` by ``model`` found, one problem per key, without pydantic's remarks on union members."""
    schema = _Schema(model)
    found = [(_yaml_path(details, raw), details) for details in error.errors(include_url=False, include_input=False)]
    return _one_per_key(problem for path, details in found for problem in _translate(path, details, found=found, schema=schema, raw=raw))


def template_problem(path: KeyPath, *, model: type[BaseModel]) -> Problem:
    """What to say of a template that gives no value."""
    schema = _Schema(model)
    credential = schema.credential_above(path)
    if credential is not None:
        return Problem(credential, schema.credential_remedy(credential))
    return Problem(path, "the template gives no value; is the variable that it names defined?")


def _one_per_key(problems: Iterable[Problem]) -> list[Problem]:
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
    credential = schema.credential_above(path)
    if credential is not None and (kind != "missing" or len(path) > len(credential)):
        yield Problem(credential, schema.credential_remedy(credential))
    elif isinstance(cause := details.get("ctx", {}).get("error"), ProblemsError):
        yield from (problem.below(*path) for problem in cause.problems)
    elif kind in _TYPE_ERRORS:
        if not any(_says_more(other, about=path) for other in found):
            due = [_TYPE_ERRORS[other["type"]] for place, other in found if place == path]
            yield Problem(path, f"must be {' or '.join(dict.fromkeys(due))}{_quote_hint(_value_at(raw, path))}")
    else:
        yield Problem(path, _message(path, details, schema=schema))


def _message(path: KeyPath, details: ErrorDetails, *, schema: _Schema) -> str:
    match details["type"]:
        case "missing":
            return f"this key is missing{schema.hint(path)}"
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


class _Schema:
    """A model's JSON schema, asked by YAML path: which keys belong there, and what the key's description and example say."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    @cached_property
    def _root(self) -> dict[str, Any]:
        return self._model.model_json_schema()

    def keys(self, path: KeyPath) -> list[str]:
        return [key for node in self._nodes(path) for key in node.get("properties", {})]

    def hint(self, path: KeyPath) -> str:
        """What the key is for and an example, to be put behind a sentence; empty where neither is known."""
        nodes = list(self._nodes(path, follow=False))
        described = next((node["description"] for node in nodes if "description" in node), None)
        examples = next((node["examples"] for node in nodes if node.get("examples")), None)
        text = f". {described.removesuffix('.')}" if described else ""
        return f"{text}, for example {_as_yaml(examples[0])}" if examples else text

    def credential_above(self, path: KeyPath) -> KeyPath | None:
        """The part of the path that leads to a credential, if it leads to or into one."""
        for length in range(1, len(path) + 1):
            references = (node.get("$ref", "") for node in self._nodes(path[:length], follow=False))
            if any(reference.endswith(f"/{CREDENTIAL_MODEL}") for reference in references):
                return path[:length]
        return None

    def credential_remedy(self, path: KeyPath) -> str:
        examples = [example for node in self._nodes(path, follow=False) for example in node.get("examples", [])]
        name = next((example["env"] for example in examples if isinstance(example, Mapping) and "env" in example), str(path[-1]).upper())
        return CREDENTIAL_REMEDY.format(key=path[-1], example=name)

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


def _children(node: yaml.Node) -> Iterator[tuple[str | int, yaml.Node, yaml.Node]]:
    """Below a table or list: name, the node whose line is the name's, and the value's node."""
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode))
    elif isinstance(node, yaml.SequenceNode):
        yield from ((position, value, value) for position, value in enumerate(node.value))


def _traps(node: yaml.Node, path: KeyPath, *, seen: set[int]) -> Iterator[Problem]:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield from _scalar_traps(node, path)
    names: set[str | int] = set()
    for name, key, value in _children(node):
        below = (*path, name)
        if name in names:
            yield Problem(below, "this key stands here twice; keep one")
        names.add(name)
        if isinstance(key, yaml.ScalarNode) and key is not value:
            yield from _scalar_traps(key, below)
        yield from _traps(value, below, seen=seen)


def _scalar_traps(node: yaml.ScalarNode, path: KeyPath) -> Iterator[Problem]:
    kind = node.tag.removeprefix(_YAML_TAG)
    if kind == "bool" and node.value.lower() not in {"true", "false"}:
        yield Problem(path, "YAML reads this word as true or false; put it in quotes, or write true or false")
    elif kind in {"int", "float"} and not _PLAIN_NUMBER.fullmatch(node.value):
        yield Problem(path, "YAML reads this as another number than it looks; put it in quotes, or write a plain decimal number")
    elif kind == "null":
        yield Problem(path, "there is no value behind this key; fill it in, or leave the key out")
