"""How calls fail: with an error in an answer of status 200, or with a bare 500 where PHP or the database gave up.

Source: SuiteCRM's and SugarCRM's ``SoapError`` definitions (numbers and names); the status codes were observed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ApiError(Exception):
    """An error that the API knows, told in an answer of status 200."""

    name: str
    number: int
    description: str

    def body(self) -> dict[str, str | int]:
        """What is answered."""
        return {"name": self.name, "number": self.number, "description": self.description}


class DatabaseFailure(Exception):
    """SQL failed: a 500."""


class Crash(Exception):
    """PHP gave up, for a missing argument for instance: a 500 without a body."""


def invalid_login() -> ApiError:
    """Wrong user name or password."""
    return ApiError("Invalid Login", 10, "Login attempt failed please check the username and password")


def invalid_session() -> ApiError:
    """No session, or one that ended."""
    return ApiError("Invalid Session ID", 11, "The session ID is invalid")


def no_such_module() -> ApiError:
    """A module that the site does not have."""
    return ApiError("Module Does Not Exist", 20, "This module is not available on this server")


def access_denied() -> ApiError:
    """What the user may not do; also a query that the validator dislikes."""
    return ApiError("Access Denied", 40, "You do not have access")


def unknown_method() -> ApiError:
    """A method that there is not."""
    return ApiError("Unknown Error", -1, "The called function does not exist")
