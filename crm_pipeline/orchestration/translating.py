"""What a translation may change about an asset, and what it is told: keys, groups and the like belong to the user's project."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.storage.tags import KIND_PREFIX
from dagster.components.resolved.errors import ResolutionException
from dagster_shared.check import CheckError
from pydantic import ValidationError

from crm_pipeline.configuration.problems import Problem, ProblemsError

TRANSLATION = "translation"
"""The key of the YAML."""

FREE = ("key", "group_name", "description", "owners", "tags", "kinds", "metadata", "code_version")
"""Attributes of a spec that a translation may change. The integration works by the others: partitions, dependencies, automation."""

_FIXED = ("deps", "partitions_def", "automation_condition", "freshness_policy", "skippable", "is_virtual")
_STEP = re.compile(r"[A-Za-z0-9_]+")
_NOT_RENDERED = (
    "a template in it cannot be rendered; it may use `props` (integration, service, object, record_type, upkeep), `spec` and the "
    "variables of template_vars_module"
)
_NOT_TAKEN = (
    "Dagster does not take what it gives: a key is letters, digits, _, - and . between /, a group letters, digits, _ and /, an owner an "
    "e-mail address or team:<name>, tags and kinds short words"
)


@dataclass(frozen=True, slots=True)
class AssetProps:
    """One asset of an integration, as a translation sees it.

    ``service``: qbench, normalized, the CRM's name, or records or database, of the assets that are about all; ``object``: what it holds or
    does there, the last part of the usual key (customers, accounts, companies, contacts, links, resync, deletions, waiting_contacts,
    records, database;
    of what comes back account_changes,
    customers_from_salesforce and the like). ``record_type``: account or contact, None where it is about both. ``upkeep``: it has no
    hours. ``spec``: the asset without a translation.
    """

    spec: dg.AssetSpec
    integration: str
    service: str
    object: str
    record_type: str | None = None
    upkeep: bool = False


Translate = Callable[[AssetProps], dg.AssetSpec]
"""Makes the spec that Dagster shows of an asset."""


def untranslated(props: AssetProps) -> dg.AssetSpec:
    """The spec of an integration without a translation."""
    return props.spec


def translated(assets: Iterable[AssetProps], translate: Translate) -> dict[dg.AssetKey, dg.AssetSpec]:
    """The specs by the keys that they would have without a translation. Raises ProblemsError where a translation cannot be used."""
    specs = {props.spec.key: _translated(props, translate) for props in assets}
    # Dagster calls an asset's step by its key with _ between the words, and tells steps of one name from each other nowhere.
    shared = [step for step, count in Counter(spec.key.to_python_identifier() for spec in specs.values()).items() if count > 1]
    if shared:
        alike = [key.to_user_string() for key, spec in specs.items() if spec.key.to_python_identifier() == shared[0]]
        raise _problem(
            f"it gives one key to several assets ({', '.join(alike[:3])}); put `{{{{ props.service }}}}` and `{{{{ props.object }}}}` in"
        )
    return specs


def asset_of(spec: dg.AssetSpec, **others: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """``dg.asset`` of a spec. ``others``: what no translation changes."""
    kinds = {f"{KIND_PREFIX}{kind}" for kind in spec.kinds}
    shown = {name: getattr(spec, name) for name in FREE} | {"tags": {key: value for key, value in spec.tags.items() if key not in kinds}}
    decorator: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(**shown, **others)
    return decorator


def assets_of(specs: Sequence[dg.AssetSpec], **others: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """``dg.multi_asset`` of specs, in one step that is called after the first: each may be made by itself, or not be made at all."""
    may_lack = [spec.replace_attributes(skippable=True) for spec in specs]
    decorator: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.multi_asset(
        specs=may_lack, name=specs[0].key.to_python_identifier(), can_subset=True, **others
    )
    return decorator


def _translated(props: AssetProps, translate: Translate) -> dg.AssetSpec:
    asset = props.spec.key.to_user_string()
    try:
        spec = translate(props)
    # Their texts show lines of the YAML, or values of it.
    except ResolutionException:
        raise _problem(f"it cannot be used for {asset}: {_NOT_RENDERED}") from None
    except (dg.DagsterError, CheckError, ValidationError):
        raise _problem(f"it cannot be used for {asset}: {_NOT_TAKEN}") from None
    # Dagster names the asset's step and its checks so, and would say so in a trace.
    if not _STEP.fullmatch(spec.key.to_python_identifier()):
        raise _problem(f"it cannot be used for {asset}: {_NOT_TAKEN}")
    changed = [name for name in _FIXED if getattr(spec, name) != getattr(props.spec, name)]
    if changed:
        raise _problem(f"it changes {', '.join(changed)} of {asset}; it may change {', '.join(FREE)} only")
    return spec


def _problem(message: str) -> ProblemsError:
    return ProblemsError([Problem((TRANSLATION,), message)])
