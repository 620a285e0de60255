# fc-reaper in one or more regions, with Terraform: docs/terraform.md
#
#   (cd ../.. && make package)
#   cp terraform.tfvars.example terraform.tfvars    and edit it
#   terraform init
#   terraform apply     a dry run, which stops nothing; with mode = "enforce" in terraform.tfvars it stops what is due
#
# Credentials come from the environment, as the provider documents; none belong in these files.

locals {
  files = "${path.module}/.." # the trust policy and the permissions are those that deploy/README.md explains

  package = coalesce(var.package, "${path.module}/../../build/function.zip")

  modes = var.mode == "enforce" ? ["dry-run", "enforce"] : ["dry-run"]

  # What the services that take results call the right to send to them.
  sends = {
    eventbridge = "eventbridge:PutEvents"
    mns         = "mns:SendMessage"
  }
  destinations = [
    for arn in sort(distinct(compact(flatten([for one in values(var.regions) : [one.on_success, one.on_failure]])))) :
    { Effect = "Allow", Action = [local.sends[split(":", arn)[1]]], Resource = [arn] }
    if contains(keys(local.sends), split(":", arn)[1])
  ]

  policies = merge(
    { for mode in local.modes : mode => file("${local.files}/policy-${mode}.json") },
    { for key in ["destinations"] : key => jsonencode({ Version = "1", Statement = local.destinations }) if length(local.destinations) > 0 },
  )

  common = {
    name      = var.name
    mode      = var.mode
    package   = local.package
    runtime   = var.runtime
    timeout   = var.timeout
    memory    = var.memory
    retention = var.retention
    tags      = var.tags
    role      = alicloud_ram_role.reaper.arn
  }
}

# Roles and policies belong to the account, not to a region.
resource "alicloud_ram_role" "reaper" {
  role_name                   = var.name
  description                 = "The role that fc-reaper runs under"
  assume_role_policy_document = file("${local.files}/trust.json")
  force                       = true # destroy also detaches what was attached by hand
}

# Without the policy `enforce` every stop request is answered with 403, whatever a file or a setting says.
resource "alicloud_ram_policy" "reaper" {
  for_each = local.policies

  policy_name     = "${var.name}-${each.key}"
  description     = "Rights of fc-reaper: ${each.key}"
  policy_document = each.value
  # RAM keeps five versions of a policy, and deletes none that has more than one.
  rotate_strategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
  force           = true
}

resource "alicloud_ram_role_policy_attachment" "reaper" {
  for_each = alicloud_ram_policy.reaper

  role_name   = alicloud_ram_role.reaper.role_name
  policy_name = each.value.policy_name
  policy_type = each.value.type
}
