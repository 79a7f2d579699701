"""The border between our steps and Dagster: which errors leave a step, and with what words."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from crm_pipeline.errors import AuthenticationError, ConfigurationError, CrmPipelineError, RequestRefusedError, StoreError, StoreSetupError

logger = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parents[1]

_BEYOND_RETRY = (AuthenticationError, ConfigurationError, RequestRefusedError, StoreSetupError)
"""What only a person can put right."""


@contextmanager
def failing_clearly(
    integration: str, metadata: Callable[[], dict[str, Any]], *, before: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Let only errors of ours leave a step, with the counts so far as metadata, and never with a record's values.

    ``before`` an error of ours leaves, this is done; not where the state database failed, or we did.

    Dagster stores the text of an exception and of all it was raised from; foreign texts (a database's, a parser's) carry
    values, so they are replaced by their type and the place in our code.
    """
    try:
        yield
    except CrmPipelineError as error:
        with _spared_by_database():
            before()
        raise dg.Failure(
            description=f"{type(error).__name__}: {error}",
            metadata=metadata(),
            allow_retries=not isinstance(error, _BEYOND_RETRY),
        ) from None
    except SQLAlchemyError as error:
        raise dg.Failure(
            description=f"integration {integration}: the state database failed ({_innermost(error)}) at {_place(error)}; "
            "what was stored stays; materialize the partition again once the database is well",
            metadata=metadata(),
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may carry a record's values
        raise dg.Failure(
            description=f"integration {integration}: internal error {type(error).__name__} at {_place(error)}; "
            "what was stored stays; please report it with this line",
            metadata=metadata(),
        ) from None


@contextmanager
def _spared_by_database() -> Iterator[None]:
    """Leave out what cannot be told because the state database fails too; the first error says more."""
    try:
        yield
    except (SQLAlchemyError, StoreError) as error:
        logger.warning("the state database failed as well (%s): checks and finished hours are not told", type(error).__name__)


def _innermost(error: SQLAlchemyError) -> str:
    return type(getattr(error, "orig", None) or error).__name__


def _place(error: BaseException) -> str:
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in Path(frame.filename).parents]
    last = ours[-1]
    return f"{Path(last.filename).relative_to(_PACKAGE.parent)}:{last.lineno}"
