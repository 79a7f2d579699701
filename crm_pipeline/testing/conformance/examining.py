"""What a CRM tells of linked records: that they live, were deleted or, where it tells that, merged into another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from crm_pipeline.crms.abilities import LeavingCrm, MergingCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.examining import examined, left_since
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import EXAMINED
from crm_pipeline.testing.batches import associations_of
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import ACCOUNT, CONTACT, added, both_types, fail_on_record, key_of

GONE = ("deleted", None, None)
"""What became of a record, where the CRM tells no merges also of one that was merged."""


def became(bench: Bench, crm: Crm, record_type: RecordType, *crm_ids: str) -> pd.DataFrame:
    """What became of records (schemas.EXAMINED, by id, nulls as None)."""
    found = EXAMINED.check(examined(crm, bench.object(record_type), list(crm_ids), key=key_of(bench, bench.key))).astype("object")
    return found.where(found.notna(), None).set_index("crm_id")


def states_of(bench: Bench, crm: Crm, record_type: RecordType, *crm_ids: str) -> dict[str, tuple[str, str | None, str | None]]:
    """By id asked for: state, the record it leads to, and the key there."""
    return {row.Index: (row.state, row.leads_to, row.key) for row in became(bench, crm, record_type, *crm_ids).itertuples()}


@both_types
def test_examined_records_are_live_merged_or_deleted(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    kept, winner, loser, gone = (added(bench, record_type, number) for number in range(4))
    keyed = added(bench, record_type, 5, key="5")
    merged = bench.merge(record_type, winner, loser)
    bench.delete(record_type, gone)
    assert states_of(bench, crm, record_type, kept, loser, gone, keyed, merged) == {
        kept: ("live", kept, None),
        loser: ("merged", merged, None) if isinstance(crm, MergingCrm) else GONE,
        gone: GONE,
        keyed: ("live", keyed, key_of(bench, "5")),
        merged: ("live", merged, None),
    }


@both_types
def test_examined_merges_are_followed_to_the_end(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    first, second, third = (added(bench, record_type, number) for number in range(3))
    end = bench.merge(record_type, third, bench.merge(record_type, second, first))
    assert states_of(bench, crm, record_type, first)[first] == (("merged", end, None) if isinstance(crm, MergingCrm) else GONE)
    bench.delete(record_type, end)
    assert states_of(bench, crm, record_type, first)[first] == GONE


@both_types
def test_restored_record_is_examined_as_live(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id = added(bench, record_type)
    bench.delete(record_type, crm_id)
    bench.restore(record_type, crm_id)
    assert states_of(bench, crm, record_type, crm_id) == {crm_id: ("live", crm_id, None)}


@both_types
def test_record_that_the_crm_fails_to_read_is_not_examined_as_deleted(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    ids = [added(bench, record_type, number) for number in range(9)]
    fail_on_record(bench, ids[4])
    states = became(bench, crm, record_type, *ids)["state"]
    assert states.to_dict() == {crm_id: "live" for crm_id in ids if crm_id != ids[4]}


def test_examined_contact_has_its_account(bench: Bench, crm: Crm) -> None:
    account, contact, alone = added(bench, ACCOUNT), added(bench, CONTACT), added(bench, CONTACT, 2)
    crm.associate(associations_of((7, contact, account)))
    found = became(bench, crm, CONTACT, contact, alone)["parent_crm_id"]
    assert (found[contact], found[alone]) == (account, None)


def test_examining_a_full_batch_of_live_records_costs_one_call(bench: Bench, crm: Crm) -> None:
    ids = [added(bench, ACCOUNT, number) for number in range(min(100, crm.capabilities.batch_size))]
    assert {state for state, _, _ in states_of(bench, crm, ACCOUNT, *ids, ids[0]).values()} == {"live"}
    assert crm.calls.snapshot()["read"] == 1
    assert states_of(bench, crm, ACCOUNT) == {}
    assert crm.calls.snapshot()["read"] == 1


@both_types
def test_records_merged_away_since_are_told_in_one_call(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    ids = [added(bench, record_type, number) for number in range(3)]
    bench.merge(record_type, ids[0], ids[1])
    found = left_since(crm, bench.object(record_type), datetime.now(UTC) - timedelta(minutes=5))
    assert (ids[1] in found, ids[2] in found) == (isinstance(crm, LeavingCrm), False)
    assert left_since(crm, bench.object(record_type), datetime.now(UTC) + timedelta(minutes=5)) == []
    assert crm.calls.snapshot().get("read", 0) == (2 if isinstance(crm, LeavingCrm) else 0)


@both_types
def test_fields_come_along_at_no_further_call_of_the_record_that_it_is_now(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    field = bench.fields[record_type].match
    winner, loser, gone = (added(bench, record_type, number) for number in range(3))
    merged = bench.merge(record_type, winner, loser)
    bench.delete(record_type, gone)
    [held] = [record[field] for record in bench.records(record_type) if str(record["id"]) == merged]
    asked = [merged, gone, loser]
    without = crm.calls.snapshot().get("read", 0)
    examined(crm, bench.object(record_type), asked, key=key_of(bench, bench.key))
    between = crm.calls.snapshot()["read"]
    found = examined(crm, bench.object(record_type), asked, key=key_of(bench, bench.key), fields=[field])
    assert crm.calls.snapshot()["read"] - between == between - without
    told = EXAMINED.check(found).set_index("crm_id")[field].astype(object)
    assert {crm_id: None if pd.isna(value) else value for crm_id, value in told.items()} == {
        merged: held,
        gone: None,
        loser: held if isinstance(crm, MergingCrm) else None,
    }
