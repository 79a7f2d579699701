"""The YAML files as a user wrote them: on which line a key stands, and which values YAML reads in an unexpected way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import yaml

from crm_pipeline.configuration.problems import KeyPath, Problem, did_you_mean, dotted, one_per_key
from crm_pipeline.errors import ConfigurationError

DOCUMENT_KEYS = ("type", "attributes", "template_vars_module", "requirements", "post_processing")
"""What may stand at the top of a defs.yaml (dagster.components.core.defs_module.ComponentFileModel)."""

FILE_NAMES = ("defs.yaml", "defs.yml", "component.yaml")
"""What Dagster reads as a component (dagster.components.core.defs_module.find_defs_or_component_yaml)."""

TYPES = ("crm_pipeline.CrmIntegration", "crm_pipeline.component.CrmIntegration")
"""What an integration's `type:` may be."""

_PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_WORD_OF_A_TAG = re.compile(r" '!.+'")
_YAML_TAG = "tag:yaml.org,2002:"


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

    def traps(self, key: str) -> list[Problem]:
        """What YAML reads other than it looks, repeats, or leaves empty below this key at the top; paths start below it."""
        return [trap for name, _, value in _children(self.root) if name == key for trap in _traps(value, (), seen=set())]


def read_documents(file: Path) -> list[YamlDocument]:
    """The documents of a YAML file. Raises ConfigurationError with the line where it is no YAML."""
    try:
        roots = list(yaml.compose_all(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader))
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file}: this is not a text in UTF-8; save it as UTF-8") from None
    except yaml.composer.ComposerError as error:
        # Its text repeats the word behind * or &.
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{file}:{line}: this is no YAML; put a value that begins with * or & in quotes") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        cause = _WORD_OF_A_TAG.sub("", error.problem or error.context or "")
        raise ConfigurationError(
            f"{file}:{line}: this is no YAML ({cause}); check indentation (spaces, no tabs), colons and quotes"
        ) from None
    except yaml.YAMLError:
        raise ConfigurationError(f"{file}: this is no YAML; it holds characters that YAML does not allow") from None
    return [YamlDocument(file, root) for root in roots]


def checked_files(folder: Path) -> list[Path]:
    """The components' files below a folder. Raises ConfigurationError where Dagster's own message would repeat what stands in them."""
    files = sorted(file for name in FILE_NAMES for file in folder.rglob(name))
    for file in files:
        documents = read_documents(file)
        if not documents:
            raise ConfigurationError(f"{file}:1: the file is empty; write an integration into it, or remove it")
        for document in documents:
            if problems := _top_problems(document):
                raise refusal(subject=f"{file.parent.name}/{file.name}", document=document, problems=problems)
    return files


def _top_problems(document: YamlDocument) -> list[Problem]:
    if not isinstance(document.root, yaml.MappingNode):
        return [Problem((), "a component's file holds `type:` and `attributes:`")]
    top = [str(name) for name, _, _ in _children(document.root)]
    problems = [
        Problem((name,), f"unknown key at the top; indent it if it belongs below `attributes:`; {did_you_mean(name, DOCUMENT_KEYS)}")
        for name in top
        if name not in DOCUMENT_KEYS
    ]
    problems += [Problem((name,), "this key stands here twice; keep one") for name in DOCUMENT_KEYS if top.count(name) > 1]
    problems += _tags(document.root, (), seen=set())
    attributes = next((value for name, _, value in _children(document.root) if name == "attributes"), None)
    if attributes is not None and not isinstance(attributes, yaml.MappingNode):
        problems.append(Problem(("attributes",), "must be a table of `key: value`, indented below it"))
    kind = next((value for name, _, value in _children(document.root) if name == "type"), None)
    if kind is None:
        problems.append(Problem((), f"the key `type` is missing, for example `type: {TYPES[0]}`"))
    elif not isinstance(kind, yaml.ScalarNode):
        problems.append(Problem(("type",), f"must be a text, for example `type: {TYPES[0]}`"))
    elif not _is_there(kind.value):
        problems.append(Problem(("type",), f"there is no such type; {did_you_mean(kind.value, TYPES)}"))
    return problems


def _tags(node: yaml.Node, path: KeyPath, *, seen: set[int]) -> Iterator[Problem]:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if node.tag.startswith("!"):
        yield Problem(path, "YAML reads a word that begins with ! as a tag; put the value in quotes")
    for name, _, value in _children(node):
        yield from _tags(value, (*path, name), seen=seen)


def _is_there(kind: str) -> bool:
    """Whether Dagster can find a component of this type, as far as that can be told without importing another's package."""
    package, _, name = kind.partition(".")
    if package == TYPES[0].partition(".")[0]:
        return kind in TYPES
    # A name that begins with a dot is relative to the folder.
    return bool(name) and (not package or find_spec(package) is not None)


def refusal(*, subject: str, document: YamlDocument | None, problems: Sequence[Problem]) -> ConfigurationError:
    """The error that tells all problems of one YAML, the first of each key, with file and line in the order of the file."""
    problems = one_per_key(problems)
    if document is None:
        lines = [f"{dotted(problem.path)}: {problem.message}" for problem in problems]
    else:
        placed = sorted(((document.line(problem.path), problem) for problem in problems), key=lambda pair: pair[0])
        lines = [f"{document.file}:{line}: {_label(problem)}" for line, problem in placed]
    return ConfigurationError("\n".join([f"{subject} cannot be used:", *lines]))


def _label(problem: Problem) -> str:
    return f"{dotted(problem.path)}: {problem.message}" if problem.path else problem.message


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
    elif _UNSTORABLE.search(node.value):
        yield Problem(path, r"holds a character that no CRM or database takes (\0, or half of a pair of \ud800 to \udfff); write it itself")
