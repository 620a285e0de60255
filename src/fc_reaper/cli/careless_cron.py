"""The cron that everybody writes first. Please do not copy it: `fc-reaper demo` shows what it does."""

import os
import time

import fc2

client = fc2.Client(
    endpoint=os.environ["ENDPOINT"], accessKeyID=os.environ["KEY"], accessKeySecret=os.environ["SECRET"]
)
for function in "transcode", "batch":
    path = f"/2016-08-15/services/media.prod/functions/{function}/stateful-async-invocations"
    tasks = client._do_request("GET", path, client._build_common_headers("GET", path)).json()["invocations"]
    for task in tasks:
        age = time.time() - task["startedTime"] / 1000
        if age > 2 * 3600 and task["status"] not in ("Succeeded", "Failed", "Stopped"):
            try:
                url = f"{path}/{task['invocationId']}"
                client._do_request("PUT", url, client._build_common_headers("PUT", url))
                print("stopped", task["invocationId"])
            except Exception:
                print("error", task["invocationId"])
