"""How the account says no. Codes are those of Function Compute 2.0; a dialect may spell them otherwise."""

from __future__ import annotations


class Refusal(Exception):
    """The account refuses a call with this HTTP status and error code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> Refusal:
    return Refusal(400, "InvalidArgument", message)


def forbidden(message: str, code: str = "SignatureNotMatch") -> Refusal:
    return Refusal(403, code, message)


def missing(what: str, message: str) -> Refusal:
    """404 for a *what* such as `Service`, `Alias` or `StatefulAsyncInvocation`."""
    return Refusal(404, f"{what}NotFound", message)
