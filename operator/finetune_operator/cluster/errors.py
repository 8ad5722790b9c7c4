"""What can go wrong on the way to the API server."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class ApiError(Exception):
    """An answer of the API server that is not a success; `message` holds its own words."""

    def __init__(self, code: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        """HTTP status."""
        self.reason = reason
        """CamelCase, as AlreadyExists or Conflict."""
        self.message = message
        self.retry_after = retry_after
        """Seconds after which the server wants to be asked again."""

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.code in (408, 409, 410, 429) or self.code >= 500


class Unreachable(Exception):
    """No answer at all: no connection, no agreement on TLS, or none in time; the text names the server."""


class Fenced(Unreachable):
    """The request would have changed something, and was not sent: another operator may lead by now."""


class LoginError(Exception):
    """No way in: a kubeconfig, a token or a certificate that is missing or cannot be read."""


def answer_error(code: int, headers: Mapping[str, str], body: str) -> ApiError:
    """Return the error in an answer: a `Status` object, or whatever a proxy on the way wrote."""
    status = _status(body)
    details = status.get("details")
    told = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    retry_after = _seconds(headers.get("Retry-After")) if "Retry-After" in headers else told
    message = str(status.get("message") or body[:1000].strip() or f"HTTP {code}")
    return ApiError(code, str(status.get("reason") or "Unknown"), message, retry_after)


def _status(body: str) -> dict[str, object]:
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return status if isinstance(status, dict) and status.get("kind") == "Status" else {}


def _seconds(header: str | None) -> float | None:
    """Retry-After holds seconds, or a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
