"""Who has which address, and how PostgreSQL goes about the question."""

from __future__ import annotations

import pandas as pd

from crm_pipeline.model import RecordType
from crm_pipeline.schemas import normalized_schema
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.emails import contenders, shared_addresses
from crm_pipeline.store.normalized_records import stage_normalized
from crm_pipeline_tests.explaining import explaining

STATE = CrmState("acme", "hubspot", RecordType.CONTACT)
CONTACTS, ASKED = 20_000, 200
_CONTACTS = f"""
INSERT INTO crm_pipeline.field_names VALUES (5, '{{{{email,note,default.title}}}}') ON CONFLICT DO NOTHING;
INSERT INTO crm_pipeline.normalized_record (integration, record_type, qbench_id, version, fields, mapping_digest)
SELECT '{{integration}}', 'contact', id, id,
  CASE mod(id, 2) WHEN 0 THEN jsonb_build_array(5, email, note, 'x') ELSE jsonb_build_object('email', email, 'note', note) END, ''
FROM generate_series(1, {CONTACTS}) AS id,
  LATERAL (SELECT mod(id, {CONTACTS - 1}) || '@acme.example' AS email, repeat('a note ', 20) AS note) AS of_each
"""
"""Half of them as they are kept, half of them as they were."""


def test_postgresql_expects_about_one_contact_for_each_address_that_is_looked_up(store: Store) -> None:
    with store.transaction() as connection:
        connection.exec_driver_sql(_CONTACTS.format(integration="acme"))
    with store.transaction() as connection:
        connection.exec_driver_sql("ANALYZE crm_pipeline.normalized_record")
        with explaining() as explained:
            asked = [f"{number}@acme.example" for number in range(1, ASKED)]
            found = contenders(connection, STATE, emails=asked, email_field="email", required=[], unusable=[])
        assert shared_addresses(connection, STATE).tolist() == ["1@acme.example"]
    [(_, nodes)] = explained
    assert sorted(found["qbench_id"]) == [*range(1, ASKED), CONTACTS]
    [expected] = [node["Plan Rows"] for node in nodes if node.get("Relation Name") == "normalized_record"]
    assert expected < 2 * ASKED, "else it reads all contacts for them"
    assert "ix_normalized_record_exclusive_email" in {node.get("Index Name") for node in nodes}


def test_index_of_addresses_that_knows_no_integrations_mixes_none_up(store: Store) -> None:
    with store.transaction() as connection:
        for integration in ("acme", "other"):
            connection.exec_driver_sql(_CONTACTS.format(integration=integration))
    with store.transaction() as connection:
        connection.exec_driver_sql("ANALYZE crm_pipeline.normalized_record")
        with explaining() as explained:
            found = contenders(connection, STATE, emails=["5@acme.example"], email_field="email", required=[], unusable=[])
    [(_, nodes)] = explained
    assert "ix_normalized_record_exclusive_email" in {node.get("Index Name") for node in nodes}
    assert found["qbench_id"].tolist() == [5]


def test_of_a_contact_that_alone_has_its_address_nothing_is_told_to_itself(store: Store) -> None:
    two, own = "1@acme.example", "5@acme.example"
    with store.transaction() as connection:
        connection.exec_driver_sql(_CONTACTS.format(integration="acme"))

        def told(asking: dict[int, str]) -> list[int]:
            emails = list(asking.values())
            found = contenders(connection, STATE, emails=emails, asking=list(asking), email_field="email", required=[], unusable=[])
            return sorted(found["qbench_id"])

        assert told({1: two, 5: own}) == [1, CONTACTS]
        assert told({7: own}) == [5], "a row that was read before another contact got its address"
        assert told({5: two}) == [1, CONTACTS]


def test_contact_is_able_to_claim_its_address_with_the_required_fields_alone_however_it_is_kept(store: Store) -> None:
    emails = ["5@acme.example", "6@acme.example"]
    with store.transaction() as connection:
        connection.exec_driver_sql(_CONTACTS.format(integration="acme"))

        def able(*required: str) -> list[int]:
            found = contenders(connection, STATE, emails=emails, email_field="email", required=required, unusable=[])
            return sorted(found["qbench_id"])

        assert able("email", "note") == [5, 6]
        assert able("note", "title") == [6], "the mapping has one to take"
        assert able("note", "phone") == []


def test_address_is_told_from_other_fields_whatever_a_mapping_adds_and_where_nobody_has_one(store: Store) -> None:
    schema = normalized_schema(RecordType.CONTACT)
    described = {"qbench_id": [1], "version": [1], "default.title": ["title"], "last_name": ["last"]}
    with store.transaction() as connection:
        for number, given in ((1, {"email": ["own"]}), (2, {})):
            frame = schema.build(pd.DataFrame({**described, "qbench_id": [number], **given}))
            stage_normalized(connection, "acme", RecordType.CONTACT, frame=frame, mapping_digest="d")
        emails = ["own", "title", "last"]
        found = contenders(connection, STATE, emails=emails, email_field="email", required=[], unusable=[])
    assert found[["email", "qbench_id"]].values.tolist() == [["own", 1]]
