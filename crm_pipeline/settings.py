"""How a piece of YAML becomes a value: the base of every model a user writes, and credentials by name only."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from crm_pipeline.errors import MissingCredentialError


class YamlModel(BaseModel):
    """Base of every model of the YAML: unknown keys are refused, values never appear in error texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)


class EnvVariable(YamlModel):
    """A credential by the name of the environment variable that holds it; its value is read when it is used."""

    env: Annotated[
        str,
        Field(
            description="Name of the environment variable that holds the value.",
            examples=["QBENCH_CLIENT_SECRET"],
            pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        ),
    ]

    def read(self, *, integration: str) -> str:
        """The variable's value now. Raises MissingCredentialError when it is unset or blank."""
        value = os.environ.get(self.env, "").strip()
        if not value:
            raise MissingCredentialError(integration=integration, variable=self.env)
        return value
