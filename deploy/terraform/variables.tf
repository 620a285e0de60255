variable "regions" {
  description = "The regions that get a function, each with its own settings. Only log_project has no default, because its name must be free in the region."
  type = map(object({
    log_project   = string                 # made here; the name must be free in the region
    interval      = optional(string, "5m") # time between two runs
    enabled       = optional(bool, true)   # false: the timers pause
    shards        = optional(number, 1)    # how many timers share the functions: docs/scale.md
    eventbridge   = optional(bool, false)  # a second trigger: invocations that were refused
    alerts        = optional(bool, true)
    action_policy = optional(string, "fc-reaper") # who is notified; make it in the console
    on_success    = optional(string)              # ARN of a destination for results; the role gets the right to send to it
    on_failure    = optional(string)              # ARN of a destination for runs that failed for good
    settings      = optional(map(string), {})     # more REAPER_ variables
  }))

  validation {
    condition     = length(var.regions) > 0
    error_message = "Name at least one region, such as regions = { \"cn-hangzhou\" = { log_project = \"fc-reaper-logs\" } }."
  }

  validation {
    condition = alltrue([
      for region in keys(var.regions) :
      contains(["ap-southeast-1", "cn-beijing", "cn-hangzhou", "cn-shanghai", "cn-shenzhen"], region)
    ])
    error_message = "For another region add its provider and its module to regions.tf, and its name to this list."
  }

  validation {
    condition     = alltrue([for one in values(var.regions) : can(regex("^[1-9][0-9]*[mh]$", one.interval))])
    error_message = "An interval is a whole number of minutes or hours, such as 5m or 1h."
  }

  validation {
    condition     = alltrue([for one in values(var.regions) : one.shards >= 1 && one.shards <= 49 && floor(one.shards) == one.shards])
    error_message = "The number of shards is a whole number from 1 to 49: a function has at most 50 triggers."
  }

  validation {
    condition     = alltrue([for one in values(var.regions) : can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", one.log_project))])
    error_message = "A log project has 3 to 63 lower-case letters, digits and hyphens, and begins and ends with a letter or digit."
  }

  validation {
    condition = alltrue(flatten([
      for one in values(var.regions) : [
        for key in keys(one.settings) : startswith(key, "REAPER_") && !contains(["REAPER_MODE", "REAPER_INTERVAL"], key)
      ]
    ]))
    error_message = "settings takes REAPER_ variables only; mode and interval have variables of their own."
  }

  validation {
    condition = alltrue([
      for arn in compact(flatten([for one in values(var.regions) : [one.on_success, one.on_failure]])) :
      can(regex("^acs:[a-z]+:[a-z0-9-]+:[0-9]+:.+$", arn))
    ])
    error_message = "A destination is an ARN, such as acs:eventbridge:cn-hangzhou:ACCOUNT:eventbus/fc-reaper with the number of your account."
  }
}

variable "mode" {
  description = "dry-run lists, evaluates and logs. enforce also stops, and attaches the policy that allows it."
  type        = string
  default     = "dry-run"

  validation {
    condition     = contains(["dry-run", "enforce"], var.mode)
    error_message = "The mode is dry-run or enforce."
  }
}

variable "name" {
  description = "Name of the function, the role and the logstore, and the beginning of the names of the policies."
  type        = string
  default     = "fc-reaper"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,49}$", var.name))
    error_message = "The name has 3 to 50 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "package" {
  description = "The zip file that make package writes. Default: build/function.zip of this project."
  type        = string
  default     = null

  validation {
    condition     = var.package == null || can(regex("\\.zip$", var.package))
    error_message = "The package is a .zip file; make package writes build/function.zip."
  }
}

variable "runtime" {
  description = "python3.10 for make package, python3.12 for make package PY=3.12."
  type        = string
  default     = "python3.10"

  validation {
    condition     = contains(["python3.10", "python3.12"], var.runtime)
    error_message = "The package is made for python3.10 or python3.12."
  }
}

variable "timeout" {
  description = "Seconds until the platform ends a run; less than the interval of every region."
  type        = number
  default     = 240

  validation {
    condition     = var.timeout >= 30 && var.timeout <= 86400 && floor(var.timeout) == var.timeout
    error_message = "The timeout is a whole number of seconds from 30 to 86400."
  }
}

variable "memory" {
  description = "MB of memory; a quarter of a processor comes with each 256."
  type        = number
  default     = 256

  validation {
    condition     = contains([256, 512, 1024], var.memory)
    error_message = "The memory is 256, 512 or 1024 MB."
  }
}

variable "retention" {
  description = "Days for which the logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.retention >= 1 && var.retention <= 3650 && floor(var.retention) == var.retention
    error_message = "The retention is a whole number of days from 1 to 3650."
  }
}

variable "tags" {
  description = "Tags of the functions."
  type        = map(string)
  default     = { application = "fc-reaper" }

  validation {
    condition     = length(var.tags) <= 20
    error_message = "A function takes at most 20 tags."
  }
}
