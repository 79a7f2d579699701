"""What a change of the mapping makes out of date."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.revision import mapping_digest
from crm_pipeline_tests.mapping.builders import contact_spec

RULE = {"field": "state", "is": "inactive"}


@pytest.mark.parametrize(
    ("keys", "same"),
    [
        ({"when_deleted_in_qbench": "delete"}, True),
        ({"also_linked": True}, True),
        ({"inactive": RULE}, True),
        ({"inactive": RULE, "delete_inactive": True}, False),
        ({"only": RULE}, False),
    ],
)
def test_keys_about_deleting_leave_records_as_they_are_unless_they_say_which_may_sync(keys: dict[str, Any], same: bool) -> None:  # noqa: FBT001
    assert (mapping_digest(contact_spec(**keys), Reading()) == mapping_digest(contact_spec(), Reading())) is same


def test_deleting_inactive_contacts_needs_a_rule_that_says_which_are() -> None:
    with pytest.raises(ValidationError, match="needs `inactive`"):
        contact_spec(delete_inactive=True)
