"""Pure: a QBench record becomes a normalized record, a normalized record becomes a CRM payload."""
