"""The conformance suite on every CRM of this package."""

from __future__ import annotations

import subprocess
import sys

from crm_pipeline.testing.suite import *  # noqa: F403 - its tests become tests of this module

CLIENT_LIBRARIES = ("simple_salesforce", "hubspot", "requests")


def test_crms_load_without_their_client_libraries() -> None:
    code = (
        "import sys; from crm_pipeline.crms import crm_kinds; crm_kinds(); "
        f"print(*[name for name in {CLIENT_LIBRARIES!r} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == ""
