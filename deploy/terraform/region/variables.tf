variable "region" {
  description = "The region of the provider that this module is given."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z0-9-]+$", var.region))
    error_message = "A region is written like cn-hangzhou."
  }
}

# The defaults of both objects are in the variables of the folder above.
variable "settings" {
  description = "The settings of this region: an entry of the variable regions."
  type = object({
    log_project   = string
    interval      = string
    enabled       = bool
    shards        = number
    eventbridge   = bool
    alerts        = bool
    action_policy = string
    on_success    = optional(string)
    on_failure    = optional(string)
    settings      = map(string)
  })

  validation {
    condition     = can(regex("^[1-9][0-9]*[mh]$", var.settings.interval))
    error_message = "An interval is a whole number of minutes or hours, such as 5m or 1h."
  }
}

variable "common" {
  description = "What is the same in all regions."
  type = object({
    name      = string
    mode      = string
    package   = string
    runtime   = string
    timeout   = number
    memory    = number
    retention = number
    tags      = map(string)
    role      = string
  })

  validation {
    condition     = contains(["dry-run", "enforce"], var.common.mode)
    error_message = "The mode is dry-run or enforce."
  }
}
