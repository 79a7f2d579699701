"""A project with one integration on the sandbox, and the command line to look after it."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from crm_pipeline.cli import main
from crm_pipeline.integration import IntegrationSpec
from crm_pipeline.sandbox.sandbox import Sandbox
from crm_pipeline.store.database import URL_VARIABLE, Store
from crm_pipeline_tests.conftest import own_database
from crm_pipeline_tests.integration_projects import Project
from crm_pipeline_tests.sync.conftest import Bench, empty_sandbox, sandbox
from crm_pipeline_tests.tenants import attributes

__all__ = ["sandbox"]


@dataclass(frozen=True)
class Desk:
    """Where someone types ``crm-pipeline``: the integration ``acme`` in a project of its own."""

    bench: Bench
    module: str
    file: Path

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


@contextmanager
def _desk(bench: Bench, folder: Path, **overrides: Any) -> Iterator[Desk]:
    """A project whose integration feeds the CRMs of the bench's sandbox, importable for the while; ``overrides``: keys of its YAML."""
    package = f"project_{uuid.uuid4().hex}"
    project = Project.create(folder, package)
    file = project.write("acme", yaml.safe_dump(dict(written(bench.sandbox, **overrides))))
    with pytest.MonkeyPatch.context() as environment:
        environment.syspath_prepend(folder)
        yield Desk(bench, f"{package}.defs", file)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


@pytest.fixture
def desk(sandbox: Sandbox, store: Any, database_in_environment: str, tmp_path: Path) -> Iterator[Desk]:
    """The command line on a project whose integration feeds the sandbox's CRMs."""
    with _desk(Bench(sandbox, store, "salesforce"), tmp_path) as desk:
        yield desk


@contextmanager
def own_desk(postgres: str, folder: Path) -> Iterator[Desk]:
    """A desk for tests that only look at what one fixture prepared, with a database that no other test empties."""
    with (
        own_database(postgres) as url,
        closing(Store(url)) as store,
        empty_sandbox() as sandbox,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv(URL_VARIABLE, url)
        with _desk(Bench(sandbox, store, "salesforce"), folder) as desk:
            yield desk
