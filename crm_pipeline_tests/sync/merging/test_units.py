"""From links, records and readings to a decision, and from that to what is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.mapping.digests import NO_DIGEST, digests
from crm_pipeline.mapping.inverse import WayBack
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.schemas import EDITS
from crm_pipeline.sync.merging.bases import about_to_send, arrived
from crm_pipeline.sync.merging.fields import Evidence, Situation, Verdict
from crm_pipeline.sync.merging.units import PAIRS, Compared, Decided, Shown, compared
from crm_pipeline_tests.mapping.builders import account_spec, crm_fields, raw_frame

READ = datetime(2026, 11, 1, 12, tzinfo=UTC)
BOTH = {"direction": "both"}


def way_back(mapping: dict[str, Any] | None = None, *, crm: str = "salesforce", fields: pd.DataFrame | None = None) -> WayBack:
    spec = account_spec(mapping if mapping is not None else {"description": {"from": "comments", **BOTH}})
    reading = Reading(default_region="US", time_zone="UTC")
    return WayBack(spec=spec, crm=crm, crm_fields=fields, country_format="auto", reading=reading, longest={}, never_blank=frozenset())


def digest(value: str) -> int:
    return int(digests(pd.DataFrame({"value": [value]}, dtype="str")).iloc[0, 0]) if value else NO_DIGEST


def both_sides(
    way: WayBack, held: dict[str, Any], there: dict[str, Any] | None, **kept: Any
) -> tuple[Compared, Shown | None, pd.DataFrame]:
    """One pair: what QBench holds, what the CRM shows (None: not read), and what is kept of it."""
    raw = raw_frame({"customer_name": "Eco Labs", **held})
    usual = {"qbench_id": 1, "crm_id": "001A", "situation": Situation.LINKED, "digests": {}, "read_at": None if there is None else READ}
    row = usual | kept
    pairs = PAIRS.build({column.name: pd.Series([row.get(column.name)], dtype=column.dtype) for column in PAIRS.columns})
    shown = None
    if there is not None:
        names = [route.target.crm_field for route in way.routes]
        values = pd.DataFrame({name: pd.Series([there.get(name)], dtype=object) for name in names})
        shown = Shown(values, way.inverse(values, raw).fits)
    return compared(way, pairs, wanted=way.wanted(raw), raw=raw, shown=shown), shown, raw


def decided(held: dict[str, Any], there: dict[str, Any] | None, *, way: WayBack | None = None, **kept: Any) -> Decided:
    found, _, _ = both_sides(way or way_back(), held, there, **kept)
    return found.decided()


def verdict(found: Decided, unit: str = "Description") -> str:
    return str(found.verdicts[unit].iloc[0])


def agreed_on(value: str, unit: str = "Description") -> dict[str, list[int]]:
    return {unit: [digest(value)] * 2}


@pytest.mark.parametrize(("there", "told"), [("kept", Verdict.DRIFT), ("wanted", Verdict.AGREED), ("theirs", Verdict.TO_QBENCH)])
def test_what_the_crm_keeps_in_the_place_of_what_was_sent_is_no_edit_and_anything_else_is(there: str, told: Verdict) -> None:
    bases = {"Description": [digest("wanted"), digest("kept")]}
    assert verdict(decided({"comments": "wanted"}, {"Description": there}, bases=bases)) == told


def test_only_the_unit_that_qbench_changed_is_looked_at() -> None:
    way = way_back({"description": {"from": "comments", **BOTH}, "website": {"from": "website", **BOTH}})
    bases = agreed_on("old") | agreed_on("https://eco.example", "Website")
    found, _, _ = both_sides(way, {"comments": "new", "website": "https://eco.example"}, None, bases=bases)

    assert found.changed_in_qbench.to_dict("records") == [{"Website": False, "Description": True}]


@pytest.mark.parametrize(
    ("crm", "held", "there", "base", "decides"),
    [
        ("salesforce", None, False, "", "agreed"),  # as it is made there
        ("salesforce", True, False, "", "to_crm"),
        ("salesforce", None, True, "", "to_qbench"),
        ("salesforce", True, False, "true", "to_qbench"),
        ("salesforce", False, False, "", "agreed"),
        ("salesforce", None, False, "true", "agreed"),
        ("hubspot", None, "false", "", "to_qbench"),
        ("hubspot", True, None, "", "to_crm"),
    ],
)
def test_a_checkbox_that_is_never_blank_in_the_crm_says_no_for_a_blank(
    crm: str, held: object, there: object, base: str, decides: str
) -> None:
    way = way_back({f"{crm}.Active": {"from": "active", **BOTH}}, crm=crm, fields=crm_fields(Active={"type": "boolean"}))
    found, shown, raw = both_sides(way, {"active": held}, {"Active": there}, bases=agreed_on(base, "Active"))
    assert shown is not None
    assert verdict(found.decided(), "Active") == decides
    assert found.decided().conflicts(shown, raw).empty


def test_a_value_that_is_never_sent_makes_no_load_look() -> None:
    way = way_back({"description": {"from": "comments", "direction": "from_crm"}})
    found, _, _ = both_sides(way, {"comments": "new"}, None, bases=agreed_on("old"))

    assert not found.changed_in_qbench.to_numpy().any()


def test_a_record_that_was_not_read_is_unread() -> None:
    found = decided({"comments": "new"}, None, bases=agreed_on("old"))

    assert verdict(found) == Verdict.UNREAD
    assert found.unread.tolist() == [True]
    assert found.kept["bases"].tolist() == [agreed_on("old")]


def test_links_of_before_the_switch_begin_with_the_digests_that_they_have() -> None:
    unchanged = decided({"comments": " old "}, {"Description": "theirs"}, digests={"Description": digest("old")})
    changed = decided({"comments": "new"}, {"Description": "theirs"}, digests={"Description": digest("old")})

    assert verdict(unchanged) == Verdict.KEPT
    assert unchanged.kept["bases"].tolist() == [{"Description": [digest("old"), digest("theirs")]}]
    assert verdict(changed) == Verdict.TO_CRM


def test_a_group_of_before_the_switch_is_unchanged_where_all_its_fields_are() -> None:
    address = {"street_1": "street", "city": "town"}
    way = way_back({"address": {**address, **BOTH, "address_type": {"constant": "BILLING"}}})
    wanted = way.wanted(raw_frame({"customer_name": "Eco Labs", "street": "1 Main St", "town": "Austin"}))
    sent = {name: digest(value) for name, value in wanted.values.iloc[0].dropna().items()}
    held = {"street": "1 Main St", "town": "Austin"}
    [unit] = way.units

    same, _, _ = both_sides(way, held, {}, digests=sent)
    moved, _, _ = both_sides(way, {**held, "town": "Waco"}, {}, digests=sent)

    assert same.fields["sent"].tolist() == same.fields["wanted"].tolist()
    assert moved.fields["sent"].tolist() != moved.fields["wanted"].tolist()
    assert unit == "group:billing_address"


def test_what_only_a_create_sends_comes_back_alone_once_the_record_is_there() -> None:
    way = way_back({"address": {"street_1": "street", **BOTH, "address_type": {"constant": "BILLING"}}})
    held = {"street": "1 Main St"}

    linked = decided(held, {}, way=way, bases={"group:billing_address": [digest("x"), NO_DIGEST]})
    created = decided(held, None, way=way, situation=Situation.NEW_IN_CRM)

    assert verdict(linked, "group:billing_address") == Verdict.KEPT
    assert verdict(created, "group:billing_address") == Verdict.TO_CRM


def test_an_address_that_may_fill_a_blank_does_so_at_linking_and_never_replaces_one() -> None:
    way = way_back({"address": {"street_1": "street", **BOTH, "address_type": {"constant": "BILLING"}, "policy": "if_blank"}})
    held, first = {"street": "1 Main St"}, {"situation": Situation.FIRST_LINK}

    assert verdict(decided(held, {}, way=way, **first), "group:billing_address") == Verdict.TO_CRM
    assert verdict(decided(held, {"BillingStreet": "2 Elm"}, way=way, **first), "group:billing_address") == Verdict.TO_QBENCH


def test_a_conflict_keeps_both_values_by_the_fields_of_their_systems() -> None:
    found, shown, raw = both_sides(way_back(), {"comments": "ours"}, {"Description": "theirs"}, bases=agreed_on("old"))
    assert shown is not None
    [lost] = found.decided().conflicts(shown, raw).to_dict("records")

    assert (lost["field"], lost["qbench_value"], lost["crm_value"]) == ("Description", {"comments": "ours"}, {"Description": "theirs"})
    assert (lost["qbench_id"], lost["crm_id"], lost["winner"], lost["evidence"]) == (1, "001A", "qbench", Evidence.UNDATED)
    assert (lost["qbench_digest"], lost["crm_digest"]) == (digest("ours"), digest("theirs"))


def edit(at: str, evidence: str = "field history") -> pd.DataFrame:
    row = {"crm_id": "001A", "crm_field": "Description", "edited_at": pd.Timestamp(at), "edited_by": None, "evidence": evidence}
    return EDITS.build({column.name: pd.Series([row[column.name]], dtype=column.dtype) for column in EDITS.columns})


def by_time(edits: pd.DataFrame, *, since: Any, ahead: timedelta = timedelta(0)) -> tuple[str, str]:
    found, _, _ = both_sides(way_back(), {"comments": "ours"}, {"Description": "theirs"}, bases=agreed_on("old"), since=since)
    assert found.asks_when.to_numpy().all()
    rows = found.with_edits(edits, clock_ahead=ahead).decided()
    return verdict(rows), str(rows.rows["evidence"].iloc[0])


def test_the_later_of_two_edits_stands_by_our_clock() -> None:
    ours = {"comments": ["2026-11-01T10:05:00+00:00", 1]}

    assert by_time(edit("2026-11-01T10:06Z"), since=ours) == (Verdict.TO_QBENCH, Evidence.HISTORY)
    assert by_time(edit("2026-11-01T10:04Z"), since=ours) == (Verdict.TO_CRM, Evidence.HISTORY)
    assert by_time(edit("2026-11-01T10:06Z"), since=ours, ahead=timedelta(minutes=2)) == (Verdict.TO_CRM, Evidence.HISTORY)


def test_a_time_that_is_known_to_the_minute_ties_with_any_second_of_it() -> None:
    assert by_time(edit("2026-11-01T10:05:59Z"), since={"comments": ["2026-11-01T10:05:00+00:00", 60]}) == (Verdict.TO_CRM, Evidence.TIE)


def test_an_edit_of_which_the_crm_tells_nothing_is_as_old_as_its_reading() -> None:
    ours = {"comments": ["2026-11-01T10:05:00+00:00", 1]}

    assert by_time(EDITS.empty(), since=ours) == (Verdict.TO_QBENCH, Evidence.READING)


def test_of_a_value_of_several_fields_the_last_edit_counts() -> None:
    way = way_back({"address": {"street_1": "street", "city": "town", **BOTH}})
    since = {"street": ["2026-11-01T10:05:00+00:00", 1], "town": ["2026-11-01T11:05:00.250000+00:00", 0]}
    found, _, _ = both_sides(way, {"street": "1 Main St", "town": "Austin"}, {}, since=since)

    assert set(found.fields["wanted_since"]) == {pd.Timestamp("2026-11-01T11:05:00.250Z")}
    assert set(found.fields["wanted_grain"]) == {0}


def test_a_write_is_kept_before_it_is_sent_and_agreed_on_once_it_arrived() -> None:
    found = decided({"comments": "new"}, {"Description": "old"}, bases=agreed_on("old"))
    agreed, began = found.agreed(Verdict.TO_CRM), READ + timedelta(minutes=1)

    call = began, began + timedelta(minutes=5)
    under_way = about_to_send(found.kept, agreed, call=call)
    done = arrived(under_way, agreed)

    assert under_way["bases"].tolist() == [agreed_on("old")]
    assert under_way["sending"].tolist() == [{"Description": digest("new")}]
    assert under_way["touched_at"].tolist() == [pd.Timestamp(began)]
    assert under_way["open_until"].tolist() == [pd.Timestamp(began + timedelta(minutes=5))]
    assert done["bases"].tolist() == [agreed_on("new")]
    assert done["sending"].tolist() == [None]
    assert done["open_until"].isna().all()
    pd.testing.assert_frame_equal(arrived(found.kept, agreed, call=call), done)


def test_a_write_whose_answer_was_lost_is_known_as_ours_when_it_is_read() -> None:
    found = decided({"comments": "newer"}, {"Description": "new"}, bases=agreed_on("old"), sending={"Description": digest("new")})

    assert verdict(found) == Verdict.TO_CRM
    assert not found.rows["conflict"].any()


def test_what_no_unit_of_the_mapping_is_any_more_is_not_kept() -> None:
    found = decided({"comments": "old"}, {"Description": "old"}, bases=agreed_on("old") | agreed_on("x", "Website"))

    assert found.kept["bases"].tolist() == [agreed_on("old")]


def test_a_reading_that_was_decided_by_makes_earlier_ones_say_nothing() -> None:
    kept = decided({"comments": "old"}, {"Description": "old"}, bases=agreed_on("old")).kept

    assert kept["touched_at"].tolist() == [pd.Timestamp(READ) - pd.Timedelta("1us")]
