# Makes what fc-reaper needs in an account, for $mode. Read it, then run it with sh. What exists is left
# as it is, so it may be run again. What is not proven of these commands: docs/permissions.md
# By hand, in the console: the action policy `fc-reaper`, which sends the alerts (docs/monitoring.md).
set -eu

# The role, which Function Compute may assume
aliyun ram GetRole --RoleName $role >/dev/null 2>&1 ||
  aliyun ram CreateRole --RoleName $role --AssumeRolePolicyDocument $trust

# What the role may do; the narrow form, which has no effect by the platform's own pages (docs/permissions.md):
# $narrow
aliyun ram GetPolicy --PolicyType Custom --PolicyName fc-reaper-$mode >/dev/null 2>&1 ||
  aliyun ram CreatePolicy --PolicyName fc-reaper-$mode --PolicyDocument $rights

# The role gets it
aliyun ram ListPoliciesForRole --RoleName $role | grep -F '"fc-reaper-$mode"' >/dev/null 2>&1 ||
  aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName fc-reaper-$mode --RoleName $role

# The log project
aliyun sls GetProject --project $project --region $region >/dev/null 2>&1 ||
  aliyun sls CreateProject --body '{"projectName": "$project", "description": "Logs of fc-reaper"}' --region $region

# The logstore, which keeps a line for 90 days
aliyun sls GetLogStore --project $project --logstore $store --region $region >/dev/null 2>&1 ||
  aliyun sls CreateLogStore --project $project --body '{"logstoreName": "$store", "ttl": 90, "shardCount": 2, "autoSplit": true, "maxSplitShard": 64}' --region $region

# Its index
aliyun sls GetIndex --project $project --logstore $store --region $region >/dev/null 2>&1 ||
  aliyun sls CreateIndex --project $project --logstore $store --body $index --region $region

# The dashboard
aliyun sls GetDashboard --project $project --dashboardName fc-reaper --region $region >/dev/null 2>&1 ||
  aliyun sls CreateDashboard --project $project --body $dashboard --region $region

# The alert $alert
aliyun sls GetAlert --project $project --alertName $alert --region $region >/dev/null 2>&1 ||
  aliyun sls CreateAlert --project $project --body $body --region $region
