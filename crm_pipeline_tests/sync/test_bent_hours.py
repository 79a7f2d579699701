"""No hour believes an answer that lacks a member: whole hours, from QBench to a CRM, in which one member of one answer is bent.

The hour holds every path: create, update, link by a match key, a contact that moves, a deletion in QBench, a merge and a deletion
in the CRM. However it ends, the next one that is left alone brings the CRM to where it would be without.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from crm_pipeline.errors import CrmPipelineError
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline_tests.bending import Way, bent, member, others, planned, recorded, ways
from crm_pipeline_tests.crms.test_answers import FREE, NULLABLE, is_read
from crm_pipeline_tests.qbench.test_answers import READ
from crm_pipeline_tests.sync.conftest import ACCOUNT, CONTACT, CRM_FIELDS, Bench, Stories, contact, customer
from crm_pipeline_tests.sync.links.test_check import account_of, delete, links, merge, records, reports

MORE = int(os.environ.get("CRM_PIPELINE_MORE_EXAMPLES", "0"))
"""How many bent hours are tried for each CRM; without it, a fixed one."""

FEW = 1
HOUR = Window(since=1_000, until=2_000)
EDITED, DELETED, MATCHED, NEW, MERGED = range(1, 6)
CHANGED, MOVED, OF_NEW, OF_MATCHED, GONE = range(11, 16)
UNTOUCHED = 16


@dataclass(frozen=True)
class Bend:
    """Which answer of an hour is bent, where, and what stands there then."""

    number: int
    way: Way
    value: tuple[Any, ...]

    def __call__(self, answer: Any) -> Any:
        """The answer bent, or as it is where it has no such place."""
        try:
            return bent(answer, self.way, *self.value)
        except (LookupError, TypeError):
            return answer


@dataclass(frozen=True)
class Ended:
    """What the CRM holds, without ids, and what is known of links: those that are not live, by QBench id."""

    accounts: list[tuple[str, ...]]
    contacts: list[tuple[str, ...]]
    not_live: Mapping[int, str]


class Hour:
    """A tenant with records of before, and the hour in which all happens."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.spec = bench.matching()
        old_customers = [customer(number) for number in (EDITED, DELETED, MERGED)]
        old_contacts = [contact(number, of=EDITED) for number in (CHANGED, MOVED, GONE, UNTOUCHED)]
        bench.given(self.spec, ACCOUNT, *old_customers)
        bench.given(self.spec, CONTACT, *old_contacts)
        tenant, at = bench.sandbox.tenant, 1_500
        for number, version, content in old_customers:
            tenant.add_customer(id=number, at=version, **content)
        for number, version, content in old_contacts:
            tenant.add_contact(id=number, at=version, customer_ids=[EDITED], **{**content, "customers": None})
        account = bench.add_account(f"Lab {MATCHED}")
        names = CRM_FIELDS[bench.crm, CONTACT]
        bench.add(CONTACT, {names["email"]: f"person{OF_MATCHED}@labs.example.org", names["last_name"]: "By Hand"}, account=account)
        merge(bench, bench.add_account("Made by hand"), links(bench)[MERGED][0])
        delete(bench, links(bench, CONTACT)[GONE][0], CONTACT)
        tenant.edit_customer(EDITED, comments="edited", at=at)
        tenant.delete_customer(DELETED, at=at)
        for number, _, content in (customer(MATCHED), customer(NEW)):
            tenant.add_customer(id=number, at=at, **content)
        for number, _, content in (contact(OF_NEW, of=NEW), contact(OF_MATCHED, of=MATCHED)):
            tenant.add_contact(id=number, at=at, customer_ids=[NEW if number == OF_NEW else MATCHED], **{**content, "customers": None})
        tenant.edit_contact(CHANGED, last_name="Edited", at=at)
        tenant.edit_contact(MOVED, customer_ids=[NEW], at=at)

    def run(self) -> bool:
        """A run of the hour; whether it ended without an error and left no row open."""
        try:
            with closing(QBench(self.spec.qbench.model_copy(update={"attempts": 1}), integration=self.spec.name)) as source:
                for record_type in (ACCOUNT, CONTACT):
                    Extract(self.spec.name, record_type, store=self.bench.store, source=source).run(HOUR)
            for record_type in (ACCOUNT, CONTACT):
                self.bench.normalize(self.spec, record_type, window=HOUR)
            reports(self.bench, self.spec, scope="recent")
            return not any(self.bench.load(self.spec, record_type, window=HOUR).retryable for record_type in (ACCOUNT, CONTACT))
        except CrmPipelineError:
            return False

    def ended(self) -> Ended:
        accounts, contacts = records(self.bench, ACCOUNT), records(self.bench, CONTACT)
        account_names, contact_names = (CRM_FIELDS[self.bench.crm, record_type] for record_type in (ACCOUNT, CONTACT))

        def shown(record: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, ...]:
            return tuple(str(record.get(name) or "") for name in names.values())

        def parent(crm_id: str) -> str:
            of = account_of(self.bench, crm_id)
            return shown(accounts[of], account_names)[0] if of in accounts else ""

        known = {**links(self.bench), **links(self.bench, CONTACT)}
        return Ended(
            sorted(shown(record, account_names) for record in accounts.values()),
            sorted((*shown(record, contact_names), parent(crm_id)) for crm_id, record in contacts.items()),
            {number: status for number, (_, status, _) in known.items() if status != "live"},
        )


@dataclass(frozen=True)
class Undisturbed:
    """What an hour ends with, and the ways to bend each of its answers."""

    crm: str
    ended: Ended
    bends: list[list[Bend]]


@contextmanager
def hour_of(stories: Stories, crm: str) -> Iterator[Hour]:
    with stories(crm) as bench:
        yield Hour(bench)


def bends_of(number: int, answer: Any, *, crm: str) -> list[Bend]:
    """The ways to bend an answer: each member that is read, unless a record may lack it."""
    of_qbench = isinstance(answer, dict) and "data" in answer
    read = [way for way in ways(answer, free=FREE) if (not READ.isdisjoint(way[-1:]) if of_qbench else is_read(way, crm))]
    return [Bend(number, way, value) for way in read if way[-1] not in NULLABLE for value in others(member(answer, way))]


@pytest.fixture(scope="module", params=["salesforce", "hubspot", "sugarcrm"])
def undisturbed(request: pytest.FixtureRequest, stories: Stories) -> Undisturbed:
    with hour_of(stories, request.param) as hour, recorded(hour.bench.sandbox.faults) as answers:
        assert hour.run()
        bends = [bends_of(number, answer, crm=request.param) for number, answer in enumerate(answers)]
        return Undisturbed(request.param, hour.ended(), [*filter(None, bends)])


@pytest.mark.parametrize("seed", range(MORE or FEW))
def test_hour_with_a_bent_answer_ends_as_without_once_it_is_run_again(undisturbed: Undisturbed, stories: Stories, seed: int) -> None:
    rng = random.Random(None if MORE else seed)
    bend = rng.choice(rng.choice(undisturbed.bends))
    with hour_of(stories, undisturbed.crm) as hour:
        with planned(hour.bench.sandbox.faults, Fault(kind="bend", skip=bend.number, bend=bend)):
            done = hour.run()
        between = hour.ended()
        assert set(between.not_live.items()) <= set(undisturbed.ended.not_live.items()), f"{bend}: called deleted"
        assert hour.run()
        assert hour.ended() == undisturbed.ended, f"{bend}; said to be done: {done}; after it {between}"
