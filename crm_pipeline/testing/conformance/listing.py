"""Which records are in a CRM's lists; of a CRM that has none, nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from crm_pipeline.crms.abilities import ListsCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ConfigurationError
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import MEMBERS
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import ACCOUNT, ALONE, CONTACT, added, both_types, fail_on_record

LISTED = "Lab customers"


def has_lists(crm: Crm) -> bool:
    """Whether the CRM has lists, as it says and as it can be asked."""
    assert isinstance(crm, ListsCrm) == crm.capabilities.keeps_lists, "`keeps_lists` and the methods `list_id` and `members` go together"
    return crm.capabilities.keeps_lists


def listed(bench: Bench, crm: Crm, record_type: RecordType, crm_ids: Sequence[str], *, name: str = LISTED) -> None:
    """Have a list of these records."""
    if has_lists(crm):
        assert bench.make_list is not None, "a CRM that has lists needs a bench with `make_list`"
        bench.make_list(record_type, name, crm_ids)


def members(bench: Bench, crm: Crm, record_type: RecordType, crm_ids: Sequence[str], *, crm_list: str = LISTED) -> pd.DataFrame:
    """Which records are in a list."""
    found = crm.members(bench.object(record_type), crm_list, list(crm_ids)) if isinstance(crm, ListsCrm) else MEMBERS.empty()
    return MEMBERS.check(found)


@both_types
def test_records_in_a_list_are_told_from_the_others(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    within, without, gone = (added(bench, record_type, number) for number in (1, 2, 3))
    listed(bench, crm, record_type, [within, gone])
    bench.delete(record_type, gone)
    found = members(bench, crm, record_type, [without, within, gone, within])
    assert dict(zip(found["crm_id"], found["member"], strict=True)) == (
        {within: True, without: False, gone: False} if has_lists(crm) else {}
    )
    assert found["error_type"].isna().all()
    assert len(found) == (3 if has_lists(crm) else 0)


def test_list_is_known_by_its_name_and_by_its_id(bench: Bench, crm: Crm) -> None:
    crm_id = added(bench, ACCOUNT)
    listed(bench, crm, ACCOUNT, [crm_id])
    if isinstance(crm, ListsCrm):
        list_id = crm.list_id(bench.object(ACCOUNT), LISTED)
        assert crm.list_id(bench.object(ACCOUNT), list_id) == list_id
        assert members(bench, crm, ACCOUNT, [crm_id], crm_list=list_id)["member"].tolist() == [True]


def test_unknown_list_and_one_of_another_object_are_refused_with_the_names_that_there_are(bench: Bench, crm: Crm) -> None:
    listed(bench, crm, ACCOUNT, [])
    listed(bench, crm, CONTACT, [], name="People")
    if isinstance(crm, ListsCrm):
        for unknown in ("Lab custmers", "999999", "People"):
            with pytest.raises(ConfigurationError, match=LISTED):
                crm.list_id(bench.object(ACCOUNT), unknown)
            with pytest.raises(ConfigurationError, match=LISTED):
                crm.members(bench.object(ACCOUNT), unknown, [added(bench, ACCOUNT)])


@both_types
def test_record_of_which_the_crm_fails_to_tell_its_lists_is_named_and_hides_no_other(
    bench: Bench, crm: Crm, record_type: RecordType
) -> None:
    ids = [added(bench, record_type, number) for number in range(5)]
    listed(bench, crm, record_type, ids)
    fail_on_record(bench, ids[2])
    found = members(bench, crm, record_type, ids).set_index("crm_id")
    assert found.index.tolist() == (ids if has_lists(crm) else [])
    assert found["error_type"].dropna().to_dict() == ({ids[2]: ALONE} if has_lists(crm) else {})
    assert found["member"].drop(ids[2], errors="ignore").all()
