/*
 * config_file.h: the components' configuration files (KubeletConfiguration, KubeSchedulerConfiguration …), read strictly
 * into the places that a table names. The table is one of flags whose names are paths:
 *
 *     const struct flag fields[] = {
 *             {"leaderElection.leaderElect", FLAG_BOOL, &f->elect},
 *             {"profiles[0].schedulerName", FLAG_STRING, &name},
 *             {"evictionHard", FLAG_LIST, &thresholds},       // an object: KEY=VALUE each
 *             {"parallelism", FLAG_UNUSED, NULL, NULL, "one pod after the other"},
 *             {NULL},
 *     };
 *
 * What the table does not name is an error, as upstream's strict decoding says it.
 */
#ifndef SAMPAN_CONFIG_FILE_H
#define SAMPAN_CONFIG_FILE_H

#include "base/flags.h"

/* One document, YAML or JSON. Values live in `a`. Blocks; for start-up. */
int config_file_read(const char *path, const char *api_version, const char *kind,
	const struct flag *fields, struct arena *a, struct err *err);

#endif
