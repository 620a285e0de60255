"""The entry point: `handler(event, context)` is what Function Compute calls."""

import gc
import json
import os
import sys
from random import Random
from typing import Any
from urllib.parse import parse_qs

# A cold start is billed. Imports leave next to no garbage, and no plugin of pydantic is installed.
gc.disable()
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

try:
    import fc_reaper.cloud  # noqa: F401  # before all others, see there
    from fc_reaper.clock import SYSTEM_CLOCK
    from fc_reaper.errors import ReaperError
    from fc_reaper.run import Dependencies, RunResult, run
    from fc_reaper.settings import connect
except Exception as error:
    # A package is made for one of two runtimes.
    python = "{}.{}".format(*sys.version_info)
    why = f"this package was not made for python{python}: {' '.join(str(error).split())}"
    anew = f"run make package PY={python}, or " if python in ("3.10", "3.12") else ""
    raise ImportError(f"{why}; {anew}change the runtime in s.yaml") from None

gc.enable()
gc.freeze()

_JSON = "application/json"


class CloudUnreachable(ReaperError):
    """Nothing could be listed and nothing was stopped; raised so that the platform tries again."""


def handler(event: Any, context: Any) -> str | list[bytes]:
    """Run once for *event* (bytes, text, a decoded value or None), and answer with the result as JSON text.

    Everything is built anew from the environment and *context*, so that keys are never stale. An HTTP trigger
    of FC 2.0 calls this as a WSGI application, with `environ` and `start_response`:
    https://help.aliyun.com/zh/functioncompute/fc-2-0/user-guide/http-trigger-overview Raises
    CloudUnreachable: the cloud did not answer, or refused only for now, and nothing was done.
    """
    if callable(context) and isinstance(event, dict) and "REQUEST_METHOD" in event:
        finished = _run(_http_event(event), event.get("fc.context"))
        context("503 Service Unavailable" if finished.curable else "200 OK", [("Content-Type", _JSON)])
        return [json.dumps(finished.fields).encode()]
    finished = _run(event, context)
    if finished.curable:
        raise CloudUnreachable("; ".join(finished.fields["errors"]))
    body = json.dumps(finished.fields)
    if not finished.trigger.http:
        return body
    # An HTTP trigger of FC 3.0 wants its own shape:
    # https://help.aliyun.com/zh/functioncompute/http-trigger-invoking-function
    answer = {"statusCode": 200, "headers": {"Content-Type": _JSON}, "isBase64Encoded": False, "body": body}
    return json.dumps(answer)


def _run(event: Any, context: Any) -> RunResult:
    return run(event, context, Dependencies(os.environ, sys.stdout, SYSTEM_CLOCK, Random(), connect))


def _http_event(environ: dict[str, Any]) -> Any:
    """The request of a WSGI *environ* as an HTTP trigger of FC 3.0 has it; *environ* if it has none."""
    if "HTTP_TRANSFER_ENCODING" in environ and not environ.get("CONTENT_LENGTH"):
        return environ  # A body of unknown length cannot be read, and may ask for a dry run: refused.
    try:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        query = parse_qs(environ.get("QUERY_STRING") or "", keep_blank_values=True)
        return {
            "headers": {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")},
            "queryParameters": {name: one[0] if len(one) == 1 else one for name, one in query.items()},
            "body": body.decode("utf-8"),
            "requestContext": {"http": {"method": environ["REQUEST_METHOD"]}},
        }
    except Exception:
        return environ
