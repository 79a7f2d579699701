"""What one integration is: the model of the YAML a user writes, and the checks that look at more than one key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, create_model, model_validator
from pydantic.json_schema import SkipJsonSchema

from crm_pipeline.alerts.settings import AlertSettings
from crm_pipeline.configuration.filter_keys import Filter
from crm_pipeline.configuration.model import YamlModel
from crm_pipeline.configuration.problems import KeyPath, Problem, ProblemsError
from crm_pipeline.configuration.scalars import cron, owner, region, whole_utc_hour
from crm_pipeline.configuration.upkeep import Upkeep
from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import CrmSettings
from crm_pipeline.crms.leads import LeadKeepingSettings
from crm_pipeline.crms.refusals import crm_problems
from crm_pipeline.mapping.deletion_keys import Flag
from crm_pipeline.mapping.filters import fields_named
from crm_pipeline.mapping.inverse import fields_back
from crm_pipeline.mapping.lead_problems import lead_problems
from crm_pipeline.mapping.own_fields import why_not_its_own
from crm_pipeline.mapping.reading import Reading
from crm_pipeline.mapping.record_problems import record_problems
from crm_pipeline.mapping.refusals import entries_back, refusals
from crm_pipeline.mapping.sources import named_fields
from crm_pipeline.mapping.spec import AccountSpec, ContactSpec, RecordSpec
from crm_pipeline.mapping.targets import routes_back
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.qbench.fields import KEPT_BY_QBENCH, LONGEST, NEVER_BLANK
from crm_pipeline.qbench.settings import QBenchSettings
from crm_pipeline.sync.backoff import RetrySettings
from crm_pipeline.sync.extracting.staging import ComingBack
from crm_pipeline.sync.links.policy import LinkPolicy
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.resending import Resend
from crm_pipeline.sync.returning.newcomers import NEEDED, makes_from
from crm_pipeline.sync.returning.policy import ReturnPolicy
from crm_pipeline.translation import Translated

NOTHING_BACK = "no mapping has a `direction` that brings anything back; give one `direction: both` or `from_crm`"

FirstLoad = Literal["manual", "automatic", "none"]

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,30}$"
"""What an integration may be called: its name becomes part of asset keys, job names and pools."""


class CrmSelection(YamlModel):
    """The CRMs of one integration: one optional key per folder under ``crms``."""

    @property
    def configured(self) -> Mapping[str, CrmSettings]:
        """The settings of each CRM that is fed, by its name, in alphabetical order."""
        return MappingProxyType({name: getattr(self, name) for name in sorted(self.model_fields_set)})

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"no CRM is configured; give at least one of: {', '.join(type(self).model_fields)}")
        return self


def _example(settings: type[YamlModel], *, needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """What these settings need at least, made of their own fields' examples; ``needed``: keys beside the required ones."""
    shown = {field.alias or name: field for name, field in settings.model_fields.items() if field.is_required() or name in needed}
    return {name: field.examples[0] for name, field in shown.items() if field.examples}


if TYPE_CHECKING:
    Crms = CrmSelection
else:
    # The default None is never validated, so that a CRM named without settings is refused.
    Crms = create_model(
        "Crms",
        __base__=CrmSelection,
        __doc__=CrmSelection.__doc__,
        **{
            kind.name: (
                kind.settings,
                Field(
                    default=None,
                    description=f"Feed {kind.title}: how to reach it.",
                    examples=[_example(kind.settings, needed=kind.settings.needed)],
                ),
            )
            for kind in crm_kinds().values()
        },
    )


class LinkChecks(LinkPolicy):
    """When links are compared with the CRMs, and what is done about deleted records."""

    recent: Annotated[
        str,
        AfterValidator(cron),
        Field(description="When to check the links that may have changed since the last check: cron, in UTC.", examples=["35 * * * *"]),
    ] = "35 * * * *"
    full: Annotated[
        str,
        AfterValidator(cron),
        Field(
            description="When to check every link, and to read the contacts again that do not have exactly one customer: cron, in UTC.",
            examples=["20 3 * * *"],
        ),
    ] = "20 3 * * *"


class FromCrms(ReturnPolicy):
    """When and how what people change in the CRMs is brought into QBench."""

    schedule: Annotated[
        str,
        AfterValidator(cron),
        Field(description="When to look for changes in the CRMs: cron, in UTC.", examples=["35 * * * *"]),
    ] = "35 * * * *"


class IntegrationAttributes(YamlModel):
    """What an integration is, of what its YAML says."""

    active: Annotated[
        bool,
        Field(description="false pauses the integration: its schedule and sensors skip.", examples=[True]),
    ] = True
    start: Annotated[
        datetime,
        BeforeValidator(whole_utc_hour),
        Field(
            description="A whole UTC hour. The first partition is everything up to the end of this hour, then comes one per hour.",
            examples=["2026-11-01T00:00Z"],
        ),
    ]
    first_load: Annotated[
        FirstLoad,
        Field(
            description="Who starts the first partition, of what is added later too: manual, someone materializes it; automatic, the "
            "schedule does; none, nobody: existing records sync when next edited.",
            examples=["manual"],
        ),
    ] = "manual"
    schedule: Annotated[
        str,
        AfterValidator(cron),
        Field(description="When to look for changes: cron, in UTC.", examples=["5 * * * *"]),
    ] = "5 * * * *"
    hours_per_run: Annotated[
        Annotated[int, Field(ge=1)] | SkipJsonSchema[None],
        Field(
            description="The most hours that one run takes; more are split into several runs. Left out, a backfill is one run, and what "
            "the schedule catches up with by itself takes 168 hours at a time.",
            examples=[720],
        ),
    ] = None
    default_region: Annotated[
        Annotated[str, AfterValidator(region)] | SkipJsonSchema[None],
        Field(
            description="Region (ISO 3166, two letters) of phone numbers without a country code, where the record names no country.",
            examples=["US"],
        ),
    ] = None
    qbench: Annotated[
        QBenchSettings,
        Field(description="The QBench tenant that is read.", examples=[_example(QBenchSettings)]),
    ]
    crms: Annotated[
        Crms,
        Field(
            description="The CRMs that are fed, at least one.",
            examples=[{kind.name: _example(kind.settings, needed=kind.settings.needed)} for kind in crm_kinds().values()],
        ),
    ]
    accounts: Annotated[
        AccountSpec,
        Field(
            description="How customers become accounts: their fields, match keys and filter.", examples=[{"map": {"name": "customer_name"}}]
        ),
    ]
    contacts: Annotated[
        ContactSpec | SkipJsonSchema[None],
        Field(description="The same for contacts; left out, only customers sync.", examples=[{"map": {"email": "email_address"}}]),
    ] = None
    retries: Annotated[
        RetrySettings,
        Field(description="When records that failed for a passing cause are tried again.", examples=[{"attempts": 12}]),
    ] = RetrySettings()
    links: Annotated[
        LinkChecks,
        Field(
            description="Links between QBench and CRM records are compared with the CRMs: merged, deleted and restored records.",
            examples=[{"when_deleted": "report"}],
        ),
    ] = LinkChecks()
    from_crms: Annotated[
        FromCrms,
        Field(
            description="What people change in the CRMs is brought into QBench, where a mapping's `direction` asks for it.",
            examples=[{"schedule": "35 * * * *", "most_changed": 200}],
        ),
    ] = FromCrms()
    upkeep: Annotated[
        Upkeep,
        Field(description="How long is kept what grows: histories, Dagster's event log.", examples=[{"history_days": 365}]),
    ] = Upkeep()
    alerts: Annotated[
        AlertSettings | SkipJsonSchema[None],
        Field(
            description="Who is told of failed runs and ticks, failed records and silence; left out, nobody is.",
            examples=[{"slack": {"env": "SLACK_WEBHOOK_URL"}, "silent_hours": 6}],
        ),
    ] = None
    owners: Annotated[
        tuple[Annotated[str, AfterValidator(owner)], ...],
        Field(description="Who looks after the integration, for its assets: e-mail addresses or team:<name>.", examples=[["team:data"]]),
    ] = ()

    @property
    def read(self) -> Mapping[RecordType, AccountSpec | ContactSpec]:
        """The record types that are read from QBench with what is written about each, accounts first."""
        contacts = None if self.contacts is None else self.contacts.going_as_leads(self._lead_rules)
        return MappingProxyType({spec.record_type: spec for spec in (self.accounts, contacts) if spec is not None})

    @property
    def records(self) -> Mapping[RecordType, RecordSpec]:
        """The record types that sync with what is written about each: those that are read, then what is made of them."""
        lead = None if self.contacts is None or not self._lead_rules else self.contacts.lead
        made = {} if lead is None else {lead.record_type: lead.of_company(self.accounts.map.name)}
        return MappingProxyType({**self.read, **made})

    def records_in(self, crm: str) -> Mapping[RecordType, RecordSpec]:
        """The record types that this CRM takes with what is written about each."""
        taken = {kind: spec for kind, spec in self.records.items() if MODELS[kind].made_of is None or crm in self._lead_rules}
        return MappingProxyType(taken)

    @property
    def _lead_rules(self) -> Mapping[str, Filter | None]:
        """The CRMs that take contacts as leads, and the rule that these meet; None: all do."""
        keeping = {crm: settings for crm, settings in self.crms.configured.items() if isinstance(settings, LeadKeepingSettings)}
        return {crm: settings.lead_rule for crm, settings in keeping.items() if settings.takes_leads}

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Self:
        crms = list(self.crms.configured)
        problems = [*crm_problems(self.crms.configured)]
        problems += [
            Problem((MODELS[record_type].plural, *problem.path), problem.message)
            for record_type, spec in self.read.items()
            for problem in record_problems(spec, crms=crms)
        ]
        lead = None if self.contacts is None else self.contacts.lead
        keeping = [kind.name for kind in crm_kinds().values() if issubclass(kind.settings, LeadKeepingSettings)]
        problems += [*lead_problems(lead, self._lead_rules, keeping=keeping), *self._way_back_problems(), *self._create_problems()]
        if problems:
            raise ProblemsError(problems)
        return self

    @property
    def ways_back(self) -> list[KeyPath]:
        """The places of the mappings that bring something back from a CRM."""
        crms = self.crms.configured
        return [(MODELS[record_type].plural, *path) for record_type, spec in self.read.items() for path in entries_back(spec, crms)]

    def _way_back_problems(self) -> Iterator[Problem]:
        """What is wrong about directions, and about the two keys that must agree before QBench is written."""
        keys = {crm: settings.external_key for crm, settings in self.crms.configured.items()}
        altering = [crm for crm in keys if not crm_kinds()[crm].capabilities.keeps_text]
        for record_type, spec in self.read.items():
            found = refusals(spec, external_keys=keys, kept=KEPT_BY_QBENCH[record_type], altering=altering)
            yield from (problem.below(MODELS[record_type].plural) for problem in found)
        flags = {record_type: spec.flag for record_type, spec in self.read.items() if spec.flag is not None}
        yield from self._flag_problems(flags)
        if self.qbench.writes and not self.ways_back and not flags:
            yield Problem(("qbench", "writes"), f"{NOTHING_BACK}, or leave `writes` away")
        if self.from_crms != FromCrms() and not self.ways_back:
            yield Problem(("from_crms",), f"{NOTHING_BACK}, or leave `from_crms` away")
        if not self.qbench.writes:
            message = "it writes into QBench, which `qbench.writes: true` must allow; set that too, or leave `direction` away"
            yield from (Problem((*path, "direction"), message) for path in self.ways_back)

    def _create_problems(self) -> Iterator[Problem]:
        """What is wrong about making records in QBench."""
        for record_type, spec in self.read.items():
            create = spec.creates_in_qbench
            if create is None:
                continue
            path: KeyPath = (MODELS[record_type].plural, "from_crm", "create")
            makers = [crm for crm in self.crms.configured if makes_from(spec, crm)]
            crms = makers or list(self.crms.configured)
            marker = self.qbench.marker_field
            if not self.qbench.writes:
                yield Problem(path, "it writes into QBench, which `qbench.writes: true` must allow; set that too, or leave `create` away")
            if marker is not None and (why := self._why_not_its_own(marker, record_type)):
                yield Problem(("qbench", "marker_field"), why)
            if not makers:
                needed = ", ".join(f"`{name}`" for name in NEEDED[record_type])
                yield Problem(path, f"a record is made of what comes back from one CRM, {needed} at least; give these `direction: both`")
            if self.first_load == "none":
                message = "with `none` QBench is never read whole, so that `from_crm.create` would make again what it has; leave one away"
                yield Problem(("first_load",), message)
            for field in () if create.only is None else fields_named(create.only):
                if not any(field.startswith(f"{crm}.") for crm in crms):
                    message = (
                        f"`{field}` is no field of a CRM of which records are made; write `<crm>.<field>` with one of: {', '.join(crms)}"
                    )
                    yield Problem((*path, "only"), message)
            if create.only is not None and not fields_named(create.only):
                yield Problem((*path, "only"), "names no field; a list of the CRM goes into `only` of the record type itself")

    def _flag_problems(self, flags: Mapping[RecordType, Flag]) -> Iterator[Problem]:
        """What is wrong about fields that say in QBench what a CRM deleted."""
        for record_type, flag in flags.items():
            path: KeyPath = (MODELS[record_type].plural, "from_crm", "when_deleted", "flag")
            if not self.qbench.writes:
                yield Problem(path, "it writes into QBench, which `qbench.writes: true` must allow; set that too, or leave `flag` away")
            if self.links.when_deleted != "report":
                message = "stands with `links.when_deleted: report` only: else the record is made again, and nothing says it was deleted"
                yield Problem(path, message)
            if why := self._why_not_its_own(flag.field, record_type):
                yield Problem((*path, "field"), why)
            elif flag.field == self.qbench.marker_field:
                yield Problem((*path, "field"), f"`{flag.field}` is `qbench.marker_field` already; name a field that nothing else fills")

    def _why_not_its_own(self, field: str, record_type: RecordType) -> str | None:
        standard = {*LONGEST[record_type], *NEVER_BLANK[record_type]}
        crms = self.crms.configured
        return why_not_its_own(field, self.read[record_type], crms=crms, kept=KEPT_BY_QBENCH[record_type], standard=standard)


class WrittenAttributes(Translated, IntegrationAttributes):
    """The keys of an integration's YAML, below ``attributes:``."""


class IntegrationSpec(IntegrationAttributes):
    """One integration: its name (the folder's) and what its YAML says."""

    name: Annotated[str, Field(description="The integration's name.", examples=["acme"], pattern=NAME_PATTERN)]

    @property
    def returning(self) -> Mapping[str, Mapping[RecordType, RecordSpec]]:
        """By CRM the record types of which something comes back from there, accounts first; CRMs of which nothing does are left out."""
        found = {
            crm: {record_type: record for record_type, record in self.read.items() if routes_back(record, crm=crm, crm_fields=None)}
            for crm in self.crms.configured
        }
        return MappingProxyType({crm: MappingProxyType(records) for crm, records in found.items() if records})

    @property
    def reading(self) -> Reading:
        """How values are read that leave something unsaid."""
        return Reading(self.default_region, self.qbench.time_zone)

    @property
    def coming_back(self) -> ComingBack:
        """What of QBench's records comes back to them from the CRMs."""
        crms = self.crms.configured
        fields = {kind: names for kind, spec in self.read.items() if (names := fields_back(spec, list(crms)))}
        return ComingBack(fields, {kind: KEPT_BY_QBENCH[kind] for kind in fields})

    @property
    def qbench_fields(self) -> Mapping[RecordType, tuple[str, ...]]:
        """The QBench fields that the YAML names of each record type that is read, each once."""
        markers = [] if self.qbench.marker_field is None else [self.qbench.marker_field]
        named = {kind: [field for record in self.records.values() for field in named_fields(record, kind)[1]] for kind in self.read}
        return MappingProxyType({kind: tuple(dict.fromkeys([*fields, *markers])) for kind, fields in named.items()})

    def order(
        self, crm: str, record: RecordSpec, *, run_id: str, partition_key: str | None = None, resend: Resend | None = None
    ) -> LoadOrder:
        """The order to load one record type into one CRM, on behalf of one run."""
        return LoadOrder(
            integration=self.name,
            crm=crm,
            settings=self.crms.configured[crm],
            record=record,
            run_id=run_id,
            partition_key=partition_key,
            reading=self.reading,
            resend=resend,
            retries=self.retries,
            longest=LONGEST[MODELS[record.record_type].source],
            never_blank=NEVER_BLANK[MODELS[record.record_type].source],
            marker_field=self.qbench.marker_field,
        )
