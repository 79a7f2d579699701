"""The credentials that the stand-ins accept unless they are made with others; they open nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SANDBOX_CREDENTIALS: Mapping[str, str] = MappingProxyType(
    {
        "QBENCH_CLIENT_ID": "sandbox-qbench-client",
        "QBENCH_CLIENT_SECRET": "sandbox-qbench-secret-that-opens-nothing-else",
        "SALESFORCE_CLIENT_ID": "sandbox-consumer-key",
        "SALESFORCE_CLIENT_SECRET": "sandbox-consumer-secret",
        "HUBSPOT_TOKEN": "pat-na1-00000000-sandbox",
    }
)
"""Values by the environment variable that the demo's integration reads them from."""

SUGARCRM_CREDENTIALS: Mapping[str, str] = MappingProxyType(
    {
        "SUGARCRM_USER_NAME": "sandbox-user",
        "SUGARCRM_PASSWORD": "sandbox-sugarcrm-password-that-opens-nothing-else",
    }
)
"""Those of the SugarCRM stand-in, which runs only where it is asked for."""
