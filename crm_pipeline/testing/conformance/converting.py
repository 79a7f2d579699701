"""Leads, and which of them people converted into contacts; a CRM that keeps none is asked for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd

from crm_pipeline.crms.abilities import ConvertingCrm, LeavingCrm
from crm_pipeline.crms.base import Crm
from crm_pipeline.crms.examining import left_since
from crm_pipeline.model import RecordType
from crm_pipeline.schemas import CONVERTED, FOUND
from crm_pipeline.testing.batches import Put, valid
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import ALONE, added, errors_of, fail_on_record, key_of, new, only_record, written
from crm_pipeline.testing.conformance.examining import states_of

LEAD = RecordType.LEAD


def keeps_leads(bench: Bench, crm: Crm) -> bool:
    """Whether the CRM keeps leads, as its objects say and as it can be asked."""
    assert isinstance(crm, ConvertingCrm) == (LEAD in bench.kind.objects), "an object for leads and the method `converted` go together"
    return LEAD in bench.kind.objects


def converted(bench: Bench, crm: Crm, crm_ids: Sequence[str]) -> pd.DataFrame:
    """The converted ones of these leads, by id, nulls as None."""
    assert isinstance(crm, ConvertingCrm)
    told = CONVERTED.check(crm.converted(bench.object(LEAD), list(crm_ids))).astype("object")
    return told.where(told.notna(), None).set_index("crm_id")


def convert(bench: Bench, lead: str) -> tuple[str, str]:
    """Have people convert a lead; the ids of its account and its contact."""
    assert bench.convert is not None, "a CRM that keeps leads needs a bench with `convert`"
    return bench.convert(lead)


def test_converted_leads_are_told_with_their_contact_and_its_account_and_open_and_gone_ones_are_not(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm):
        lead, unlike, is_open, gone, went = (added(bench, LEAD, number) for number in range(5))
        (account, contact), (other_account, other) = convert(bench, lead), convert(bench, unlike)
        convert(bench, went)
        for each in (gone, went):
            bench.delete(LEAD, each)
        told = converted(bench, crm, [is_open, lead, gone, went, unlike, lead])
        assert told[["contact_crm_id", "account_crm_id", "person", "error_type"]].T.to_dict("list") == {
            lead: [contact, account, False, None],
            unlike: [other, other_account, False, None],
        }


def test_leads_that_became_contacts_are_told_by_these_in_one_call(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm):
        lead, _ = (added(bench, LEAD, number) for number in range(2))
        (_, contact), theirs = convert(bench, lead), added(bench, RecordType.CONTACT, 5)
        assert isinstance(crm, ConvertingCrm)
        told = crm.leads_of(bench.object(LEAD), [theirs, contact])
        assert told[["contact_crm_id", "crm_id"]].to_numpy().tolist() == [[contact, lead]]
        assert crm.calls.snapshot()["read"] == 1
        assert crm.leads_of(bench.object(LEAD), []).empty


def test_contact_of_which_the_crm_fails_to_tell_whether_it_was_a_lead_is_named_and_hides_no_other(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm):
        leads = [added(bench, LEAD, number) for number in range(3)]
        contacts = [convert(bench, lead)[1] for lead in leads]
        fail_on_record(bench, contacts[1])
        assert isinstance(crm, ConvertingCrm)
        told = crm.leads_of(bench.object(LEAD), contacts).astype("object").set_index("contact_crm_id")["crm_id"]
        assert told.where(told.notna(), None).to_dict() == dict(zip(contacts, [leads[0], None, leads[2]], strict=True))


def test_converted_leads_are_among_those_that_left_and_open_ones_are_not(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm):
        _, lead = (added(bench, LEAD, number) for number in range(2))
        convert(bench, lead)
        left = left_since(crm, bench.object(LEAD), datetime.now(UTC) - timedelta(minutes=5))
        assert left == ([lead] if isinstance(crm, LeavingCrm) else [])
        assert crm.calls.snapshot().get("read", 0) == len(left)


def test_lead_whose_contact_is_gone_is_told_as_converted_without_an_account(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm):
        lead = added(bench, LEAD)
        _, contact = convert(bench, lead)
        bench.delete(RecordType.CONTACT, contact)
        # A CRM may forget which contact that was.
        assert converted(bench, crm, [lead]).T.to_dict("list") in [{lead: [one, None, False, None]} for one in (contact, None)]


def test_asking_a_full_batch_of_open_leads_costs_one_call_and_none_costs_none(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm):
        leads = [added(bench, LEAD, number) for number in range(min(100, crm.capabilities.batch_size))]
        assert converted(bench, crm, []).empty
        assert crm.calls.snapshot() == {}
        assert converted(bench, crm, leads).empty
        assert crm.calls.snapshot()["read"] == 1


def test_lead_that_the_crm_fails_to_show_is_named_and_hides_no_other(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm):
        leads = [added(bench, LEAD, number) for number in range(4)]
        for lead in leads[1:]:
            convert(bench, lead)
        fail_on_record(bench, leads[2])
        assert converted(bench, crm, leads)["error_type"].to_dict() == {leads[1]: None, leads[2]: ALONE, leads[3]: None}


def test_leads_are_found_among_open_ones_and_a_converted_one_is_still_read(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm):
        match, leads = bench.fields[LEAD].match, [added(bench, LEAD, number) for number in (1, 2)]
        convert(bench, leads[0])
        values = [str(valid(bench, LEAD, number)[match]) for number in (1, 2)]
        for found in (crm.find(bench.object(LEAD), match, values), pd.concat(crm.scan(bench.object(LEAD), match))):
            assert FOUND.check(found.reset_index(drop=True))["crm_id"].tolist() == [leads[1]]
        assert set(crm.read(bench.object(LEAD), leads, [match])["crm_id"]) == set(leads)
        assert states_of(bench, crm, LEAD, leads[0])[leads[0]][:2] == ("live", leads[0])


def test_converted_lead_is_found_by_the_key_that_it_carries(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm) and key_of(bench, bench.key):
        lead = added(bench, LEAD, key="7")
        convert(bench, lead)
        assert crm.find(bench.object(LEAD), bench.key, ["7"])["crm_id"].tolist() == [lead]


def test_lead_is_made_once_and_belongs_to_no_account(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm):
        row = new(bench, LEAD, 7)
        first, again = (written(crm, bench.object(LEAD), row)[7] for _ in range(2))
        assert errors_of({1: first, 2: again}) == {1: None, 2: None}
        if row.key is not None:
            assert again["crm_id"] == first["crm_id"] == only_record(bench, LEAD)["id"]
        read = crm.read(bench.object(LEAD), [first["crm_id"]], [bench.fields[LEAD].match])
        assert read["parent_crm_id"].isna().all()


def test_lead_that_was_converted_before_it_is_written_to_is_named_and_stays_as_it_is(bench: Bench, crm: Crm) -> None:
    if keeps_leads(bench, crm):
        text, leads = bench.fields[LEAD].text, [added(bench, LEAD, number) for number in (1, 2)]
        convert(bench, leads[0])
        results = written(crm, bench.object(LEAD), *(Put(number, {text: "Edited"}, crm_id=one) for number, one in enumerate(leads)))
        assert errors_of(results) == {0: "ConvertedLeadException", 1: None}
        assert {str(record["id"]): record[text] == "Edited" for record in bench.records(LEAD)} == {leads[0]: False, leads[1]: True}


def test_lead_without_a_key_is_made_and_then_written_by_its_id(bench: Bench, keyless: Crm) -> None:
    if keeps_leads(bench, keyless):
        text = bench.fields[LEAD].text
        made = written(keyless, bench.object(LEAD), Put(7, valid(bench, LEAD, 7)))[7]
        written(keyless, bench.object(LEAD), Put(7, {text: "Edited"}, crm_id=made["crm_id"]))
        assert (only_record(bench, LEAD)["id"], only_record(bench, LEAD)[text]) == (made["crm_id"], "Edited")
