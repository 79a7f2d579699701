"""Keeps Salesforce and HubSpot current with a QBench LIMS, as a Dagster code location and as a library.

Here is the component, and all that a package needs that brings a CRM of its own (CONTRIBUTING.md, "A CRM of your own").
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crm_pipeline.calls import CallCounter, Waits, retry_after, with_retries
    from crm_pipeline.clocks import Clock
    from crm_pipeline.component import CrmIntegration
    from crm_pipeline.configuration.model import EnvVariable, YamlModel, web_address
    from crm_pipeline.crms.abilities import (
        ChangesCrm,
        ClockCrm,
        DeletingCrm,
        DiagnosingCrm,
        EditsCrm,
        FieldGuideCrm,
        FieldMakingCrm,
        JobsCrm,
        LeavingCrm,
        ListsCrm,
        MergingCrm,
        OwnersCrm,
        PersonsCrm,
        VersionsCrm,
    )
    from crm_pipeline.crms.base import Capabilities, Crm, CrmKind, CrmObject, CrmSettings, ExternalKey, Limits
    from crm_pipeline.crms.batch import Write, WriteBatch, WriteJob, WriteResult
    from crm_pipeline.crms.preset import OTHER_PHONE_TYPE, AddressCodes, AddressPreset, Preset
    from crm_pipeline.crms.provisioning import FieldToMake
    from crm_pipeline.diagnosis import Finding
    from crm_pipeline.errors import (
        AuthenticationError,
        CrmFailsOnRecordException,
        LimitReachedError,
        RecordError,
        RequestRefusedError,
        ServiceError,
        ServiceUnavailableError,
        UnexpectedAnswerError,
    )
    from crm_pipeline.halving import (
        Alone,
        BatchRefusedError,
        DoubtfulRefusalError,
        FailedTogetherError,
        code_of,
        in_halves,
        may_be_of_one,
        read_in_halves,
    )
    from crm_pipeline.model import RecordType, Verb
    from crm_pipeline.orchestration.translating import AssetProps
    from crm_pipeline.pacing import Leases, Pace, PacedClient
    from crm_pipeline.schemas import (
        ASSOCIATIONS,
        CHANGED,
        CHILDREN,
        CRM_FIELDS,
        EDITS,
        EXAMINED,
        FIELD_HISTORY,
        FOUND,
        INTENTS,
        MEMBERS,
        OWNERS,
        RECORD_STAMP,
        REMOVED,
        UNREAD,
        VERSIONS,
        WRITE_RESULTS,
        WRITE_ROWS,
    )

__all__ = [
    "ASSOCIATIONS",
    "CHANGED",
    "CHILDREN",
    "CRM_FIELDS",
    "EDITS",
    "EXAMINED",
    "FIELD_HISTORY",
    "FOUND",
    "INTENTS",
    "MEMBERS",
    "OTHER_PHONE_TYPE",
    "OWNERS",
    "RECORD_STAMP",
    "REMOVED",
    "UNREAD",
    "VERSIONS",
    "WRITE_RESULTS",
    "WRITE_ROWS",
    "AddressCodes",
    "AddressPreset",
    "Alone",
    "AssetProps",
    "AuthenticationError",
    "BatchRefusedError",
    "CallCounter",
    "Capabilities",
    "ChangesCrm",
    "Clock",
    "ClockCrm",
    "Crm",
    "CrmFailsOnRecordException",
    "CrmIntegration",
    "CrmKind",
    "CrmObject",
    "CrmSettings",
    "DeletingCrm",
    "DiagnosingCrm",
    "DoubtfulRefusalError",
    "EditsCrm",
    "EnvVariable",
    "ExternalKey",
    "FailedTogetherError",
    "FieldGuideCrm",
    "FieldMakingCrm",
    "FieldToMake",
    "Finding",
    "JobsCrm",
    "Leases",
    "LeavingCrm",
    "LimitReachedError",
    "Limits",
    "ListsCrm",
    "MergingCrm",
    "OwnersCrm",
    "Pace",
    "PacedClient",
    "PersonsCrm",
    "Preset",
    "RecordError",
    "RecordType",
    "RequestRefusedError",
    "ServiceError",
    "ServiceUnavailableError",
    "UnexpectedAnswerError",
    "Verb",
    "VersionsCrm",
    "Waits",
    "Write",
    "WriteBatch",
    "WriteJob",
    "WriteResult",
    "YamlModel",
    "code_of",
    "in_halves",
    "may_be_of_one",
    "read_in_halves",
    "retry_after",
    "web_address",
    "with_retries",
]

_MODULES = (
    "errors",
    "diagnosis",
    "model",
    "configuration.model",
    "clocks",
    "calls",
    "pacing",
    "halving",
    "crms.preset",
    "schemas",
    "crms.batch",
    "crms.base",
    "crms.provisioning",
    "crms.abilities",
    "component",
)
"""Where the names are, the quickest to import first."""


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that the pure parts of the package can be imported without Dagster.
    if name in __all__:
        for module in _MODULES:
            found = import_module(f"{__name__}.{module}")
            if hasattr(found, name):
                return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # Dagster finds a package's components with dir(), and loads every name that it tells.
    return sorted({*globals(), "AssetProps", "CrmIntegration"})
