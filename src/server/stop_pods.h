/* stop_pods.h: ends what outlives the node agent: containers, wherever the node ran them. */
#ifndef SAMPAN_STOP_PODS_H
#define SAMPAN_STOP_PODS_H

#include "base/base.h"

/* Stops and removes every pod sandbox with its containers, and unmounts volumes; blocks until they
 * are gone or grace_ms has passed. The node agent
 * must not run. */
int stop_pods(const char *node_data_dir, const char *run_dir, int64_t grace_ms, struct err *err);

#endif
