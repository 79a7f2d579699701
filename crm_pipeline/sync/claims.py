"""Whose email address is whose, for the frames of one load or preview: asks the state, decides nothing (sync.emails does)."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Connection

from crm_pipeline.mapping.digests import NO_DIGEST, digest_frame, nullable
from crm_pipeline.mapping.presets import preset_field
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.store.emails import contenders
from crm_pipeline.sync import emails
from crm_pipeline.sync.eligibility import HOLDING
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning import Plan


class EmailClaims:
    """The claims to email addresses in one CRM; accounts have none, and pass through unchanged."""

    def __init__(self, order: LoadOrder) -> None:
        self._order = order
        self._applies = order.spec.record_type is RecordType.CONTACT
        self._field = preset_field(order.crm, RecordType.CONTACT, "email") or ""

    def winners(self, connection: Connection, frame: pd.DataFrame, digests: pd.DataFrame) -> pd.Series | None:
        """Per row the QBench id to which its address belongs (Int64); ``digests``: of the frame's payload."""
        if not self._applies:
            return None
        found = contenders(
            connection,
            self._order.state,
            emails=frame["email"].dropna().unique().tolist(),
            email_field=self._field,
            required=MODELS[RecordType.CONTACT].required_to_create,
            holding=HOLDING,
        )
        return emails.winners(frame["email"], self._wanted(digests), found)

    def marked(self, planned: Plan, *, links: pd.DataFrame, digests: pd.DataFrame) -> Plan:
        """The plan with the addresses that its writes give up and take (emails.with_emails); ``links``: schemas.LINKS."""
        if not self._applies:
            return planned
        held = nullable(digest_frame(links["digests"], [self._field])[self._field]).set_axis(links["qbench_id"])
        return emails.with_emails(planned, held=held, wanted=self._wanted(digests))

    def _wanted(self, digests: pd.DataFrame) -> pd.Series:
        none = pd.Series(NO_DIGEST, index=digests.index, dtype="int64")
        return nullable(digests.get(self._field, none))
