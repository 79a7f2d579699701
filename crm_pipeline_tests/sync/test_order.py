"""What follows from an order and its state."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.model import RecordType
from crm_pipeline.qbench.fields import LONGEST, NEVER_BLANK
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.sync.order import objects_of
from crm_pipeline_tests.integration_projects import COMPLETE

CONTACTS = CrmState("acme", "salesforce", RecordType.CONTACT)


def names(*given: str | None) -> pd.Series:
    """The column ``object`` of as many rows."""
    return pd.Series(given, dtype="str")


def test_rows_that_name_no_object_are_in_the_usual_one_together_with_those_that_name_it() -> None:
    [(crm_object, rows)] = objects_of(CONTACTS, names(None, "Contact", None))
    assert (crm_object.name, rows.tolist()) == ("Contact", [True, True, True])
    assert list(objects_of(CONTACTS, names())) == []


def test_an_object_that_the_crm_is_not_known_to_have_is_a_mistake_of_the_installation() -> None:
    with pytest.raises(ConfigurationError, match="contacts are linked to Salesforce's object Deal, which is not known here"):
        list(objects_of(CONTACTS, names("Contact", "Deal")))


def test_order_of_an_integration_knows_what_qbench_takes_of_what_comes_back() -> None:
    attributes = yaml.safe_load(COMPLETE.read_text())["attributes"]
    spec = IntegrationSpec.model_validate({"name": "acme", **attributes})
    for record_type, record in spec.records.items():
        way = spec.order("hubspot", record, run_id="run").way_back(None)
        assert (way.longest, way.never_blank) == (LONGEST[record_type], NEVER_BLANK[record_type])
