"""How the Dagster objects of an integration are called; everything is prefixed with the integration's name.

Keys of assets are those without a translation (orchestration.specs knows what they are shown as).
"""

from __future__ import annotations

from crm_pipeline.crms.base import LINKS, RESYNC, CrmKind
from crm_pipeline.model import MODELS, RecordType


def raw_key(integration: str, record_type: RecordType) -> list[str]:
    """Asset key of the extract."""
    return [integration, "qbench", MODELS[record_type].qbench_object]


def normalized_key(integration: str, record_type: RecordType) -> list[str]:
    """Asset key of the normalized records."""
    return [integration, "normalized", MODELS[record_type].plural]


def load_key(integration: str, crm: CrmKind, record_type: RecordType) -> list[str]:
    """Asset key of a load."""
    return [integration, crm.name, crm.usual(record_type).asset]


def changes_key(integration: str, crm: CrmKind, record_type: RecordType) -> list[str]:
    """Asset key of what changed in a CRM: ``account_changes``, where ``accounts`` are loaded."""
    asset = crm.usual(record_type).asset
    one = f"{asset.removesuffix('ies')}y" if asset.endswith("ies") else asset.removesuffix("s")
    return [integration, crm.name, f"{one}_changes"]


def returned_key(integration: str, crm: CrmKind, record_type: RecordType) -> list[str]:
    """Asset key of the QBench records into which a CRM's changes are brought."""
    return [integration, "qbench", f"{MODELS[record_type].qbench_object}_from_{crm.name}"]


def links_key(integration: str, crm: CrmKind) -> list[str]:
    """Asset key of the check of a CRM's links."""
    return [integration, crm.name, LINKS]


def waiting_key(integration: str, record_type: RecordType) -> list[str]:
    """Asset key of the records that are read again for their customers."""
    return [integration, "qbench", f"waiting_{MODELS[record_type].qbench_object}"]


def deletions_key(integration: str) -> list[str]:
    """Asset key of what was deleted in QBench, or came back, without a new date."""
    return [integration, "qbench", "deletions"]


def flags_key(integration: str, record_type: RecordType) -> list[str]:
    """Asset key of what QBench says of records that a CRM deleted."""
    return [integration, "qbench", f"{MODELS[record_type].qbench_object}_deleted_in_crms"]


def records_key(integration: str) -> list[str]:
    """Asset key of how all records stand."""
    return [integration, "records"]


def upkeep_key(integration: str) -> list[str]:
    """Asset key of the upkeep."""
    return [integration, "database"]


def resource_key(integration: str, service: str) -> str:
    """Key of the client resource of a service; also the name of the pool that its steps wait in."""
    return f"{integration}__{service}"


def job_name(integration: str) -> str:
    """Name of the integration's job."""
    return f"{integration}__sync"


def sync_and_check_job_name(integration: str) -> str:
    """Name of the job that makes an hour and the recent check of links, which the schedule requests."""
    return f"{integration}__sync_and_check"


def from_crms_job_name(integration: str) -> str:
    """Name of the job that brings what changed in the CRMs into QBench."""
    return f"{integration}__from_crms"


def from_crms_schedule_name(integration: str) -> str:
    """Name of its schedule."""
    return f"{integration}__from_crms_schedule"


def from_crms_retry_sensor_name(integration: str) -> str:
    """Name of the sensor that takes up what stayed open of it."""
    return f"{integration}__from_crms_retries"


def retry_sensor_name(integration: str) -> str:
    """Name of the sensor that tries again what failed for a passing cause."""
    return f"{integration}__retries"


def upkeep_group(integration: str) -> str:
    """Group of the unpartitioned assets; apart from the hourly ones, whose group can thus be backfilled as a whole in one run."""
    return f"{integration}_upkeep"


def resync_key(integration: str, crm: CrmKind) -> list[str]:
    """Asset key of the sync of everything staged into a CRM."""
    return [integration, crm.name, RESYNC]


def schedule_name(integration: str) -> str:
    """Name of the integration's schedule."""
    return f"{integration}__schedule"


def links_job_name(integration: str) -> str:
    """Name of the job that checks links."""
    return f"{integration}__links"


def links_schedule_name(integration: str, scope: str) -> str:
    """Name of the schedule of recent or full checks of links."""
    return f"{integration}__links_{scope}"


def upkeep_job_name(integration: str) -> str:
    """Name of the job of the daily upkeep."""
    return f"{integration}__upkeep"


def upkeep_schedule_name(integration: str) -> str:
    """Name of its schedule."""
    return f"{integration}__upkeep_schedule"


def run_jobs(integration: str) -> list[str]:
    """The jobs whose runs come every hour or night."""
    return [
        job_name(integration),
        sync_and_check_job_name(integration),
        links_job_name(integration),
        from_crms_job_name(integration),
        upkeep_job_name(integration),
    ]


def alerts_sensor_name(integration: str) -> str:
    """Name of the sensor that tells of incidents."""
    return f"{integration}__alerts"
