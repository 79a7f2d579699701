"""The tables of the state database, all in the schema ``crm_pipeline``; created and changed by the migrations beside."""

from crm_pipeline.store.tables import alerts, changes, descriptions, field_names, links, pacing, records, standing
from crm_pipeline.store.tables.declaring import SCHEMA, metadata

__all__ = ["SCHEMA", "alerts", "changes", "descriptions", "field_names", "links", "metadata", "pacing", "records", "standing"]
