/* plugins.h: the admission plugins, one file each. registry.c puts them in order. */
#ifndef SAMPAN_ADMISSION_PLUGINS_H
#define SAMPAN_ADMISSION_PLUGINS_H

#include "apiserver/admission.h"

extern const struct admission_plugin admission_namespace_lifecycle, admission_service_account,
	admission_taint_nodes_by_condition, admission_priority, admission_default_toleration_seconds,
	admission_runtime_class;

#endif
