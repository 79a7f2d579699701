"""Which records a CRM tells as changed in a window of time; of a CRM that tells no changes, nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd

from crm_pipeline.crms.abilities import ChangesCrm
from crm_pipeline.crms.base import Crm, CrmObject
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import CHANGED
from crm_pipeline.testing.batches import associations_of, valid
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import ACCOUNT, ALONE, CONTACT, added, both_types, fail_on_record, key_of, plain

AN_HOUR, A_SECOND = timedelta(hours=1), timedelta(seconds=1)


def whole_seconds(moment: datetime) -> datetime:
    """The second that a moment lies in."""
    return moment.replace(microsecond=0)


def now() -> datetime:
    """The second that it is."""
    return whole_seconds(datetime.now(UTC))


def tells(crm: Crm) -> bool:
    """Whether the CRM tells changes; of another, nothing is."""
    return isinstance(crm, ChangesCrm)


def told(
    crm: Crm, wanted: Mapping[CrmObject, Sequence[str]], *, since: datetime | None, until: datetime
) -> list[tuple[CrmObject, pd.DataFrame]]:
    """What the CRM tells as changed in a window."""
    return list(crm.changed(wanted, since=since, until=until)) if isinstance(crm, ChangesCrm) else []


def changes(
    bench: Bench, crm: Crm, record_type: RecordType, *, since: datetime | None, until: datetime, fields: Sequence[str] = ()
) -> pd.DataFrame:
    """What changed of one object in a window, by id; nulls as None."""
    frames = [CHANGED.check(frame) for _, frame in told(crm, {bench.object(record_type): fields}, since=since, until=until)]
    found = pd.concat(frames, ignore_index=True) if frames else CHANGED.empty()
    return found.astype("object").where(found.notna(), None).set_index("crm_id")


@both_types
def test_record_that_changed_is_told_with_its_stamp_its_key_and_the_fields_asked_for(
    bench: Bench, crm: Crm, record_type: RecordType
) -> None:
    fields = [bench.fields[record_type].match, bench.fields[record_type].text]
    keyed, bare = added(bench, record_type, key="7"), added(bench, record_type, 2)
    found = changes(bench, crm, record_type, since=now() - AN_HOUR, until=now() + AN_HOUR, fields=fields)
    assert set(found.index) == ({keyed, bare} if tells(crm) else set())
    assert found["key"].to_dict() == ({keyed: key_of(bench, "7"), bare: None} if tells(crm) else {})
    assert all(abs(stamp - pd.Timestamp(now())) < AN_HOUR for stamp in found["stamp"])
    numbers = {keyed: 1, bare: 2}
    for row in found.itertuples():
        valued = valid(bench, record_type, numbers[str(row.Index)])
        assert [plain(bench, found[name][row.Index]) for name in fields] == [plain(bench, valued.get(name)) for name in fields]
    assert found["error_type"].isna().all()


@both_types
def test_window_begins_at_its_first_second_and_ends_before_its_last(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id = added(bench, record_type)
    stamps = changes(bench, crm, record_type, since=None, until=now() + AN_HOUR)["stamp"]
    assert list(stamps.index) == ([crm_id] if tells(crm) else [])
    for stamp in stamps:
        second = whole_seconds(stamp.to_pydatetime())
        for since, until, is_told in (
            (second, second + A_SECOND, True),
            (None, second + A_SECOND, True),
            (second + A_SECOND, second + AN_HOUR, False),
            (second - AN_HOUR, second, False),
            (None, second, False),
        ):
            assert (crm_id in changes(bench, crm, record_type, since=since, until=until).index) is is_told


def test_changed_contact_has_its_account(bench: Bench, crm: Crm) -> None:
    account, contact, alone = added(bench, ACCOUNT), added(bench, CONTACT), added(bench, CONTACT, 2)
    crm.associate(associations_of((7, contact, account)))
    found = changes(bench, crm, CONTACT, since=None, until=now() + AN_HOUR)["parent_crm_id"]
    assert found.to_dict() == ({contact: account, alone: None} if tells(crm) else {})


@both_types
def test_deleted_record_is_not_told_as_changed(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    kept, gone = added(bench, record_type), added(bench, record_type, 2)
    bench.delete(record_type, gone)
    assert list(changes(bench, crm, record_type, since=None, until=now() + AN_HOUR).index) == ([kept] if tells(crm) else [])


@both_types
def test_changed_record_that_the_crm_fails_to_read_hides_no_other(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    ids = [added(bench, record_type, number) for number in range(9)]
    fail_on_record(bench, ids[4])
    found = changes(bench, crm, record_type, since=None, until=now() + AN_HOUR)
    others = {crm_id for crm_id in ids if crm_id != ids[4]} if tells(crm) else set()
    assert others <= set(found.index[found["error_type"].isna()]) <= set(ids)
    assert set(found["error_type"].dropna()) <= {ALONE}


def test_objects_are_told_apart(bench: Bench, crm: Crm) -> None:
    ids = {bench.object(record_type): added(bench, record_type) for record_type in (ACCOUNT, CONTACT)}
    found = told(crm, {crm_object: [] for crm_object in ids}, since=None, until=now() + AN_HOUR)
    assert {crm_object: list(frame["crm_id"]) for crm_object, frame in found} == (
        {crm_object: [crm_id] for crm_object, crm_id in ids.items()} if tells(crm) else {}
    )


def test_hour_without_changes_costs_a_call_for_each_object_at_most(bench: Bench, crm: Crm) -> None:
    added(bench, ACCOUNT)
    wanted: Mapping[CrmObject, Sequence[str]] = {bench.object(record_type): [] for record_type in (ACCOUNT, CONTACT)}
    assert told(crm, wanted, since=now() + AN_HOUR, until=now() + 2 * AN_HOUR) == []
    assert crm.calls.snapshot().get("read", 0) <= len(wanted)
