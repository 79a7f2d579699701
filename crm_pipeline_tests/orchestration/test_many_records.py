"""However many records are staged, linked and decided: no hourly run and no tick looks at all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration.names import (
    alerts_sensor_name,
    from_crms_job_name,
    from_crms_retry_sensor_name,
    links_job_name,
    retry_sensor_name,
)
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.orchestration.running import SCOPE_TAG
from crm_pipeline.store import raw_fields
from crm_pipeline_tests.explaining import explaining, rows_read
from crm_pipeline_tests.filling import COPIED, fill
from crm_pipeline_tests.orchestration.conftest import World, failures, own_world
from crm_pipeline_tests.tenants import CONTACT_MAP, FIRST, IN_SECOND, SECOND, START, add_laboratories, attributes, both_ways, integration

LABORATORIES, PEOPLE_EACH, COPIES = 1, 2, 2_500
LARGE = set(COPIED)
FEW = COPIES // 5
"""More rows of a large table no statement may read, by whatever index: few wait for more than a contact or a lead of their own."""


@dataclass
class Watch:
    """The statements that PostgreSQL was asked and that read a large table from end to end, or many of its rows, by what asked them."""

    scans: dict[str, set[str]] = field(default_factory=dict)
    reads: dict[str, set[str]] = field(default_factory=dict)
    seen: int = 0

    @contextmanager
    def over(self, asking: str) -> Iterator[None]:
        """Explain each statement just before it is executed."""
        found, many = self.scans.setdefault(asking, set()), self.reads.setdefault(asking, set())
        with explaining(carried_out=LARGE) as explained:
            yield
        self.seen += len(explained)
        for statement, nodes in explained:
            scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"} & LARGE
            if scanned:
                found.add(f"{', '.join(sorted(scanned))}: {statement}")
            read = {node["Relation Name"]: rows_read(node) for node in nodes if node.get("Relation Name") in LARGE}
            if max(read.values(), default=0) > FEW:
                many.add(f"{read}: {statement}")


def two_way(world: World) -> IntegrationSpec:
    """An integration with all that adds statements: both ways, alerts, rules on customers, and half of the contacts as leads."""
    contacts = {"map": CONTACT_MAP, "only": {"field": "customer.customer_name", "is_blank": False}}
    crms = attributes(world.sandbox)["crms"]
    crms["salesforce"]["contacts_as"] = {"lead": {"only": {"field": "email_address", "is": "person2@laboratory1.example.org"}}}
    alerts = {"webhook": {"env": "NO_HOOK"}, "failed_records": 1_000_000}
    spec = integration(world.sandbox, alerts=alerts, crms=crms, contacts={**contacts, "lead": {"map": CONTACT_MAP}})
    return both_ways(
        spec,
        accounts={"description": {"from": "comments", "direction": "both"}},
        contacts={"last_name": {"from": "last_name", "direction": "both"}},
    )


@pytest.fixture(scope="module")
def watch(postgres: str) -> Watch:
    """Two hours of a large database, in the second of which some records changed, and all ticks and checks between."""
    watch = Watch()
    with own_world(postgres) as world, pytest.MonkeyPatch.context() as patch:
        # As small a share of the records as in a database of a million.
        patch.setattr(raw_fields, "NEWEST", COPIES // 100)
        spec = two_way(world)
        add_laboratories(world.sandbox.tenant, LABORATORIES, contacts_each=PEOPLE_EACH)
        world.sandbox.org.touch("Account", at=START - timedelta(hours=1))

        def run(job_of: Callable[[str], str] | None, partition: str) -> None:
            ran = world.dagster.run(spec, partition) if job_of is None else world.dagster.run(spec, partition, job_of=job_of)
            assert ran.success, failures(ran)

        for job_of in (None, from_crms_job_name):
            run(job_of, FIRST)
        with STORE.transaction() as connection:
            url = connection.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        fill(url, copies=COPIES, seen_in_crms=True, wrong_one_in=COPIES)
        for sensor_of in (retry_sensor_name, from_crms_retry_sensor_name, alerts_sensor_name):
            with watch.over(sensor_of("acme")):
                world.dagster.sensed(spec, sensor_of=sensor_of)
        for partition, at in ((SECOND, IN_SECOND), ("2026-11-01-02:00", None)):
            if at is not None:
                add_laboratories(world.sandbox.tenant, 2, contacts_each=1, at=at, first_number=50)
                world.sandbox.org.touch("Account", at=START + timedelta(hours=1, minutes=5))
            for name, job_of in (("sync", None), ("from_crms", from_crms_job_name)):
                with watch.over(f"{name} {partition}"):
                    run(job_of, partition)
        job = world.dagster.definitions(spec).resolve_job_def(links_job_name("acme"))
        recent = [key for key in job.asset_layer.executable_asset_keys if key.path[-1] in {"links", "records"}]
        with watch.over("links recent"):
            tags = {SCOPE_TAG: "recent"}
            assert job.execute_in_process(instance=world.dagster.instance, tags=tags, asset_selection=recent).success
    return watch


def test_no_hourly_run_and_no_tick_reads_a_large_table_from_end_to_end(watch: Watch) -> None:
    found = [f"{asking}: {statement}" for asking, statements in watch.scans.items() for statement in sorted(statements)]
    assert not found, "\n".join(found)
    assert watch.seen > 100


def test_no_hourly_run_and_no_tick_reads_many_rows_of_a_large_table(watch: Watch) -> None:
    found = [f"{asking}: {statement}" for asking, statements in watch.reads.items() for statement in sorted(statements)]
    assert not found, "\n".join(found)
