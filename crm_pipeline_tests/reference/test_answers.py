"""docs/answers.md says what answers must hold."""

from __future__ import annotations

from crm_pipeline.crms import crm_kinds
from crm_pipeline.reference.answers import DOCUMENT, answer_reference, contracts


def test_the_answer_reference_is_what_make_docs_would_write() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == answer_reference(), "a contracts.py changed: run `make docs`"


def test_the_answers_of_every_service_stand_in_the_reference() -> None:
    assert [*contracts()] == ["QBench", *(kind.title for kind in crm_kinds().values())]
