"""What the SugarCRM stand-in shows, which queries it takes, and what it says of its modules.

Sources: SugarCRM developer guide, "get_entry_list", "get_entries", "get_relationships", "get_module_fields"; SuiteCRM documentation,
"API v4.1 Methods"; MySQL manual for what a comparison ignores; the rest was seen on SuiteCRM 7.14.6 to 8.10.1.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.sandbox.sugarcrm.database import Database
from crm_pipeline.sandbox.sugarcrm.where import translated
from crm_pipeline_tests.sandbox.sugarcrm.conftest import KEY, Served, named, new, values

EMPTY = Database(())

# --- lists


def test_a_list_tells_how_many_there_are_and_where_to_go_on(sugar: Served) -> None:
    """get_entry_list, "Result"."""
    sugar.save("Accounts", *(new(f"own-{number:02}", name="A") for number in range(25)))
    for asked, count in ((0, 20), ("", 20), (7, 7)):
        found = sugar.call("get_entry_list", "Accounts", "", "id", 2, ["id"], [], asked)
        assert (found["result_count"], found["total_count"], found["next_offset"]) == (count, "25", 2 + count)
        assert len(found["entry_list"]) == count
    assert sugar.call("get_entries_count", "Accounts", "accounts.id > 'own-20'", 0) == {"result_count": 4}


def test_an_order_with_a_prefix_is_ignored(sugar: Served) -> None:
    sugar.save("Accounts", *(new(name, name=name) for name in ("a-3", "b-2", "c-1")))
    assert sugar.ids("Accounts", order="id") == ["a-3", "b-2", "c-1"]
    assert sugar.ids("Accounts", order="name desc") == ["c-1", "b-2", "a-3"]
    for order in ("accounts.id", "", "nonsense"):
        assert sugar.ids("Accounts", order=order) == ["c-1", "b-2", "a-3"]


def test_deleted_ones_are_shown_where_they_are_asked_for(sugar: Served) -> None:
    gone, live = sorted(sugar.site.add("Accounts", {"name": "A"}) for _ in range(2))
    sugar.site.delete("Accounts", gone)
    shown = [sugar.ids("Accounts", deleted=deleted) for deleted in (0, 1, -1, 2)]
    assert shown == [[live], *[[gone, live]] * 3]


def test_a_field_that_there_is_not_is_left_out_and_a_row_without_any_is_an_empty_list(sugar: Served) -> None:
    sugar.save("Accounts", new("own-1", name="A"))
    assert sugar.rows("Accounts", "", "name", "nonsense") == [{"name": "A"}]
    (entry,) = sugar.call("get_entry_list", "Accounts", "", "", 0, ["nonsense"], [], 1)["entry_list"]
    assert entry == {"id": "own-1", "module_name": "Accounts", "name_value_list": []}


def test_no_fields_asked_for_are_all_fields(sugar: Served) -> None:
    sugar.save("Accounts", new("own-1", name="A"))
    assert sugar.rows("Accounts")[0].keys() == sugar.call("get_module_fields", "Accounts")["module_fields"].keys()


def test_an_entity_in_the_text_cannot_be_told_from_its_sign(sugar: Served) -> None:
    sugar.save("Accounts", {"name": "&lt;"})
    assert sugar.rows("Accounts", "accounts.name = '<'", "name") == [{"name": "&lt;"}]


# --- queries


@pytest.mark.parametrize(
    "query",
    [
        "accounts.name = 'ACME '",
        'accounts.name = "acme"',
        "accounts.name LIKE 'Äc%'",
        "`accounts`.`name` IN ('x', 'ácme')",
        "accounts.name != 'x' AND (accounts.website IS NULL OR accounts.website = '')",
        "accounts.description = 'it\\'s \\\\ a ''test'''",
        "accounts.date_modified >= '2026-11-18 11:06:40' AND accounts.deleted = 0",
        "accounts.deleted = '0'",
        "accounts.name != 'a -- b; c # d'",
        f"accounts_cstm.{KEY} BETWEEN '1' AND '3'",
        "UPPER(accounts.name) = 'ACME' && NOT accounts.name <=> NULL",
        "accounts.id IN (SELECT bean_id FROM email_addr_bean_rel r JOIN email_addresses e ON e.id = r.email_address_id "
        "WHERE r.deleted = 0 AND e.email_address_caps = 'A@EXAMPLE.ORG')",
        "name = 'acme'",
        "",
    ],
)
def test_a_query_is_a_where_clause_of_mysql(sugar: Served, query: str) -> None:
    """Case, accents and trailing blanks make no difference: MySQL manual, collations."""
    sugar.site.add("Accounts", {"name": "Acme", "description": "it's \\ a 'test'", KEY: "2", "email1": "a@example.org"}, record_id="own-1")
    assert sugar.ids("Accounts", query) == ["own-1"]


@pytest.mark.parametrize(
    "query",
    [
        "accounts.id IN (SELECT assigned_user_id FROM users)",
        "accounts.id = (SELECT id FROM accounts)",
        "1=1) UNION SELECT * FROM users WHERE (1=1",
        "accounts.name = 'a'; DROP TABLE accounts",
        "accounts.name = 'a' -- b",
        "1=1 ORDER BY name",
        "sleep(9) = 0",
        "users.user_hash = 'x'",
    ],
)
def test_a_query_that_the_validator_dislikes_is_error_40(sugar: Served, query: str) -> None:
    assert sugar.call("get_entry_list", "Accounts", query, "", 0, [], [], 1)["number"] == 40


@pytest.mark.parametrize(
    "query",
    [
        "accounts.nonsense = 1",
        "contacts.id = '1'",
        "accounts.name = 'O'Brien'",
        "accounts.name = 'x",
        "accounts.name == 'x'",
        "(accounts.name = 'x'",
        "accounts.name GLOB '*'",
        "accounts.id IN ()",
        "Accounts.name = 'x'",
        "accounts.id IN (SELECT bean_id FROM email_addr_bean_rel LIMIT 1)",
        "json_valid(accounts.name)",
    ],
)
def test_a_query_that_mysql_does_not_understand_is_a_500(sugar: Served, query: str) -> None:
    assert sugar.post("get_entry_list", sugar.session, "Accounts", query, "", 0, [], [], 1).status_code == 500


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@settings(max_examples=50, deadline=None, database=None)
def test_a_text_is_compared_as_it_is_once_quotes_and_backslashes_are_escaped(text: str) -> None:
    """MySQL manual, "String Literals"."""
    for quote in ("'", '"'):
        escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
        doubled = text.replace("\\", "\\\\").replace(quote, quote * 2)
        for literal in (escaped, doubled):
            assert EMPTY.rows(f"SELECT {translated(quote + literal + quote)} AS it") == [{"it": text}]


def test_a_thousand_ids_can_be_asked_for_at_once(sugar: Served) -> None:
    sugar.save("Accounts", new("own-7", name="A"))
    assert sugar.ids("Accounts", f"accounts.id IN ({', '.join(repr(f'own-{number}') for number in range(1_000))})") == ["own-7"]


def test_users_are_found_by_name_and_status(sugar: Served) -> None:
    active = sugar.site.add_user("ann", last_name="Lee", email="ann@example.org")
    sugar.site.add_user("bob", last_name="Lee", status="Inactive")
    assert sugar.ids("Users", "users.user_name IN ('ann', 'bob') AND users.status = 'Active'") == [active]
    sugar.save("Accounts", {"name": "A", "assigned_user_id": active})
    assert sugar.rows("Accounts", "", "assigned_user_name") == [{"assigned_user_name": "Lee"}]


# --- entries by id


def test_entries_that_are_deleted_or_were_never_there_are_warnings_alike(sugar: Served) -> None:
    gone = sugar.site.add("Accounts", {"name": "A"})
    sugar.site.delete("Accounts", gone)
    entries = sugar.call("get_entries", "Accounts", [gone, "never"], ["id"], [])["entry_list"]
    assert [entry["id"] for entry in entries] == [gone, "never"]
    assert all([pair["name"] for pair in entry["name_value_list"]] == ["warning", "deleted"] for entry in entries)


def test_an_entry_shows_what_it_is_linked_to(sugar: Served) -> None:
    """get_entries, "link_name_to_fields_array"."""
    sugar.save("Contacts", new("c-1", last_name="C", email1="a@example.org"))
    links = [{"name": "email_addresses", "value": ["email_address", "primary_address"]}]
    answer = sugar.call("get_entry", "Contacts", "c-1", ["last_name"], links)
    assert values(answer["entry_list"][0]) == {"last_name": "C"}
    (record,) = answer["relationship_list"][0]["link_list"][0]["records"]
    assert [record["link_value"][name]["value"] for name in ("email_address", "primary_address")] == ["a@example.org", "1"]


def test_a_link_without_records_is_left_out_and_one_that_there_is_not_is_empty(sugar: Served) -> None:
    sugar.save("Contacts", new("c-1", last_name="C"))
    links = [{"name": name, "value": ["id"]} for name in ("email_addresses", "nonsense")]
    answer = sugar.call("get_entry_list", "Contacts", "", "", 0, ["id"], links, 1)
    assert answer["relationship_list"] == [{"link_list": [{"name": "nonsense", "records": []}]}]


def test_relationships_are_read_from_either_side(sugar: Served) -> None:
    account = sugar.site.add("Accounts", {"name": "A"})
    sugar.save("Contacts", new("c-1", last_name="C", account_id=account), new("c-2", last_name="D", account_id=account))
    for module, record_id, link, query, found in (
        ("Accounts", account, "contacts", "contacts.last_name = 'd'", ["c-2"]),
        ("Contacts", "c-1", "accounts", "", [account]),
        ("Contacts", "never", "accounts", "", []),
    ):
        answer = sugar.call("get_relationships", module, record_id, link, query, ["id"], [], 0)
        assert [entry["id"] for entry in answer["entry_list"]] == found


# --- metadata


def test_metadata_tells_type_length_and_options_and_neither_uniqueness_nor_what_cannot_be_written(sugar: Served) -> None:
    """get_module_fields, "Result"; a length is a number, a text or nothing."""
    fields = sugar.call("get_module_fields", "Accounts")["module_fields"]
    assert fields["name"] == {
        **{"name": "name", "type": "name", "group": "", "id_name": "", "label": "Name:", "required": 1, "options": []},
        **{"related_module": "", "calculated": False, "len": 150},
    }
    assert (fields["billing_address_street"]["len"], fields["description"]["len"], fields["email1"]["len"]) == ("150", "", "")
    assert fields["industry"]["options"]["Banking"] == {"name": "Banking", "value": "Banking"}
    assert "last_7_days" in fields["date_modified"]["options"]
    assert (fields[KEY]["type"], fields[KEY]["len"]) == ("varchar", 255)
    assert (fields["assigned_user_id"]["related_module"], fields["deleted"]["default_value"]) == ("Users", "0")


def test_metadata_can_be_asked_of_some_fields(sugar: Served) -> None:
    """get_module_fields, "fields"."""
    answer = sugar.call("get_module_fields", "Contacts", ["last_name", "nonsense"])
    assert (list(answer["module_fields"]), answer["link_fields"]) == (["last_name"], [])


def test_a_field_made_in_the_studio_is_known_at_once(sugar: Served) -> None:
    sugar.site.add_choice("Accounts", "tier_c", "Gold", "Silver")
    sugar.save("Accounts", {"name": "A", "tier_c": "Gold"})
    assert sugar.rows("Accounts", "accounts_cstm.tier_c = 'Gold'", "tier_c") == [{"tier_c": "Gold"}]
    assert list(sugar.call("get_module_fields", "Accounts", ["tier_c"])["module_fields"]["tier_c"]["options"]) == ["", "Gold", "Silver"]


def test_the_answer_of_set_entry_repeats_what_was_sent_not_what_was_stored(sugar: Served) -> None:
    answer = sugar.call("set_entry", "Accounts", named({"name": "x" * 200}))
    assert answer["entry_list"]["name"]["value"] == "x" * 200
    assert sugar.ids("Accounts") == [answer["id"]]
