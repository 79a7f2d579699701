"""Which edits did a write overtake? A write of ``ours`` over ``old``, which was shown right past noon, and began two seconds later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from crm_pipeline.mapping.inverse import WayBack
from crm_pipeline.schemas import REPLACING, VERSIONS
from crm_pipeline.sync.merging.overtaken import overtaken
from crm_pipeline_tests.mapping.builders import crm_fields, raw_frame
from crm_pipeline_tests.sync.merging.test_units import way_back

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
BOTH = {"direction": "both"}
WEBSITE = {"website": {"from": "website", **BOTH}}

Given = tuple[float, Any]
"""So many seconds past noon, by the CRM's clock, a field was given this value."""


def lost(
    given: list[Given] | dict[str, list[Given]],
    *,
    shown: Any = "old",
    sent: Any = "ours",
    way: WayBack | None = None,
    ahead: int = 0,
    field: str = "Website",
    more: dict[str, tuple[Any, Any]] | None = None,
) -> list[tuple[dict[str, Any], datetime]]:
    """What was lost, and when it was given; ``more``: what was shown and sent of further fields of the unit."""
    both = {field: (shown, sent), **(more or {})}
    write = {
        "qbench_id": 1,
        "crm_id": "001A",
        "field": (way or way_back(WEBSITE)).routes[0].target.unit,
        "shown": {name: one for name, (one, _) in both.items()},
        "sent": {name: one for name, (_, one) in both.items()},
        "qbench_value": {"website": sent},
        "qbench_digest": 1,
        "read_at": NOON + timedelta(seconds=0.4),
        "began_at": NOON + timedelta(seconds=2.4),
    }
    history = given if isinstance(given, dict) else {field: given}
    rows = [("001A", name, value, NOON + timedelta(seconds=at)) for name, of_it in history.items() for at, value in of_it]
    found = overtaken(
        way or way_back(WEBSITE),
        REPLACING.of_rows(REPLACING.names, [[write.get(name) for name in REPLACING.names]]),
        VERSIONS.of_rows(VERSIONS.names, [(*row[:3], pd.Timestamp(row[3])) for row in rows]),
        raw=raw_frame({"customer_name": "Eco Labs"}),
        clock_ahead=timedelta(seconds=ahead),
    )
    return [(row.crm_value, row.crm_since.to_pydatetime()) for row in found.itertuples()]


@pytest.mark.parametrize("ahead", [0, 90, -90])
def test_what_a_field_was_given_right_before_our_write_is_lost_whatever_the_crms_clock_says(ahead: int) -> None:
    told = lost([(-60 + ahead, "old"), (1 + ahead, "theirs"), (2.5 + ahead, "ours")], ahead=ahead)
    assert told == [({"Website": "theirs"}, NOON + timedelta(seconds=1))]


@pytest.mark.parametrize(
    "given",
    [
        [],
        [(-60, "old"), (2.5, "ours")],
        [(1, "ours")],
        [(1, "theirs"), (1.5, "old"), (2.5, "ours")],
        [(2.5, "ours"), (3, "theirs")],
        [(1, "theirs")],
        [(-3600, "theirs"), (2.5, "ours")],
        [(1, " old\r\n"), (2.5, "ours")],
        [(2.5, "ours"), (60, "later"), (61, "ours")],
    ],
    ids=["untold", "unedited", "equal", "and-back", "after", "not-written", "long-before", "other-form", "after-and-typed-again"],
)
def test_nothing_is_lost(given: list[Given]) -> None:
    assert lost(given) == []


def test_of_several_edits_the_last_one_was_written_over_by_us() -> None:
    assert lost([(1, "first"), (1.5, "theirs"), (2.5, "ours"), (9, "later")])[0][0] == {"Website": "theirs"}


def test_the_same_value_that_we_wrote_just_before_is_another_write() -> None:
    assert lost([(-1, "ours"), (-0.5, "old"), (1, "theirs"), (2.5, "ours")])[0][0] == {"Website": "theirs"}


def test_whole_seconds_of_a_history_are_exact_enough() -> None:
    assert lost([(0, "theirs"), (2, "ours")])[0][0] == {"Website": "theirs"}


@pytest.mark.parametrize(("shown", "sent", "theirs"), [(None, "ours", "theirs"), ("old", None, "theirs"), ("old", "ours", None)])
def test_a_blank_is_a_value_as_any_other(shown: Any, sent: Any, theirs: Any) -> None:
    assert [value for value, _ in lost([(1, theirs), (2.5, sent)], shown=shown, sent=sent)] == [{"Website": theirs}]


def test_of_a_group_all_is_kept_as_it_was_and_a_field_without_a_history_as_it_was_shown() -> None:
    address = {
        "address": {"street_1": "address", "city": "city_name", "country": "country_name", "address_type": {"constant": "BILLING"}, **BOTH}
    }
    given = {"BillingStreet": [(2.5, "1 New Street")], "BillingCity": [(1, "Bergen"), (2.5, "Oslo")]}
    more = {"BillingCity": ("Oslo", "Oslo"), "BillingCountry": ("Norway", "Norway")}
    told = lost(given, way=way_back(address), field="BillingStreet", shown="1 Old Street", sent="1 New Street", more=more)
    assert [value for value, _ in told] == [{"BillingStreet": "1 Old Street", "BillingCity": "Bergen", "BillingCountry": "Norway"}]


def test_no_is_a_blank_where_a_field_is_never_blank() -> None:
    fields = crm_fields(DoNotCall={"type": "boolean"})
    way = way_back({"salesforce.DoNotCall": {"from": "flag", **BOTH}}, fields=fields)
    flag: dict[str, Any] = {"way": way, "field": "DoNotCall"}
    assert lost([(1, True), (2.5, False)], shown=False, sent=None, **flag)[0][0] == {"DoNotCall": True}
    assert lost([(1, False), (2.5, True)], shown=None, sent=True, **flag) == []
