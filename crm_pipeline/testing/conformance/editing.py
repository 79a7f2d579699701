"""When fields were edited, as a CRM tells it; of a CRM that tells no edits, nothing is asked. And what time a CRM thinks it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd

from crm_pipeline.crms.abilities import EditsCrm, clock_ahead_of
from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import EDITS, FIELD_HISTORY, RECORD_STAMP
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import added, both_types, fail_on_record

AN_HOUR = timedelta(hours=1)


def tells(crm: Crm) -> bool:
    """Whether the CRM tells edits; of another, nothing is."""
    return isinstance(crm, EditsCrm)


def edits(bench: Bench, crm: Crm, record_type: RecordType, crm_ids: Sequence[str], fields: Sequence[str] | None = None) -> pd.DataFrame:
    """The edits of these records; of the text field where no fields are named."""
    wanted = [bench.fields[record_type].text] if fields is None else list(fields)
    return EDITS.check(crm.edits(bench.object(record_type), list(crm_ids), wanted)) if isinstance(crm, EditsCrm) else EDITS.empty()


def edited(bench: Bench, crm: Crm, record_type: RecordType, number: int = 1) -> str:
    """A record whose text field a user of the CRM gave a value."""
    crm_id = added(bench, record_type, number)
    if tells(crm):
        assert bench.edit is not None, "a CRM that tells edits needs a bench with `edit`"
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
def test_record_that_is_gone_has_no_edits(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    kept, gone = edited(bench, crm, record_type), edited(bench, crm, record_type, 2)
    bench.delete(record_type, gone)
    assert list(edits(bench, crm, record_type, [kept, gone, kept])["crm_id"]) == ([kept] if tells(crm) else [])


@both_types
def test_record_that_the_crm_fails_to_read_hides_the_edits_of_no_other(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    ids = [edited(bench, crm, record_type, number) for number in range(5)]
    fail_on_record(bench, ids[2])
    told = set(edits(bench, crm, record_type, ids)["crm_id"])
    assert told == ({crm_id for crm_id in ids if crm_id != ids[2]} if tells(crm) else set())


def test_edits_of_no_records_or_of_no_fields_cost_no_call(bench: Bench, crm: Crm) -> None:
    crm_id = added(bench, RecordType.ACCOUNT)
    assert edits(bench, crm, RecordType.ACCOUNT, []).empty
    assert edits(bench, crm, RecordType.ACCOUNT, [crm_id], []).empty
    assert crm.calls.snapshot() == {}


def test_crm_whose_clock_goes_like_ours_is_not_ahead(bench: Bench, crm: Crm) -> None:
    assert clock_ahead_of(crm) == timedelta(0)
    crm.organization()
    added(bench, RecordType.ACCOUNT)
    crm.read(bench.object(RecordType.ACCOUNT), [added(bench, RecordType.ACCOUNT, 2)], [])
    assert clock_ahead_of(crm) == timedelta(0)
