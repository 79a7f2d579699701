"""How a portal behaves, where that can be chosen: its limits, its delays, and what HubSpot does not document (*assumed*)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from crm_pipeline.sandbox.obstacles import Obstacle

SCOPES = frozenset(
    {
        *(f"crm.objects.{name}.{right}" for name in ("companies", "contacts") for right in ("read", "write")),
        *(f"crm.schemas.{name}.{right}" for name in ("companies", "contacts") for right in ("read", "write")),
        "crm.objects.owners.read",
    }
)
"""What the token may do unless said otherwise. Sensitive values need ``crm.objects.{name}.sensitive.{read,write}.v2`` besides."""

LIST_SCOPES = frozenset({"crm.lists.read", "crm.lists.write"})
"""What lists need besides."""


@dataclass(kw_only=True)
class PortalSettings:
    """The settings of one account. They may be changed while it is served, all but the clocks, the time zone and ``external_keys``."""

    token: str = field(default="pat-na1-00000000-sandbox", repr=False)
    portal_id: int = 44_000_123
    app_id: str | None = "5670736"
    """What the history names as the source of what the token writes; None: nothing, as it may be with a service key (unknown)."""
    time_zone: str = "America/New_York"
    external_keys: bool = False
    """Both objects have the unique property ``qbench_id``."""
    scopes: frozenset[str] = SCOPES
    burst_calls: int | None = 190
    """Calls per ten seconds; None: no such limit (and no header)."""
    search_calls: int | None = 5
    """Searches per second, all objects together; None: no limit."""
    daily_calls: int | None = 650_000
    index_lag_seconds: float = 3.0
    """How long search does not see what the API wrote; documented as a few seconds."""
    edit_lag_seconds: float = 0.0
    """How long search does not see what people did. The same few seconds in HubSpot; readers of its search wait up to an hour."""
    stamp_lag_seconds: float = 0.024
    """By how much a record's own stamp lies behind the time of a person's edit in the history; 24 ms seen."""
    unchanged_writes_move_stamps: bool = False
    """Whether a write that changes no value moves the record's stamp; not so in the one answer that was seen."""
    associations_move_stamps: bool = True
    """Whether a new or removed association moves the stamps of both records; assumed."""
    kept_form: Callable[[str, str], str] = lambda _name, value: value
    """The form in which a value is kept, by its property and what was written; what HubSpot trims or reformats is unknown."""
    lock_seconds: float = 0.0
    """After a batch write, how long the object answers 423 to the next one; documented cure: 2 seconds between requests."""
    association_inputs: int = 2_000
    """Inputs of an association batch that writes; 2,000 by an integrator's documentation."""
    row_errors: frozenset[str] = frozenset({"create", "update", "upsert"})
    """Batches in which unique trace ids turn a refusal into a row of a 207; documented for create, seen for the others."""
    echo_trace_ids: bool = False
    """Whether good rows carry their ``objectWriteTraceId``; in the schema, not in the documented example."""
    preserve_primary_id: bool = False
    """Merged records keep the primary's id (a beta) instead of getting a new one."""
    batch_read_follows_merges: bool = True
    """Whether batch/read answers for a merged-away id as single reads do; assumed."""
    archived_values: Literal["free", "taken"] = "free"
    """Whether a record in the bin gives its unique values free; assumed."""
    restores_associations: bool = True
    """Whether a record that comes out of the bin has its associations again; assumed."""
    create_companies: bool = False
    """The setting *create and associate companies with contacts*, by email domain."""
    list_lag_seconds: float = 5.0
    """How long after a change an active list still has the members from before it; the guide gives no number: assumed."""
    list_batch_inputs: int = 100
    """Inputs of a batch read of records' lists; assumed."""
    deleted_list_members: Literal["refused", "empty", "kept"] = "refused"
    """What a deleted list answers when its members are asked for: 404, none, or those that it had; unknown."""
    clock: Callable[[], float] = time.time
    """Dates, the index lag and the day of the daily limit, in seconds since 1970."""
    ticks: Callable[[], float] = time.monotonic
    """The windows of the rate limits, in seconds."""
    owners: list[dict[str, Any]] = field(default_factory=list, repr=False)
    obstacles: list[Obstacle] = field(default_factory=list, repr=False)
