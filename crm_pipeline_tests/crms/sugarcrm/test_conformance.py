"""The conformance suite on SugarCRM."""

from __future__ import annotations

from crm_pipeline.testing.suite import *  # noqa: F403 - its tests become tests of this module
