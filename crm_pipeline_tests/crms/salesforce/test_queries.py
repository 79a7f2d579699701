"""SOQL that is escaped, complete, and fits the address."""

from __future__ import annotations

import re
from urllib.parse import quote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.crms.salesforce.queries import SelectIn, compare, select

ROOM = 400


def statements(values: list[str], *, room: int = ROOM) -> list[str]:
    statement = SelectIn("Account", ["Id", "Name"], "Name", ["IsPersonAccount = false"])
    return [statement.of(portion) for portion in statement.portions(values, room=lambda: room)]


def test_field_named_twice_is_asked_for_once() -> None:
    assert (
        select("Account", ["Id", "Name", "name"], where=["Name != null"], limit=1)
        == "SELECT Id, name FROM Account WHERE Name != null LIMIT 1"
    )


def test_values_are_quoted_and_escaped() -> None:
    assert compare("Name", "=", 'O\'Neil \\ "Co"\n') == "Name = 'O\\'Neil \\\\ \\\"Co\\\"\\n'"


def test_no_values_ask_nothing() -> None:
    assert statements([]) == []
    assert statements([""]) == []


def test_value_longer_than_any_string_of_soql_is_left_out() -> None:
    assert statements(["x" * 4_001]) == []


@settings(max_examples=50)
@given(st.lists(st.text("ab'\\\" %&+=\n試é🧪", min_size=1, max_size=12), min_size=1, max_size=25))
def test_every_statement_fits_and_every_value_is_asked_for_once(values: list[str]) -> None:
    asked = statements(values)
    assert all(len(quote_plus(statement)) <= ROOM for statement in asked)
    literals = [compare("Name", "=", value).removeprefix("Name = ") for value in dict.fromkeys(values)]
    inside = ",".join(re.fullmatch(r"SELECT .*? WHERE Name IN \((.*)\) AND IsPersonAccount = false", one, re.DOTALL)[1] for one in asked)  # type: ignore[index]
    assert inside == ",".join(literals)


def test_value_that_alone_takes_all_the_room_is_still_asked_for() -> None:
    assert len(statements(["x" * 300, "y" * 300], room=200)) == 2
