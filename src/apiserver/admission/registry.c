#include "apiserver/admission/plugins.h"

/* Upstream's order (kubeapiserver options AllOrderedPlugins). */
const struct admission_plugin *const admission_plugins[] = {
	&admission_namespace_lifecycle,
	NULL,
};
