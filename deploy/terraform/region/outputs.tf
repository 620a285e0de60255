output "made" {
  description = "The names by which the parts are found in the console."
  value = {
    function    = alicloud_fcv3_function.reaper.function_name
    log_project = alicloud_log_project.reaper.project_name
    logstore    = alicloud_log_store.reaper.logstore_name
    dashboard   = alicloud_log_dashboard.reaper.dashboard_name
  }
}
