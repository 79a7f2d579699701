"""Options that several commands have: which integrations, CRMs, record types and records they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crm_pipeline.calls import Waits
from crm_pipeline.commands.integrations import chosen, own_module
from crm_pipeline.configuration.problems import did_you_mean
from crm_pipeline.crms import crm_kinds
from crm_pipeline.crms.base import Crm
from crm_pipeline.errors import ConfigurationError, record_errors
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.memory import make_room_for_records
from crm_pipeline.model import MODELS, RecordType
from crm_pipeline.pacing import share_pace
from crm_pipeline.qbench.contracts import record_id
from crm_pipeline.quiet import quiet_client_libraries
from crm_pipeline.store.database import Store
from crm_pipeline.store.pacing import PaceLeases
from crm_pipeline.store.staging import EVERYTHING, Window
from crm_pipeline.sync.hours import window_of
from crm_pipeline.sync.order import LoadOrder
from crm_pipeline.sync.planning.selection import Named, Selection
from crm_pipeline.sync.resending import Resend

if TYPE_CHECKING:
    from crm_pipeline.qbench.source import QBench

F = TypeVar("F", bound=Callable[..., Any])


def qbench_ids(value: str) -> tuple[int, ...]:
    """QBench ids, separated by commas; as the type of an option."""
    given = [record_id(part.strip()) for part in value.split(",")]
    ids = [number for number in given if number is not None]
    if len(ids) < len(given):
        raise click.BadParameter("give QBench ids as 12,13,14")
    return tuple(dict.fromkeys(ids))


def one_id(value: str | int) -> int:
    """One QBench id; as the type of an option."""
    number = record_id(value)
    if number is None:
        raise click.BadParameter("give a QBench id as 12")
    return number


def moment(value: str) -> int:
    """A moment by ISO 8601, without an offset in UTC, in Unix seconds; as the type of an option."""
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter("give a time as 2026-11-01T00:00Z") from None
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())


def module_option(command: F) -> F:
    """``-m``: where the integrations are."""
    return click.option(
        "-m",
        "--module",
        default=own_module,
        show_default="that of the project in this folder",
        envvar="CRM_PIPELINE_DEFS_MODULE",
        help="Module whose folder holds the integrations; or set CRM_PIPELINE_DEFS_MODULE.",
    )(command)


def integration_option(*, required: bool) -> Callable[[F], F]:
    """``--integration``: one, or all where it is not required."""
    words = "Name of the integration." if required else "Only this integration; left out, all."
    return click.option("--integration", required=required, metavar="NAME", help=words)


def crm_option(*, required: bool) -> Callable[[F], F]:
    """``--crm``: one, or all where it is not required."""
    words = "Name of the CRM, as the YAML has it." if required else "Only this CRM; left out, all of the integration."
    return click.option("--crm", required=required, metavar="NAME", help=words)


def record_type_option(*, required: bool) -> Callable[[F], F]:
    """``--record-type``: account, contact or lead."""
    choices = click.Choice([str(record_type) for record_type in RecordType])
    return click.option("--record-type", type=choices, required=required, help="Which records are meant.")


def error_type_option(command: F) -> F:
    """``--type``: a record error, by its name."""
    return click.option(
        "--type",
        "error_type",
        type=_known_error,
        metavar="ERROR",
        help="Records whose latest outcome has this error, as docs/errors.md calls it.",
    )(command)


def _known_error(value: str) -> str:
    known = list(record_errors())
    if value not in known:
        raise click.BadParameter(f"there is no record error {value}; {did_you_mean(value, known)}")
    return value


def selected(
    spec: IntegrationSpec, *, partition: str | None, since: int | None, until: int | None, ids: tuple[int, ...] | None
) -> Selection:
    """The rows that the options name; all of them where none does.

    Raises UsageError where they contradict each other, and ConfigurationError where there is no such partition, or not yet.
    """
    bounded = since is not None or until is not None
    if sum([partition is not None, bounded, ids is not None]) > 1:
        raise click.UsageError("give --partition, or --since and --until, or --ids: not several of them")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must lie before --until")
    if ids is not None:
        return Named(ids)
    if partition is not None:
        window = window_of(partition, spec.start, overlap_seconds=spec.qbench.overlap_seconds)
        closes = datetime.fromtimestamp(window.until, UTC)
        if closes > datetime.now(UTC):
            raise ConfigurationError(
                f"partition {partition} is not over yet; there is one once its hour has ended, at {closes:%Y-%m-%d %H:%M} UTC"
            )
        return window
    return Window(since=since, until=EVERYTHING.until if until is None else until) if bounded else EVERYTHING


def only_integration(module: str, name: str) -> IntegrationSpec:
    """The integration of this name."""
    return chosen(module, name)[0]


def crm_names(spec: IntegrationSpec, crm: str | None, *, taking: RecordType | None = None) -> list[str]:
    """The CRMs meant, of those that the integration feeds. Raises ConfigurationError where it does not feed the one.

    ``taking``: records that are meant; where no CRM is named, those which take no such records are not meant, unless none does.
    """
    configured = list(spec.crms.configured)
    if crm is not None and crm not in configured:
        raise ConfigurationError(f"integration {spec.name} feeds no CRM {crm}; {did_you_mean(crm, configured)}")
    meant = [name for name in configured if crm in {None, name}]
    return [name for name in meant if taking is None or taking in spec.records_in(name)] or meant


def order_of(spec: IntegrationSpec, crm: str, record_type: RecordType, *, run_id: str, resend: Resend | None = None) -> LoadOrder:
    """The order of a load by hand. Raises ConfigurationError where the integration does not sync the record type."""
    taken = spec.records_in(crm)
    if record_type not in taken:
        needed = "`contacts_as: lead` for it" if MODELS[record_type].made_of else f"`{record_type}s:`"
        raise ConfigurationError(f"integration {spec.name} does not sync {record_type}s to {crm}: its YAML has no {needed}")
    return spec.order(crm, taken[record_type], run_id=run_id, resend=resend)


def nothing_back(spec: IntegrationSpec, crm: str, record_type: RecordType) -> str:
    """What is said where nothing of these records comes back from a CRM."""
    return f"{spec.name} ← {crm} {record_type}s: nothing of them comes back; the YAML gives none of their mappings such a `direction`"


@contextmanager
def connected(spec: IntegrationSpec, crm: str, *, store: Store | None = None, waits: Waits | None = None) -> Iterator[Crm]:
    """A client of the integration's CRM, closed at the end.

    ``store``: the state database, open, through which it keeps the CRM's limits together with all others. ``waits``: those between the
    attempts of a call, in place of the YAML's.
    """
    quiet_client_libraries()
    make_room_for_records()
    settings = spec.crms.configured[crm]
    if waits is not None:
        settings = settings.model_copy(update={"waits": waits})
    with closing(crm_kinds()[crm].connect(settings, spec.name)) as client:
        if store is not None:
            share_pace(client, PaceLeases(store))
        yield client


@contextmanager
def connected_qbench(spec: IntegrationSpec, *, store: Store) -> Iterator[QBench]:
    """A client of the integration's QBench tenant, closed at the end, which keeps its limit together with all others."""
    from crm_pipeline.qbench.source import QBench

    quiet_client_libraries()
    make_room_for_records()
    with closing(QBench(spec.qbench, integration=spec.name)) as source:
        share_pace(source, PaceLeases(store))
        yield source


@contextmanager
def opened_store() -> Iterator[Store]:
    """The state database that the environment names, open: what is wrong with it is told before anything else. Raises StoreError."""
    with closing(Store()) as store:
        store.open()
        yield store
