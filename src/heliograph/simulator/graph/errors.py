"""Errors in the form of the Graph API."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class GraphError:
    """`headers` go out with the answer."""

    code: int
    message: str
    details: str = ""
    status: int = 400
    subcode: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {
            "message": f"(#{self.code}) {self.message}",
            "type": "OAuthException",
            "code": self.code,
            "fbtrace_id": "Alocalgraphserver000000",
        }
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        return {"error": error}

    def in_status(self) -> dict[str, Any]:
        """The same, as it stands in the `errors` of a failed status."""
        return {
            "code": self.code,
            "title": self.message,
            "message": self.message,
            "error_data": {"details": self.details or self.message},
        }


NAMES: dict[int, tuple[int, str]] = {
    1: (500, "An unknown error occurred"),
    2: (503, "Service temporarily unavailable"),
    4: (400, "Application request limit reached"),
    10: (403, "Application does not have permission for this action"),
    190: (401, "Invalid OAuth access token"),
    368: (403, "Temporarily blocked for policy violations"),
    80007: (400, "Rate limit issues"),
    130429: (400, "Rate limit hit"),
    130472: (400, "User's number is part of an experiment"),
    130497: (403, "Business account is restricted from messaging users in this country"),
    131000: (500, "Something went wrong"),
    131005: (403, "Access denied"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131016: (500, "Service unavailable"),
    131021: (400, "Recipient cannot be sender"),
    131026: (400, "Message undeliverable"),
    131030: (400, "Recipient phone number not in allowed list"),
    131031: (403, "Account has been locked"),
    131042: (400, "Business eligibility payment issue"),
    131045: (500, "Incorrect certificate"),
    131047: (400, "Re-engagement message"),
    131048: (400, "Spam rate limit hit"),
    131049: (400, "Not delivered to maintain healthy ecosystem engagement"),
    131050: (400, "User has stopped marketing messages"),
    131051: (400, "Unsupported message type"),
    131052: (400, "Media download error"),
    131053: (400, "Media upload error"),
    131056: (400, "Pair rate limit hit"),
    131057: (500, "Account in maintenance mode"),
    132001: (404, "Template name does not exist in the translation"),
    133010: (400, "Phone number not registered"),
    135000: (400, "Generic user error"),
}


def fault(code: int, details: str = "", *, headers: dict[str, str] | None = None) -> GraphError:
    status, name = NAMES.get(code, (400, "Error"))
    return GraphError(code, name, details, status, headers=headers or {})


def bad_parameter(details: str) -> GraphError:
    return GraphError(100, "Invalid parameter", details)


def unknown_object(object_id: str) -> GraphError:
    details = f"Object with ID '{object_id}' does not exist or cannot be loaded with this token"
    return GraphError(100, "Unsupported request", details, subcode=33)


UNAUTHORIZED = GraphError(190, "Invalid OAuth access token", "Cannot parse or accept the access token", 401)
