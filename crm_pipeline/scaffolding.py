"""`dg scaffold defs crm_pipeline.CrmIntegration`: the defs.yaml that a new integration begins with, made of the models of the YAML."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import click
import dagster as dg
import yaml
from dagster.components.scaffold.scaffold import ScaffoldRequest
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from crm_pipeline.configuration.problems import did_you_mean
from crm_pipeline.crms import crm_kinds
from crm_pipeline.integration import NAME_PATTERN, WrittenAttributes
from crm_pipeline.mapping.field_maps import AccountMap, ContactMap
from crm_pipeline.mapping.presets import preset_field
from crm_pipeline.mapping.spec import AccountSpec, ContactSpec
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.qbench.settings import QBenchSettings
from crm_pipeline.store.database import URL_VARIABLE

HEAD = """\
# An integration of crm-pipeline; its name is that of this folder. Fill in what is yours, and take away what you do not need.
# A line that begins with #key: is a setting left out; the value shown is an example, or what holds without it.
# Credentials stay in the environment: {env: NAME} names their variable.
# `dg check defs` or `dagster definitions validate` says whether the file can be used, `crm-pipeline plan` what a load would do.
"""
_WIDTH = 116


class NewIntegration(BaseModel):
    """What a user says of a new integration."""

    crm: Annotated[
        list[str],
        Field(description="A CRM that it feeds, as often as there are several; left out, all that this installation knows."),
    ] = []


class IntegrationScaffolder(dg.Scaffolder[NewIntegration]):
    """Writes a complete, commented defs.yaml that loads as it stands."""

    @classmethod
    def get_scaffold_params(cls) -> type[NewIntegration]:
        """The options of `dg scaffold defs`."""
        return NewIntegration

    def scaffold(self, request: ScaffoldRequest[NewIntegration]) -> None:
        """Write the file. Raises ClickException, and leaves no folder, where the name or the form cannot be one, or a CRM is not known."""
        name, problem = request.target_path.name, None
        if request.scaffold_format != "yaml" or request.append:
            problem = "an integration is written in a defs.yaml of its own; leave --format away"
        elif not re.fullmatch(NAME_PATTERN, name):
            problem = f"{name} cannot be an integration's name: at most 31 lower-case letters, digits and _, a letter first"
        elif unknown := [crm for crm in request.params.crm if crm not in crm_kinds()]:
            # Not by a validator of the parameters, whose error dg shows as JSON.
            problem = f"there is no CRM {unknown[0]}; {did_you_mean(unknown[0], list(crm_kinds()))}"
        if problem:
            if request.target_path.is_dir() and not any(request.target_path.iterdir()):
                request.target_path.rmdir()
            raise click.ClickException(problem)
        text = new_integration(request.params.crm or list(crm_kinds()), type_name=request.type_name, now=datetime.now(UTC))
        (request.target_path / "defs.yaml").write_text(text, encoding="utf-8")
        click.echo(_next_steps(request.target_path / "defs.yaml", text))


def _next_steps(file: Path, text: str) -> str:
    """What to do with the file now; which variables it wants is read from what is not commented out."""
    written = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    variables = [URL_VARIABLE, *re.findall(r"\{env: (\w+)\}", written)]
    return (
        f"Wrote {file}. Next: fill in what is yours there; give these variables their values in the project's .env, which stays out of\n"
        f"version control: {', '.join(variables)}.\n"
        f"Then look whether everything is ready:\n  crm-pipeline doctor --integration {file.parent.name}"
    )


def new_integration(crms: Sequence[str], *, type_name: str, now: datetime) -> str:
    """A complete, commented defs.yaml for these CRMs that loads as it stands; its first hour is the last that closed before ``now``."""
    crms = sorted(set(crms))
    parts = {
        "start": (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:00Z"),
        "qbench": _lines(QBenchSettings, {}, crms=crms),
        "crms": _crms(crms),
        "accounts": _records(AccountSpec, AccountMap, crms),
        "contacts": _records(ContactSpec, ContactMap, crms),
    }
    return "\n".join([HEAD, f"type: {type_name}", "attributes:", *_indented(_lines(WrittenAttributes, parts, crms=crms)), ""])


def _crms(crms: Sequence[str]) -> Iterator[str]:
    for crm in crms:
        settings = crm_kinds()[crm].settings
        examples = {name: field.examples for name, field in settings.model_fields.items() if name in {*settings.needed, "external_key"}}
        yield f"{crm}:"
        yield from _indented(_lines(settings, {name: some[0] for name, some in examples.items() if some}, crms=crms))


def _records(spec: type[AccountSpec | ContactSpec], mapped: type[BaseModel], crms: Sequence[str]) -> Iterator[str]:
    """What is written about a record type: all its fields mapped, and its match key in each of the CRMs."""
    examples = {key: field.examples[0] for key, field in _keys(mapped) if field.examples and key != "phone_number_type"}
    return _lines(spec, {"map": _lines(mapped, examples, crms=crms), "sync_on": [_match_key(spec.record_type, crms)]}, crms=crms)


def _match_key(record_type: RecordType, crms: Sequence[str]) -> dict[str, dict[str, str]]:
    name = MODELS[record_type].identifying
    fields = {crm: preset_field(crm, record_type, name) for crm in crms}
    return {name: {crm: field for crm, field in fields.items() if field is not None}}


def _lines(model: type[BaseModel], values: Mapping[str, Any], *, crms: Sequence[str]) -> Iterator[str]:
    """The lines of one table: what is required or has a value here as it is, everything else left out by #."""
    for key, field in _keys(model):
        yield from (f"# {line}" for line in textwrap.wrap(_described(field), _WIDTH))
        value = values.get(key, _example(field) if field.is_required() else None)
        if value is None:
            yield f"#{key}: {_in_one_line(_of_these(_shown(field), crms))}"
        elif isinstance(value, Iterator):
            yield f"{key}:"
            yield from _indented(value)
        else:
            yield f"{key}: {_in_one_line(value)}"


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield field.alias or name, field


def _described(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("``", "`")


def _shown(field: FieldInfo) -> Any:
    """The default where it says something, else an example."""
    default = field.get_default(call_default_factory=True)
    return _example(field) if default in (None, (), "") or isinstance(default, BaseModel) else default


def _example(field: FieldInfo) -> Any:
    return field.examples[0] if field.examples else None


def _of_these(value: Any, crms: Sequence[str]) -> Any:
    """An example without what it says of other CRMs."""
    if isinstance(value, dict):
        return {key: _of_these(below, crms) for key, below in value.items() if key in crms or key not in crm_kinds()}
    return [_of_these(below, crms) for below in value] if isinstance(value, list) else value


def _in_one_line(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
