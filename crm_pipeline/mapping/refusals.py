"""What of a mapping cannot come back from a CRM? Refused when the YAML is read, each with its key and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from crm_pipeline.configuration.problems import KeyPath, Problem, did_you_mean
from crm_pipeline.crms import crm_kinds
from crm_pipeline.mapping.addresses import MappedAddress, parts_of, possible_types
from crm_pipeline.mapping.direction_keys import QBENCH, Prefer, direction_in
from crm_pipeline.mapping.directions import Direction
from crm_pipeline.mapping.field_maps import FieldSource, as_source
from crm_pipeline.mapping.folding import fold_text
from crm_pipeline.mapping.presets import preset
from crm_pipeline.mapping.spec import RecordSpec
from crm_pipeline.mapping.targets import Route, routes
from crm_pipeline.model import MODELS

PHONE_TYPE = "phone_number_type"
MAP: KeyPath = ("map",)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a map that has a direction: its place, and the CRMs that it can be about."""

    path: KeyPath
    mapped: FieldSource | MappedAddress
    crms: tuple[str, ...]

    @property
    def back_from(self) -> list[str]:
        return [crm for crm in self.crms if direction_in(self.mapped, crm).comes_back]


def entries_back(spec: RecordSpec, crms: Collection[str]) -> list[KeyPath]:
    """The places of the entries that bring something back from a CRM."""
    return [entry.path for entry in _entries(spec, crms) if entry.back_from]


def refusals(
    spec: RecordSpec, *, external_keys: Mapping[str, str | None], kept: Collection[str], altering: Collection[str] = ()
) -> Iterator[Problem]:
    """Everything about directions and rules that cannot work, below the key of the record type.

    ``external_keys``: that of each CRM of the integration. ``kept``: the fields that QBench keeps itself. ``altering``: the CRMs
    that may write a text another way than it was sent.
    """
    for entry in _entries(spec, external_keys):
        yield from _direction_problems(entry, external_keys, altering)
        yield from _rule_problems(entry, external_keys)
        if isinstance(entry.mapped, FieldSource):
            if entry.back_from:
                yield from _field_problems(entry.path, entry.mapped, spec, kept)
        else:
            yield from _address_problems(entry.path, entry.mapped, comes_back=bool(entry.back_from), kept=kept)
    back = [_Back(crm, route) for crm in external_keys for route in routes(spec, crm=crm, crm_fields=None) if _comes_back(route)]
    yield from _key_problems(back, external_keys)
    yield from _protected_problems(back)
    yield from _joined_problems(back)
    yield from _shared_addresses(spec, external_keys)
    # Each part of an address whose type is open has several places, which its own problem tells already.
    in_one_place = all(len(possible_types(address)) == 1 for address in spec.map.addresses)
    yield from _rivals([one for one in back if in_one_place or not one.is_part])


def _entries(spec: RecordSpec, crms: Collection[str]) -> Iterator[_Entry]:
    every = tuple(crms)
    for name, source in spec.map.sources().items():
        yield _Entry((*MAP, name), source, every)
    for key, source in spec.map.direct.items():
        yield _Entry((*MAP, key), source, tuple(crm for crm in crms if key.startswith(f"{crm}.")))
    listed = isinstance(spec.map.address, list)
    addresses: list[MappedAddress] = [*spec.map.addresses]
    for position, address in enumerate(addresses):
        yield _Entry((*MAP, "address", position) if listed else (*MAP, "address"), address, every)


def _direction_problems(entry: _Entry, crms: Collection[str], altering: Collection[str]) -> Iterator[Problem]:
    path = (*entry.path, "direction")
    for crm in entry.back_from:
        if crm in altering:
            title = crm_kinds()[crm].title
            yield Problem(path, f"{title} may write a text in its own way, which would come back as a change; write `{{{crm}: to_crm}}`")
    if isinstance(entry.mapped.direction, str):
        return
    if not entry.mapped.direction:
        yield Problem(path, "names no CRM; give one direction for all, or one per CRM as `{<crm>: <direction>}`")
    for crm in entry.mapped.direction:
        if crm not in crms:
            yield Problem((*path, crm), f"`{crm}` is no CRM of this integration's `crms:`; {did_you_mean(crm, list(crms))}")
        elif crm not in entry.crms:
            yield Problem((*path, crm), f"this entry is about a field of another CRM; leave `{crm}` out")


def _rule_problems(entry: _Entry, crms: Collection[str]) -> Iterator[Problem]:
    if not isinstance(entry.mapped.rule, Prefer):
        return
    path, preferred = (*entry.path, "rule", "prefer"), entry.mapped.rule.prefer
    both = [crm for crm in entry.crms if direction_in(entry.mapped, crm) is Direction.BOTH]
    if preferred not in {QBENCH, *crms}:
        yield Problem(path, f"this is no CRM of this integration's `crms:`, nor {QBENCH}; {did_you_mean(preferred, [*crms, QBENCH])}")
    elif not both:
        yield Problem(path, "a rule decides between two changes, but this goes one way only; write `direction: both`, or leave `rule` away")
    elif preferred not in {QBENCH, *both}:
        yield Problem(path, f"this does not go both ways between QBench and {preferred}; prefer one of: {', '.join([*both, QBENCH])}")


def _field_problems(path: KeyPath, source: FieldSource, spec: RecordSpec, kept: Collection[str]) -> Iterator[Problem]:
    phone = MODELS[spec.record_type].phone
    if path == (*MAP, PHONE_TYPE):
        yield Problem((*path, "direction"), f"a phone and its type are one value; write `direction` at `{phone}`")
        return
    yield from _source_problems(path, source, kept)
    phone_type = spec.map.sources().get(PHONE_TYPE)
    if path == (*MAP, phone) and phone_type is not None and phone_type.from_ is not None:
        yield from _source_problems((*MAP, PHONE_TYPE), phone_type, kept)
    if source.policy != "always":
        yield Problem(
            (*path, "policy"), "only `always` goes with what comes back: each change counts then; leave `policy` or `direction` away"
        )


def _source_problems(path: KeyPath, source: FieldSource, kept: Collection[str]) -> Iterator[Problem]:
    """Why nothing can come back into one mapped QBench field."""
    if source.constant is not None:
        yield Problem(
            (*path, "constant"), "a constant takes nothing that comes back; name a QBench field in `from`, or leave `direction` away"
        )
    if source.take is not None:
        yield Problem(
            (*path, "take"),
            "one value of several is sent: what comes back would replace them all; leave `take` or `direction` away",
        )
    if source.as_ is not None:
        yield Problem((*path, "as"), "a host does not make the web address again that it is of; leave `as` or `direction` away")
    if not _is_injective(source.translate or {}):
        yield Problem(
            (*path, "translate"),
            "several values of QBench become the same here, so it is not clear which one comes back; give each a value of its own, "
            "or leave `direction` away",
        )
    if source.from_ in kept:
        yield Problem((*path, "from"), f"QBench keeps this field itself, as it does {', '.join(kept)}; leave `direction` away")


def _is_injective(translate: Mapping[str, str]) -> bool:
    """Whether no two words of QBench become the same one; a word may stand in several spellings, and any may become a blank."""
    pairs = {(fold_text(given), fold_text(wanted)) for given, wanted in translate.items() if wanted.strip()}
    return len({wanted for _, wanted in pairs}) == len(pairs)


def _address_problems(path: KeyPath, address: MappedAddress, *, comes_back: bool, kept: Collection[str]) -> Iterator[Problem]:
    parts = {name: as_source(entry) for name, entry in parts_of(address).items()}
    for name, source in parts.items():
        if source.direction != "to_crm" or source.rule != "later":
            key = "rule" if source.direction == "to_crm" else "direction"
            yield Problem((*path, name, key), f"an address is one value; write `{key}` at the address itself")
        elif comes_back:
            yield from _source_problems((*path, name), source, kept)
    if comes_back and address.policy == "never":
        yield Problem((*path, "policy"), "`never` neither sends nor takes anything; leave `policy` or `direction` away")
    if comes_back and len(possible_types(address)) > 1:
        yield Problem(
            (*path, "address_type"),
            "an address that comes back has one place in the CRM; give `{constant: …}`, or leave `direction` away",
        )


@dataclass(frozen=True, slots=True)
class _Back:
    """A CRM field that comes back."""

    crm: str
    route: Route

    @property
    def is_part(self) -> bool:
        """Whether it is a part of an address."""
        return (self.route.target.group or "").endswith("_address")

    @property
    def path(self) -> KeyPath:
        return (*MAP, "address") if self.is_part else (*MAP, self.route.target.source)

    @property
    def title(self) -> str:
        return crm_kinds()[self.crm].title

    @property
    def unit(self) -> str:
        """What holds one value in the CRM: a phone is in one of several fields."""
        target = self.route.target
        return target.source if target.group and not self.is_part else target.crm_field


def _comes_back(route: Route) -> bool:
    return route.target.direction.comes_back


def _key_problems(back: list[_Back], external_keys: Mapping[str, str | None]) -> Iterator[Problem]:
    for one in back:
        key = external_keys[one.crm]
        if key is not None and one.route.target.crm_field.casefold() == key.casefold():
            yield Problem(one.path, f"this is {one.title}'s `external_key`, which the sync itself writes; leave the entry away")


def _protected_problems(back: list[_Back]) -> Iterator[Problem]:
    """About names and emails, without which there is no record on either side."""
    for one in back:
        target = one.route.target
        if target.protected and not target.direction.goes_out:
            message = (
                f"{one.title} makes no record without its {target.crm_field}; write `both`, with `rule: {{prefer: {one.crm}}}` where the "
                "CRM's is to stand"
            )
            yield Problem((*one.path, "direction"), message)
        if target.protected and target.clear:
            yield Problem((*one.path, "clear"), "there is no record without it, on either side; leave `clear` or `direction` away")


def _joined_problems(back: list[_Back]) -> Iterator[Problem]:
    for one in back:
        if one.route.source is None:
            yield Problem(
                one.path,
                f"{one.title} keeps several of its parts in the one field {one.route.target.crm_field}, so they cannot be told apart when "
                "they come back; map one part alone to it, or leave `direction` away",
            )


def _shared_addresses(spec: RecordSpec, crms: Collection[str]) -> Iterator[Problem]:
    for crm in crms:
        for table in preset(crm, spec.record_type).addresses:
            sharing = [address for address in spec.map.addresses if {kind.lower() for kind in possible_types(address)} & set(table.types)]
            if len(sharing) > 1 and any(direction_in(address, crm).comes_back for address in sharing):
                yield Problem(
                    (*MAP, "address"),
                    f"{crm_kinds()[crm].title} has one address for both, so it is not clear which one comes back; "
                    f"write `direction: {{{crm}: to_crm}}` at both",
                )


def _rivals(back: list[_Back]) -> Iterator[Problem]:
    """QBench fields that would be filled from several CRM fields that know nothing of each other."""
    filled = sorted(filter(_qbench_field, back), key=_qbench_field)
    for _, group in groupby(filled, key=_qbench_field):
        rivals = list(group)
        for crm in dict.fromkeys(one.crm for one in rivals):
            first, *others = {one.unit: one for one in rivals if one.crm == crm}.values()
            for other in others:
                yield Problem(
                    other.path,
                    f"{other.title} brings its QBench field back from {first.route.target.crm_field} already; "
                    "one CRM field only can fill it: write `direction: to_crm` at the other",
                )
        masters = {one.crm: one for one in rivals if one.route.target.direction is Direction.FROM_CRM}
        if len(masters) > 1:
            first, *_, last = masters.values()
            told = ", ".join(f"{crm}: to_crm" for crm in masters if crm != first.crm)
            yield Problem(
                (*last.path, "direction"),
                f"several CRMs would fill one QBench field and never learn of each other: {', '.join(masters)}. Let one of them fill it, "
                f"for example `{{{first.crm}: from_crm, {told}}}`, or write `both`",
            )


def _qbench_field(one: _Back) -> str:
    source = one.route.source
    return "" if source is None or source.from_ is None else source.from_
