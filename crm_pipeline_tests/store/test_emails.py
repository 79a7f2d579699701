"""Who has which address, and how PostgreSQL goes about the question."""

from __future__ import annotations

from crm_pipeline.model import RecordType
from crm_pipeline.store.crm_state import CrmState
from crm_pipeline.store.database import Store
from crm_pipeline.store.emails import contenders, shared_addresses
from crm_pipeline_tests.explaining import explaining

STATE = CrmState("acme", "hubspot", RecordType.CONTACT)
CONTACTS, ASKED = 20_000, 200
_CONTACTS = f"""
INSERT INTO crm_pipeline.normalized_record (integration, record_type, qbench_id, version, fields, mapping_digest)
SELECT '{{integration}}', 'contact', id, id,
  jsonb_build_object('email', mod(id, {CONTACTS - 1}) || '@acme.example', 'note', repeat('a note ', 20)), ''
FROM generate_series(1, {CONTACTS}) AS id
"""


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
    assert "ix_normalized_record_email_hash" in {node.get("Index Name") for node in nodes}


def test_index_of_addresses_that_knows_no_integrations_mixes_none_up(store: Store) -> None:
    with store.transaction() as connection:
        for integration in ("acme", "other"):
            connection.exec_driver_sql(_CONTACTS.format(integration=integration))
    with store.transaction() as connection:
        connection.exec_driver_sql("ANALYZE crm_pipeline.normalized_record")
        with explaining() as explained:
            found = contenders(connection, STATE, emails=["5@acme.example"], email_field="email", required=[], unusable=[])
    [(_, nodes)] = explained
    assert "ix_normalized_record_email_hash" in {node.get("Index Name") for node in nodes}
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
