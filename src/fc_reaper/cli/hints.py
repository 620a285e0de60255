"""What to check when the cloud refuses or does not answer."""

from __future__ import annotations

from collections.abc import Iterable

from fc_reaper.log import ListFailed, TaskLine

_KEYS = (
    "check ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET (for a role also "
    "ALIBABA_CLOUD_SECURITY_TOKEN, which runs out), this machine's clock, and that the endpoint is that of "
    "the keys' account"
)
_PERMISSIONS = (
    "check that RAM allows fc:ListStatefulAsyncInvocations, fc:GetStatefulAsyncInvocation and "
    "fc:StopStatefulAsyncInvocation (for patterns also fc:ListStatefulAsyncInvocationFunctions; for FC 3.0 "
    "fc:ListAsyncTasks, fc:GetAsyncTask, fc:StopAsyncTask, fc:ListAsyncInvokeConfigs)"
)
_SILENT = (
    "check the endpoint (REAPER_ENDPOINT or --endpoint, such as https://ACCOUNT.REGION.fc.aliyuncs.com) "
    "and the way to it"
)
_MISSING = "check the names and the qualifier in the policy, the region of the endpoint, and --api-version"


def advice(http_status: int | None, error_code: str) -> str:
    """What to check after a refusal, in one line; *http_status* None means that no answer came."""
    if http_status is None:
        return _SILENT
    if http_status in (401, 403):
        return _refused(error_code.lower())
    if http_status == 404:
        return _MISSING
    if http_status == 429:
        return "the account's rate is used up; lower REAPER_RATE, or try again later"
    return "the platform has trouble of its own; try again later" if http_status >= 500 else _MISSING


def _refused(code: str) -> str:
    if any(word in code for word in ("signature", "accesskey", "token", "time")):
        return _KEYS
    if any(word in code for word in ("denied", "permission", "auth")):
        return _PERMISSIONS
    return f"{_KEYS}; {_PERMISSIONS}"


def advice_for(failures: Iterable[ListFailed | TaskLine]) -> list[str]:
    """What to check after these `list_failed` lines, each advice once."""
    return list(dict.fromkeys(advice(one.http_status, one.error_code) for one in failures))
