"""What QBench's documents leave open about writing: one setting for each open question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from crm_pipeline.sandbox.qbench_table import Kind


@dataclass(slots=True)
class WriteHabits:
    """How a tenant behaves where nothing is documented; each setting may be changed at any time. The defaults are assumed.

    - ``longest_array``: how many rows a POST or PATCH takes; a longer array is refused.
    - ``wrong_rows``: what an array with a wrong row does. refuse_all: nothing is written, the answer is 400 (404 where the row's id is
      unknown). stop: the same answer, but the rows before it are written. leave_out: all others are written and answered with 200 or 201.
    - ``answer_order``: the answered rows come as sent, or reversed.
    - ``takes_system_fields``: whether ``last_updated``, ``date_created`` and a new record's ``id`` are what the client says, as the write
      schemas list them. If not, they are dropped like unknown keys.
    - ``nested``: whether ``customers`` of a contact and ``contacts`` of a customer replace the record's relations, add to them, or are
      dropped. ``edits_nested``: whether a contact in ``contacts`` takes the fields that come with it, as v1 documents.
    - ``touches``: whether a write moves ``last_updated``; ``touches_unchanged``: also a write that changes nothing; ``links_touch``:
      whether linking and unlinking move the contact's.
    - ``repeated_link``: whether linking a contact to a customer that it has is refused or does nothing.
    - ``invites_unless_told``: whether a link without ``send_portal_invite`` sends an invitation.
    - ``unique``: fields that no two live records may share. None is documented.
    - ``formatting``: what is kept of a value that is written, from the field's name and the value: trimmed, in upper case, null for "" …
    """

    longest_array: int = 50
    wrong_rows: Literal["refuse_all", "stop", "leave_out"] = "refuse_all"
    answer_order: Literal["sent", "reversed"] = "sent"
    takes_system_fields: bool = True
    nested: Literal["replace", "add", "drop"] = "replace"
    edits_nested: bool = True
    touches: bool = True
    touches_unchanged: bool = True
    links_touch: bool = True
    repeated_link: Literal["refused", "ignored"] = "refused"
    invites_unless_told: bool = True
    unique: Mapping[Kind, frozenset[str]] = field(default_factory=lambda: {"customers": frozenset(), "contacts": frozenset()})
    formatting: Callable[[str, Any], Any] = lambda name, value: value  # noqa: ARG005 - a value stays as it is
