#include "apiserver/admission/plugins.h"

/* Upstream's order (kubeapiserver options AllOrderedPlugins). */
const struct admission_plugin *const admission_plugins[] = {
	&admission_namespace_lifecycle,
	&admission_service_account,
	&admission_taint_nodes_by_condition,
	&admission_priority,
	&admission_default_toleration_seconds,
	&admission_runtime_class,
	NULL,
};
