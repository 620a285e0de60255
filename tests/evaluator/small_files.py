"""Policy files from so few words that their parts often have to do with each other, and tasks for them."""

from __future__ import annotations

from hypothesis import reject
from hypothesis import strategies as st

from fc_reaper.errors import PolicyError
from fc_reaper.models import UNFINISHED, Task
from fc_reaper.policy import PolicyFile, load_policy
from tests.builders import a_task, ms

LIMITS = st.sampled_from(
    ["1h", "2h", "{from: payload.most, at_most: 1h}", "{from: payload.most, at_most: 2h, else: 1h}"]
)
CLOCKS = ["queued_for", "running_for", "alive_for", "stopping_for"]
WHERE = st.sampled_from(["payload.vip", "payload.n > '5'", "tier == 'x'", "ages.queued_for > `1`", "status"])
PAYLOADS = st.sampled_from(
    [None, '{"vip": true, "n": "s3cret", "most": "30m"}', '{"vip": false, "n": 6, "most": 3}', "?"]
)
IDS = st.sampled_from(["job-*", "*", "job-1", "[keep-*, job-1]", "'?ob-*'"])


STATUSES = st.sampled_from(["Running", "[Enqueued, Dequeued]", "[Running, Retrying]"])


@st.composite
def matchers(draw: st.DrawFn, *, exemption: bool) -> str:
    """From so few words that they often have to do with each other."""
    keys = []
    if not exemption or draw(st.booleans()):
        keys.append(f"{draw(st.sampled_from(CLOCKS))}: {draw(LIMITS)}")
    if draw(st.booleans()):
        keys.append(f"id: {draw(IDS)}".replace(": *", ": '*'"))
    if exemption and draw(st.booleans()):
        keys.append(f"status: {draw(STATUSES)}")
    if draw(st.integers(0, 3)) == 0:
        keys.append(f'where: "{draw(WHERE)}"')
    if not keys:
        keys.append("target: media/*@*")
    return "{" + ", ".join(keys) + "}"


@st.composite
def files(draw: st.DrawFn) -> PolicyFile:
    """Two policies and perhaps an exemption; contradictory ones are not valid and are drawn anew."""
    lines = [
        "version: 1",
        f"exempt: [{', '.join(draw(st.lists(matchers(exemption=True), max_size=1)))}]",
        "policies:",
    ]
    for name in ("one", "two"):
        unless = ", ".join(draw(st.lists(matchers(exemption=True), max_size=2)))
        does = draw(st.sampled_from(["stop", "report"]))
        keep = draw(st.sampled_from(["", "", "", "keep: {at_most: 1, per: payload.n}, "]))
        match = draw(matchers(exemption=False))
        keys = f"targets: [media/transcode@prod], match: {match}, unless: [{unless}], {keep}{does}: x"
        lines.append(f"- {{name: {name}, {keys}}}")
    text = "\n".join(lines)
    try:
        return load_policy(text, source="p")
    except PolicyError:
        reject()


@st.composite
def old_tasks(draw: st.DrawFn) -> Task:
    """Tasks with sound records that are over most limits."""
    status = draw(st.sampled_from(UNFINISHED))
    lengths = st.sampled_from(["3h", "150m", "90m", "61m", "50m"])
    times = sorted(draw(st.tuples(lengths, lengths)), key=ms)
    events = [("Enqueued", times[1]), (status, times[0])]
    invocation_id = draw(st.sampled_from(["job-1", "keep-1", "mob-1"]))
    retries = draw(st.integers(0, 2))
    record = {"status": status, "invocationPayload": draw(PAYLOADS)}
    return a_task(status, *events, invocation_id=invocation_id, retries=retries, record=record)
