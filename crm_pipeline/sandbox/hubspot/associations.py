"""Which contact belongs to which company, and under which labels.

Type ids: contact to company 279 (unlabelled) and 1 (primary), company to contact 280 and 2; documented, or seen live.
A labelled association carries the unlabelled type too; removing that type removes every label of the pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

UNLABELLED = 279
PRIMARY = 1
FIRST_USER_TYPE = 101


@dataclass(frozen=True, slots=True)
class Label:
    """A kind of association: its type ids seen from either side."""

    contact_to_company: int
    company_to_contact: int
    label: str | None
    category: str = "HUBSPOT_DEFINED"

    def type_id(self, from_object: str) -> int:
        """The id of the type when it is read or written from this side."""
        return self.contact_to_company if from_object == "contacts" else self.company_to_contact


HUBSPOT_LABELS = (Label(UNLABELLED, 280, None), Label(PRIMARY, 2, "Primary"))


class Associations:
    """The associations of a portal, kept from the contact's side. Not safe over threads: the portal locks."""

    def __init__(self) -> None:
        self.labels: dict[int, Label] = {label.contact_to_company: label for label in HUBSPOT_LABELS}
        self._of_contact: dict[str, dict[str, set[int]]] = {}
        self._of_company: dict[str, dict[str, None]] = {}

    def add_label(self, name: str) -> Label:
        """A label of the user's own."""
        number = FIRST_USER_TYPE + 2 * len(self.labels)
        label = Label(number, number + 1, name, "USER_DEFINED")
        self.labels[number] = label
        return label

    def label(self, from_object: str, *, category: str, type_id: int) -> Label | None:
        """The kind of association that a body names; None where there is none in this direction."""
        return next(
            (label for label in self.labels.values() if label.type_id(from_object) == type_id and label.category == category),
            None,
        )

    def add(self, contact: str, company: str, *, types: Iterable[int]) -> None:
        """Associate a pair; again is fine. A new primary company takes the place of the one before."""
        types = {UNLABELLED, *types}
        if PRIMARY in types:
            for others in self._of_contact.get(contact, {}).values():
                others.discard(PRIMARY)
        self._of_contact.setdefault(contact, {}).setdefault(company, set()).update(types)
        self._of_company.setdefault(company, {})[contact] = None

    def remove(self, contact: str, company: str, *, types: Iterable[int] | None = None) -> None:
        """Remove some types of a pair; the unlabelled one, or None, removes the pair."""
        held = self._of_contact.get(contact, {}).get(company)
        if held is None:
            return
        if types is not None and UNLABELLED not in (types := set(types)):
            held -= types
            return
        del self._of_contact[contact][company]
        del self._of_company[company][contact]

    def forget(self, object_name: str, record_id: str) -> None:
        """Remove every association of a record."""
        pairs = (
            [(record_id, other) for other in self.companies(record_id)]
            if object_name == "contacts"
            else [(other, record_id) for other in self.contacts(record_id)]
        )
        for pair in pairs:
            self.remove(*pair)

    def companies(self, contact: str) -> Mapping[str, set[int]]:
        """A contact's companies with their types."""
        return self._of_contact.get(contact, {})

    def contacts(self, company: str) -> list[str]:
        """A company's contacts."""
        return list(self._of_company.get(company, ()))

    def primary(self, contact: str) -> str | None:
        """A contact's primary company."""
        return next((company for company, types in self.companies(contact).items() if PRIMARY in types), None)

    def pairs(self) -> Iterator[tuple[str, str, frozenset[int]]]:
        """Every pair with its types from the contact's side."""
        for contact, companies in self._of_contact.items():
            for company, types in companies.items():
                yield contact, company, frozenset(types)

    def move(self, object_name: str, *, primary: str, secondary: str, merged: str) -> None:
        """Hand the associations of two merged records to the merged one; where both have a primary company, the first's stays."""
        for old in (secondary, primary):
            if object_name == "contacts":
                pairs = [(old, company, merged, company, set(types)) for company, types in self.companies(old).items()]
            else:
                pairs = [(contact, old, contact, merged, set(self.companies(contact)[old])) for contact in self.contacts(old)]
            for contact, company, new_contact, new_company, types in pairs:
                self.remove(contact, company)
                self.add(new_contact, new_company, types=types)
