# One provider and one module for each region, because Terraform configures a provider once for each region and
# cannot do so in a loop. A region that `regions` does not name makes nothing. For another region repeat a pair of
# blocks, and add the name to the list in variables.tf and to outputs.tf. No run begins before the role has its rights.

# The account's own resources, the role and its policies, need some region as well.
provider "alicloud" {
  region = sort(keys(var.regions))[0]
}

provider "alicloud" {
  alias  = "cn_hangzhou"
  region = "cn-hangzhou"
}

module "cn_hangzhou" {
  source    = "./region"
  for_each  = { for region, one in var.regions : region => one if region == "cn-hangzhou" }
  providers = { alicloud = alicloud.cn_hangzhou }

  region   = each.key
  settings = each.value
  common   = local.common

  depends_on = [alicloud_ram_role_policy_attachment.reaper]
}

provider "alicloud" {
  alias  = "cn_shanghai"
  region = "cn-shanghai"
}

module "cn_shanghai" {
  source    = "./region"
  for_each  = { for region, one in var.regions : region => one if region == "cn-shanghai" }
  providers = { alicloud = alicloud.cn_shanghai }

  region   = each.key
  settings = each.value
  common   = local.common

  depends_on = [alicloud_ram_role_policy_attachment.reaper]
}

provider "alicloud" {
  alias  = "cn_beijing"
  region = "cn-beijing"
}

module "cn_beijing" {
  source    = "./region"
  for_each  = { for region, one in var.regions : region => one if region == "cn-beijing" }
  providers = { alicloud = alicloud.cn_beijing }

  region   = each.key
  settings = each.value
  common   = local.common

  depends_on = [alicloud_ram_role_policy_attachment.reaper]
}

provider "alicloud" {
  alias  = "cn_shenzhen"
  region = "cn-shenzhen"
}

module "cn_shenzhen" {
  source    = "./region"
  for_each  = { for region, one in var.regions : region => one if region == "cn-shenzhen" }
  providers = { alicloud = alicloud.cn_shenzhen }

  region   = each.key
  settings = each.value
  common   = local.common

  depends_on = [alicloud_ram_role_policy_attachment.reaper]
}

provider "alicloud" {
  alias  = "ap_southeast_1"
  region = "ap-southeast-1"
}

module "ap_southeast_1" {
  source    = "./region"
  for_each  = { for region, one in var.regions : region => one if region == "ap-southeast-1" }
  providers = { alicloud = alicloud.ap_southeast_1 }

  region   = each.key
  settings = each.value
  common   = local.common

  depends_on = [alicloud_ram_role_policy_attachment.reaper]
}
