"""What does a person want sent again? Records that did not change, or fields that only a create may send; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from crm_pipeline.errors import ConfigurationError
from crm_pipeline.mapping.payload import Payload
from crm_pipeline.mapping.targets import Target

ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Resend:
    """An order to send again. Without ``create_only`` every editable field of every record, whatever was sent before (docs/rules.md, 10).

    ``create_only``: names of create-only fields as the mapping has them (``address``, ``phone_number`` …): only these are
    sent, to linked records only, over what the CRM has (docs/rules.md, 12).
    """

    create_only: tuple[str, ...] = ()

    def applied(self, payload: Payload, links: pd.DataFrame) -> tuple[Payload, pd.DataFrame]:
        """The payload in which what is to be sent again is editable, and the links (schemas.LINKS) that have not sent it yet.

        Raises ConfigurationError where a named field is mapped to no create-only field of the CRM.
        """
        if self.create_only:
            payload = self._repairing(payload)
        again = {target.crm_field for target in payload.targets if target.editable}
        kept = [{name: digest for name, digest in digests.items() if name not in again} for digests in links["digests"]]
        return payload, links.assign(digests=pd.Series(kept, index=links.index, dtype=object))

    def _repairing(self, payload: Payload) -> Payload:
        create_only = {_written_as(target) for target in payload.targets if not target.editable}
        unknown = [name for name in self.create_only if name not in create_only]
        if unknown:
            known = ", ".join(sorted(create_only))
            raise ConfigurationError(f"no mapped field that only a create sends is called {', '.join(unknown)}; there are: {known}")
        targets = tuple(
            replace(target, editable=True, policy="always") if self._names(target) else replace(target, editable=False)
            for target in payload.targets
        )
        return replace(payload, targets=targets, clears=payload.clears.assign(**_blank_parts(payload, targets)))

    def _names(self, target: Target) -> bool:
        return not target.editable and _written_as(target) in self.create_only


def _written_as(target: Target) -> str:
    """The target's name in the mapping; an address is one name."""
    return ADDRESS if (target.group or "").endswith(f"_{ADDRESS}") else target.source


def _blank_parts(payload: Payload, targets: tuple[Target, ...]) -> dict[str, pd.Series]:
    """By CRM field, the records whose address goes and has nothing there: an address is sent whole (docs/rules.md, 13)."""
    parts = [target.crm_field for target in targets if target.editable and _written_as(target) == ADDRESS]
    goes = payload.values[parts].notna().any(axis=1)
    return {name: payload.values[name].isna() & goes for name in parts}
