# The function of one region with its triggers. What each value is for: s.yaml, which deploys the same function.

locals {
  seconds = {
    m = 60
    h = 3600
  }
  interval_s = tonumber(regex("[0-9]+", var.settings.interval)) * local.seconds[regex("[mh]", var.settings.interval)]

  destinations = var.settings.on_success != null || var.settings.on_failure != null

  # make package leaves the files of the package beside it; the names of its libraries say for which Python.
  python    = trimprefix(var.common.runtime, "python")
  unpacked  = fileset(trimsuffix(var.common.package, ".zip"), "**/*.cpython-*.so")
  built_for = distinct([for path in local.unpacked : regex("cpython-[0-9]+", path)])

  # The name of each timer and its payload. One looks at everything; several share the functions: docs/scale.md
  timers = {
    for share in range(1, var.settings.shards + 1) :
    share == 1 ? "schedule" : "shard-${share}" =>
    var.settings.shards == 1 ? "" : jsonencode({ shard = "${share}/${var.settings.shards}" })
  }

  on_event = {
    triggerEnable          = true
    asyncInvocationType    = true
    eventRuleFilterPattern = "{\"source\":[\"acs.fc\"],\"type\":[\"fc:Function:InvokeWithClientError\"]}"
    eventSourceConfig = {
      eventSourceType       = "Default"
      eventSourceParameters = {}
    }
    eventSinkConfig = {
      deliveryOption = {
        eventSchema = "CloudEvents"
      }
    }
    runOptions = {
      mode            = "event-driven"
      errorsTolerance = "ALL"
      retryStrategy = {
        PushRetryStrategy = "BACKOFF_RETRY"
      }
    }
  }
}

resource "alicloud_fcv3_function" "reaper" {
  function_name = var.common.name
  # With the package, because by its page the provider may not see a change of the code alone; the plan shows this one.
  description     = "Stops asynchronous tasks that outlive their policy (package ${try(filesha256(var.common.package), "missing")})"
  runtime         = var.common.runtime
  handler         = "index.handler"
  memory_size     = var.common.memory
  cpu             = var.common.memory / 1024
  disk_size       = 512
  timeout         = var.common.timeout
  role            = var.common.role
  internet_access = true
  tags            = var.common.tags

  code {
    # Sensitive, or the plan would print it; without a package destroy still works.
    zip_file = sensitive(try(filebase64(var.common.package), ""))
  }

  environment_variables = merge(
    { REAPER_LOG_LEVEL = "INFO" },
    var.settings.settings,
    { REAPER_MODE = var.common.mode, REAPER_INTERVAL = var.settings.interval },
  )

  log_config {
    project                 = alicloud_log_project.reaper.project_name
    logstore                = alicloud_log_store.reaper.logstore_name
    enable_request_metrics  = true
    enable_instance_metrics = true
    log_begin_rule          = "None"
  }

  lifecycle {
    precondition {
      condition     = fileexists(var.common.package)
      error_message = "There is no package at ${var.common.package}; run make package."
    }

    precondition {
      condition     = length(local.built_for) == 0 || contains(local.built_for, "cpython-${replace(local.python, ".", "")}")
      error_message = "The package is for another Python than ${var.common.runtime}; run make package PY=${local.python}."
    }

    precondition {
      condition     = var.common.timeout < local.interval_s
      error_message = "The timeout must be shorter than the interval of ${var.region}, so that a run ends before the next begins."
    }
  }

  # The index covers only what is logged after it was made.
  depends_on = [alicloud_sls_index.reaper]
}

resource "alicloud_fcv3_concurrency_config" "reaper" {
  function_name        = alicloud_fcv3_function.reaper.function_name
  reserved_concurrency = var.settings.shards # one run of each timer at a time
}

resource "alicloud_fcv3_async_invoke_config" "reaper" {
  function_name                  = alicloud_fcv3_function.reaper.function_name
  qualifier                      = "LATEST"
  max_async_retry_attempts       = 1
  max_async_event_age_in_seconds = 600
  async_task                     = false

  dynamic "destination_config" {
    for_each = local.destinations ? [true] : []

    content {
      dynamic "on_success" {
        for_each = var.settings.on_success == null ? [] : [var.settings.on_success]

        content {
          destination = on_success.value
        }
      }

      dynamic "on_failure" {
        for_each = var.settings.on_failure == null ? [] : [var.settings.on_failure]

        content {
          destination = on_failure.value
        }
      }
    }
  }
}

# After the settings that its first run relies on.
resource "alicloud_fcv3_trigger" "schedule" {
  for_each = local.timers

  function_name = alicloud_fcv3_function.reaper.function_name
  qualifier     = "LATEST"
  trigger_name  = each.key
  trigger_type  = "timer"
  description   = "One run over all targets of the policy"
  trigger_config = jsonencode({
    cronExpression = "@every ${var.settings.interval}"
    enable         = var.settings.enabled
    payload        = each.value
  })

  depends_on = [alicloud_fcv3_async_invoke_config.reaper, alicloud_fcv3_concurrency_config.reaper]
}

# EventBridge must be activated, and its service-linked roles must exist: docs/terraform.md
resource "alicloud_fcv3_trigger" "on_event" {
  count = var.settings.eventbridge ? 1 : 0

  function_name  = alicloud_fcv3_function.reaper.function_name
  qualifier      = "LATEST"
  trigger_name   = "on-event"
  trigger_type   = "eventbridge"
  description    = "Any event starts a run; a command in its data narrows it"
  trigger_config = jsonencode(local.on_event)

  depends_on = [alicloud_fcv3_trigger.schedule]
}
