"""No answer of a CRM is believed that lacks a member: each call of the adapter, with each member of its true answers taken away.

The answers are the stand-ins' own, bent on their way. What comes of it is an error, or what the whole answer gives; never an
empty list, a default, or a second record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import pandas as pd
import pytest

from crm_pipeline.contracts import May, members_of
from crm_pipeline.crms.abilities import ConvertingCrm, OwnersCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.batch import WriteResult
from crm_pipeline.crms.examining import examined, left_since
from crm_pipeline.crms.hubspot.contracts import CONTRACTS as HUBSPOT
from crm_pipeline.crms.salesforce.contracts import CONTRACTS as SALESFORCE
from crm_pipeline.crms.sugarcrm.contracts import CONTRACTS as SUGARCRM
from crm_pipeline.crms.sugarcrm.contracts import FIELD
from crm_pipeline.errors import ServiceError
from crm_pipeline.model import RecordType
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.sandbox.sandbox import SANDBOX_CREDENTIALS, SUGARCRM_CREDENTIALS, start_sandbox
from crm_pipeline.sandbox.sugarcrm import SugarSite
from crm_pipeline.testing.batches import Put, associations_of, intents_of, results_by_id, valid, writes_of
from crm_pipeline.testing.bench import Bench
from crm_pipeline_tests.bending import Way, bending, planned, recorded, ways
from crm_pipeline_tests.crms.conftest import BENCHES

ACCOUNT, CONTACT, LEAD = RecordType
OWNERS = ("ops@example.com", "sales@example.com")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

FREE = frozenset({"properties", "attributes", "name_value_list"})
"""Members within which a CRM may leave out what has no value."""

FORMS = {"hubspot": HUBSPOT, "salesforce": SALESFORCE, "sugarcrm": SUGARCRM}
NAMED = {
    crm: [(place.rpartition(".")[2], member) for form in forms.values() for place, member in members_of(form)]
    for crm, forms in FORMS.items()
}
OPTIONAL = {
    crm: frozenset(name for name, member in named if isinstance(member, May) and member.needed is None) for crm, named in NAMED.items()
}
"""Members that may be missing and then mean something of their own (test_contracts)."""

NULLABLE = frozenset({"Name", "Email", "LastName", "AccountId", "MasterRecordId", "QBench_Id__c"})
"""Fields of Salesforce that are null where a record has no value."""

OF_EVERY_CALL = frozenset({"access_token", "fields", "module_name"})
"""What tells the answers that many calls wait for; they are bent for one call."""


@dataclass(frozen=True)
class World:
    """A CRM in which every call of the adapter has something to answer, and the ids of what it holds."""

    bench: Bench
    accounts: list[str]
    contacts: list[str]
    leads: list[str]
    became: list[str]


Ask = Callable[[Crm, World], object]


@pytest.fixture(scope="module", params=sorted(BENCHES))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as environment, start_sandbox(site=SugarSite()) as sandbox:
        for name, value in {**SANDBOX_CREDENTIALS, **SUGARCRM_CREDENTIALS}.items():
            environment.setenv(name, value)
        sandbox.portal.search_calls = sandbox.portal.burst_calls = None
        bench = BENCHES[request.param](sandbox)
        for owner in OWNERS:
            sandbox.org.add_user(username=owner, last_name="Owner")
            sandbox.portal.add_owner(owner)
            cast(SugarSite, sandbox.site).add_user(owner, last_name="Owner")
        accounts = [bench.add(ACCOUNT, {**valid(bench, ACCOUNT, number), bench.key: f"k{number}"}) for number in range(4)]
        contacts = [bench.add(CONTACT, {**valid(bench, CONTACT, number), bench.key: f"k{number}"}) for number in range(4)]
        with closing(bench.connect()) as crm:
            crm.associate(associations_of(*((number, contact, accounts[number % 2]) for number, contact in enumerate(contacts))))
        bench.merge(ACCOUNT, accounts[2], accounts[3])
        bench.delete(CONTACT, contacts[3])
        yield World(bench, accounts, contacts, *leads_of(bench))


def leads_of(bench: Bench) -> tuple[list[str], list[str]]:
    """An open lead and a converted one, where the CRM keeps leads, and the contact that it became."""
    if bench.convert is None:
        return [], []
    leads = [bench.add(LEAD, valid(bench, LEAD, number)) for number in (5, 6)]
    return leads, [bench.convert(leads[1])[1]]


def frame(found: pd.DataFrame) -> object:
    return sorted(map(str, found.astype(object).to_numpy().tolist()))


def written(results: list[WriteResult]) -> dict[int, object]:
    return {qbench_id: row["error_type"] or row["crm_id"] for qbench_id, row in results_by_id(results).items()}


def update(crm: Crm, world: World) -> object:
    text = world.bench.fields[ACCOUNT].text
    return written(
        crm.write(world.bench.object(ACCOUNT), writes_of(*(Put(number, {text: "x"}, crm_id=world.accounts[number]) for number in (0, 1))))
    )


def upsert(crm: Crm, world: World) -> object:
    rows = (Put(number, valid(world.bench, ACCOUNT, number), key=f"k{number}") for number in (0, 1))
    return written(crm.write(world.bench.object(ACCOUNT), writes_of(*rows)))


def associate(crm: Crm, world: World) -> object:
    pairs = ((number, world.contacts[number], world.accounts[number]) for number in (0, 1))
    return written(crm.associate(associations_of(*pairs)))


def converted(crm: Crm, world: World) -> object:
    return frame(crm.converted(world.bench.object(LEAD), world.leads)) if isinstance(crm, ConvertingCrm) else None


def leads_of_contacts(crm: Crm, world: World) -> object:
    return frame(crm.leads_of(world.bench.object(LEAD), world.became)) if isinstance(crm, ConvertingCrm) else None


def leads_that_left(crm: Crm, world: World) -> object:
    return sorted(left_since(crm, world.bench.object(LEAD), LONG_AGO)) if world.leads else None


def leave(crm: Crm, world: World) -> object:
    """Moves a contact from one account to the other and back; what the portal holds in the end is what counts."""
    for there, before in ((1, 0), (0, 1)):
        answer = crm.associate(associations_of((1, world.contacts[0], world.accounts[there]), leaving=world.accounts[before]))
        if any(one.error_type for one in answer):
            return "failed"
    return world.bench.parent(world.contacts[0])


CALLS: Mapping[str, Ask] = {
    "organization": lambda crm, _: crm.organization(),
    "fields": lambda crm, world: frame(crm.fields(world.bench.object(ACCOUNT)).drop(columns="options")),
    "has_keyed_records": lambda crm, world: crm.has_keyed_records(world.bench.object(ACCOUNT)),
    "find by key": lambda crm, world: frame(crm.find(world.bench.object(ACCOUNT), world.bench.key, ["k0", "k1", "k9"])),
    "find by email": lambda crm, world: frame(
        crm.find(world.bench.object(CONTACT), world.bench.fields[CONTACT].match, ["person0@example.com", "person9@example.com"])
    ),
    "scan": lambda crm, world: frame(pd.concat(crm.scan(world.bench.object(ACCOUNT), world.bench.fields[ACCOUNT].match))),
    "read": lambda crm, world: frame(crm.read(world.bench.object(CONTACT), world.contacts, [world.bench.fields[CONTACT].match])),
    "examine": lambda crm, world: frame(examined(crm, world.bench.object(ACCOUNT), world.accounts, key=None)),
    "examine contacts": lambda crm, world: frame(examined(crm, world.bench.object(CONTACT), world.contacts, key=None)),
    "left": lambda crm, world: sorted(left_since(crm, world.bench.object(ACCOUNT), LONG_AGO)),
    "left leads": leads_that_left,
    "converted": converted,
    "leads of contacts": leads_of_contacts,
    "owners": lambda crm, _: frame(cast(OwnersCrm, crm).owners(list(OWNERS))),
    "resolve_intents": lambda crm, world: frame(
        crm.resolve_intents(world.bench.object(ACCOUNT), intents_of((1, valid(world.bench, ACCOUNT, 1))))
    ),
    "resolve_intents of contacts": lambda crm, world: frame(
        crm.resolve_intents(world.bench.object(CONTACT), intents_of((1, valid(world.bench, CONTACT, 1))))
    ),
    "update": update,
    "upsert": upsert,
    "associate": associate,
    "leave": leave,
}


COSTLY = frozenset({"fields", "leave"})
"""Calls with answers so large, or so many, that members are taken away and not made null too."""

BASIC = frozenset({"organization", "fields"})


def asked(world: World, ask: Ask) -> object:
    quick = {"search_lag_seconds": 0, "limits": {"calls": 100_000, "searches_per_second": 100_000}}
    with closing(world.bench.connect(attempts=1, **(quick if world.bench.kind.name == "hubspot" else {}))) as crm:
        return ask(crm, world)


def is_read(way: Way, crm: str) -> bool:
    """Whether an answer must hold this member; of describe's many, and of SugarCRM's, those that the form names."""
    names = [step for step in way if isinstance(step, str)]
    if names[0] == "module_fields" and len(names) > 1:
        # A table, in which each field's name is a member; one field stands for all.
        return names[1] == "name" and len(names) > 2 and names[2] in FIELD.members and names[2] not in OPTIONAL[crm]
    if names[0] == "fields" or crm == "sugarcrm":
        return OPTIONAL[crm].isdisjoint(names) and {*names[names[0] == "fields" :]} <= {*dict(NAMED[crm])}
    return OPTIONAL[crm].isdisjoint(names)


@pytest.mark.parametrize("call", CALLS)
def test_answer_without_a_member_is_an_error_or_makes_no_difference(world: World, call: str) -> None:
    ask = CALLS[call]
    asked(world, ask)
    faults = world.bench.faults
    with recorded(faults) as answers:
        whole = asked(world, ask)
    believed = []
    for number, answer in enumerate(answers):
        if call not in BASIC and isinstance(answer, dict) and not OF_EVERY_CALL.isdisjoint(answer):
            continue
        for way in filter(partial(is_read, crm=world.bench.kind.name), ways(answer, free=FREE)):
            for value in ((),) if way[-1] in NULLABLE or call in COSTLY else ((), (None,)):
                try:
                    with planned(faults, Fault(kind="bend", skip=number, bend=bending(way, *value))):
                        found = asked(world, ask)
                except ServiceError:
                    continue
                if not agrees(call, found, whole):
                    believed.append((number, way, "null" if value else "dropped", found))
    assert believed == []


def agrees(call: str, found: Any, whole: Any) -> bool:
    """Whether what a bent answer gave is the truth, or names what it does not know.

    What is not known of a record is a row with an error, also where conversions are told, one that is not there where records are
    examined, and one without an id where intents are resolved.
    """
    if isinstance(found, dict) and isinstance(whole, dict):
        return all(end == whole[row] or str(end).endswith("Exception") for row, end in found.items())
    if call.startswith("examine") and isinstance(found, list):
        return set(found) <= set(whole)
    if call == "converted" and isinstance(found, list):
        return len(found) >= len(whole) and all(row in whole or row.endswith("Exception']") for row in found)
    if call == "leads of contacts" and isinstance(found, list):
        return len(found) >= len(whole) and all(row in whole or row.endswith(", nan]") for row in found)
    if call.startswith("resolve_intents") and isinstance(found, list):
        return len(found) >= len(whole) and all(row in whole or row.endswith(", nan]") for row in found)
    return found in (whole, "failed")
