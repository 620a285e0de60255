terraform {
  required_version = ">= 1.5"

  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = ">= 1.260.0, < 2.0.0" # the first with alicloud_sls_index
    }
  }
}
