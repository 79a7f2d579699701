"""What a client says when it cannot reach the CRM, is not let in or does not understand: enough to act on, and nothing secret."""

from __future__ import annotations

import logging
from contextlib import closing

import pytest

from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import AuthenticationError, MissingCredentialError, ServiceUnavailableError, UnexpectedAnswerError
from crm_pipeline.sandbox.faults import Fault
from crm_pipeline.testing.batches import Put, writes_of
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import ACCOUNT, CONTACT, SECRET_WORDS, assert_says_nothing_secret, new

OTHER_LOGGERS = {"asyncio", "crm_pipeline"}


def test_what_its_client_libraries_log_comes_from_the_loggers_that_it_names(
    bench: Bench, crm: Crm, caplog: pytest.LogCaptureFixture
) -> None:
    """Below warnings they write addresses, which can hold values; whoever runs the client quiets the loggers that it names."""
    caplog.set_level(logging.DEBUG)
    for name in bench.kind.client_loggers:
        caplog.set_level(logging.DEBUG, logger=name)
    crm.find(bench.object(CONTACT), bench.fields[CONTACT].match, ["ana@labs.example.org"])
    spoke = {record.name.partition(".")[0] for record in caplog.records} - OTHER_LOGGERS
    assert spoke <= set(bench.kind.client_loggers)


def test_html_instead_of_json_is_an_unexpected_answer(bench: Bench, crm: Crm) -> None:
    bench.faults.add(Fault(kind="html", times=None))
    row = new(bench, ACCOUNT, 7, **{bench.fields[ACCOUNT].text: SECRET_WORDS})
    with pytest.raises(UnexpectedAnswerError, match="integration demo") as raised:
        crm.write(bench.object(ACCOUNT), writes_of(row))
    assert_says_nothing_secret(raised.value)


def test_cut_off_json_is_an_unexpected_answer(bench: Bench, crm: Crm) -> None:
    bench.faults.add(Fault(kind="status", status=200, body='{"results": [', headers={"content-type": "application/json"}, times=None))
    with pytest.raises(UnexpectedAnswerError, match="integration demo"):
        crm.organization()


def test_wrong_credentials_are_named_and_not_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bench.secret, SECRET_WORDS.replace(" ", "-"))
    with closing(bench.connect(external_key=None)) as crm, pytest.raises(AuthenticationError, match=bench.secret) as raised:
        crm.organization()
    assert len(bench.journal.calls(bench.kind.name)) == 1
    assert_says_nothing_secret(raised.value)


def test_missing_credential_names_its_variable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bench.secret)
    with closing(bench.connect(external_key=None)) as crm, pytest.raises(MissingCredentialError, match=bench.secret):
        crm.organization()


@pytest.mark.parametrize("broken", ["\n", "\r", "\x7f", "\x85", "\u200b", "–", "ключ"])
def test_credential_with_a_character_that_no_credential_has_names_its_variable_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setenv(bench.secret, f"{SECRET_WORDS}{broken}x")
    holds = f"{bench.secret} holds a line break"
    with closing(bench.connect(external_key=None)) as crm, pytest.raises(MissingCredentialError, match=holds) as raised:
        crm.organization()
    assert_says_nothing_secret(raised.value)


def test_service_that_cannot_be_reached_is_unavailable(bench: Bench) -> None:
    nobody = bench.connect(url="http://127.0.0.1:9", attempts=1, external_key=None)
    with closing(nobody) as crm, pytest.raises(ServiceUnavailableError, match="integration demo") as raised:
        crm.write(bench.object(ACCOUNT), writes_of(Put(7, {bench.fields[ACCOUNT].match: SECRET_WORDS})))
    assert not raised.value.executed
    assert_says_nothing_secret(raised.value)
