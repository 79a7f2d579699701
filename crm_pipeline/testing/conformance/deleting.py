"""How records are moved to a CRM's bin; of a CRM that has none, nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crm_pipeline.crms.abilities import DeletingCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import CHILDREN, REMOVED
from crm_pipeline.testing.batches import associations_of
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import ACCOUNT, ALONE, CONTACT, added, both_types, fail_on_record


def deletes(crm: Crm) -> bool:
    """Whether records can be deleted in the CRM; in another, all stay."""
    return isinstance(crm, DeletingCrm)


def removed(bench: Bench, crm: Crm, record_type: RecordType, crm_ids: Sequence[str]) -> dict[str, str | None]:
    """The error of each record that was to be removed."""
    if not isinstance(crm, DeletingCrm):
        return {}
    told = REMOVED.check(crm.remove(bench.object(record_type), list(crm_ids)))
    return dict(zip(told["crm_id"], told["error_type"].astype("object").where(told["error_type"].notna(), None), strict=True))


def children(crm: Crm, account_ids: Sequence[str]) -> pd.DataFrame:
    """What would go with accounts."""
    return CHILDREN.check(crm.children(list(account_ids))) if isinstance(crm, DeletingCrm) else CHILDREN.empty()


def ids(bench: Bench, record_type: RecordType) -> set[str]:
    """The records that are there."""
    return {str(record["id"]) for record in bench.records(record_type)}


@both_types
def test_removed_records_are_gone_and_people_can_restore_them(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    gone, kept = added(bench, record_type), added(bench, record_type, 2)
    assert removed(bench, crm, record_type, [gone, gone]) == ({gone: None} if deletes(crm) else {})
    assert ids(bench, record_type) == ({kept} if deletes(crm) else {gone, kept})
    if deletes(crm):
        bench.restore(record_type, gone)
        assert ids(bench, record_type) == {gone, kept}


@both_types
def test_record_that_is_gone_already_is_no_error_and_no_call_for_none(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    assert removed(bench, crm, record_type, []) == {}
    assert "write" not in crm.calls.snapshot()
    gone = added(bench, record_type)
    bench.delete(record_type, gone)
    assert removed(bench, crm, record_type, [gone]) == ({gone: None} if deletes(crm) else {})


def test_record_that_was_merged_away_takes_not_the_one_along_that_it_is_part_of(bench: Bench, crm: Crm) -> None:
    winner, loser = added(bench, ACCOUNT), added(bench, ACCOUNT, 2)
    bench.merge(ACCOUNT, winner, loser)
    before = ids(bench, ACCOUNT)
    assert removed(bench, crm, ACCOUNT, [loser]) == ({loser: None} if deletes(crm) else {})
    assert ids(bench, ACCOUNT) == before


@both_types
def test_record_that_cannot_be_removed_is_named_and_the_others_go(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    all_of_them = [added(bench, record_type, number) for number in range(6)]
    fail_on_record(bench, all_of_them[3])
    told = removed(bench, crm, record_type, all_of_them)
    assert {crm_id: error for crm_id, error in told.items() if error} == ({all_of_them[3]: ALONE} if deletes(crm) else {})
    bench.faults.clear()
    assert ids(bench, record_type) == ({all_of_them[3]} if deletes(crm) else set(all_of_them))


def test_what_goes_with_an_account_is_told_before(bench: Bench, crm: Crm) -> None:
    account, other = added(bench, ACCOUNT), added(bench, ACCOUNT, 2)
    contact = added(bench, CONTACT)
    crm.associate(associations_of((7, contact, account)))
    told = children(crm, [account, other])
    assert set(told["parent_crm_id"]) <= {account}
    removed(bench, crm, ACCOUNT, [account])
    assert {contact} - ids(bench, CONTACT) == set(told["crm_id"])
    assert set(told["object"]) <= {bench.object(CONTACT).name}
