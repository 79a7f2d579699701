"""Gives records another main address: that is a record of its own, which several may share.

A changed or cleared ``email1`` is not stored, without a word (SuiteCRM issues 9960 and 10513); on a create it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crm_pipeline.crms.base import CrmObject
from crm_pipeline.crms.sugarcrm.contracts import ENTRIES, RELATED, SAVED
from crm_pipeline.crms.sugarcrm.queries import one_of
from crm_pipeline.crms.sugarcrm.reading import PAGE
from crm_pipeline.crms.sugarcrm.transport import Arguments, Transport
from crm_pipeline.crms.sugarcrm.values import name_values, read
from crm_pipeline.letters import lowered

MODULE, LINK, ADDRESS, FOLDED = "EmailAddresses", "email_addresses", "email_address", "email_address_caps"


@dataclass(frozen=True, slots=True)
class Emails:
    """The addresses of one module's records."""

    transport: Transport
    crm_object: CrmObject

    def change(self, wanted: Mapping[str, str], held: Mapping[str, str | None]) -> None:
        """Give these records, by id, the main address that is wanted, a blank one for none; ``held``: the one that each has.

        Four calls, one more where an address is new to the site. Raises ServiceError.
        """
        addresses = [one for one in [*wanted.values(), *held.values()] if one]
        known = self._known(addresses)
        if missing := list({one.upper(): one for one in wanted.values() if one and one.upper() not in known}.values()):
            entries = [[{"name": ADDRESS, "value": one}, {"name": FOLDED, "value": one.upper()}] for one in missing]
            self.transport.ask("set_entries", MODULE, entries, label="associate", holds=SAVED, repeatable=False)
            known = self._known(addresses)
        gained = {crm_id: known[one.upper()] for crm_id, one in wanted.items() if one.upper() in known}
        # Who does not get another one keeps the one that is there.
        changes = [crm_id for crm_id, one in wanted.items() if crm_id in gained or not one]
        left = {crm_id: known[one.upper()] for crm_id in changes if (one := held[crm_id]) and one.upper() in known}
        self._relate(gained, primary=True)
        self._relate({crm_id: one for crm_id, one in left.items() if gained.get(crm_id) != one}, primary=False)

    def _known(self, addresses: list[str]) -> dict[str, str]:
        """The ids of the addresses that the site has, by their letters as it compares them."""
        query = one_of(f"{LINK}.{FOLDED}", dict.fromkeys(one.upper() for one in addresses))
        arguments: Arguments = (MODULE, query, "id", 0, ["id", ADDRESS, FOLDED], [], PAGE, 0, False)
        answer = self.transport.ask("get_entry_list", *arguments, label="read", holds=ENTRIES)
        shown = {str(entry["id"]): name_values(entry["name_value_list"]).get(ADDRESS) for entry in answer["entry_list"]}
        return {(read(address, "email") or "").upper(): crm_id for crm_id, address in shown.items()}

    def _relate(self, addresses: Mapping[str, str], *, primary: bool) -> None:
        """Give records an address as their main one, or take it from them; again changes nothing."""
        if not addresses:
            return
        count = len(addresses)
        self.transport.ask(
            "set_relationships",
            [self.crm_object.name] * count,
            list(addresses),
            [LINK] * count,
            [[one] for one in addresses.values()],
            [[{"name": "primary_address", "value": 1}] if primary else [] for _ in addresses],
            [0 if primary else 1] * count,
            label="associate",
            holds=RELATED,
        )


def same_email(one: str, other: str | None) -> bool:
    """Whether two addresses are one, a blank one none; letters of any size are the same."""
    return lowered(one.strip()) == lowered((other or "").strip())
