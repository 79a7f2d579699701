"""While QBench is read: since when the values stand of the fields that come back from a CRM."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import Any

import pandas as pd

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.qbench.source import QBench
from crm_pipeline.store.raw_records import held, save_bringing
from crm_pipeline.store.staging import Window
from crm_pipeline.sync.extracting.extract import Extract
from crm_pipeline.sync.extracting.named import read_named
from crm_pipeline.sync.merging.standing import brought
from crm_pipeline_tests.sync.conftest import ACCOUNT, Bench
from crm_pipeline_tests.tenants import both_ways

HOUR = 3_600
COMMENTS = {"description": {"from": "comments", "direction": {"salesforce": "both"}}}


def hour(bench: Bench, spec: IntegrationSpec, since: int | None, until: int) -> None:
    with closing(QBench(spec.qbench, integration=spec.name)) as source:
        Extract(spec.name, ACCOUNT, store=bench.store, source=source, back=spec.coming_back).run(Window(since=since, until=until))


def since(bench: Bench, number: int = 1) -> Any:
    with bench.store.transaction() as connection:
        return held(connection, "acme", ACCOUNT, ids=[number])["since"].iloc[0]


def a_customer_read_in_the_first_hour(bench: Bench, spec: IntegrationSpec) -> None:
    bench.sandbox.tenant.add_customer(id=1, customer_name="Eco Labs", comments="old", at=1_000)
    hour(bench, spec, None, HOUR)


def test_an_edit_of_a_field_that_comes_back_has_the_date_of_the_record(salesforce: Bench) -> None:
    spec = both_ways(salesforce.spec(), accounts=COMMENTS)
    a_customer_read_in_the_first_hour(salesforce, spec)
    assert since(salesforce) is None
    salesforce.sandbox.tenant.edit_customer(1, comments="new", at=HOUR + 61)
    hour(salesforce, spec, HOUR, 2 * HOUR)

    assert since(salesforce) == {"comments": ["1970-01-01T01:01:01+00:00", 1]}


def test_two_edits_in_one_window_are_both_as_old_as_the_window(salesforce: Bench) -> None:
    spec = both_ways(salesforce.spec(), accounts=COMMENTS)
    a_customer_read_in_the_first_hour(salesforce, spec)
    salesforce.sandbox.tenant.edit_customer(1, comments="new", customer_name="Eco Labs II", at=HOUR + 61)
    hour(salesforce, spec, HOUR, 2 * HOUR)

    assert since(salesforce) == {"comments": ["1970-01-01T01:00:00+00:00", 1]}


def test_a_value_that_we_brought_keeps_the_time_of_the_persons_edit_and_is_awaited_no_more(salesforce: Bench) -> None:
    spec = both_ways(salesforce.spec(), accounts=COMMENTS)
    a_customer_read_in_the_first_hour(salesforce, spec)
    [coming] = brought([{"comments": "new"}], [{"comments": pd.Timestamp(HOUR, unit="s", tz="UTC")}])
    with salesforce.store.transaction() as connection:
        save_bringing(connection, "acme", ACCOUNT, ids=pd.Series([1]), bringing=pd.Series([coming], dtype=object))
    salesforce.sandbox.tenant.edit_customer(1, comments="new", at=HOUR + 61)
    hour(salesforce, spec, HOUR, 2 * HOUR)

    assert since(salesforce) == {"comments": ["1970-01-01T01:00:00+00:00", 0]}
    assert salesforce.rows("SELECT bringing FROM crm_pipeline.raw_record") == [(None,)]


def test_a_named_record_that_is_read_now_tells_as_much_and_an_integration_that_does_not_ask_keeps_nothing(salesforce: Bench) -> None:
    spec = both_ways(salesforce.spec(), accounts=COMMENTS)
    a_customer_read_in_the_first_hour(salesforce, spec)
    salesforce.sandbox.tenant.edit_customer(1, comments="new", at=HOUR + 61)
    with closing(QBench(spec.qbench, integration=spec.name)) as source:
        reads: dict[str, Any] = {"ids": [1], "store": salesforce.store, "source": source, "values": spec.reading}
        read_named(spec.name, spec.records[ACCOUNT], **reads, back=spec.coming_back)
        assert since(salesforce) == {"comments": ["1970-01-01T01:01:01+00:00", 1]}
        salesforce.sandbox.tenant.edit_customer(1, comments="newer", at=HOUR + 62)
        one_way = salesforce.spec()
        read_named(one_way.name, one_way.records[ACCOUNT], **reads, back=one_way.coming_back)
    assert since(salesforce) is None
    assert not any(asdict(one_way.coming_back).values())


def test_times_are_by_our_clock_where_qbenchs_is_ahead_and_as_fine_as_its_dates(salesforce: Bench) -> None:
    spec = both_ways(salesforce.spec(), accounts=COMMENTS)
    tenant = salesforce.sandbox.tenant
    tenant.clock_ahead, tenant.stamp_seconds = 90, 60
    a_customer_read_in_the_first_hour(salesforce, spec)
    tenant.edit_customer(1, comments="new", at=HOUR + 30)
    hour(salesforce, spec, HOUR, 2 * HOUR)
    written, grain = since(salesforce)["comments"]

    assert abs(pd.Timestamp(written).timestamp() - (HOUR + 30)) <= 3
    assert grain == 60
