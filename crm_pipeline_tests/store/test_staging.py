"""What staging promises: the newest state of each record, in frames, whatever the text holds."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pytest
from sqlalchemy import text

from crm_pipeline.frames import plain
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.schemas import CUSTOMERS_UNKNOWN, RAW, normalized_schema
from crm_pipeline.store.database import Store
from crm_pipeline.store.field_names import names_of
from crm_pipeline.store.normalized_records import normalized_stream, stage_normalized
from crm_pipeline.store.raw_records import HELD_AT_ONCE, LARGEST_STATEMENT, RAW_FRAME_ROWS, held_fields, raw_stream, stage_raw
from crm_pipeline.store.returns import read_without
from crm_pipeline.store.staging import Window

EVERYTHING = Window(since=None, until=10_000)


def raw(*rows: tuple[int, int, Mapping[str, object]]) -> pd.DataFrame:
    return RAW.build(pd.DataFrame(rows, columns=["qbench_id", "version", "content"]))


def stage(store: Store, frame: pd.DataFrame) -> None:
    with store.transaction() as connection:
        stage_raw(connection, "acme", RecordType.ACCOUNT, frame=frame)


def staged(store: Store, window: Window = EVERYTHING) -> list[tuple[int, int, dict[str, object]]]:
    frames = raw_stream(store, "acme", RecordType.ACCOUNT, window=window)
    return [row for frame in frames for row in frame[["qbench_id", "version", "content"]].itertuples(index=False, name=None)]


def test_an_older_state_never_replaces_a_newer_one(store: Store) -> None:
    stage(store, raw((1, 200, {"name": "new"})))
    stage(store, raw((1, 100, {"name": "old"})))
    assert staged(store) == [(1, 200, {"name": "new"})]


def test_an_equal_version_with_other_content_replaces(store: Store) -> None:
    stage(store, raw((1, 200, {"name": "before"})))
    stage(store, raw((1, 200, {"name": "after"})))
    assert staged(store) == [(1, 200, {"name": "after"})]


@pytest.mark.parametrize(
    ("content", "version", "staged_then"),
    [
        ({"name": "Ana"}, 200, {"name": "Ana", "customers": [{"id": 41}]}),
        ({"name": "Eva"}, 200, {"name": "Eva"}),
        ({"name": "Ana"}, 201, {"name": "Ana"}),
    ],
    ids=["of the same state", "of a state of the same second", "of a newer state"],
)
def test_customers_that_qbench_does_not_tell_this_time_stay_known_of_the_same_state(
    store: Store, content: dict[str, object], version: int, staged_then: dict[str, object]
) -> None:
    stage(store, raw((1, 200, {"name": "Ana", "customers": [{"id": 41}]})))
    stage(store, raw((1, version, content)).assign(unreadable=CUSTOMERS_UNKNOWN))
    assert staged(store) == [(1, version, staged_then)]
    stage(store, raw((1, version, {**content, "customers": [{"id": 42}]})))
    assert staged(store) == [(1, version, {**content, "customers": [{"id": 42}]})]


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "behind an upgrade"])
def test_records_of_many_shapes_come_back_as_they_went_in(store: Store, *, is_late: bool) -> None:
    common = {"name": 'Eco \\ "Labs" {1}', "id": 2**70, "rate": 1.5, "note": None, "list": [{"id": 1}, [], {}], "on": True}
    contents = [
        common,
        {**common, "name": "a\x00b\ud800c", "rate": float("nan")},
        {name: common[name] for name in reversed(common)},
        {name: common[name] for name in ("id", "name")},
        {**common, "more": 0},
        {**common, "na\x00me": "x"},
        {},
    ]
    if is_late:
        with store.transaction() as connection:
            connection.execute(text("INSERT INTO crm_pipeline.format VALUES ('packed', now() + interval '1 hour')"))
    stage(store, raw(*((number, 100, content) for number, content in enumerate(contents))))
    expected = [*contents[2:5], {**common, "name": "x"}, {}]
    assert [content for _, _, content in staged(store)] == [common, {**common, "name": "abc", "rate": None}, *expected]
    with store.transaction() as connection:
        kinds = connection.execute(text("SELECT jsonb_typeof(content) FROM crm_pipeline.raw_record ORDER BY qbench_id")).scalars()
        assert [*kinds] == ["object" if is_late else "array"] * 3 + ["object"] * 4


@pytest.mark.parametrize("fields", [["name", "na\x00me"], ["name", "na\ud800me"]])
def test_names_of_fields_that_postgresql_cannot_hold_are_left_to_the_document(store: Store, fields: list[str]) -> None:
    stage(store, raw((1, 100, dict.fromkeys(fields, 1))))
    assert staged(store) == [(1, 100, {"name": 1})]


def test_record_without_content_is_staged_beside_others(store: Store) -> None:
    rows = [(1, 100, {"name": "Ana", "fax": None}), (2, 100, None), (3, 100, {"name": "Eva", "fax": "1"})]
    stage(store, RAW.build(pd.DataFrame(rows, columns=["qbench_id", "version", "content"])))
    assert staged(store) == rows


def test_record_that_is_only_kept_in_another_way_is_no_new_state(store: Store) -> None:
    first, second = ((number, 100, {"name": f"Eco {number}", "note": None}) for number in (1, 2))
    third, fourth = ((number, 100, {"name": f"Eco {number}", "fax": "1"}) for number in (3, 4))
    for rows in ((first, second, third), (third, fourth, first), (first, second, third)):
        stage(store, raw(*rows))
    assert revisions(store) == {1: 0, 2: 0, 3: 0, 4: 0}
    changed = (3, 100, {"name": "Eco 3", "note": "1"})
    stage(store, raw(first, second, changed))
    assert revisions(store) == {1: 0, 2: 0, 3: 1, 4: 0}, "the same values of other fields"
    assert staged(store) == [first, second, changed, fourth]


def test_of_one_record_twice_in_a_frame_the_newest_is_staged(store: Store) -> None:
    stage(store, raw((1, 300, {"name": "new"}), (1, 200, {"name": "old"})))
    assert staged(store) == [(1, 300, {"name": "new"})]


def test_a_frame_that_is_too_large_for_one_statement_is_staged_whole(store: Store) -> None:
    rows = [(number, 100, {"name": f"customer {number}", "notes": "x" * (LARGEST_STATEMENT // 3)}) for number in range(1, 9)]
    with store.transaction() as connection:
        assert stage_raw(connection, "acme", RecordType.ACCOUNT, frame=raw(*rows)) == len(rows)
    assert staged(store) == rows


def test_a_window_holds_its_start_and_not_its_end(store: Store) -> None:
    stage(store, raw((1, 100, {}), (2, 199, {}), (3, 200, {})))
    assert [row[0] for row in staged(store, Window(since=100, until=200))] == [1, 2]


def test_text_that_jsonb_cannot_hold_is_staged_without_it(store: Store) -> None:
    stage(store, raw((1, 100, {"name": "a\x00b\ud800c \U0001f600", "list": ["\x00", 1.5, None, True]})))
    assert staged(store)[0][2] == {"name": "abc \U0001f600", "list": ["", 1.5, None, True]}


def test_nan_and_the_infinite_are_staged_as_no_value(store: Store) -> None:
    stage(store, raw((1, 100, {"employees": float("inf"), "rates": [float("-inf"), float("nan"), 1.5], "name": "Infinity NaN"})))
    assert staged(store)[0][2] == {"employees": None, "rates": [None, None, 1.5], "name": "Infinity NaN"}


def test_a_stream_gives_every_row_once_over_many_frames_and_can_be_read_again(store: Store) -> None:
    count = RAW_FRAME_ROWS * 2 + 1
    stage(store, raw(*((i, 100 + i % 7, {}) for i in range(1, count + 1))))
    frames = raw_stream(store, "acme", RecordType.ACCOUNT, window=EVERYTHING)
    for _ in range(2):
        assert sorted(i for frame in frames for i in frame["qbench_id"]) == list(range(1, count + 1))


def test_of_contents_no_more_is_read_than_named_fields_however_many_records_and_however_they_are_kept(store: Store) -> None:
    count = HELD_AT_ONCE + 1
    alike = [(i, 100, {"name": f"customer {i}", "contacts": [i], "fax": None}) for i in range(1, count + 1)]
    stage(store, raw(*alike, (count + 1, 100, {"contacts": [], "name": "of other fields"})))
    with store.transaction() as connection:
        ids = list(range(1, count + 3))
        found = held_fields(connection, "acme", RecordType.ACCOUNT, ids=ids, fields={"name", "fax", "unknown"}).set_index("qbench_id")
    assert found.index.sort_values().tolist() == ids[:-1]
    assert found["content"][count] == {"name": f"customer {count}", "fax": None}
    assert found["content"][count + 1] == {"name": "of other fields"}


def test_names_that_another_load_learns_meanwhile_are_no_trouble(store: Store) -> None:
    class Fields(frozenset[str]):
        def __contains__(self, name: object) -> bool:
            with store.transaction() as connection:
                connection.execute(text("INSERT INTO crm_pipeline.field_names VALUES (7, '{fax}') ON CONFLICT DO NOTHING"))
                names_of(connection, [7])
            return super().__contains__(name)

    stage(store, raw((1, 100, {"name": "Acme", "fax": None})))
    with store.transaction() as connection:
        found = held_fields(connection, "acme", RecordType.ACCOUNT, ids=[1], fields=Fields({"name"}))
    assert found["content"].tolist() == [{"name": "Acme"}]


def test_a_window_without_rows_gives_no_frame(store: Store) -> None:
    assert staged(store) == []


def test_integrations_do_not_see_each_other(store: Store) -> None:
    stage(store, raw((1, 100, {})))
    assert list(raw_stream(store, "other", RecordType.ACCOUNT, window=EVERYTHING)) == []


def test_normalized_fields_come_back_as_they_went_in(store: Store) -> None:
    frame = normalized_schema(RecordType.ACCOUNT).build(
        {
            "qbench_id": [1, 2],
            "version": [100, 100],
            "name": ["Zoë GmbH", None],
            "number_of_employees": [55, None],
            "error_type": [None, "NoNameForCustomerException"],
            "salesforce.Tier__c": pd.Series(["A", 7], dtype=object),
        }
    )
    with store.transaction() as connection:
        stage_normalized(connection, "acme", RecordType.ACCOUNT, frame=frame, mapping_digest="d")
    (read,) = normalized_stream(store, "acme", RecordType.ACCOUNT, window=EVERYTHING)
    assert read.pop("state_digest").notna().all()
    pd.testing.assert_frame_equal(read, frame.drop(columns="state_digest"))


@pytest.mark.parametrize("is_later", [False, True], ids=["at once", "behind an upgrade"])
def test_normalized_records_of_many_shapes_come_back_as_they_went_in_and_are_the_same_states_however_they_are_kept(
    store: Store, *, is_later: bool
) -> None:
    own: list[dict[str, object]] = [
        {"first_name": "Zoë", "email": "zoe@acme.example", "hubspot.tier": 1.5},
        {"last_name": "Roe"},
        {"last_name": "Poe", "qbench.tags": [None, {"a": None}]},
        {},
        {"first_name": "Eva", "phone": "1", "hubspot.tier": 'A "B" \\ {c}', "qbench.tags": {"b": None}},
    ]
    kept = pd.DataFrame([{"qbench_id": number, "version": 100, **fields} for number, fields in enumerate(own)])
    others = [name for name in kept if "." in name]
    parts = [kept.iloc[:2].drop(columns="qbench.tags"), kept.iloc[2:4].drop(columns="hubspot.tier"), kept.iloc[4:]]
    frames = [normalized_schema(RecordType.CONTACT).build(part.reset_index(drop=True)) for part in parts]

    def digests() -> list[object]:
        (read,) = normalized_stream(store, "acme", RecordType.CONTACT, window=EVERYTHING)
        columns = {name: plain(read[name]) for name in [*(field.name for field in MODELS[RecordType.CONTACT].fields), *others]}
        rows = [{name: values[row] for name, values in columns.items() if values[row] is not None} for row in range(len(read))]
        assert rows == own
        return plain(read["state_digest"])

    def stage_all(frames: list[pd.DataFrame]) -> None:
        with store.transaction() as connection:
            for frame in frames:
                stage_normalized(connection, "acme", RecordType.CONTACT, frame=frame, mapping_digest="d")

    stage_all([normalized_schema(RecordType.CONTACT).build(kept)])
    at_once = digests()
    with store.transaction() as connection:
        connection.execute(text("DELETE FROM crm_pipeline.normalized_record"))
        if is_later:
            connection.execute(text("INSERT INTO crm_pipeline.format VALUES ('fields', now() + interval '1 hour')"))
    stage_all(frames)
    assert digests() == at_once
    with store.transaction() as connection:
        kinds = connection.execute(text("SELECT DISTINCT jsonb_typeof(fields) FROM crm_pipeline.normalized_record")).scalars()
        assert [*kinds] == ["object" if is_later else "array"]


def test_field_whose_name_postgresql_cannot_hold_is_left_out(store: Store) -> None:
    named = {"name": ["Acme"], "hubspot.na\x00me": ["x"]}
    frame = normalized_schema(RecordType.ACCOUNT).build({"qbench_id": [1], "version": [200], **named})
    with store.transaction() as connection:
        stage_normalized(connection, "acme", RecordType.ACCOUNT, frame=frame, mapping_digest="d")
    assert names(store) == ["Acme"]


def test_normalized_record_that_is_kept_as_before_is_read_beside_others(store: Store) -> None:
    normalized(store, "after", revision=0)
    with store.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO crm_pipeline.normalized_record (integration, record_type, qbench_id, version, fields, mapping_digest) "
                "VALUES ('acme', 'account', 2, 200, jsonb_build_object('name', 'before', 'number_of_employees', 7), 'd')"
            )
        )
    (read,) = normalized_stream(store, "acme", RecordType.ACCOUNT, window=EVERYTHING)
    assert read["name"].tolist() == ["after", "before"]
    assert read["number_of_employees"].tolist() == [pd.NA, 7]


def test_a_large_integer_beside_a_blank_is_exact(store: Store) -> None:
    large = 2**53 + 1
    employees = pd.array([large, None], dtype="Int64")
    frame = normalized_schema(RecordType.ACCOUNT).build({"qbench_id": [1, 2], "version": [100, 100], "number_of_employees": employees})
    with store.transaction() as connection:
        stage_normalized(connection, "acme", RecordType.ACCOUNT, frame=frame, mapping_digest="d")
    (read,) = normalized_stream(store, "acme", RecordType.ACCOUNT, window=EVERYTHING)
    assert read["number_of_employees"][0] == large


def normalized(store: Store, name: str, *, revision: int) -> None:
    """Stage what a normalizing of the record's content in this revision made, however long ago it read it."""
    frame = normalized_schema(RecordType.ACCOUNT).build({"qbench_id": [1], "version": [200], "name": [name]})
    with store.transaction() as connection:
        stage_normalized(connection, "acme", RecordType.ACCOUNT, frame=frame, mapping_digest="d", revisions=[revision])


def revisions(store: Store) -> dict[int, int]:
    (frame,) = raw_stream(store, "acme", RecordType.ACCOUNT, window=EVERYTHING)
    return dict(zip(frame["qbench_id"], frame["revision"], strict=True))


def names(store: Store) -> list[str]:
    return [name for frame in normalized_stream(store, "acme", RecordType.ACCOUNT, window=EVERYTHING) for name in frame["name"]]


def test_every_staged_state_has_the_next_revision_and_a_repeated_one_none(store: Store) -> None:
    contents: list[dict[str, object]] = [{"name": "a"}, {"name": "a"}, {"name": "b"}]
    for content in contents:
        stage(store, raw((1, 200, content)))
    (frame,) = raw_stream(store, "acme", RecordType.ACCOUNT, window=EVERYTHING)
    assert frame["revision"].tolist() == [1]


def test_of_two_normalizings_side_by_side_the_one_of_newer_content_wins_whoever_comes_last(store: Store) -> None:
    normalized(store, "after", revision=1)
    normalized(store, "before", revision=0)
    assert names(store) == ["after"]
    normalized(store, "later", revision=2)
    assert names(store) == ["later"]


def test_contacts_that_are_staged_without_a_customer_are_told_from_those_with_it(store: Store) -> None:
    customers: dict[int, list[int]] = {11: [1], 12: [2], 13: [2, 1], 14: []}
    rows = [(number, 100, {"id": number, "customers": [{"id": each} for each in ids]}) for number, ids in customers.items()]
    with store.transaction() as connection:
        stage_raw(connection, "acme", RecordType.CONTACT, frame=raw(*rows))
        assert read_without(connection, "acme", RecordType.CONTACT, customer=1, ids=[*customers]) == [12, 14]
