"""Keeps out of the log what client libraries write of their calls: addresses, which can hold secrets and values."""

from __future__ import annotations

import logging

from crm_pipeline.crms import crm_kinds

CLIENT_LOGGERS = ("httpcore", "httpx")
"""Loggers of the library that calls QBench and the receivers of alerts; each CRM names those of its own."""


def quiet_client_libraries() -> None:
    """Let the client libraries log warnings only, unless someone set a level for one of them by its name."""
    for name in {*CLIENT_LOGGERS, *(logger for kind in crm_kinds().values() for logger in kind.client_loggers)}:
        library = logging.getLogger(name)
        if library.level == logging.NOTSET:
            library.setLevel(logging.WARNING)
