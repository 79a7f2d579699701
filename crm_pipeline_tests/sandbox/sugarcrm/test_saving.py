"""What the SugarCRM stand-in makes of what is written to it.

Sources: SugarCRM developer guide, "set_entry", "set_entries", "set_relationships"; SuiteCRM documentation, "API v4.1 Methods", and its
source where the guides are silent; what is changed without a word was seen on SuiteCRM 7.14.6 to 8.10.1.
"""

from __future__ import annotations

from typing import Any

import pytest

from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.sandbox.sugarcrm import Field
from crm_pipeline.sandbox.sugarcrm.settings import ACCESS
from crm_pipeline_tests.sandbox.sugarcrm.conftest import KEY, Serve, Served, named, new

# --- creating and changing


def test_a_record_is_created_with_its_own_id(sugar: Served) -> None:
    """set_entries: "new_with_id"."""
    assert sugar.save("Accounts", new("own-1", name="A", qbench_id_c="7")) == ["own-1"]
    assert sugar.rows("Accounts", f"accounts_cstm.{KEY} = '7'", "id", "name") == [{"id": "own-1", "name": "A"}]


def test_an_id_longer_than_36_characters_is_cut(sugar: Served) -> None:
    assert sugar.save("Accounts", new("x" * 40, name="A")) == ["x" * 40]
    assert sugar.ids("Accounts") == ["x" * 36]


@pytest.mark.parametrize("deleted", [False, True])
def test_a_create_under_an_id_that_is_taken_fails(sugar: Served, *, deleted: bool) -> None:
    """Also where the record with that id is deleted: its row is still there."""
    sugar.save("Accounts", new("own-1", name="A"))
    if deleted:
        sugar.site.delete("Accounts", "own-1")
    assert sugar.post("set_entries", sugar.session, "Accounts", [named(new("own-1", name="B"))]).status_code == 500


def test_what_was_saved_before_a_row_that_fails_stays_and_what_follows_is_not_saved(sugar: Served) -> None:
    sugar.save("Accounts", new("own-2", name="there"))
    rows = [named(new(f"own-{number}", name="A")) for number in (1, 2, 3)]
    assert sugar.post("set_entries", sugar.session, "Accounts", rows).status_code == 500
    assert sugar.ids("Accounts") == ["own-1", "own-2"]


@pytest.mark.parametrize("method", ["set_entry", "set_entries"])
def test_an_update_of_what_is_not_there_or_deleted_answers_its_id_and_writes_nothing(sugar: Served, method: str) -> None:
    gone = sugar.site.add("Accounts", {"name": "A"})
    sugar.site.delete("Accounts", gone)
    for record_id in ("never", gone):
        row = named({"id": record_id, "name": "B"})
        answer = sugar.call(method, "Accounts", row if method == "set_entry" else [row])
        assert record_id in (answer.get("id"), *answer.get("ids", ()))
    assert sugar.rows("Accounts", "", "id", "name", deleted=1) == [{"id": gone, "name": "A"}]


def test_a_row_that_may_not_be_saved_is_left_out_of_the_answer(sugar: Served) -> None:
    """Positions shift: three rows, two ids."""
    sugar.site.obstacles.append(Obstacle("Accounts", lambda row: row["name"] == "B", ACCESS))
    assert sugar.save("Accounts", *(new(f"own-{name}", name=name) for name in "ABC")) == ["own-A", "own-C"]
    assert sugar.ids("Accounts") == ["own-A", "own-C"]


def test_set_entry_without_the_right_is_error_40(sugar: Served) -> None:
    sugar.site.obstacles.append(Obstacle("Accounts", lambda row: row["name"] == "A", ACCESS))
    assert sugar.call("set_entry", "Accounts", named({"name": "A"}))["number"] == 40


def test_a_row_that_a_hook_fails_on_is_a_500(sugar: Served) -> None:
    sugar.site.obstacles.append(Obstacle("Accounts", lambda row: row["name"] == "B", "500"))
    assert sugar.post("set_entries", sugar.session, "Accounts", [named({"name": "B"})]).status_code == 500


def test_an_update_writes_every_column_so_what_people_save_meanwhile_is_lost(sugar: Served) -> None:
    sugar.save("Accounts", new("own-1", name="A", phone_office="1", qbench_id_c="7"))
    sugar.site.on_save = lambda module, record_id: sugar.site.update(module, record_id, {"phone_office": "2", KEY: "8", "name": "P"})
    sugar.save("Accounts", {"id": "own-1", "website": "example.org"})
    assert sugar.rows("Accounts", "", "name", "phone_office", "website", KEY) == [
        {"name": "A", "phone_office": "1", "website": "example.org", KEY: "7"}
    ]


def test_every_save_moves_the_date_also_one_that_changes_nothing(sugar: Served) -> None:
    sugar.save("Accounts", new("own-1", name="A"))
    sugar.clock.now += 90
    sugar.save("Accounts", {"id": "own-1", "name": "A", "date_modified": "2001-01-01 00:00:00"})
    (row,) = sugar.rows("Accounts", "", "date_entered", "date_modified")
    assert row == {"date_entered": "2026-11-18 11:06:40", "date_modified": "2026-11-18 11:08:10"}


def test_deleted_1_deletes_and_moves_the_date_and_deleted_0_does_not_bring_back(sugar: Served) -> None:
    sugar.save("Accounts", new("own-1", name="A"))
    sugar.clock.now += 60
    sugar.save("Accounts", {"id": "own-1", "deleted": "1"})
    sugar.save("Accounts", {"id": "own-1", "deleted": "0"})
    assert sugar.rows("Accounts", "accounts.deleted = 1", "deleted", "date_modified", deleted=1) == [
        {"deleted": "1", "date_modified": "2026-11-18 11:07:40"}
    ]


# --- values


@pytest.mark.parametrize(
    ("field", "sent", "kept"),
    [
        ("name", "x" * 151, "x" * 150),
        ("billing_address_postalcode", "1" * 21, "1" * 20),
        ("employees", "12345678901", "1234567890"),
        ("name", "  A  B ", "A  B"),
        ("name", "A 🧪 B", "A ???? B"),
        ("name", "Ü", "Ü"),
        ("description", "a<script>alert(1)</script>b", "ab"),
        ("description", "<b>x", "&lt;b&gt;x&lt;/b&gt;"),
        ("description", "AT&T <i>x</i> &copy; &co", "AT&T &lt;i&gt;x&lt;/i&gt; © &co"),
        (KEY, "A & B", "A &amp; B"),
        ("description", "a < b", "a &lt; b"),
        ("name", 'O\'B "q" & Co', "O&#039;B &quot;q&quot; & Co"),
        ("industry", "Unheard of", "Unheard of"),
        ("industry", "Banking", "Banking"),
        ("name", "", ""),
        ("name", None, "before"),
        ("phone_office", 5, "5"),
    ],
)
def test_a_value_is_changed_without_a_word(sugar: Served, field: str, sent: Any, kept: str) -> None:
    sugar.site.add("Accounts", {"name": "before"}, record_id="own-1")
    sugar.save("Accounts", {"id": "own-1", field: sent, "no_such_field": "x"})
    assert sugar.rows("Accounts", "", field) == [{field: kept}]


@pytest.mark.parametrize(("sent", "kept"), [("1999-12-31", "1999-12-31"), ("31.12.1999", ""), ("1999-02-30", ""), ("", "")])
def test_a_date_that_is_none_is_blank(sugar: Served, sent: str, kept: str) -> None:
    sugar.save("Contacts", {"last_name": "A", "birthdate": sent})
    assert sugar.rows("Contacts", "", "birthdate") == [{"birthdate": kept}]


def test_a_label_is_stored_as_its_key(sugar: Served) -> None:
    """SuiteCRM's ``new_handle_set_entries``."""
    sugar.site.add_field("Accounts", Field(name="tier_c", type="enum", options={"1": "Gold", "2": "Silver"}, source="custom"))
    sugar.save("Accounts", {"name": "A", "tier_c": "Silver"})
    assert sugar.rows("Accounts", "", "tier_c") == [{"tier_c": "2"}]


@pytest.mark.parametrize(("sent", "kept"), [(True, "1"), ("1", "1"), ("true", "1"), (False, "0"), ("", "0"), ("nonsense", "0")])
def test_a_yes_is_1_and_anything_else_0(sugar: Served, sent: Any, kept: str) -> None:
    sugar.save("Contacts", {"last_name": "A", "do_not_call": sent})
    assert sugar.rows("Contacts", "", "do_not_call") == [{"do_not_call": kept}]


@pytest.mark.parametrize(("sent", "kept"), [("12", "12"), ("1,200 people", "1200"), ("nonsense", "0"), ("", "")])
def test_a_number_is_what_a_text_begins_with(sugar: Served, sent: str, kept: str) -> None:
    sugar.site.add_field("Accounts", Field(name="beds_c", type="int", length=11, source="custom"))
    sugar.save("Accounts", {"name": "A", "beds_c": sent})
    assert sugar.rows("Accounts", "", "beds_c") == [{"beds_c": kept}]


def test_emoji_stay_where_the_tables_have_them(served_site: Serve) -> None:
    sugar = served_site(charset="utf8mb4")
    sugar.save("Accounts", {"name": "🧪"})
    assert sugar.rows("Accounts", "", "name") == [{"name": "🧪"}]


def test_tags_that_are_not_closed_may_be_dropped_instead(served_site: Serve) -> None:
    sugar = served_site(unclosed="drop")
    sugar.save("Accounts", {"name": "<b>"}, {"name": "<b>x</b><i>y"})
    assert sorted(row["name"] for row in sugar.rows("Accounts", "", "name")) == ["", "&lt;b&gt;x&lt;/b&gt;y"]


def test_no_name_and_an_unknown_owner_are_taken(sugar: Served) -> None:
    sugar.save("Accounts", {"assigned_user_id": "nobody"})
    assert sugar.rows("Accounts", "", "name", "assigned_user_id", "assigned_user_name") == [
        {"name": "", "assigned_user_id": "nobody", "assigned_user_name": ""}
    ]


# --- contacts by guess


def test_a_contact_without_an_id_is_taken_for_one_with_the_same_email_and_last_name_which_loses_its_email(sugar: Served) -> None:
    there = sugar.site.add("Contacts", {"last_name": "A", "first_name": "before", "email1": "a@example.org"})
    sugar.clock.now += 60
    assert sugar.save("Contacts", {"last_name": "A", "first_name": "after", "email1": "a@example.org"}) == [there]
    assert sugar.rows("Contacts", "", "first_name", "email1", "date_modified") == [
        {"first_name": "before", "email1": "", "date_modified": "2026-11-18 11:07:40"}
    ]


@pytest.mark.parametrize(
    "row", [{"last_name": "A", "email1": "A@example.org"}, {"last_name": "a", "email1": "a@example.org"}, {"last_name": "A"}]
)
def test_another_case_or_no_email_is_another_contact(sugar: Served, row: dict[str, str]) -> None:
    sugar.site.add("Contacts", {"last_name": "A", "email1": "a@example.org"})
    sugar.save("Contacts", row)
    assert len(sugar.ids("Contacts")) == 2


@pytest.mark.parametrize("own_id", [{"id": "own-1", "new_with_id": 1}, {"id": ""}])
def test_an_own_id_switches_the_guess_off_even_a_blank_one(sugar: Served, own_id: dict[str, Any]) -> None:
    sugar.site.add("Contacts", {"last_name": "A", "email1": "a@example.org"})
    sugar.save("Contacts", {**own_id, "last_name": "A", "email1": "a@example.org"})
    assert [row["email1"] for row in sugar.rows("Contacts", "", "email1")] == ["a@example.org"] * 2


# --- a contact's account


def test_account_id_moves_a_contact_which_has_one_account_then(sugar: Served) -> None:
    one, other = (sugar.site.add("Accounts", {"name": name}) for name in "AB")
    sugar.save("Contacts", new("c-1", last_name="C", account_id=one))
    sugar.save("Contacts", {"id": "c-1", "account_id": other})
    assert sugar.site.accounts_of("c-1") == [other]
    assert sugar.rows("Contacts", "", "account_id", "account_name") == [{"account_id": other, "account_name": "B"}]


def test_an_account_that_is_not_there_is_made_without_a_name(sugar: Served) -> None:
    sugar.save("Contacts", new("c-1", last_name="C", account_id="never"))
    (account,) = sugar.rows("Accounts", "", "id", "name")
    assert account["name"] == ""
    assert account["id"] != "never"
    assert sugar.site.accounts_of("c-1") == [account["id"]]


def test_an_account_that_is_not_there_is_made_with_the_name_of_the_old_one(sugar: Served) -> None:
    one = sugar.site.add("Accounts", {"name": "A"})
    sugar.save("Contacts", new("c-1", last_name="C", account_id=one))
    sugar.save("Contacts", {"id": "c-1", "account_id": "never"})
    assert [row["name"] for row in sugar.rows("Accounts", "", "name")] == ["A", "A"]
    assert one not in sugar.site.accounts_of("c-1")


def test_a_deleted_account_is_erased_and_another_one_made(sugar: Served) -> None:
    gone = sugar.site.add("Accounts", {"name": "A"})
    sugar.site.delete("Accounts", gone)
    sugar.save("Contacts", new("c-1", last_name="C", account_id=gone))
    assert gone not in sugar.ids("Accounts", deleted=1)
    assert [row["name"] for row in sugar.rows("Accounts", "", "name")] == [""]


def test_a_deleted_account_of_the_name_is_erased_too(sugar: Served) -> None:
    gone = sugar.site.add("Accounts", {"name": "Acme"})
    sugar.site.delete("Accounts", gone)
    sugar.save("Contacts", new("c-1", last_name="C", account_name="Acme"))
    assert gone not in sugar.ids("Accounts", deleted=1)
    assert [row["name"] for row in sugar.rows("Accounts", "", "name")] == ["Acme"]


def test_a_contact_of_an_account_without_a_name_leaves_it_at_the_next_save(sugar: Served) -> None:
    sugar.save("Contacts", new("c-1", last_name="C", account_id="never"))
    sugar.save("Contacts", {"id": "c-1", "first_name": "x"})
    assert (len(sugar.ids("Accounts")), sugar.site.accounts_of("c-1")) == (1, [])


def test_a_blank_account_id_moves_the_contact_to_another_account_of_the_same_name(sugar: Served) -> None:
    one, other = (sugar.site.add("Accounts", {"name": "A"}) for _ in range(2))
    sugar.save("Contacts", new("c-1", last_name="C", account_id=one))
    sugar.save("Contacts", {"id": "c-1", "account_id": ""})
    assert sugar.site.accounts_of("c-1") == [other]


@pytest.mark.parametrize("there", [True, False])
def test_an_account_name_finds_an_account_or_makes_one(sugar: Served, *, there: bool) -> None:
    known = sugar.site.add("Accounts", {"name": "acme"}) if there else None
    sugar.save("Contacts", new("c-1", last_name="C", account_name="Acme"))
    (account,) = sugar.rows("Accounts", "", "id", "name")
    assert account["name"] == ("acme" if there else "Acme")
    assert sugar.site.accounts_of("c-1") == [account["id"]]
    assert known in (None, account["id"])


def test_a_contact_keeps_its_account_where_nothing_is_said_of_it(sugar: Served) -> None:
    one = sugar.site.add("Accounts", {"name": "A"})
    sugar.save("Contacts", new("c-1", last_name="C", account_id=one))
    sugar.save("Contacts", {"id": "c-1", "first_name": "x"})
    assert sugar.site.accounts_of("c-1") == [one]


def test_blank_account_id_and_name_leave_the_contact_without_an_account(sugar: Served) -> None:
    one = sugar.site.add("Accounts", {"name": "A"})
    sugar.save("Contacts", new("c-1", last_name="C", account_id=one))
    sugar.save("Contacts", {"id": "c-1", "account_id": "", "account_name": ""})
    assert (sugar.site.accounts_of("c-1"), sugar.ids("Accounts")) == ([], [one])


def test_set_entry_makes_no_account(sugar: Served) -> None:
    one = sugar.site.add("Accounts", {"name": "A"})
    sugar.save("Contacts", new("c-1", last_name="C", account_id=one))
    sugar.call("set_entry", "Contacts", named({"id": "c-1", "account_id": "never"}))
    assert sugar.ids("Accounts") == [one]
    sugar.save("Accounts", new("never", name="B"))
    assert sugar.site.accounts_of("c-1") == []


# --- email


def test_email1_counts_on_create_only(sugar: Served) -> None:
    """salesagility/SuiteCRM#9960 and #10513."""
    sugar.save("Contacts", new("c-1", last_name="C", email1="A@Example.org"))
    for address in ("b@example.org", ""):
        sugar.save("Contacts", {"id": "c-1", "email1": address})
        assert sugar.rows("Contacts", "", "email1") == [{"email1": "A@Example.org"}]


def test_a_changed_email1_is_stored_by_sugarcrm_ce(served_site: Serve) -> None:
    sugar = served_site(version="6.5.26")
    sugar.save("Contacts", new("c-1", last_name="C", email1="a@example.org"))
    sugar.save("Contacts", {"id": "c-1", "email1": "b@example.org"})
    assert sugar.rows("Contacts", "", "email1") == [{"email1": "b@example.org"}]


def test_an_address_that_is_none_is_not_stored(sugar: Served) -> None:
    sugar.save("Contacts", new("c-1", last_name="C", email1="nonsense"))
    assert sugar.rows("Contacts", "", "email1") == [{"email1": ""}]


def test_an_address_is_cut_at_255_characters(sugar: Served) -> None:
    sugar.save("Contacts", new("c-1", last_name="C", email1=f"{'a' * 250}@example.org"))
    assert sugar.rows("Contacts", "", "email1") == [{"email1": f"{'a' * 250}@exam"}]


def test_an_address_is_shared_with_the_case_first_seen(sugar: Served) -> None:
    sugar.save("Contacts", new("c-1", last_name="C", email1="A@example.org"), new("c-2", last_name="D", email1="a@EXAMPLE.org"))
    assert [row["email1"] for row in sugar.rows("Contacts", "", "email1")] == ["A@example.org"] * 2
    assert len(sugar.ids("EmailAddresses", "email_addresses.email_address_caps = 'A@EXAMPLE.ORG'")) == 1


def test_an_email_is_changed_through_email_addresses_and_relationships(sugar: Served) -> None:
    sugar.save("Contacts", new("c-1", last_name="C", email1="a@example.org"))
    (old,) = sugar.ids("EmailAddresses", "email_addresses.email_address_caps IN ('A@EXAMPLE.ORG')")
    sugar.save("EmailAddresses", new("e-1", email_address="b@example.org", email_address_caps="B@EXAMPLE.ORG"))
    primary = [{"name": "primary_address", "value": 1}]
    one = [["Contacts"], ["c-1"], ["email_addresses"]]
    assert sugar.call("set_relationships", *one, [["e-1"]], [primary], [0]) == {"created": 1, "failed": 0, "deleted": 0}
    assert sugar.call("set_relationships", *one, [[old]], [[]], [1]) == {"created": 0, "failed": 0, "deleted": 1}
    assert sugar.rows("Contacts", "", "email1") == [{"email1": "b@example.org"}]


def test_of_several_addresses_the_oldest_primary_one_is_shown(sugar: Served) -> None:
    sugar.save("EmailAddresses", *(new(f"e-{name}", email_address=f"{name}@example.org", email_address_caps="") for name in "abc"))
    sugar.save("Contacts", new("c-1", last_name="C"))
    for name, primary in (("a", 0), ("b", 1), ("c", 1)):
        sugar.call("set_relationship", "Contacts", "c-1", "email_addresses", [f"e-{name}"], named({"primary_address": primary}))
    assert sugar.rows("Contacts", "", "email1") == [{"email1": "b@example.org"}]


def test_the_capitals_of_an_address_are_what_was_sent(sugar: Served) -> None:
    """SuiteCRM's ``EmailAddress.save`` stores what it is given."""
    sugar.save("EmailAddresses", {"email_address": "b@example.org"})
    assert sugar.ids("EmailAddresses", "email_addresses.email_address_caps = 'B@EXAMPLE.ORG'") == []


# --- relationships


def test_relationships_count_records_that_do_not_exist_as_created(sugar: Served) -> None:
    answer = sugar.call("set_relationships", ["Contacts", "Contacts"], ["never", "never"], ["accounts", "nonsense"], [["nor"], ["nor"]])
    assert answer == {"created": 1, "failed": 1, "deleted": 0}


def test_a_relationship_adds_a_second_account(sugar: Served) -> None:
    one, other = (sugar.site.add("Accounts", {"name": name}) for name in "AB")
    sugar.save("Contacts", new("c-1", last_name="C", account_id=one))
    sugar.call("set_relationship", "Contacts", "c-1", "accounts", [other])
    assert sugar.site.accounts_of("c-1") == sorted([one, other])
    assert sugar.rows("Contacts", "", "account_id")[0]["account_id"] in (one, other)
    sugar.call("set_relationship", "Accounts", one, "contacts", ["c-1"], [], 1)
    assert sugar.site.accounts_of("c-1") == [other]


def test_what_a_deleted_record_was_related_to_is_no_longer(sugar: Served) -> None:
    one = sugar.site.add("Accounts", {"name": "A"})
    sugar.save("Contacts", new("c-1", last_name="C", account_id=one, email1="a@example.org"))
    sugar.save("Accounts", {"id": one, "deleted": 1})
    assert sugar.rows("Contacts", "", "account_id") == [{"account_id": ""}]
    sugar.save("Contacts", {"id": "c-1", "deleted": 1})
    assert sugar.rows("Contacts", "", "email1", deleted=1) == [{"email1": ""}]
