"""The loser's value of a conflict goes back to where it stood, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.errors import RestoreRefusedError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.mapping.digests import digests
from crm_pipeline.qbench.source import QBench
from crm_pipeline.sandbox.salesforce.core import ValidationRule
from crm_pipeline.schemas import CONFLICTS
from crm_pipeline.store.conflicts import Conflict, Sought, conflicts_told, save_conflicts
from crm_pipeline.store.crm_records import pending_crm_ids
from crm_pipeline.store.manual_links import remove_link
from crm_pipeline.sync.returning.putting_back import PuttingBack
from crm_pipeline_tests.sync.conftest import ACCOUNT, CRM_FIELDS, Bench, customer
from crm_pipeline_tests.sync.loading.test_replacing import during, unasked
from crm_pipeline_tests.tenants import both_ways

STANDS, LOST = "By telephone only", "Call before noon"


def spec_of(bench: Bench, *, send: bool = True) -> IntegrationSpec:
    return both_ways(bench.spec(settings={"send": send}), accounts={"description": {"from": "comments", "direction": "both"}})


def digest(value: str) -> int:
    return int(digests(pd.DataFrame({"value": [value]})).iloc[0, 0])


class Case:
    """A customer whose description is ``STANDS`` on both sides; the ``winner`` wrote it over the other one's ``LOST``."""

    def __init__(self, bench: Bench, *, winner: str, send: bool = True) -> None:
        self.bench, self.winner = bench, winner
        self.field = CRM_FIELDS[bench.crm, ACCOUNT]["description"]
        self.spec = spec_of(bench, send=send)
        self.tenant = bench.sandbox.tenant
        self.tenant.add_customer(id=1, customer_name="Lab 1", comments=STANDS, at=100)
        [self.crm_id] = bench.given(self.spec, ACCOUNT, customer(1, comments=STANDS)).values()
        values = (STANDS, LOST) if winner == "qbench" else (LOST, STANDS)
        row: Mapping[str, Any] = {
            "qbench_id": 1,
            "crm_id": self.crm_id,
            "field": self.field,
            "qbench_value": {"comments": values[0]},
            "crm_value": {self.field: values[1]},
            "qbench_digest": digest(values[0]),
            "crm_digest": digest(values[1]),
            "winner": winner,
            "evidence": "tie",
        }
        with bench.store.transaction() as connection:
            frame = CONFLICTS.build(pd.DataFrame([row]))
            save_conflicts(connection, self.order.state, conflicts=frame, run_id="run")

    @property
    def order(self) -> Any:
        return self.bench.order(self.spec, ACCOUNT)

    @property
    def conflict(self) -> Conflict:
        with self.bench.store.transaction() as connection:
            [found] = conflicts_told(connection, Sought(["acme"]), most=1)
        return found

    def put_back(self) -> bool:
        with closing(self.bench.connect(self.spec)) as crm, closing(QBench(self.spec.qbench, integration="acme")) as source:
            return PuttingBack(self.order, store=self.bench.store, crm=crm, source=source, back=self.spec.coming_back).run(self.conflict)

    def edit_in_crm(self, value: str) -> None:
        sandbox = self.bench.sandbox
        if self.bench.crm == "salesforce":
            sandbox.org.update("Account", self.crm_id, {self.field: value})
        else:
            sandbox.portal.update("companies", self.crm_id, {self.field: value})

    def edit_in_qbench(self, value: str) -> None:
        self.tenant.edit_customer(1, comments=value)

    @property
    def held(self) -> tuple[str, str]:
        """What QBench and the CRM hold."""
        [there] = self.bench.values(ACCOUNT, self.field)
        return self.tenant.customer(1)["comments"], there


def test_a_crms_value_is_written_into_the_crm_again_and_the_next_run_looks_at_it(bench: Bench) -> None:
    case = Case(bench, winner="qbench")
    assert case.put_back()
    assert case.held == (STANDS, LOST)
    assert case.conflict.restored_at is not None
    with bench.store.transaction() as connection:
        assert pending_crm_ids(connection, case.order.state) == [case.crm_id]


def test_a_value_of_qbench_is_written_into_qbench_again_and_every_crm_gets_it(bench: Bench) -> None:
    case = Case(bench, winner="crm")
    assert case.put_back()
    assert case.held == (LOST, STANDS)
    assert case.conflict.restored_at is not None
    staged = "SELECT crm_pipeline.unpacked(content) ->> 'comments', late, since ->> 'comments' IS NOT NULL FROM crm_pipeline.raw_record"
    assert bench.rows(staged) == [(LOST, True, True)]


def test_nothing_is_put_back_into_a_crm_to_which_nothing_is_sent(salesforce: Bench) -> None:
    case = Case(salesforce, winner="qbench", send=False)
    with pytest.raises(RestoreRefusedError, match="`send: false`"):
        case.put_back()
    assert case.held == (STANDS, STANDS)


@pytest.mark.parametrize("winner", ["qbench", "crm"])
@pytest.mark.parametrize("side", ["crm", "qbench"])
def test_a_value_that_was_edited_since_on_either_side_stays(salesforce: Bench, winner: str, side: str) -> None:
    case = Case(salesforce, winner=winner)
    (case.edit_in_crm if side == "crm" else case.edit_in_qbench)("Edited since")
    before = case.held
    with pytest.raises(RestoreRefusedError, match=f"in {'salesforce' if side == 'crm' else 'QBench'}: somebody edited it"):
        case.put_back()
    assert (case.held, case.conflict.restored_at) == (before, None)


@pytest.mark.parametrize("winner", ["qbench", "crm"])
def test_the_side_that_is_written_is_read_last_so_that_an_edit_made_meanwhile_stays(salesforce: Bench, winner: str) -> None:
    case = Case(salesforce, winner=winner)
    if winner == "qbench":
        case.tenant.on_request = lambda path, _: case.edit_in_crm("Edited meanwhile") if "/customers" in path else None
    else:
        during(salesforce, "read", lambda: case.edit_in_qbench("Edited meanwhile"))
    with pytest.raises(RestoreRefusedError, match="somebody edited it"):
        case.put_back()
    assert "Edited meanwhile" in case.held


def test_an_edit_between_the_last_look_and_the_write_is_told_by_the_next_load(hubspot: Bench) -> None:
    case = Case(hubspot, winner="qbench")
    during(hubspot, "read", lambda: case.edit_in_crm("Edited meanwhile"))
    assert case.put_back()
    assert case.held == (STANDS, LOST)
    hubspot.load(case.spec, ACCOUNT)

    told = case.conflict
    assert (told.winner, told.evidence) == ("qbench", "overtaken")
    assert (told.qbench_value, told.crm_value) == ({"comments": LOST}, {case.field: "Edited meanwhile"})
    assert unasked(hubspot) == set()


def test_a_value_that_the_crm_refuses_leaves_nothing_to_be_asked(salesforce: Bench) -> None:
    case = Case(salesforce, winner="qbench")
    salesforce.sandbox.org.add_validation_rule(ValidationRule("Account", lambda row: row.get("Description") == LOST))
    with pytest.raises(RestoreRefusedError, match="does not take the value"):
        case.put_back()
    assert (case.held, case.conflict.restored_at, unasked(salesforce)) == ((STANDS, STANDS), None, set())


@pytest.mark.parametrize("winner", ["qbench", "crm"])
def test_a_value_that_stands_there_already_is_not_written_again(salesforce: Bench, winner: str) -> None:
    case = Case(salesforce, winner=winner)
    (case.edit_in_crm if winner == "qbench" else case.edit_in_qbench)(f" {LOST}\r\n")
    assert not case.put_back()
    assert case.conflict.restored_at is not None


def test_a_record_that_is_linked_otherwise_by_now_or_deleted_is_not_written(salesforce: Bench) -> None:
    case = Case(salesforce, winner="qbench")
    salesforce.sandbox.org.delete("Account", case.crm_id)
    with pytest.raises(RestoreRefusedError, match="cannot be read now"):
        case.put_back()
    with salesforce.store.transaction() as connection:
        remove_link(connection, case.order.state, qbench_id=1)
    with pytest.raises(RestoreRefusedError, match="not linked to"):
        case.put_back()
