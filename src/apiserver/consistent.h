/*
 * consistent.h: what a request must see before it is answered. Where several API servers share a
 * store, what this one shows may be behind what another has committed.
 */
#ifndef SAMPAN_APISERVER_CONSISTENT_H
#define SAMPAN_APISERVER_CONSISTENT_H

#include "apiserver/server.h"

/* False: nothing to wait for. True: go_on(r) is called when the store shows enough, or the request
 * was answered 504. */
bool consistent_wait(struct request *r, void (*go_on)(struct request *r));
/* 504: the store did not answer within upstream's request timeout. */
int err_request_timeout(struct err *err);

#endif
