"""Can records be synced with a CRM as the YAML says? Asked of the CRM and the state, before anything is staged; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.abilities import DiagnosingCrm, ListsCrm, OwnersCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.diagnosis import Finding, of_error
from crm_pipeline.errors import CrmPipelineError, StoreError
from crm_pipeline.mapping.feasibility import mapping_findings
from crm_pipeline.mapping.filters import lists_named
from crm_pipeline.mapping.presets import owner_field
from crm_pipeline.store.database import Store
from crm_pipeline.store.organizations import check_organization
from crm_pipeline.store.versions import versions
from crm_pipeline.sync.order import LoadOrder

FEW_LEFT = 0.2
"""The share of the daily calls from which on it is told how many are left."""


def crm_findings(orders: Sequence[LoadOrder], crm: Crm, *, store: Store | None) -> Iterator[Finding]:
    """Sign-in, organization, objects, mapped fields, keys, owners, lists and limits; and what the CRM's own client knows to look at.

    ``orders``: one for each record type that the CRM takes. ``store``: None where it cannot be asked whose the stored links are.
    Whatever fails is a finding, and what does not depend on it is looked at all the same.
    """
    area = orders[0].crm
    try:
        org_id = crm.organization()
    except CrmPipelineError as error:
        yield of_error(area, "sign-in", error)
        return
    yield Finding("ok", area, "sign-in", f"signed in to organization {org_id}")
    if store is not None:
        yield from _links_belong(orders[0], store, org_id=org_id)
    written: dict[str, list[str]] = {}
    for order in orders:
        try:
            described = crm.fields(order.crm_object)
        except CrmPipelineError as error:
            name = order.crm_object.name
            yield of_error(area, name, error, remedy=f"give the integration's user access to {name}, if the organization has it")
            continue
        written[order.crm_object.name] = [target.crm_field for target in order.mapped(described) if target.direction.goes_out]
        yield from _of_records(order, crm, described)
    yield _limits(area, crm)
    if isinstance(crm, DiagnosingCrm):
        try:
            yield from crm.findings(written)
        except CrmPipelineError as error:
            yield of_error(area, "set-up", error)


def _links_belong(order: LoadOrder, store: Store, *, org_id: str) -> Iterator[Finding]:
    """Whether the stored links are this organization's, and its keys nobody else's."""
    try:
        with store.reading() as connection:
            current, needed = versions(connection)
            if current == needed:
                check_organization(connection, order.integration, order.crm, org_id=org_id, key_space=order.key_space)
                yield Finding("ok", order.crm, "links", "the stored links, if any, belong to this organization")
    except StoreError:
        return  # told of the database itself
    except CrmPipelineError as error:
        yield of_error(order.crm, "links", error)


def _of_records(order: LoadOrder, crm: Crm, described: pd.DataFrame) -> Iterator[Finding]:
    mapped, key = order.mapped(described), order.settings.external_key
    yield Finding("ok", order.crm, order.crm_object.name, f"there, with {len(described):,} fields that the integration's user sees")
    yield from mapping_findings(mapped, described, spec=order.record, crm=order.crm, external_key=key)
    if crm.capabilities.validates:
        yield from _unmapped(order, described, {*(target.crm_field for target in mapped), key})
    for name in dict.fromkeys((*lists_named(order.record.only, order.crm), order.settings.list_back(order.record.record_type))):
        if name is not None and isinstance(crm, ListsCrm):
            yield _list(order, crm, name)
    users = [rule.users[order.crm] for rule in order.record.owner if order.crm in rule.users]
    if users and isinstance(crm, OwnersCrm):
        yield from _owners(order, crm, users)


def _unmapped(order: LoadOrder, described: pd.DataFrame, mapped: set[str | None]) -> Iterator[Finding]:
    """Fields that a create needs and nothing gives. A reference may be what the sync gives itself, an owner or an account."""
    needed = described[described["required"] & (described["type"] != "reference")]
    for name in needed["name"]:
        if name not in mapped:
            told = f"{name} is required on {order.crm} {order.record.record_type}, and nothing is mapped to it: creates may be refused"
            remedy = f"map a field or a constant to {order.crm}.{name}, or give it a default there"
            yield Finding("warning", order.crm, f"{order.record.record_type}: {name}", told, remedy)


def _list(order: LoadOrder, crm: ListsCrm, name: str) -> Finding:
    subject = f"{order.record.record_type}: list"
    try:
        found = crm.list_id(order.crm_object, name)
    except CrmPipelineError as error:
        return of_error(order.crm, subject, error)
    return Finding("ok", order.crm, subject, f"{name} is list {found}")


def _owners(order: LoadOrder, crm: OwnersCrm, users: list[str]) -> Iterator[Finding]:
    subject = f"{order.record.record_type}: owner"
    try:
        owners = crm.owners(users)
    except CrmPipelineError as error:
        yield of_error(order.crm, subject, error)
        return
    for user, problem in zip(owners["user"], owners["problem"], strict=True):
        if pd.isna(problem):
            yield Finding("ok", order.crm, subject, f"{user} may own records ({owner_field(order.crm)})")
        else:
            remedy = "name an active user as the CRM names it; until then the owner is left out"
            yield Finding("warning", order.crm, subject, f"{user} is {problem}", remedy)


def _limits(area: str, crm: Crm) -> Finding:
    limits = crm.limits()
    if limits.daily_used is None or not limits.daily_total:
        return Finding("ok", area, "daily calls", f"{crm_kinds()[area].title} tells no daily limit")
    left = limits.daily_total - limits.daily_used
    told = f"{left:,} of {limits.daily_total:,} daily calls are left"
    if left >= FEW_LEFT * limits.daily_total:
        return Finding("ok", area, "daily calls", told)
    return Finding("warning", area, "daily calls", told, "find out what else calls there, or wait until the limit is counted anew")
