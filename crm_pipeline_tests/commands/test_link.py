"""``crm-pipeline link`` and ``crm-pipeline adopt-org``: what they change, and what they refuse."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from click.testing import CliRunner

from crm_pipeline.cli import main
from crm_pipeline.store.staging import Window
from crm_pipeline_tests.commands.conftest import Desk
from crm_pipeline_tests.orchestration.conftest import writes
from crm_pipeline_tests.sync.conftest import ACCOUNT, BY_NAME, Bench, customer

LINKS = "SELECT qbench_id, crm_id, origin FROM crm_pipeline.link WHERE crm = 'salesforce' ORDER BY qbench_id"


def link(desk: Desk, command: str, *words: str) -> tuple[int, str]:
    """Exit code and text of a ``link`` command on the accounts in Salesforce."""
    result = desk.type("link", command, "--integration", "acme", "--crm", "salesforce", "--record-type", "account", *words)
    return result.exit_code, result.output


def synced(desk: Desk, *numbers: int) -> Bench:
    """These customers, synced."""
    desk.bench.given(desk.spec, ACCOUNT, *(customer(number) for number in numbers))
    return desk.bench


def test_a_link_made_by_hand_lets_the_next_load_write_that_record(desk: Desk) -> None:
    crm_id = desk.bench.add_account("Laboratory One")
    desk.bench.stage(desk.spec, ACCOUNT, customer(1))
    code, _ = link(desk, "make", "--id", "1", "--crm-id", crm_id)
    assert (code, desk.bench.rows(LINKS)) == (0, [(1, crm_id, "manual")])
    desk.bench.load(desk.spec, ACCOUNT)
    assert desk.bench.names() == ["Lab 1"]
    assert desk.bench.rows(LINKS) == [(1, crm_id, "manual")]


def test_a_link_is_refused_where_either_record_is_linked_or_the_crm_has_none(desk: Desk) -> None:
    bench = synced(desk, 1, 2)
    (_, first, _), _ = bench.rows(LINKS)
    free = bench.add_account("Laboratory Three")
    for words, remedy in (
        (("--id", "3", "--crm-id", first), "linked to QBench id 1 of integration acme; move that link"),
        (("--id", "1", "--crm-id", free), "remove that link first"),
        (("--id", "3", "--crm-id", "001000000000000AAA"), "salesforce has no account"),
    ):
        code, said = link(desk, "make", *words)
        assert (code, remedy in said) == (1, True), said


@pytest.mark.parametrize("number", ["99999999999999999999", "-1", "twelve", "1.5"])
def test_what_cannot_be_a_qbench_id_is_a_typing_error(desk: Desk, number: str) -> None:
    for words in (("show", f"--id={number}"), ("remove", f"--id={number}"), ("move", "--id", "1", f"--to={number}")):
        code, said = link(desk, *words)
        assert (code, "give a QBench id as 12" in said) == (2, True), said


def test_a_link_to_a_record_that_was_merged_is_one_to_its_winner(desk: Desk) -> None:
    desk.bench.stage(desk.spec, ACCOUNT, customer(1), customer(2))
    portal = desk.bench.sandbox.portal
    winner, loser = (portal.add("companies", {"name": name}) for name in ("Laboratory One", "Laboratory Two"))
    merged = portal.merge("companies", winner, loser)
    words = ("link", "make", "--integration", "acme", "--crm", "hubspot", "--record-type", "account")
    result = desk.type(*words, "--id", "1", "--crm-id", loser)
    assert (result.exit_code, f"linked to {merged}" in result.output) == (0, True), result.output
    again = desk.type(*words, "--id", "2", "--crm-id", merged)
    assert (again.exit_code, "linked to QBench id 1" in again.output) == (1, True), again.output


def test_a_moved_link_belongs_to_the_other_record(desk: Desk) -> None:
    bench = synced(desk, 1)
    [(_, crm_id, _)] = bench.rows(LINKS)
    bench.stage(desk.spec, ACCOUNT, customer(2))
    assert link(desk, "move", "--id", "1", "--to", "2")[0] == 0
    assert bench.rows(LINKS) == [(2, crm_id, "manual")]
    assert bench.rows("SELECT digests, field_digests, digest_bytes FROM crm_pipeline.link") == [(None, None, None)], (
        "of another record's values"
    )
    assert "has no account link" in link(desk, "move", "--id", "1", "--to", "3")[1]


def test_a_link_is_not_moved_to_a_record_that_has_one(desk: Desk) -> None:
    bench = synced(desk, 1, 2)
    before = bench.rows(LINKS)
    code, said = link(desk, "move", "--id", "1", "--to", "2")
    assert (code, "remove that link first" in said, bench.rows(LINKS)) == (1, True, before)


def test_a_link_is_refused_to_a_record_that_was_never_read_from_qbench(desk: Desk) -> None:
    bench = synced(desk, 1)
    before, free = bench.rows(LINKS), bench.add_account("Laboratory Seven")
    for words in (("make", "--id", "777777", "--crm-id", free), ("move", "--id", "1", "--to", "777777")):
        code, said = link(desk, *words)
        assert (code, "account 777777 was never read from QBench" in said, bench.rows(LINKS)) == (1, True, before), said


def test_the_command_that_a_new_link_proposes_sends_the_record(desk: Desk) -> None:
    crm_id = desk.bench.add_account("Laboratory One")
    desk.bench.stage(desk.spec, ACCOUNT, customer(1))
    _, said = link(desk, "make", "--id", "1", "--crm-id", crm_id)
    proposed = said.split("`")[1].removeprefix("crm-pipeline ")
    result = CliRunner().invoke(main, shlex.split(proposed))
    assert (result.exit_code, desk.bench.names()) == (0, ["Lab 1"]), result.output


def test_a_removed_link_is_forgotten_and_nothing_is_written_to_the_crm(desk: Desk) -> None:
    bench = synced(desk, 1)
    desk.bench.sandbox.journal.clear()
    assert link(desk, "remove", "--id", "1")[0] == 0
    assert (bench.rows(LINKS), bench.names(), writes(bench.sandbox)) == ([], ["Lab 1"], [])


def test_a_removed_link_lets_the_next_load_give_its_record_to_who_could_not_have_it(desk: Desk) -> None:
    bench, spec = desk.bench, desk.bench.spec(external_keys=False, accounts=BY_NAME)
    bench.given(spec, ACCOUNT, customer(1, customer_name="Eco Labs"))
    bench.stage(spec, ACCOUNT, customer(1, 150, customer_name="Another"), customer(2, 200, customer_name="Eco Labs"))
    bench.load(spec, ACCOUNT, window=Window(since=200, until=201))
    assert bench.outcomes()[2] == ("skipped", "LinkConflictException")
    [(_, crm_id, _)] = bench.rows(LINKS)
    assert link(desk, "remove", "--id", "1")[0] == 0
    bench.load(spec, ACCOUNT, window=Window(since=900, until=901))
    assert bench.rows(LINKS) == [(2, crm_id, "matched")]


def test_a_link_is_shown_by_either_id_with_its_last_outcome(desk: Desk) -> None:
    [(_, crm_id, _)] = synced(desk, 1).rows(LINKS)
    for words in (("--id", "1"), ("--crm-id", crm_id)):
        code, said = link(desk, "show", *words)
        assert code == 0
        for line in (
            f"qbench_id 1 is linked to crm_id {crm_id}\n",
            "acme: customer 1",
            f"{crm_id}, made by the sync",
            "It is in Salesforce as an account, as QBench has it.",
        ):
            assert line in said
    code, said = link(desk, "show", "--id", "2")
    assert (code, "there is no such account link in salesforce; `crm-pipeline explain` says" in said) == (1, True), said


def test_what_was_done_to_a_link_is_told_as_json(desk: Desk) -> None:
    one = ("--integration", "acme", "--crm", "salesforce", "--record-type", "account")
    which = {"integration": "acme", "crm": "salesforce", "record_type": "account"}
    crm_id = desk.bench.add_account("Laboratory One")
    desk.bench.stage(desk.spec, ACCOUNT, customer(1), customer(2))
    assert desk.json("link", "make", *one, "--id", "1", "--crm-id", crm_id) == {**which, "qbench_id": 1, "crm_id": crm_id}
    assert desk.json("link", "move", *one, "--id", "1", "--to", "2") == {**which, "qbench_id": 2, "was": 1}
    shown = desk.json("link", "show", *one, "--crm-id", crm_id)
    [part] = shown["crms"]
    assert (shown["qbench_id"], part["crm_id"], part["link"]["origin"], part["to_crm"]["outcome"]) == (2, crm_id, "manual", None)
    assert desk.json("link", "remove", *one, "--id", "2") == {**which, "qbench_id": 2, "removed": True}


def test_a_crm_id_is_taken_in_either_of_its_forms(desk: Desk) -> None:
    bench = synced(desk, 1)
    [(_, held, _)] = bench.rows(LINKS)
    free = bench.add_account("Laboratory Two")
    bench.stage(desk.spec, ACCOUNT, customer(2))
    assert link(desk, "show", "--crm-id", f" {held[:15]}")[0] == 0
    assert "is linked to QBench id 1" in link(desk, "make", "--id", "2", "--crm-id", held[:15])[1]
    assert link(desk, "make", "--id", "2", "--crm-id", free[:15])[0] == 0
    assert bench.rows(LINKS) == [(1, held, "created"), (2, free, "manual")]


@pytest.mark.parametrize("command", ["make", "show"])
def test_what_is_no_id_of_the_crm_is_refused_in_words(desk: Desk, command: str) -> None:
    bench = synced(desk, 1)
    [(_, held, _)] = bench.rows(LINKS)
    bench.stage(desk.spec, ACCOUNT, customer(2))
    of_whom = ("--id", "2") if command == "make" else ()
    for typed in (held.swapcase(), f"https://acme.lightning.force.com/lightning/r/Account/{held}/view"):
        code, said = link(desk, command, *of_whom, "--crm-id", typed)
        assert (code, "no Salesforce record id" in said) == (1, True), said


@pytest.mark.parametrize(("links", "kept"), [("keep", 1), ("forget", 0)])
def test_another_organization_is_adopted_with_or_without_the_links(desk: Desk, links: str, kept: int) -> None:
    bench = synced(desk, 1)
    [(found,)] = bench.rows("SELECT org_id FROM crm_pipeline.organization WHERE service = 'salesforce'")
    execute(bench, "UPDATE crm_pipeline.organization SET org_id = 'old'; UPDATE crm_pipeline.link SET org_id = 'old'")
    result = desk.type("adopt-org", "--integration", "acme", "--service", "salesforce", "--links", links, "--yes")
    assert (result.exit_code, "materialize acme/salesforce/resync" in result.output) == (0, links == "forget"), result.output
    assert bench.rows("SELECT org_id FROM crm_pipeline.organization WHERE service = 'salesforce'") == [(found,)]
    assert bench.rows("SELECT org_id FROM crm_pipeline.link") == [(found,)] * kept
    assert dict(bench.load(desk.spec, ACCOUNT).outcomes) == ({"unchanged": 1} if kept else {"linked": 1})


def test_adopting_asks_first_and_another_qbench_tenant_never_forgets(desk: Desk) -> None:
    bench = synced(desk, 1)
    execute(bench, "UPDATE crm_pipeline.organization SET org_id = 'old'")
    asked = desk.type("adopt-org", "--integration", "acme", "--service", "salesforce", "--links", "keep")
    assert (asked.exit_code, "organization old becomes" in asked.stderr, asked.stdout) == (1, True, "")
    assert bench.rows("SELECT org_id FROM crm_pipeline.organization WHERE service = 'salesforce'") == [("old",)]
    told = desk.json("adopt-org", "--integration", "acme", "--service", "salesforce", "--links", "keep", "--yes")
    assert {**told, "integration": "acme", "service": "salesforce", "was": "old", "links": "keep", "count": 1} == told
    refused = desk.type("adopt-org", "--integration", "acme", "--service", "qbench", "--links", "forget", "--yes")
    assert "an integration of its own" in refused.output


def execute(bench: Bench, statements: Any) -> None:
    """Change the state as a restored database would have it."""
    with bench.store.transaction() as connection:
        for statement in statements.split(";"):
            connection.exec_driver_sql(statement)
