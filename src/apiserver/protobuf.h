/*
 * protobuf.h: answers in protobuf. What is stored is JSON, so whatever a client gets in protobuf is
 * decoded and encoded for it; nobody else pays.
 */
#ifndef SAMPAN_APISERVER_PROTOBUF_H
#define SAMPAN_APISERVER_PROTOBUF_H

#include "apiserver/list.h"

/* JSON of something that names its own kind, as an enveloped message appended to `out`. -EINVAL:
 * 406, a kind that has no form in protobuf. */
int protobuf_from_json(struct str json, struct buf *out, struct err *err);
/* A whole list of r->res, appended to `out`. */
void protobuf_list(struct request *r, const struct object_list *l, struct buf *out);
/* An event of a watch as a frame: its length in four bytes, then a WatchEvent. `object`: JSON. */
void protobuf_event(const char *type, struct str object, struct buf *out);

#endif
