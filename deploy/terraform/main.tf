# fc-reaper in one or more regions, with Terraform: docs/terraform.md
#
#   (cd ../.. && make package)
#   cp terraform.tfvars.example terraform.tfvars    and edit it
#   terraform init
#   terraform apply                      a dry run: stops nothing
#   terraform apply -var mode=enforce    stops what is due
#
# Credentials come from the environment, as the provider documents; none belong in these files.

locals {
  files = "${path.module}/.." # the trust policy and the permissions are those that deploy/README.md explains

  package = coalesce(var.package, "${path.module}/../../build/function.zip")

  permissions = var.mode == "enforce" ? ["dry-run", "enforce"] : ["dry-run"]

  common = {
    name      = var.name
    mode      = var.mode
    package   = local.package
    runtime   = var.runtime
    timeout   = var.timeout
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
}

# Without the policy `enforce` every stop request is answered with 403, whatever a file or a setting says.
resource "alicloud_ram_policy" "reaper" {
  for_each = toset(local.permissions)

  policy_name     = "${var.name}-${each.key}"
  description     = "What fc-reaper may do: deploy/policy-${each.key}.json"
  policy_document = file("${local.files}/policy-${each.key}.json")
}

resource "alicloud_ram_role_policy_attachment" "reaper" {
  for_each = alicloud_ram_policy.reaper

  role_name   = alicloud_ram_role.reaper.role_name
  policy_name = each.value.policy_name
  policy_type = each.value.type
}
