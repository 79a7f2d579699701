"""What the organization refuses: a whole call (CallError) or one record of it (RowError)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# Row errors that a single-row call answers with another status than 400.
_STATUS_OF_ROW_ERROR: Mapping[str, int] = MappingProxyType({"ENTITY_IS_DELETED": 404, "NOT_FOUND": 404})


class RowError(Exception):
    """One record is refused: the vendor's status code, its message and the fields it names."""

    def __init__(self, code: str, message: str, fields: tuple[str, ...] = (), *, duplicate_result: dict[str, Any] | None = None) -> None:
        self.code = code
        self.message = message
        self.fields = fields
        self.duplicate_result = duplicate_result
        super().__init__(code)

    def as_call_error(self) -> CallError:
        """The same refusal as the answer of a single-row call."""
        return CallError(
            _STATUS_OF_ROW_ERROR.get(self.code, 400),
            self.code,
            self.message,
            fields=self.fields,
            duplicate_result=self.duplicate_result,
        )


class CallError(Exception):
    """A whole call is refused with an HTTP status and the vendor's error code."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        fields: tuple[str, ...] | None = None,
        duplicate_result: dict[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields
        self.duplicate_result = duplicate_result
        super().__init__(code)

    def body(self) -> list[dict[str, Any]]:
        """The answer's JSON: always a list of one error."""
        error: dict[str, Any] = {"message": self.message, "errorCode": self.code}
        if self.duplicate_result is not None:
            error["duplicateResult"] = self.duplicate_result
        elif self.fields is not None:
            error["fields"] = list(self.fields)
        return [error]


def not_found() -> CallError:
    """No such resource, object, record or API version."""
    return CallError(404, "NOT_FOUND", "The requested resource does not exist")


def unknown_column(field: str, object_name: str) -> RowError:
    """A field that the object does not have, or that the user may not see."""
    return RowError("INVALID_FIELD", f"No such column '{field}' on sobject of type {object_name}")
