"""What a CRM finds wrong with one record, and that no other record suffers for it.

A CRM that does not validate takes what its fields cannot take; of what it describes, the pipeline itself sends nothing wrong.
"""

from __future__ import annotations

from typing import Any

from crm_pipeline.crms.base import Crm
from crm_pipeline.model import RecordType
from crm_pipeline.testing.batches import Put
from crm_pipeline.testing.bench import Bench
from crm_pipeline.testing.conformance.common import ACCOUNT, CONTACT, SECRET_WORDS, added, both_types, errors_of, new, written


def require_refused_alone(bench: Bench, crm: Crm, record_type: RecordType, field: str, value: object, *, error: str) -> Any:
    """That a row with this value is refused with this error, where the CRM validates, and rows beside it are not; the fields it names."""
    rows = [new(bench, record_type, 1), new(bench, record_type, 2, **{field: value}), new(bench, record_type, 3)]
    results = written(crm, bench.object(record_type), *rows)
    told = errors_of(results).pop(2)
    assert told == error or (told is None and not bench.kind.capabilities.validates)
    assert errors_of(results) == {1: None, 2: told, 3: None}
    assert len(bench.records(record_type)) == (3 if told is None else 2)
    return field if told is None else results[2]["error_fields"]


@both_types
def test_wrong_value_fails_its_own_row_and_names_the_field(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    choice = bench.fields[record_type].choice
    assert choice in str(require_refused_alone(bench, crm, record_type, choice, SECRET_WORDS, error="InvalidOptionException"))


@both_types
def test_over_long_value_fails_its_own_row_and_names_the_field(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    names = bench.fields[record_type]
    too_long = "x" * (names.short_length + 1)
    assert names.short in str(require_refused_alone(bench, crm, record_type, names.short, too_long, error="ValueTooLongException"))


def test_malformed_email_fails_its_own_row(bench: Bench, crm: Crm) -> None:
    require_refused_alone(bench, crm, CONTACT, bench.fields[CONTACT].match, "nobody at example", error="InvalidValueException")


def test_unknown_field_is_a_refused_mapping_that_names_it(bench: Bench, crm: Crm) -> None:
    named = require_refused_alone(bench, crm, ACCOUNT, "no_such_field", "x", error="MappingRefusedException")
    assert named == "no_such_field"


@both_types
def test_update_of_a_deleted_record_says_so(bench: Bench, crm: Crm, record_type: RecordType) -> None:
    crm_id = added(bench, record_type)
    bench.delete(record_type, crm_id)
    result = written(crm, bench.object(record_type), Put(7, {bench.fields[record_type].text: "x"}, crm_id=crm_id))[7]
    assert result["error_type"] == "DeletedInCrmException"


def test_results_hold_no_field_value(bench: Bench, crm: Crm) -> None:
    names = bench.fields[CONTACT]
    wrong: list[dict[str, object]] = [
        {names.choice: SECRET_WORDS},
        {names.match: SECRET_WORDS},
        {names.short: SECRET_WORDS * (names.short_length // len(SECRET_WORDS) + 1)},
        {"no_such_field": SECRET_WORDS},
    ]
    results = written(crm, bench.object(CONTACT), *(new(bench, CONTACT, number, **values) for number, values in enumerate(wrong)))
    assert all(errors_of(results).values()) or not bench.kind.capabilities.validates
    # What the CRM keeps otherwise than it was sent is a value, and is named as one.
    assert "zaphod" not in str([{**row, "kept": None} for row in results.values()]).lower()
