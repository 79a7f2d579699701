"""docs/errors.md says what the errors are."""

from __future__ import annotations

import pytest

from crm_pipeline.errors import RecordError, record_errors
from crm_pipeline.reference.errors import DOCUMENT, error_reference


def test_the_error_reference_is_what_make_docs_would_write() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == error_reference(), "crm_pipeline/errors changed: run `make docs`"


@pytest.mark.parametrize("error", record_errors().values(), ids=record_errors())
def test_every_record_error_says_in_a_line_each_what_it_means_and_what_to_do(error: type[RecordError]) -> None:
    for words in (error.meaning, error.remedy):
        assert words.endswith(".")
        assert not {"\n", "|"} & set(words)


@pytest.mark.parametrize("error", record_errors().values(), ids=record_errors())
def test_a_record_error_that_is_tried_again_by_itself_waits_for_nothing_but_time(error: type[RecordError]) -> None:
    assert error.retryable == (error.waits_on == "time")


def test_every_error_that_stops_a_run_stands_in_the_reference() -> None:
    import crm_pipeline.errors as module

    text = DOCUMENT.read_text(encoding="utf-8")
    for name, error in vars(module).items():
        if isinstance(error, type) and issubclass(error, Exception) and error is not RecordError:
            assert f"`{name}`" in text
