"""The sensor that tells people of incidents: failed runs and ticks, failed and stuck records, silence; each once, and once when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from dagster._core.remote_origin import RemoteRepositoryOrigin
from sqlalchemy import Connection

from crm_pipeline.alerts.incidents import Facts, Failure, FailureKind, Incident, open_incidents
from crm_pipeline.alerts.messages import Message
from crm_pipeline.alerts.settings import AlertSettings
from crm_pipeline.counting import counted
from crm_pipeline.errors import AlertNotSentError, ConfigurationError, ServiceError
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.orchestration import names
from crm_pipeline.orchestration.failing import Watched, failed_runs, failed_ticks, is_well, last_loads
from crm_pipeline.orchestration.resources import STORE
from crm_pipeline.quiet import quiet_client_libraries
from crm_pipeline.store import alerts as stored

SECONDS_BETWEEN_LOOKS = 300


def build_alerts(
    spec: IntegrationSpec, settings: AlertSettings, *, watched: dg.Definitions, loads: Mapping[str, Sequence[dg.AssetKey]]
) -> dg.SensorDefinition:
    """The integration's alert sensor; ``watched`` is what the integration has besides; ``loads``: its load assets by CRM.

    A plain sensor that reads the instance's records: Dagster's own failure sensor moves on from a run whose alert could not be
    sent, sees no ticks, and one per location has no owner where a component is built once per integration.
    """
    watch = AlertWatch(spec, settings, Watched.of(spec.name, watched), loads)

    @dg.sensor(
        name=names.alerts_sensor_name(spec.name),
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING if spec.active else dg.DefaultSensorStatus.STOPPED,
        description=f"Tells of failed runs and ticks, failed and stuck records, silence by {' and '.join(settings.channels)}, each once.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if not spec.active:
            return dg.SkipReason(f"integration {spec.name} is paused: active is false")
        now = datetime.now(UTC)
        incidents = watch.look(context.instance, _repository(context), now=now)
        told = watch.tell(now=now)
        return dg.SkipReason(f"integration {spec.name}: {counted(len(incidents), 'open incident')}, {counted(told, 'message')} sent")

    return alerts


@dataclass(frozen=True)
class AlertWatch:
    """What the sensor does at each of its ticks, at a given time."""

    spec: IntegrationSpec
    settings: AlertSettings
    watched: Watched
    loads: Mapping[str, Sequence[dg.AssetKey]]

    def look(self, instance: dg.DagsterInstance, repository: RemoteRepositoryOrigin | None, *, now: datetime) -> list[Incident]:
        """Store which incidents are open now."""
        with STORE.transaction() as connection:
            position = stored.locked_position(connection, self.spec.name)
            runs = failed_runs(instance, self.watched, after=position, now=now)
            looks = [runs] if repository is None else [runs, failed_ticks(instance, repository, self.watched, after=position)]
            failures = [failure for look in looks for failure in look.failures]
            stored.add_failures(connection, self.spec.name, failures)
            self._forget_what_is_well(connection, instance, failures, now=now)
            incidents = open_incidents(self.spec.name, self._facts(connection, instance, now=now), settings=self.settings)
            stored.save_incidents(connection, self.spec.name, incidents, channels=self.settings.channels, now=now)
            for look in looks:
                position |= look.position
            stored.save_position(connection, self.spec.name, position)
        return incidents

    def tell(self, *, now: datetime) -> int:
        """Tell each channel what it was not told yet; returns how many messages were sent. Raises AlertNotSentError at the end."""
        from crm_pipeline.alerts.channels import channels

        quiet_client_libraries()
        sent = 0
        problems: list[str] = []
        for channel, send in channels(self.settings).items():
            try:
                with STORE.transaction() as connection:
                    notices = stored.untold(connection, self.spec.name, channel)
                    if notices:
                        send(Message(self.spec.name, notices, self.settings.dagster_url))
                        stored.save_told(connection, self.spec.name, channel, notices=notices, now=now)
                        sent += 1
            except (ServiceError, ConfigurationError) as error:
                problems.append(str(error).removeprefix(f"integration {self.spec.name}: "))
        if problems:
            raise AlertNotSentError(integration=self.spec.name, problems=problems)
        return sent

    def _forget_what_is_well(self, connection: Connection, instance: dg.DagsterInstance, new: Sequence[Failure], *, now: datetime) -> None:
        failing = {failure.subject for failure in new}
        for failures in stored.stored_failures(connection, self.spec.name):
            subject = failures.subject
            if subject not in failing and (subject.kind is FailureKind.TICK or is_well(instance, self.watched, subject.name, now=now)):
                stored.forget_failures(connection, self.spec.name, subject)

    def _facts(self, connection: Connection, instance: dg.DagsterInstance, *, now: datetime) -> Facts:
        # What is known of a CRM that the YAML feeds no more is kept, and nobody can mend it.
        ways = {way for crm in self.spec.crms.configured for way in (crm, stored.BACK_FROM + crm)}
        counts_records = self.settings.failed_records is not None or self.settings.failed_share is not None
        records = stored.record_counts(connection, self.spec.name) if counts_records else {}
        stuck = stored.stuck_records(connection, self.spec.name, tries=self.settings.stuck_after_tries)
        return Facts(
            now=now,
            failures=stored.stored_failures(connection, self.spec.name),
            records={way: counts for way, counts in records.items() if way in ways},
            stuck={way: count for way, count in stuck.items() if way in ways},
            last_loads=last_loads(instance, self.loads) if self.settings.silent_hours is not None else {},
        )


def _repository(context: dg.SensorEvaluationContext) -> RemoteRepositoryOrigin | None:
    """Where the sensor stands, by which Dagster keeps ticks; None outside a code location."""
    if context.code_location_origin is None or context.repository_name is None:
        return None
    return RemoteRepositoryOrigin(code_location_origin=context.code_location_origin, repository_name=context.repository_name)
