/* registry.c: the kinds that have rules of their own. */
#include "apiserver/resources/rules.h"

const struct strategy *const strategies[] = {
	&config_map_strategy,
	&cron_job_strategy,
	&daemon_set_strategy,
	&deployment_strategy,
	&endpoint_slice_strategy,
	&endpoints_strategy,
	&event_strategy,
	&job_strategy,
	&lease_strategy,
	&limit_range_strategy,
	&namespace_strategy,
	&node_strategy,
	&pod_strategy,
	&pod_template_strategy,
	&replica_set_strategy,
	&replication_controller_strategy,
	&resource_quota_strategy,
	&secret_strategy,
	&service_account_strategy,
	&service_strategy,
	&stateful_set_strategy,
	NULL,
};

const struct strategy *strategy_find(const struct schema_resource *res)
{
	for (size_t i = 0; strategies[i]; i++)
		if (strategies[i]->resource == res)
			return strategies[i];
	return NULL;
}
