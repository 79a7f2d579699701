"""Let writers leave behind what an hourly run would otherwise look at every record for, and index the few rows that it wants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

SCHEMA = "crm_pipeline"
SYNCED = "outcome IN ('created', 'updated', 'linked', 'unchanged')"

REFERENCING = {"insert": "NEW TABLE AS arrived", "delete": "OLD TABLE AS gone", "update": "NEW TABLE AS arrived OLD TABLE AS gone"}
READ = {"insert": ("arrived",), "delete": ("gone",), "update": ("arrived", "gone")}
"""What a statement's trigger sees of its rows."""

TALLIED = {"normalized_record": "''", "outcome": "crm"}
"""The tables whose rows' states are tallied, and in which CRM those are."""

LINK_KEY = "integration, crm, record_type"
PARTIAL = {
    "ix_link_not_live": ("link", ["integration", "crm", "record_type", "status", "updated_at"], "status <> 'live'"),
    "ix_outcome_retryable": ("outcome", ["integration", "crm", "record_type", "qbench_id"], "retryable"),
    "ix_normalized_record_error_type": (
        "normalized_record",
        ["integration", "record_type", "error_type", "qbench_id"],
        "error_type IS NOT NULL",
    ),
    "ix_change_outcome_attempts": ("change_outcome", ["integration", "crm"], "attempts > 0"),
}
"""Indexes of the few rows that a run looks for, by name: table, columns, and which rows."""

MAPPING = "ix_normalized_record_integration_record_type_mapping_digest"
SOURCE_DELETED = "ix_link_source_deleted"
UNIQUE = "uq_link_crm_org_id_record_type_crm_id"
UNIQUE_BY_ID = "uq_link_crm_record_type_crm_id_org_id"


def _states(crm: str, rows: str) -> str:
    """By block, the digest of the states of these rows."""
    return (
        f"SELECT integration, {crm}, record_type, qbench_id >> 12, "
        "hashint8extended(qbench_id, hashint8extended(version, coalesce(state_digest, 0))) "
        f"FROM {rows}"
    )


def _tally(table: str, crm: str, event: str) -> str:
    changed = " UNION ALL ".join(_states(crm, rows) for rows in READ[event])
    return f"""
CREATE FUNCTION {SCHEMA}.tally_{table}_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {SCHEMA}.tally AS stored (integration, crm, record_type, block, digest)
  SELECT integration, crm, record_type, block, bit_xor(digest)
  FROM ({changed}) AS changed (integration, crm, record_type, block, digest)
  GROUP BY integration, crm, record_type, block
  HAVING bit_xor(digest) <> 0
  ORDER BY integration, crm, record_type, block
  ON CONFLICT (integration, crm, record_type, block) DO UPDATE SET digest = stored.digest # excluded.digest;
  RETURN NULL;
END $$
"""


def _count_links(event: str) -> str:
    rows, one = ("arrived", "1") if event == "insert" else ("gone", "-1")
    return f"""
CREATE FUNCTION {SCHEMA}.count_links_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {SCHEMA}.linked AS stored ({LINK_KEY}, org_id, links)
  SELECT {LINK_KEY}, org_id, {one} * count(*) FROM {rows}
  GROUP BY {LINK_KEY}, org_id ORDER BY {LINK_KEY}, org_id
  ON CONFLICT ({LINK_KEY}, org_id) DO UPDATE SET links = stored.links + excluded.links;
  RETURN NULL;
END $$
"""


COUNT_MOVED = f"""
CREATE FUNCTION {SCHEMA}.count_links_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {SCHEMA}.linked AS stored ({LINK_KEY}, org_id, links)
  VALUES (OLD.integration, OLD.crm, OLD.record_type, OLD.org_id, -1), (NEW.integration, NEW.crm, NEW.record_type, NEW.org_id, 1)
  ON CONFLICT ({LINK_KEY}, org_id) DO UPDATE SET links = stored.links + excluded.links;
  RETURN NULL;
END $$
"""
"""Links move to another organization only where one is adopted; so that no other update pays for it, it is counted row by row."""

# OFFSET keeps the look-ups of a few rows from becoming a join that reads all.
DOUBT = f"""
CREATE FUNCTION {SCHEMA}.doubt_outcome() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {SCHEMA}.unlinked ({LINK_KEY}, qbench_id)
  SELECT {LINK_KEY}, qbench_id FROM arrived WHERE {SYNCED} AND NOT EXISTS (
    SELECT FROM {SCHEMA}.link WHERE link.integration = arrived.integration AND link.crm = arrived.crm
      AND link.record_type = arrived.record_type AND link.qbench_id = arrived.qbench_id OFFSET 0)
  ORDER BY {LINK_KEY}, qbench_id
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$
"""
DOUBT_GONE = f"""
CREATE FUNCTION {SCHEMA}.doubt_gone_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {SCHEMA}.unlinked ({LINK_KEY}, qbench_id)
  SELECT {LINK_KEY}, qbench_id FROM gone WHERE EXISTS (
    SELECT FROM {SCHEMA}.outcome WHERE outcome.integration = gone.integration AND outcome.crm = gone.crm
      AND outcome.record_type = gone.record_type AND outcome.qbench_id = gone.qbench_id AND {SYNCED} OFFSET 0)
  ORDER BY {LINK_KEY}, qbench_id
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$
"""


def _for_each_statement(name: str, table: str, event: str, function: str) -> str:
    return (
        f"CREATE TRIGGER {name} AFTER {event.upper()} ON {SCHEMA}.{table} REFERENCING {REFERENCING[event]} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.{function}()"
    )


def _tables() -> None:
    op.create_table(
        "tally",
        sa.Column("integration", sa.Text(), primary_key=True),
        sa.Column("crm", sa.Text(), primary_key=True, comment="of the outcomes; empty: of what is staged"),
        sa.Column("record_type", sa.Text(), primary_key=True),
        sa.Column("block", sa.BigInteger(), primary_key=True, comment="4,096 QBench ids: the id without its last twelve bits"),
        sa.Column("digest", sa.BigInteger(), nullable=False, comment="exclusive or of the digests of their states"),
        comment="Which states are staged, and of which the outcomes speak, by blocks of ids: where two tallies differ, something is open",
        schema=SCHEMA,
    )
    op.create_table(
        "linked",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("integration", "crm", "record_type", "org_id")),
        sa.Column("links", sa.BigInteger(), nullable=False),
        comment="How many links there are to each organization",
        schema=SCHEMA,
    )
    op.create_table(
        "unlinked",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("integration", "crm", "record_type")),
        sa.Column("qbench_id", sa.BigInteger(), primary_key=True),
        comment="Records that were synced without a link, or lost it then; whether they still lack it is to be looked up",
        schema=SCHEMA,
    )


def _what_stands_now() -> None:
    for table, crm in TALLIED.items():
        op.execute(
            f"INSERT INTO {SCHEMA}.tally (integration, crm, record_type, block, digest) "
            f"SELECT integration, crm, record_type, block, bit_xor(digest) FROM ({_states(crm, f'{SCHEMA}.{table}')}) "
            "AS stands (integration, crm, record_type, block, digest) GROUP BY integration, crm, record_type, block"
        )
    op.execute(
        f"INSERT INTO {SCHEMA}.linked ({LINK_KEY}, org_id, links) "
        f"SELECT {LINK_KEY}, org_id, count(*) FROM {SCHEMA}.link GROUP BY {LINK_KEY}, org_id"
    )
    op.execute(
        f"INSERT INTO {SCHEMA}.unlinked ({LINK_KEY}, qbench_id) SELECT {LINK_KEY}, qbench_id FROM {SCHEMA}.outcome AS latest "
        f"WHERE {SYNCED} AND NOT EXISTS (SELECT FROM {SCHEMA}.link WHERE link.integration = latest.integration "
        "AND link.crm = latest.crm AND link.record_type = latest.record_type AND link.qbench_id = latest.qbench_id)"
    )


def _triggers() -> None:
    for table, crm in TALLIED.items():
        for event in READ:
            op.execute(_tally(table, crm, event))
            op.execute(_for_each_statement(f"tally_{event}", table, event, f"tally_{table}_{event}"))
    for event in ("insert", "delete"):
        op.execute(_count_links(event))
        op.execute(_for_each_statement(f"count_{event}", "link", event, f"count_links_{event}"))
    for function in (COUNT_MOVED, DOUBT, DOUBT_GONE):
        op.execute(function)
    op.execute(
        f"CREATE TRIGGER count_moved AFTER UPDATE OF org_id ON {SCHEMA}.link FOR EACH ROW "
        f"WHEN (OLD.org_id <> NEW.org_id) EXECUTE FUNCTION {SCHEMA}.count_links_moved()"
    )
    for event, rows in (("insert", "NEW TABLE AS arrived"), ("update", "NEW TABLE AS arrived")):
        op.execute(
            f"CREATE TRIGGER doubt_{event} AFTER {event.upper()} ON {SCHEMA}.outcome REFERENCING {rows} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.doubt_outcome()"
        )
    op.execute(_for_each_statement("doubt_delete", "link", "delete", "doubt_gone_link"))


def upgrade() -> None:
    """Apply. No stored row is written anew; what stands now is counted once."""
    _tables()
    # Until this is committed nobody writes beside it what it would not count.
    op.execute(f"LOCK TABLE {SCHEMA}.normalized_record, {SCHEMA}.outcome, {SCHEMA}.link IN SHARE ROW EXCLUSIVE MODE")
    _what_stands_now()
    _triggers()
    for name, (table, columns, which) in PARTIAL.items():
        op.create_index(name, table, columns, schema=SCHEMA, postgresql_where=sa.text(which))
    op.create_index(MAPPING, "normalized_record", ["integration", "record_type", "mapping_digest"], schema=SCHEMA)
    op.drop_index(SOURCE_DELETED, "link", schema=SCHEMA)
    op.create_index(UNIQUE_BY_ID, "link", ["crm", "record_type", "crm_id", "org_id"], schema=SCHEMA, unique=True)
    op.drop_index(UNIQUE, "link", schema=SCHEMA)


def downgrade() -> None:
    """Take back."""
    op.create_index(UNIQUE, "link", ["crm", "org_id", "record_type", "crm_id"], schema=SCHEMA, unique=True)
    op.drop_index(UNIQUE_BY_ID, "link", schema=SCHEMA)
    op.create_index(
        SOURCE_DELETED,
        "link",
        ["integration", "crm", "record_type", "updated_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("status = 'source_deleted'"),
    )
    op.drop_index(MAPPING, "normalized_record", schema=SCHEMA)
    for name, (table, _, _) in PARTIAL.items():
        op.drop_index(name, table, schema=SCHEMA)
    functions = [f"tally_{table}_{event}" for table in TALLIED for event in READ]
    functions += ["count_links_insert", "count_links_delete", "count_links_moved", "doubt_outcome", "doubt_gone_link"]
    for function in functions:
        op.execute(f"DROP FUNCTION {SCHEMA}.{function} CASCADE")
    for table in ("unlinked", "linked", "tally"):
        op.drop_table(table, schema=SCHEMA)
