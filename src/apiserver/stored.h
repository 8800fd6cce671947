/*
 * stored.h: how objects are read that another API server stored: in versions that are not served
 * any more or not yet, and without the defaults that upstream fills in whenever it reads.
 */
#ifndef SAMPAN_APISERVER_STORED_H
#define SAMPAN_APISERVER_STORED_H

#include "store/etcd/value.h"

extern const struct etcd_reader stored_reader;

/* crd_v1beta1.c: the JSON of a CustomResourceDefinition of v1beta1, which upstream still stores, as
 * that of v1 (apiextensions-apiserver, conversion of v1beta1). 400. */
int crd_from_v1beta1(struct str json, struct arena *a, struct str *ret, struct err *err);

#endif
