"""What QBench says of records that a CRM deleted, where the integration asks for it (docs/rules.md, 28)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from crm_pipeline.errors import ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.store.staging import EVERYTHING
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline.sync.extracting.normalizing import normalize_staged
from crm_pipeline.sync.links.check import LinkCheck
from crm_pipeline.sync.links.policy import LinkPolicy
from crm_pipeline.sync.returning.flagging import Flagging
from crm_pipeline_tests.sync.conftest import ACCOUNT, LEAN_ACCOUNT_MAP, Bench
from crm_pipeline_tests.tenants import attributes

FIELD, VALUE = "crm_status", "deleted"
FLAG: dict[str, Any] = {"when_deleted": {"flag": {"field": FIELD, "value": VALUE}}}


@dataclass
class Home:
    """Customers 1, 2 … of QBench, each linked to an account of Salesforce's; ``calls`` are those of the flagging that ran last."""

    bench: Bench
    spec: IntegrationSpec
    ids: dict[int, str] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    def extract(self) -> None:
        with closing(QBench(self.spec.qbench, integration="acme")) as source:
            Extract("acme", ACCOUNT, store=self.bench.store, source=source).run(EVERYTHING)
        normalize_staged(self.bench.store, "acme", self.spec.accounts, window=EVERYTHING, reading=self.spec.reading, counts=Counter())

    def check(self, policy: LinkPolicy | None = None) -> None:
        """Compare the links with the CRM."""
        limits = policy or self.spec.links
        with closing(self.bench.connect(self.spec)) as crm:
            LinkCheck([self.bench.order(self.spec, ACCOUNT, run_id="check")], policy=limits, store=self.bench.store, crm=crm).run("full")

    def let_pass_days(self) -> None:
        """Let all that is known of the links be some days old."""
        with self.bench.store.transaction() as connection:
            connection.execute(text("UPDATE crm_pipeline.link SET updated_at = updated_at - interval '3 days'"))

    def flagged(self, *, policy: LinkPolicy | None = None) -> Flagging:
        """What a flagging does after the links were checked."""
        limits = policy or self.spec.links
        self.check(limits)
        with closing(QBench(self.spec.qbench, integration="acme")) as source:
            assert self.spec.accounts.flag is not None
            order = self.bench.order(self.spec, ACCOUNT, run_id="flags")
            job = Flagging(order, self.spec.accounts.flag, policy=limits, store=self.bench.store, source=source)
            try:
                job.run()
            finally:
                self.calls = source.calls.snapshot()
        return job

    def said(self) -> list[Any]:
        """What the field says of each customer."""
        tenant = self.bench.sandbox.tenant
        return [tenant.customer(number).get(FIELD) for number in sorted(self.ids)]

    def outcomes(self) -> list[tuple[str, str | None, str]]:
        return [
            (outcome, error, reason)
            for outcome, error, reason in self.bench.rows("SELECT outcome, error_type, reason FROM crm_pipeline.change_outcome ORDER BY 1")
        ]


def spec_of(bench: Bench, *, writes: bool = True, flag: dict[str, Any] = FLAG, **overrides: Any) -> IntegrationSpec:
    qbench = attributes(bench.sandbox)["qbench"] | ({"writes": True} if writes else {})
    accounts = {"map": LEAN_ACCOUNT_MAP, "from_crm": flag}
    return bench.spec(**{"contacts": None, "qbench": qbench, "accounts": accounts, **overrides})


def home(bench: Bench, *, customers: int, has_field: bool = True) -> Home:
    tenant = bench.sandbox.tenant
    if has_field:
        tenant.add_field("customers", FIELD)
    there = Home(bench, spec_of(bench))
    ids = [tenant.add_customer(customer_name=f"Lab {number}") for number in range(customers)]
    there.extract()
    bench.load(there.spec, ACCOUNT, window=EVERYTHING)
    there.ids = dict(bench.rows("SELECT qbench_id, crm_id FROM crm_pipeline.link"))
    assert sorted(there.ids) == ids
    return there


def delete(home: Home, numbers: Sequence[int]) -> None:
    for number in numbers:
        home.bench.sandbox.org.delete("Account", home.ids[number])


def test_record_that_the_crm_deleted_is_flagged_once_and_the_flag_goes_once_it_is_back(salesforce: Bench) -> None:
    there = home(salesforce, customers=3)
    first = min(there.ids)
    delete(there, [first])
    assert there.flagged().set == [first]
    assert there.said() == [VALUE, None, None]
    assert there.outcomes() == [("updated", None, f"flag: {FIELD}")]
    assert (there.flagged().set, there.calls) == ([], {})
    salesforce.sandbox.org.undelete("Account", there.ids[first])
    there.check()
    there.let_pass_days()
    assert there.flagged().cleared == [first]
    assert there.said() == [None, None, None]


def test_value_that_a_person_gave_the_field_stands(salesforce: Bench) -> None:
    there = home(salesforce, customers=2)
    person, flagged = sorted(there.ids)
    delete(there, [flagged])
    there.flagged()
    salesforce.sandbox.org.undelete("Account", there.ids[flagged])
    there.flagged()
    for number in (person, flagged):
        salesforce.sandbox.tenant.edit_customer(number, crm_status=VALUE)
    there.extract()
    assert (there.flagged().cleared, there.said()) == ([], [VALUE, VALUE])


def test_record_that_is_flagged_is_staged_so_that_the_next_read_finds_nothing_new(salesforce: Bench) -> None:
    there = home(salesforce, customers=1)
    delete(there, list(there.ids))
    there.flagged()
    staged = salesforce.rows("SELECT crm_pipeline.unpacked(content) ->> 'crm_status', revision FROM crm_pipeline.raw_record")
    assert [content for content, _ in staged] == [VALUE]
    there.extract()
    assert salesforce.rows("SELECT crm_pipeline.unpacked(content) ->> 'crm_status', revision FROM crm_pipeline.raw_record") == staged


def test_fields_of_a_flagged_record_that_nobody_named_are_not_written(salesforce: Bench) -> None:
    there = home(salesforce, customers=1)
    [number] = there.ids
    salesforce.sandbox.tenant.edit_customer(number, comments="edited meanwhile")
    delete(there, list(there.ids))
    there.flagged()
    assert salesforce.sandbox.tenant.customer(number)["comments"] == "edited meanwhile"


def test_field_that_qbench_does_not_have_is_tried_once_and_named(salesforce: Bench) -> None:
    there = home(salesforce, customers=2, has_field=False)
    delete(there, [min(there.ids)])
    assert there.flagged().refused == [min(there.ids)]
    assert there.outcomes() == [("failed", "NotTakenByQBenchException", f"flag: {FIELD}")]
    assert (there.flagged().refused, there.calls) == ([], {})


def test_mass_of_deletions_is_told_to_nobody(salesforce: Bench) -> None:
    there = home(salesforce, customers=7)
    delete(there, sorted(there.ids)[:6])
    job = there.flagged()
    assert (len(job.too_many), job.set, there.calls) == (6, [], {})
    assert there.said() == [None] * 7
    assert len(there.flagged(policy=LinkPolicy(most_gone=6, most_gone_share=1)).set) == 6


def test_qbench_that_fails_on_a_record_or_is_down_loses_nothing(salesforce: Bench) -> None:
    there = home(salesforce, customers=1)
    delete(there, list(there.ids))
    salesforce.sandbox.faults.add(Fault(service="qbench", method="PATCH", status=500, times=None))
    assert there.flagged().refused == list(there.ids)
    salesforce.sandbox.faults.add(Fault(service="qbench", status=500, times=None))
    with pytest.raises(ServiceError):
        there.flagged()
    salesforce.sandbox.faults.clear()
    assert there.flagged().set == list(there.ids)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"writes": False}, "qbench.writes: true"),
        ({"links": {"when_deleted": "recreate"}}, "when_deleted: report"),
        ({"flag": {"when_deleted": {"flag": {"field": "last_updated", "value": "x"}}}}, "keeps `last_updated` itself"),
    ],
)
def test_flag_that_cannot_work_is_refused(salesforce: Bench, overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec_of(salesforce, **overrides)
