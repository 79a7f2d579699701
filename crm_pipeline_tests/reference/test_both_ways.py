"""docs/both-ways.md shows the table of cases."""

from __future__ import annotations

from crm_pipeline.reference.both_ways import DOCUMENT, both_ways_reference


def test_the_document_of_both_ways_is_what_make_docs_would_write() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == both_ways_reference(), "sync/merging changed: run `make docs`"
