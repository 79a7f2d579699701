"""How a site behaves, where that can be chosen: its version, its credentials, and what differs or is not known (*assumed*)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from crm_pipeline.sandbox.credentials import SUGARCRM_CREDENTIALS
from crm_pipeline.sandbox.obstacles import Obstacle
from crm_pipeline.sandbox.sugarcrm.values import Charset, Unclosed

Version = Literal["6.5.26", "7.14.6", "7.15.0", "8.10.1"]
"""SugarCRM CE 6.5, SuiteCRM 7 and SuiteCRM 8, whose legacy part serves the API."""

ACCESS = "access"
"""The code of an obstacle that is a right which the user lacks: the row is left out of the answer."""


@dataclass(kw_only=True)
class SiteSettings:
    """What a site can be made with.

    | setting | meaning |
    |---|---|
    | version | 8.10.1 serves the API below ``/legacy``; what else differs is in the properties |
    | info_version | what ``get_server_info`` calls the version: on SuiteCRM the SugarCRM that it came from, 7 and 8 alike (its source) |
    | user_name, password | the user whom the API acts as |
    | external_keys | Accounts, Contacts and Leads have a custom field ``qbench_id_c`` |
    | charset | of the tables: a silent installation makes utf8mb3 |
    | unclosed | tags that are not closed are closed, or dropped; both were seen |
    | failure_body | what a failed statement answers: this text, or nothing; both were seen |
    | session_seconds | after how long without a call a session ends: PHP's default (*assumed*) |
    | page_rows | how many rows a list has where no number is asked for: the default of ``list_max_entries_per_page`` |
    | capitalizes | whether the capitals of an address in EmailAddresses come by themselves; its source says no |
    | row_seconds | how long a row of a write takes; meanwhile other calls of the same session wait, those of others do not |
    | clock | what the site takes for the time, in seconds since 1970 |
    | obstacles | saves that fail with a 500, or with the code ``ACCESS`` are left out of the answer; the object is the module's name |
    | denied | module and action (list, view, edit) that no role gives the user; ``access`` denies the whole module (*assumed*) |
    | on_save | called with module and id between the reading of a record and its writing: what people do there is lost |
    """

    version: Version = "7.15.0"
    info_version: str = ""
    user_name: str = SUGARCRM_CREDENTIALS["SUGARCRM_USER_NAME"]
    password: str = field(default=SUGARCRM_CREDENTIALS["SUGARCRM_PASSWORD"], repr=False)
    external_keys: bool = False
    charset: Charset = "utf8mb3"
    unclosed: Unclosed = "close"
    failure_body: str = "Database failure. Please refer to suitecrm.log for details."
    session_seconds: float = 1_440
    page_rows: int = 20
    capitalizes: bool = False
    row_seconds: float = 0
    clock: Callable[[], float] = time.time
    obstacles: list[Obstacle] = field(default_factory=list)
    denied: set[tuple[str, str]] = field(default_factory=set)
    on_save: Callable[[str, str], None] | None = None

    def __post_init__(self) -> None:
        self.info_version = self.info_version or (self.version if self.version == "6.5.26" else "6.5.25")

    @property
    def path(self) -> str:
        """Where the API is served."""
        return f"{'/legacy' if self.version.startswith('8') else ''}/service/v4_1/rest.php"

    @property
    def voids_by_cookies(self) -> bool:
        """Whether a cookie of an earlier sign-in makes the next one's session invalid: seen on these two."""
        return self.version in ("7.15.0", "8.10.1")

    @property
    def changes_email1(self) -> bool:
        """Whether a changed ``email1`` is stored: not on SuiteCRM (salesagility/SuiteCRM#9960, #10513); of SugarCRM CE it is *assumed*."""
        return self.version == "6.5.26"
