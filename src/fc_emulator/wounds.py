"""Answers that never arrive whole: what an honest HTTP library refuses to send is done to the connection."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


def _transport(scope: Scope) -> asyncio.Transport:
    """The connection of a request, which the server's protocol puts into the state."""
    transport: asyncio.Transport = scope["state"]["transport"]
    return transport


async def drop(scope: Scope, receive: Receive) -> None:
    """Close the connection without a word."""
    _transport(scope).abort()
    await _gone(receive)


async def send_truncated(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Promise the whole body, send half of it, close."""
    body = bytes(response.body)
    promised = str(max(len(body), 2)).encode()
    headers = [(k, promised if k == b"content-length" else v) for k, v in response.raw_headers]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    _transport(scope).close()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
