"""What stops a load, a command or a step: settings, credentials, the state database, a service outside."""

from __future__ import annotations

from crm_pipeline.counting import counted
from crm_pipeline.errors.record_error import record_errors


class CrmPipelineError(Exception):
    """Base of every error of ours that stops something."""


class ConfigurationError(CrmPipelineError):
    """The integration's YAML, settings or environment are wrong; the text says what would be right."""


class MissingCredentialError(ConfigurationError):
    """An environment variable that should hold a credential is unset or blank, or cannot be a credential."""

    def __init__(self, *, integration: str, variable: str, fault: str = "is not set") -> None:
        self.integration = integration
        self.variable = variable
        super().__init__(
            f"integration {integration}: environment variable {variable} {fault}; set it where runs execute and start the run again"
        )


class MappingError(ConfigurationError):
    """Mappings that can never work in this CRM, all of them at once."""

    def __init__(self, *, integration: str, service: str, problems: list[str]) -> None:
        self.problems = problems
        listed = "; ".join(problems)
        super().__init__(f"integration {integration}: the mapping cannot work in {service}: {listed}")


class WrongOrgError(ConfigurationError):
    """The url or the credentials lead to another organization than the one that the stored links belong to."""

    def __init__(self, *, integration: str, service: str, stored: str, found: str) -> None:
        super().__init__(
            f"integration {integration}: {service} answers as organization {found}, but this integration's links belong to {stored}; "
            "nothing was written. Correct the url or the credentials, or accept the other one with crm-pipeline adopt-org"
        )


class SameRefusalError(ConfigurationError):
    """A CRM refused a load's first records for one cause that configuration alone can cure, so that the rest would end alike.

    ``error_type`` is the record error, ``code`` the CRM's own, ``fields`` the CRM fields it named; both may be null.
    """

    def __init__(self, *, integration: str, service: str, error_type: str, code: str | None, fields: str | None, count: int) -> None:
        self.error_type = error_type
        self.count = count
        named = "".join([f" ({code})" if code else "", f", fields {fields}" if fields else ""])
        super().__init__(
            f"integration {integration}: {service} refused the first {counted(count, 'record')} it was sent for one cause: "
            f"{error_type}{named}. {record_errors()[error_type].remedy} What was done is stored; materialize the partition again once "
            "the cause is gone"
        )


class TooManyChangesError(CrmPipelineError):
    """More records of QBench would change in one run than the integration allows; none was written.

    ``planned``: how many would change; ``limit``: how many may.
    """

    def __init__(self, *, integration: str, service: str, records: str, planned: int, limit: int) -> None:
        self.planned = planned
        self.limit = limit
        changes, most = counted(planned, records.removesuffix("s"), form=","), counted(limit, "is", "are", form=",")
        super().__init__(
            f"integration {integration}: what changed in {service} would change {changes} in QBench, and {most} the "
            "most that one run may change; nothing was written. Look at them with crm-pipeline plan --from, then raise most_changed and "
            "most_changed_share for one run if they are right"
        )


class StoreError(CrmPipelineError):
    """The state database cannot be used."""


class StoreSetupError(StoreError):
    """The state database is not named, or is none that this version can use; nothing but a person's hand helps."""


class LinkRefusedError(CrmPipelineError):
    """A link cannot be made, moved or removed by hand; the text names the ids that stand in the way."""


class RestoreRefusedError(CrmPipelineError):
    """The loser's value of a conflict cannot be put back; the text names the record, the field, and what stands in the way."""


class ServiceError(CrmPipelineError):
    """A service outside could not do its part. ``service`` is its name, ``integration`` whose it is, ``code`` the service's own code.

    ``executed``: the request may have been carried out.
    """

    executed = False

    def __init__(self, message: str, *, integration: str, service: str, code: str | None = None) -> None:
        self.integration = integration
        self.service = service
        self.code = code
        super().__init__(f"integration {integration}: {service}: {message}")


class AuthenticationError(ServiceError):
    """The service refuses the credentials, or what they are allowed to do."""


class RequestRefusedError(ServiceError):
    """The service refuses this request as a whole."""


class UnexpectedAnswerError(ServiceError):
    """The service answered something that its contract does not know (HTML instead of JSON, a list that is missing).

    Repeating may help: the next answer may be whole. ``executed`` is False only where the service certainly did not carry out
    what was asked (the sign-in before it failed).
    """

    def __init__(self, message: str, *, integration: str, service: str, code: str | None = None, executed: bool = True) -> None:
        self.executed = executed
        super().__init__(message, integration=integration, service=service, code=code)

    executed = True


class LimitReachedError(ServiceError):
    """A daily or storage limit is used up; what is stored stays, and a later run continues from there."""


class ServiceUnavailableError(ServiceError):
    """The service could not be reached, is busy, or failed inside; repeating may help.

    ``wait_seconds`` is the service's own word on when to come back; ``executed`` is False only where the service certainly
    did not carry the request out (refused by a rate limit, connection refused); ``too_much`` is True where it may be able to do
    less at once (it ran out of time).
    """

    def __init__(
        self,
        message: str,
        *,
        integration: str,
        service: str,
        code: str | None = None,
        wait_seconds: float | None = None,
        executed: bool = True,
        too_much: bool = False,
    ) -> None:
        self.wait_seconds = wait_seconds
        self.executed = executed
        self.too_much = too_much
        super().__init__(message, integration=integration, service=service, code=code)


class AlertNotSentError(CrmPipelineError):
    """An alert reached not every channel; it is kept, and sent again with the next tick of the sensor."""

    def __init__(self, *, integration: str, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(f"integration {integration}: an alert was not sent, the next tick tries again: {'; '.join(problems)}")
