"""Where HubSpot's endpoints are: the only place that knows a path, for each family of paths.

HubSpot retires v1 to v3 in September 2027 and v4 on 2027-03-30; the successors are paths with a date. Bodies and answers
are the same in both families as far as this package uses them (source: HubSpot's changelog and published specifications).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

PathFamily = Literal["v3", "2026-03"]

TOKEN_INFO = "/oauth/v2/private-apps/get/access-token-info"  # noqa: S105
"""Tells the scopes of a token; it belongs to neither family (source: HubSpot's private apps guide)."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of one family. Each field is the part before what an endpoint adds to it."""

    account: str
    objects: str
    properties: str
    associations: str
    owners: str
    lists: str

    @property
    def memberships(self) -> str:
        """Reads the lists of a batch of records."""
        return f"{self.lists}/records/memberships/batch/read"

    @property
    def lists_search(self) -> str:
        """Searches lists."""
        return f"{self.lists}/search"

    def one_list(self, list_id: str) -> str:
        """One list, by its id."""
        return f"{self.lists}/{list_id}"

    def list_named(self, type_id: str, name: str) -> str:
        """One list of an object's, by its name, percent-encoded."""
        return f"{self.lists}/object-type-id/{type_id}/name/{name}"

    def records(self, object_name: str) -> str:
        """Lists an object's records."""
        return f"{self.objects}/{object_name}"

    def batch(self, object_name: str, verb: str) -> str:
        """Reads or writes a batch of an object's records; ``verb``: read, create, update, upsert or archive."""
        return f"{self.objects}/{object_name}/batch/{verb}"

    def search(self, object_name: str) -> str:
        """Searches an object's records."""
        return f"{self.objects}/{object_name}/search"

    def properties_of(self, object_name: str) -> str:
        """Describes an object's properties."""
        return f"{self.properties}/{object_name}"

    def contact_companies(self, verb: str) -> str:
        """Reads or changes a batch of associations from contacts to companies; ``verb``: read, create, archive or labels/archive."""
        return f"{self.associations}/contacts/companies/batch/{verb}"


PATHS: Mapping[PathFamily, Paths] = MappingProxyType(
    {
        "v3": Paths(
            account="/account-info/v3/details",
            objects="/crm/v3/objects",
            properties="/crm/v3/properties",
            associations="/crm/v4/associations",
            owners="/crm/v3/owners",
            lists="/crm/v3/lists",
        ),
        "2026-03": Paths(
            account="/account-info/2026-03/details",
            objects="/crm/objects/2026-03",
            properties="/crm/properties/2026-03",
            associations="/crm/associations/2026-03",
            owners="/crm/owners/2026-03",
            lists="/crm/lists/2026-03",
        ),
    }
)
