# The log project of one region, its logstore with the index, the dashboard and the alerts: the files of
# docs/monitoring, with the names and the interval of this region in place of those of s.yaml.

locals {
  monitoring = "${path.module}/../../../docs/monitoring"

  index     = jsondecode(file("${local.monitoring}/index.json"))
  dashboard = jsondecode(file("${local.monitoring}/dashboard.json"))

  charts = [
    for chart in local.dashboard.charts :
    merge(chart, { search = merge(chart.search, {
      logstore = alicloud_log_store.reaper.logstore_name
      query    = replace(chart.search.query, "pause_s > 900", "pause_s > ${3 * local.interval_s}")
    }) })
  ]

  alerts = {
    for path in fileset("${local.monitoring}/alerts", "*.json") :
    trimsuffix(path, ".json") => jsondecode(file("${local.monitoring}/alerts/${path}"))
  }

  # How many intervals these times of the files are, which are for 5m; every other time stays.
  intervals = {
    "-900s" = 3
    "-600s" = 2
  }
}

resource "alicloud_log_project" "reaper" {
  project_name = var.settings.log_project
  description  = "Logs of fc-reaper"
}

resource "alicloud_log_store" "reaper" {
  project_name     = alicloud_log_project.reaper.project_name
  logstore_name    = var.common.name
  retention_period = var.common.retention
}

resource "alicloud_sls_index" "reaper" {
  project_name  = alicloud_log_project.reaper.project_name
  logstore_name = alicloud_log_store.reaper.logstore_name
  keys          = jsonencode(local.index.keys)

  line {
    case_sensitive = local.index.line.caseSensitive
    chn            = local.index.line.chn
    token          = local.index.line.token
  }
}

resource "alicloud_log_dashboard" "reaper" {
  project_name   = alicloud_log_project.reaper.project_name
  dashboard_name = local.dashboard.dashboardName
  display_name   = local.dashboard.displayName
  attribute      = jsonencode(local.dashboard.attribute)
  char_list      = jsonencode(local.charts)
}

resource "alicloud_sls_alert" "reaper" {
  for_each = var.settings.alerts ? local.alerts : {}

  project_name = alicloud_log_project.reaper.project_name
  alert_name   = each.value.name
  display_name = each.value.displayName
  description  = each.value.description
  status       = "ENABLED"

  # The provider knows no daily schedule; its cron is in UTC+8 where no zone is given.
  schedule {
    type            = each.value.schedule.type == "Daily" ? "Cron" : each.value.schedule.type
    interval        = try(each.value.schedule.interval, null)
    cron_expression = each.value.schedule.type == "Daily" ? "0 ${each.value.schedule.hour} * * *" : null
  }

  configuration {
    version          = each.value.configuration.version
    type             = each.value.configuration.type
    dashboard        = alicloud_log_dashboard.reaper.dashboard_name
    threshold        = each.value.configuration.threshold
    no_data_fire     = each.value.configuration.noDataFire
    no_data_severity = each.value.configuration.noDataSeverity
    send_resolved    = each.value.configuration.sendResolved
    auto_annotation  = each.value.configuration.autoAnnotation
    mute_until       = each.value.configuration.muteUntil

    dynamic "query_list" {
      for_each = each.value.configuration.queryList

      content {
        store_type     = query_list.value.storeType
        region         = var.region
        project        = alicloud_log_project.reaper.project_name
        store          = alicloud_log_store.reaper.logstore_name
        query          = query_list.value.query
        time_span_type = query_list.value.timeSpanType
        start          = try("-${local.intervals[query_list.value.start] * local.interval_s}s", query_list.value.start)
        end            = query_list.value.end
        power_sql_mode = query_list.value.powerSqlMode
      }
    }

    group_configuration {
      type   = each.value.configuration.groupConfiguration.type
      fields = each.value.configuration.groupConfiguration.fields
    }

    dynamic "severity_configurations" {
      for_each = each.value.configuration.severityConfigurations

      content {
        severity = severity_configurations.value.severity

        eval_condition {
          condition = severity_configurations.value.evalCondition.condition
          # Both empty means: there is data. The provider leaves out what is empty, so here it is said.
          count_condition = (
            severity_configurations.value.evalCondition.condition == ""
            ? "__count__ > 0" : severity_configurations.value.evalCondition.countCondition
          )
        }
      }
    }

    dynamic "annotations" {
      for_each = each.value.configuration.annotations

      content {
        key   = annotations.value.key
        value = annotations.value.value
      }
    }

    dynamic "labels" {
      for_each = each.value.configuration.labels

      content {
        key   = labels.value.key
        value = labels.value.value
      }
    }

    policy_configuration {
      alert_policy_id  = each.value.configuration.policyConfiguration.alertPolicyId
      action_policy_id = var.settings.action_policy
      repeat_interval  = each.value.configuration.policyConfiguration.repeatInterval
    }
  }

  # A query on a field without an index fails.
  depends_on = [alicloud_sls_index.reaper]
}
