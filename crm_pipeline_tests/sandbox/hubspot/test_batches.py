"""The batch endpoints, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline_tests.sandbox.hubspot.conftest import (
    OBJECTS,
    Serve,
    Served,
    codes,
    contact_row,
    create_row,
    pair,
    reading,
)

CONTACTS = f"{OBJECTS}/contacts"
COMPANIES = f"{OBJECTS}/companies"
FAMILIES = (OBJECTS, "/crm/objects/2026-03")


@pytest.mark.parametrize("objects", FAMILIES)
def test_upsert_by_a_unique_property_creates_and_then_updates(hubspot: Served, objects: str) -> None:
    first = hubspot.post(f"{objects}/contacts/batch/upsert", {"inputs": [contact_row(1, firstname="Ada")]})["results"]
    second = hubspot.post(f"{objects}/contacts/batch/upsert", {"inputs": [contact_row(1, firstname="Adele")]})["results"]
    assert [row["new"] for row in first + second] == [True, False]
    assert first[0]["id"] == second[0]["id"]
    assert hubspot.portal.record("contacts", first[0]["id"])["properties"]["firstname"] == "Adele"


def test_results_come_out_of_input_order(hubspot: Served) -> None:
    for size in (2, 3, 100):
        sent = [contact_row(number) for number in range(size)]
        rows = hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": sent})["results"]
        answered = [row["properties"]["qbench_id"] for row in rows]
        assert sorted(answered, key=int) == [row["id"] for row in sent] != answered


def test_emails_are_kept_and_answered_in_lower_case(hubspot: Served) -> None:
    row = hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1, email="Ada@Example.COM")]})["results"][0]
    assert row["properties"]["email"] == "ada@example.com"


def test_values_are_kept_in_the_form_that_the_portal_gives_them(served_portal: Serve) -> None:
    served = served_portal(kept_form=lambda name, value: value.strip().upper() if name == "city" else value)
    row = served.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1, city=" Paris ", lastname=" Byron ")]})["results"][0]
    assert (row["properties"]["city"], row["properties"]["lastname"]) == ("PARIS", " Byron ")
    served.portal.update("contacts", row["id"], {"city": "Rome\r\n"})
    assert served.portal.record("contacts", row["id"])["properties"]["city"] == "ROME"


@pytest.mark.parametrize(("settings", "member"), [({}, None), ({"echo_trace_ids": True}, "trace-1")])
def test_good_rows_carry_their_trace_id_only_where_set(served_portal: Serve, settings: dict[str, Any], member: str | None) -> None:
    served = served_portal(**settings)
    row = served.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1)]})["results"][0]
    assert row.get("objectWriteTraceId") == member


@pytest.mark.parametrize("traces", [(None, None), ("same", "same"), ("one", None)])
def test_without_unique_trace_ids_one_bad_row_refuses_the_whole_batch(hubspot: Served, traces: tuple[str | None, str | None]) -> None:
    inputs = [create_row(traces[0], email="good@example.com"), create_row(traces[1], email="bad")]
    answer = hubspot.post(f"{CONTACTS}/batch/create", {"inputs": inputs}, expect=400)
    assert answer["category"] == "VALIDATION_ERROR"
    assert answer["errors"][0]["code"] == "INVALID_EMAIL"
    assert hubspot.portal.records("contacts") == []


def test_with_unique_trace_ids_the_good_rows_are_written_and_the_bad_ones_named(hubspot: Served) -> None:
    inputs = [contact_row(1), contact_row(2, email="bad"), contact_row(3, nosuch="x")]
    answer = hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": inputs}, expect=207)
    assert [row["properties"]["qbench_id"] for row in answer["results"]] == ["1"]
    assert answer["numErrors"] == 2
    assert {error["context"]["objectWriteTraceId"][0]: codes(error["message"]) for error in answer["errors"]} == {
        "trace-2": [("email", "INVALID_EMAIL")],
        "trace-3": [("nosuch", "PROPERTY_DOESNT_EXIST")],
    }


def test_partial_failure_can_be_switched_off_per_operation(served_portal: Serve) -> None:
    served = served_portal(row_errors=frozenset({"create"}))
    served.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1), contact_row(2, email="bad")]}, expect=400)
    served.post(f"{CONTACTS}/batch/create", {"inputs": [create_row("a", email="a@b.co"), create_row("b", email="b")]}, expect=207)


@pytest.mark.parametrize(
    ("path", "properties", "code"),
    [
        (COMPANIES, {"nosuch": "x"}, "PROPERTY_DOESNT_EXIST"),
        (COMPANIES, {"industry": "Biotechnology"}, "INVALID_OPTION"),
        (COMPANIES, {"numberofemployees": "ten"}, "INVALID_INTEGER"),
        (COMPANIES, {"numberofemployees": "50.5"}, "INVALID_INTEGER"),
        (COMPANIES, {"numberofemployees": "1e5"}, "INVALID_INTEGER"),
        (COMPANIES, {"annualrevenue": "much"}, "INVALID_INTEGER"),
        (COMPANIES, {"hs_object_id": "1"}, "READ_ONLY_VALUE"),
        (COMPANIES, {"num_associated_contacts": "1"}, "READ_ONLY_VALUE"),
        (COMPANIES, {"hubspot_owner_id": "1"}, "INVALID_OWNER_ID"),
        (COMPANIES, {"closedate": "soon"}, "INVALID_DATE"),
        (COMPANIES, {"description": "x" * 65_537}, "STRING_TOO_LONG"),
        (CONTACTS, {"email": "a@b@c.de"}, "INVALID_EMAIL"),
        (CONTACTS, {"email": "nobody@localhost"}, "INVALID_EMAIL"),
    ],
)
def test_a_bad_value_is_refused_with_its_code(hubspot: Served, path: str, properties: dict[str, Any], code: str) -> None:
    answer = hubspot.post(f"{path}/batch/create", {"inputs": [create_row(**{"name": "n", **properties})]}, expect=400)
    name = next(iter(properties))
    assert (name, code) in codes(answer["message"])


def test_an_allowed_option_numbers_and_an_owner_are_taken(hubspot: Served) -> None:
    owner = hubspot.portal.add_owner("owner@example.com")
    numbers = {"numberofemployees": "10", "annualrevenue": "50.5"}
    values: dict[str, Any] = {"name": "Acme", "industry": "BIOTECHNOLOGY", **numbers, "hubspot_owner_id": owner}
    row = hubspot.post(f"{COMPANIES}/batch/create", {"inputs": [create_row(**values)]}, expect=201)["results"][0]
    assert values.items() <= row["properties"].items()


@pytest.mark.parametrize("value", [10, 1.5, True, ["x"]])
def test_a_value_that_is_no_text_refuses_the_request(hubspot: Served, value: object) -> None:
    row = {"properties": {"name": "n", "numberofemployees": value}, "associations": [], "objectWriteTraceId": "t"}
    hubspot.post(f"{COMPANIES}/batch/create", {"inputs": [row]}, expect=400)


@pytest.mark.parametrize("blank", ["", None])
def test_a_blank_clears_a_value(hubspot: Served, blank: str | None) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme", "city": "Paris"})
    hubspot.post(f"{COMPANIES}/batch/update", {"inputs": [{"id": company, "properties": {"city": blank}}]})
    assert "city" not in hubspot.portal.record("companies", company)["properties"]


def test_a_company_needs_a_name_or_a_domain(hubspot: Served) -> None:
    answer = hubspot.post(f"{COMPANIES}/batch/create", {"inputs": [create_row(city="Paris")]}, expect=400)
    assert answer["context"]["properties"] == ["name", "domain"]
    hubspot.post(f"{COMPANIES}/batch/create", {"inputs": [create_row(domain="acme.example")]}, expect=201)


def test_several_companies_may_share_a_domain(hubspot: Served) -> None:
    inputs = [create_row(name="Acme", domain="acme.example"), create_row(name="Acme GmbH", domain="acme.example")]
    assert len(hubspot.post(f"{COMPANIES}/batch/create", {"inputs": inputs}, expect=201)["results"]) == 2


@pytest.mark.parametrize("operation", ["read", "create", "update", "upsert"])
def test_more_than_a_hundred_inputs_are_refused(hubspot: Served, operation: str) -> None:
    inputs = [{"id": str(n), "idProperty": "qbench_id", "properties": {}, "associations": []} for n in range(101)]
    body = reading(inputs=inputs) if operation == "read" else {"inputs": inputs}
    for row in inputs if operation == "update" else ():
        row.pop("idProperty")
    answer = hubspot.post(f"{CONTACTS}/batch/{operation}", body, expect=400)
    assert "maximum number of inputs supported in a batch is 100" in answer["message"]


@pytest.mark.parametrize("operation", ["read", "update", "upsert", "archive"])
def test_duplicate_ids_refuse_the_whole_request_even_with_trace_ids(hubspot: Served, operation: str) -> None:
    rows = [{**contact_row(1), "objectWriteTraceId": trace} for trace in ("a", "b")]
    for row in rows if operation == "update" else ():
        row.pop("idProperty")
    answer = hubspot.post(f"{CONTACTS}/batch/{operation}", reading(inputs=rows), expect=400)
    assert answer["message"] == "Duplicate IDs found in batch input: [1]. IDs must be unique"
    assert hubspot.portal.records("contacts") == []


@pytest.mark.parametrize(("operation", "status"), [("read", 200), ("create", 201), ("update", 200), ("upsert", 200)])
def test_a_body_without_inputs_is_an_empty_success(hubspot: Served, operation: str, status: int) -> None:
    answer = hubspot.post(f"{CONTACTS}/batch/{operation}", {"records": [contact_row(1)]}, expect=status)
    assert (answer["status"], answer["results"]) == ("COMPLETE", [])
    assert hubspot.portal.records("contacts") == []


def test_a_create_input_without_associations_is_refused(hubspot: Served) -> None:
    hubspot.post(f"{CONTACTS}/batch/create", {"inputs": [{"properties": {"email": "a@example.com"}}]}, expect=400)


@pytest.mark.parametrize("member", ["properties", "propertiesWithHistory"])
def test_a_read_without_a_required_member_is_refused(hubspot: Served, member: str) -> None:
    body = reading("1")
    del body[member]
    assert hubspot.post(f"{CONTACTS}/batch/read", body, expect=400)["errors"][0]["in"] == member


def test_creating_a_contact_whose_email_exists_is_a_conflict_that_names_it(hubspot: Served) -> None:
    existing = hubspot.portal.add("contacts", {"email": "ada@example.com"})
    answer = hubspot.post(f"{CONTACTS}/batch/create", {"inputs": [create_row(email="Ada@example.com")]}, expect=409)
    assert (answer["category"], answer["message"]) == ("CONFLICT", f"Contact already exists. Existing ID: {existing}")


def test_an_additional_email_counts_as_existing_too(hubspot: Served) -> None:
    existing = hubspot.portal.add("contacts", {"email": "ada@example.com", "hs_additional_emails": "a@example.com;countess@example.com"})
    inputs = [create_row("t", email="countess@example.com")]
    error = hubspot.post(f"{CONTACTS}/batch/create", {"inputs": inputs}, expect=207)["errors"][0]
    assert (error["category"], error["context"]) == ("CONFLICT", {"existingId": [existing], "objectWriteTraceId": ["t"]})


def test_upsert_by_key_with_an_email_of_another_contact_is_a_conflict_row(hubspot: Served) -> None:
    existing = hubspot.portal.add("contacts", {"email": "taken@example.com"})
    answer = hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1), contact_row(2, email="taken@example.com")]}, expect=207)
    assert answer["errors"][0]["message"].endswith(f"Existing ID: {existing}")
    assert len(answer["results"]) == 1


def test_two_rows_of_one_batch_cannot_have_one_email(hubspot: Served) -> None:
    inputs = [contact_row(1, email="same@example.com"), contact_row(2, email="same@example.com")]
    answer = hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": inputs}, expect=207)
    assert [error["context"]["objectWriteTraceId"] for error in answer["errors"]] == [["trace-2"]]
    assert len(hubspot.portal.records("contacts")) == 1


def test_an_email_that_is_given_up_can_be_taken_by_the_next_batch(hubspot: Served) -> None:
    hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1, email="post@example.com")]})
    hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1, email="new@example.com")]})
    hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(2, email="post@example.com")]})


def test_a_value_of_a_unique_property_is_refused_where_another_record_holds_it(hubspot: Served) -> None:
    holder = hubspot.portal.add("companies", {"name": "Acme", "qbench_id": "7"})
    answer = hubspot.post(f"{COMPANIES}/batch/create", {"inputs": [create_row(name="Other", qbench_id="7")]}, expect=400)
    assert codes(answer["message"]) == [("qbench_id", "CONFLICTING_UNIQUE_VALUE")]
    assert holder in answer["message"]


def test_a_blocked_email_fails_for_ever(hubspot: Served) -> None:
    hubspot.portal.block_email("gone@example.com")
    answer = hubspot.post(f"{CONTACTS}/batch/create", {"inputs": [create_row(email="Gone@example.com")]}, expect=400)
    assert "GDPR" in answer["message"]


@pytest.mark.parametrize("name", ["domain", "hs_object_id", "nosuch"])
def test_upsert_by_a_property_that_is_not_unique_is_refused(hubspot: Served, name: str) -> None:
    answer = hubspot.post(
        f"{COMPANIES}/batch/upsert", {"inputs": [{"id": "1", "idProperty": name, "properties": {"name": "n"}}]}, expect=400
    )
    assert answer["message"].startswith(f"Unable to perform update/upsert by non-unique 0-2 property {name}")


def test_upsert_by_email_finds_a_contact_by_its_additional_email(hubspot: Served) -> None:
    existing = hubspot.portal.add("contacts", {"email": "ada@example.com", "hs_additional_emails": "countess@example.com"})
    row = {"id": "Countess@example.com", "idProperty": "email", "properties": {"firstname": "Ada"}}
    assert hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": [row]})["results"][0]["id"] == existing


def test_upsert_by_email_knows_no_partial_failure(hubspot: Served) -> None:
    rows = [
        {"id": f"{name}@example.com", "idProperty": "email", "properties": {name: "x"}, "objectWriteTraceId": name}
        for name in ("firstname", "nosuch")
    ]
    hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": rows}, expect=400)
    assert hubspot.portal.records("contacts") == []


def test_upsert_passes_over_associations(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    row = {**contact_row(1), "associations": [{"to": {"id": company}, "types": pair("", "", 279)["types"]}]}
    hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": [row]})
    assert hubspot.portal.associations() == []


def test_create_associates_with_existing_records(hubspot: Served) -> None:
    company = hubspot.portal.add("companies", {"name": "Acme"})
    linked = [{"to": {"id": company}, "types": pair("", "", 1)["types"]}]
    row = hubspot.post(f"{CONTACTS}/batch/create", {"inputs": [create_row(email="a@example.com", associations=linked)]}, expect=201)
    assert hubspot.portal.associations() == [(row["results"][0]["id"], company, frozenset({1, 279}))]


def test_create_refuses_an_association_with_a_record_that_is_not_there(hubspot: Served) -> None:
    linked = [{"to": {"id": "404"}, "types": pair("", "", 279)["types"]}]
    inputs = [create_row("t", email="a@example.com", associations=linked)]
    error = hubspot.post(f"{CONTACTS}/batch/create", {"inputs": inputs}, expect=207)["errors"][0]
    assert error["context"]["INVALID_OBJECT_IDS"] == ["COMPANY=404 is not valid"]
    assert hubspot.portal.records("contacts") == []


def test_reading_missing_ids_is_a_207_that_lists_them_in_one_entry(hubspot: Served) -> None:
    known = hubspot.portal.add("companies", {"name": "Acme"})
    answer = hubspot.post(f"{COMPANIES}/batch/read", reading(known, "1", "2"), expect=207)
    assert [row["id"] for row in answer["results"]] == [known]
    assert [(error["category"], error["context"]) for error in answer["errors"]] == [("OBJECT_NOT_FOUND", {"ids": ["1", "2"]})]


@pytest.mark.parametrize(("name", "value"), [("email", "ADA@example.com"), ("email", "countess@example.com"), ("qbench_id", "7")])
def test_records_are_read_by_email_or_a_unique_property(hubspot: Served, name: str, value: str) -> None:
    known = hubspot.portal.add("contacts", {"email": "ada@example.com", "hs_additional_emails": "countess@example.com", "qbench_id": "7"})
    answer = hubspot.post(f"{CONTACTS}/batch/read", reading(value, idProperty=name))
    assert [row["id"] for row in answer["results"]] == [known]


def test_a_property_without_a_value_is_read_as_null(hubspot: Served) -> None:
    known = hubspot.portal.add("companies", {"name": "Acme"})
    row = hubspot.post(f"{COMPANIES}/batch/read", reading(known, properties=["city", "nosuch"]))["results"][0]
    assert row["properties"]["city"] is None
    assert "nosuch" not in row["properties"]


def test_the_bin_is_read_only_where_asked_for(hubspot: Served) -> None:
    gone = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.portal.archive("companies", gone)
    hubspot.post(f"{COMPANIES}/batch/read", reading(gone), expect=207)
    row = hubspot.post(f"{COMPANIES}/batch/read?archived=true", reading(gone))["results"][0]
    assert row["archived"] is True


def test_updating_a_deleted_id_is_a_207_with_its_trace_id(hubspot: Served) -> None:
    gone, kept = (hubspot.portal.add("companies", {"name": name}) for name in ("Gone", "Kept"))
    hubspot.portal.archive("companies", gone)
    inputs = [{"id": number, "properties": {"city": "Paris"}, "objectWriteTraceId": f"t{number}"} for number in (gone, kept)]
    answer = hubspot.post(f"{COMPANIES}/batch/update", {"inputs": inputs}, expect=207)
    assert [row["id"] for row in answer["results"]] == [kept]
    assert answer["errors"][0]["context"] == {"ids": [gone], "objectWriteTraceId": [f"t{gone}"]}


def test_updating_a_merged_away_id_is_a_200_that_leaves_the_row_out(hubspot: Served) -> None:
    first, second, third = (hubspot.portal.add("companies", {"name": name}) for name in "abc")
    hubspot.portal.merge("companies", first, second)
    inputs = [{"id": number, "properties": {"city": "Paris"}, "objectWriteTraceId": number} for number in (second, third)]
    answer = hubspot.post(f"{COMPANIES}/batch/update", {"inputs": inputs})
    assert [row["id"] for row in answer["results"]] == [third]
    assert "errors" not in answer


@pytest.mark.parametrize(("path", "name"), [(COMPANIES, "qbench_id"), (CONTACTS, "email"), (CONTACTS, "hs_object_id")])
def test_batch_update_identifies_by_record_id(hubspot: Served, path: str, name: str) -> None:
    hubspot.post(f"{path}/batch/update", {"inputs": [{"id": "1", "idProperty": name, "properties": {}}]}, expect=400)


def test_contacts_are_updated_by_a_unique_property_of_the_users_own(hubspot: Served) -> None:
    known = hubspot.portal.add("contacts", {"email": "ada@example.com", "qbench_id": "7"})
    row = {"id": "7", "idProperty": "qbench_id", "properties": {"firstname": "Ada"}}
    assert hubspot.post(f"{CONTACTS}/batch/update", {"inputs": [row]})["results"][0]["id"] == known


def test_archiving_is_a_204_and_fills_the_bin(hubspot: Served) -> None:
    known = hubspot.portal.add("companies", {"name": "Acme"})
    hubspot.post(f"{COMPANIES}/batch/archive", {"inputs": [{"id": known}, {"id": "404"}]}, expect=204)
    assert hubspot.portal.records("companies") == []
    assert [row["id"] for row in hubspot.portal.records("companies", archived=True)] == [known]


@pytest.mark.parametrize(("setting", "status"), [("free", 200), ("taken", 207)])
def test_whether_the_bin_holds_unique_values_is_settable(served_portal: Serve, setting: str, status: int) -> None:
    served = served_portal(archived_values=setting)
    gone = served.portal.add("contacts", {"email": "person1@example.com", "qbench_id": "1"})
    served.portal.archive("contacts", gone)
    served.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(1)]}, expect=status)


def test_a_portal_may_make_companies_of_email_domains(served_portal: Serve) -> None:
    served = served_portal(create_companies=True)
    inputs = [create_row(email="ada@acme.example"), create_row(email="bob@acme.example"), create_row(email="eve@gmail.com")]
    served.post(f"{CONTACTS}/batch/create", {"inputs": inputs}, expect=201)
    assert [row["properties"]["domain"] for row in served.portal.records("companies")] == ["acme.example"]
    assert [types for _, _, types in served.portal.associations()] == [frozenset({1, 279})] * 2


def test_a_hundred_rows_are_upserted_into_a_large_portal_without_a_scan(hubspot: Served) -> None:
    for number in range(3_000):
        hubspot.portal.add("contacts", {"email": f"person{number}@example.com", "qbench_id": str(number)})
    rows = hubspot.post(f"{CONTACTS}/batch/upsert", {"inputs": [contact_row(number) for number in range(2_950, 3_050)]})["results"]
    assert sum(row["new"] for row in rows) == 50
