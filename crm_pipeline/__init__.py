"""Keeps Salesforce and HubSpot current with a QBench LIMS, as a Dagster code location and as a library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crm_pipeline.component import CrmIntegration
    from crm_pipeline.orchestration.translating import AssetProps

__all__ = ["AssetProps", "CrmIntegration"]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that the pure parts of the package can be imported without Dagster.
    if name in __all__:
        import crm_pipeline.component as found

        return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # Dagster finds a package's components with dir().
    return sorted({*globals(), *__all__})
