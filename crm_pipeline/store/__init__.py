"""State in PostgreSQL: staging, links, outcomes, intents."""
