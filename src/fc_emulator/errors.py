"""Errors of the API. Codes are those of Function Compute 2.0; `api_versions` spells them for the others."""

from __future__ import annotations


class ApiError(Exception):
    """A call is refused with this HTTP status and error code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid_argument(message: str) -> ApiError:
    return ApiError(400, "InvalidArgument", message)


def forbidden(message: str, code: str = "SignatureNotMatch") -> ApiError:
    return ApiError(403, code, message)


def not_found(what: str, message: str) -> ApiError:
    """404 for a *what* such as `Service`, `Alias` or `StatefulAsyncInvocation`."""
    return ApiError(404, f"{what}NotFound", message)
