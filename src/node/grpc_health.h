/* grpc_health.h: asks a server for its health: grpc.health.v1.Health/Check over cleartext HTTP/2.
 */
#ifndef SAMPAN_GRPC_HEALTH_H
#define SAMPAN_GRPC_HEALTH_H

#include "base/base.h"
#include "loop/loop.h"

/* done comes on a later turn, exactly once; the message says why it does not serve. */
void grpc_health_check(struct loop *loop, struct str address, struct str service,
	int64_t timeout_ms, void (*done)(void *user_data, bool serving, struct str message),
	void *user_data);

#endif
