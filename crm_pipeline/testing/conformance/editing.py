"""When fields were edited, and what they held before, as a CRM tells it; one that does not is not asked. And what time it thinks it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd

from crm_pipeline.crms.abilities import EditsCrm, VersionsCrm, clock_ahead_of
from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import EDITS, FIELD_HISTORY, RECORD_STAMP, VERSIONS
from crm_pipeline.testing.batches import Put
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import added, both_types, fail_on_record, written

AN_HOUR = timedelta(hours=1)


def tells(crm: Crm) -> bool:
    """Whether the CRM tells edits; of another, nothing is."""
    return isinstance(crm, EditsCrm)


def edits(bench: Bench, crm: Crm, record_type: RecordType, crm_ids: Sequence[str], fields: Sequence[str] | None = None) -> pd.DataFrame:
    """The edits of these records; of the text field where no fields are named."""
    wanted = [bench.fields[record_type].text] if fields is None else list(fields)
    return EDITS.check(crm.edits(bench.object(record_type), list(crm_ids), wanted)) if isinstance(crm, EditsCrm) else EDITS.empty()


def versions(bench: Bench, crm: Crm, record_type: RecordType, crm_ids: Sequence[str], fields: Sequence[str] | None = None) -> pd.DataFrame:
    """What the text field of these records, or these fields, were given within the last hour."""
    if not isinstance(crm, VersionsCrm):
        return VERSIONS.empty()
    wanted = [bench.fields[record_type].text] if fields is None else list(fields)
    since = datetime.now(UTC) - AN_HOUR
    return VERSIONS.check(crm.versions(bench.object(record_type), list(crm_ids), wanted, since=since))


def edited(bench: Bench, crm: Crm, record_type: RecordType, number: int = 1) -> str:
    """A record whose text field a user of the CRM gave a value."""
    crm_id = added(bench, record_type, number)
    if tells(crm) or isinstance(crm, VersionsCrm):
        assert bench.edit is not None, "a CRM that tells edits, or versions, needs a bench with `edit`"
        bench.edit(record_type, crm_id, {bench.fields[record_type].text: "Edited"})
    return crm_id


@both_types
def test_field_that_a_user_edited_is_told_with_its_time_and_what_says_so(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id = edited(bench, crm, record_type)
    told = edits(bench, crm, record_type, [crm_id])
    assert told[["crm_id", "crm_field"]].to_numpy().tolist() == ([[crm_id, bench.fields[record_type].text]] if tells(crm) else [])
    assert all(abs(moment - pd.Timestamp(datetime.now(UTC))) < AN_HOUR for moment in told["edited_at"])
    assert told["edited_by"].notna().all()
    assert set(told["evidence"]) <= {FIELD_HISTORY, RECORD_STAMP}


@both_types
def test_what_users_and_we_gave_a_field_is_told_in_that_order_where_the_crm_keeps_it(
    bench: Bench, crm: Crm, record_type: RecordType
) -> None:
    crm_id, field = edited(bench, crm, record_type), bench.fields[record_type].text
    written(crm, bench.object(record_type), Put(1, {field: "Written"}, crm_id=crm_id))
    told = versions(bench, crm, record_type, [crm_id])
    assert told["value"].tolist()[-2:] in ([], ["Edited", "Written"])
    assert set(zip(told["crm_id"], told["crm_field"], strict=True)) <= {(crm_id, field)}
    assert told["edited_at"].is_monotonic_increasing
    assert all(abs(moment - pd.Timestamp(datetime.now(UTC))) < AN_HOUR for moment in told["edited_at"])


@both_types
def test_record_that_is_gone_has_no_edits_and_no_versions(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    kept, gone = edited(bench, crm, record_type), edited(bench, crm, record_type, 2)
    bench.delete(record_type, gone)
    assert list(edits(bench, crm, record_type, [kept, gone, kept])["crm_id"]) == ([kept] if tells(crm) else [])
    assert set(versions(bench, crm, record_type, [kept, gone, kept])["crm_id"]) <= {kept}


@both_types
def test_record_that_the_crm_fails_to_read_hides_the_edits_and_the_versions_of_no_other(
    bench: Bench, crm: Crm, record_type: RecordType
) -> None:
    ids = [edited(bench, crm, record_type, number) for number in range(5)]
    fail_on_record(bench, ids[2])
    told = set(edits(bench, crm, record_type, ids)["crm_id"])
    others = {crm_id for crm_id in ids if crm_id != ids[2]}
    assert told == (others if tells(crm) else set())
    assert set(versions(bench, crm, record_type, ids)["crm_id"]) in (set(), others)


def test_edits_and_versions_of_no_records_or_of_no_fields_cost_no_call(bench: Bench, crm: Crm) -> None:
    crm_id = added(bench, RecordType.ACCOUNT)
    assert edits(bench, crm, RecordType.ACCOUNT, []).empty
    assert edits(bench, crm, RecordType.ACCOUNT, [crm_id], []).empty
    assert versions(bench, crm, RecordType.ACCOUNT, []).empty
    assert versions(bench, crm, RecordType.ACCOUNT, [crm_id], []).empty
    assert crm.calls.snapshot() == {}


def test_crm_whose_clock_goes_like_ours_is_not_ahead(bench: Bench, crm: Crm) -> None:
    assert clock_ahead_of(crm) == timedelta(0)
    crm.organization()
    added(bench, RecordType.ACCOUNT)
    crm.read(bench.object(RecordType.ACCOUNT), [added(bench, RecordType.ACCOUNT, 2)], [])
    assert clock_ahead_of(crm) == timedelta(0)
