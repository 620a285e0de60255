output "role" {
  description = "ARN of the role that the functions run under."
  value       = alicloud_ram_role.reaper.arn
}

output "mode" {
  description = "dry-run or enforce."
  value       = var.mode
}

output "regions" {
  description = "For each region: function, log_project, logstore, dashboard."
  value = merge(
    { for region, one in module.cn_hangzhou : region => one.made },
    { for region, one in module.cn_shanghai : region => one.made },
    { for region, one in module.cn_beijing : region => one.made },
    { for region, one in module.cn_shenzhen : region => one.made },
    { for region, one in module.ap_southeast_1 : region => one.made },
  )
}
