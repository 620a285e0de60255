"""`fc-reaper probe`: what this account does where the platform documents nothing."""

from collections.abc import Iterator
from secrets import token_hex
from typing import Annotated, Any

from typer import Option

from fc_reaper.cli import output
from fc_reaper.cli.app import AsJson, Cloud, environment, parse_length, with_cloud
from fc_reaper.cli.planfile import whereabouts
from fc_reaper.clock import SYSTEM_CLOCK, Deadline
from fc_reaper.cloud.errors import CallFailed
from fc_reaper.models import Credentials, Exit, iso
from fc_reaper.platform import Facts, Platform, account_digest
from fc_reaper.probing.client import SLEEPER, SleeperClient
from fc_reaper.probing.observe import TASKS, Probe
from fc_reaper.settings import Context, Settings, connect, read_credentials, read_settings


@with_cloud
def probe(
    cloud: Cloud = None,
    out: Annotated[str, Option(metavar="FILE", help="The file to write.")] = "probe.json",
    force: Annotated[bool, Option("--force", help="Let --out overwrite a file.")] = False,
    timeout: Annotated[str, Option(metavar="TIME", help="Observe for so long at most.")] = "5m",
    yes: Annotated[bool, Option("--yes", help="Submit the tasks without a question.")] = False,
    as_json: AsJson = False,
) -> int:
    """Learn what your account does where nothing is documented.

    It submits six tasks, which sleep, to the function fc-reaper-probe, and to no other, observes them and
    stops what is left. How to deploy the function: docs/probe.md.

    \b
    Example:
      fc-reaper probe --region cn-hangzhou --yes
    """
    if as_json and not yes:
        raise output.CommandError("--json leaves no room for a question; add --yes, or leave it out")
    length = parse_length("--timeout", timeout) / 1000
    output.check_writable(out, force=force)
    env = {**environment(**cloud), "REAPER_PLATFORM": ""}  # what was found elsewhere, or before, says nothing
    settings, keys = read_settings(env, Context()), read_credentials(env, Context())
    where, owner = (str(whereabouts(settings)[name] or "") for name in ("region", "account"))
    if not (where and owner):
        raise output.CommandError("the account or its region is not known; give --region and --account")
    served, found, failed = _find_sleeper(settings, keys, SYSTEM_CLOCK.monotonic() + length)
    chosen = env.get("REAPER_API_VERSION") or next(iter(found), "")
    if chosen not in found:
        if not any(error.missing for error in failed):
            raise failed[-1]
        raise output.CommandError(f"{where} has no {SLEEPER}; s deploy -y -t deploy/s-probe.yaml makes it")
    what = f"{len(TASKS)} tasks, which sleep, are submitted to {SLEEPER} of account {owner} in {where}"
    what += f" by API {chosen}, observed for {timeout} at most, and what is left is stopped"
    if yes:
        output.print_error(what)
    elif output.ask(f"{what}; go on? [y/N]").lower() not in ("y", "yes"):
        raise output.CommandError("nothing was submitted; answer y, or add --yes", Exit.ATTENTION)
    found[chosen].until = SYSTEM_CLOCK.monotonic() + length
    # Either signal raises, so that no wait is too long for it; what is left is stopped then.
    with output.progress("Observing the tasks"), output.interruptible(at_once=True):
        seen = Probe(found[chosen], SYSTEM_CLOCK)
        seen.observe()
    of: Any = {"version": 1, "date": iso(SYSTEM_CLOCK.now())[:10], "region": where, "observed": seen.observed}
    of |= {"account": account_digest(where, owner), "api_versions": served, "facts": Facts(**seen.facts)}
    learnt = Platform(**of)
    output.write_file(out, learnt.model_dump_json(indent=1) + "\n", force=force, private=False)
    if as_json:
        output.print_json(learnt)
    else:
        output.show(output.table(("assumption", "this account", "setting to use"), _rows(learnt)), "")
        output.show("A - means that there is nothing to set; docs/probe.md has each row.")
        output.show(f"{out} has what else was seen; it is for REAPER_PLATFORM and fc-emulator --like.")
    output.print_error(*seen.notes)
    if seen.left:
        output.print_error(f"not stopped: {', '.join(seen.left)}; each ends by itself within seven minutes")
    return Exit.ATTENTION if seen.notes or seen.left else Exit.DONE


def _find_sleeper(
    settings: Settings, keys: Credentials, until: Deadline
) -> tuple[dict[Any, bool | None], dict[str, SleeperClient], list[CallFailed]]:
    """Which versions of the API are served, by which the function was found, and why by the others not."""
    served: dict[Any, bool | None] = {}
    found: dict[str, SleeperClient] = {}
    failed: list[CallFailed] = []
    for version in ("2023-03-30", "2021-04-06", "2016-08-15"):
        variant = settings.model_copy(update={"api_version": version})
        client: Any = connect(variant, keys, token_hex(4), clock=SYSTEM_CLOCK, kind=SleeperClient)
        client.until = until
        try:
            client.ask("List", limit="1")
            served[version], found[version] = True, client
        except CallFailed as error:
            if error.http_status is None and not found:
                raise  # The others are behind the same endpoint.
            unknown = error.denied or error.unclear or error.retryable
            served[version] = error.missing or (None if unknown else False)
            failed.append(error)
    return served, found, failed


def _rows(learnt: Platform) -> Iterator[tuple[str, str, str]]:
    """Each assumption, what this account does, and the setting that says so."""
    for name, value in learnt.facts:
        setting = f"REAPER_STARTED_TIME={value or 'unknown'}" if name == "started_time" else "-"
        yield str(Facts.model_fields[name].description).rstrip("."), str(value or "not observed"), setting
    for version, served in learnt.api_versions.items():
        replaces = version == "2016-08-15" and served and not learnt.api_versions.get("2021-04-06")
        said = "not observed" if served is None else "served" if served else "not served"
        yield f"API {version} is", said, f"REAPER_API_VERSION={version}" if replaces else "-"
