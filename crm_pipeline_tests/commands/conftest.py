"""A project with one integration on the sandbox, and the command line to look after it."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from crm_pipeline.cli import main
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline_tests.integration_projects import Project
from crm_pipeline_tests.sync.conftest import Bench, sandbox
from crm_pipeline_tests.tenants import attributes

__all__ = ["sandbox"]


@dataclass(frozen=True)
class Desk:
    """Where someone types ``crm-pipeline``: the integration ``acme`` in a project of its own."""

    bench: Bench
    module: str

    @property
    def spec(self) -> IntegrationSpec:
        """The integration as the commands find it."""
        return self.bench.spec()

    def type(self, *words: str) -> Result:
        """The result of a command on this project."""
        return CliRunner().invoke(main, [*words, "-m", self.module], catch_exceptions=False)

    def json(self, *words: str) -> Any:
        """What a command prints as JSON."""
        result = self.type(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.output)


def written(sandbox: Sandbox, **overrides: Any) -> Mapping[str, Any]:
    """The YAML of the integration."""
    return {"type": "crm_pipeline.CrmIntegration", "attributes": {**attributes(sandbox), **overrides}}


@pytest.fixture
def desk(sandbox: Sandbox, store: Any, database_in_environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The command line on a project whose integration feeds the sandbox's CRMs."""
    package = f"project_{uuid.uuid4().hex}"
    project = Project.create(tmp_path, package)
    project.write("acme", yaml.safe_dump(dict(written(sandbox))))
    monkeypatch.syspath_prepend(tmp_path)
    yield Desk(Bench(sandbox, store, "salesforce"), f"{package}.defs")
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
