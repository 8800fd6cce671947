/* eviction.h: looks now and then whether a pod has to go for the node's sake. */
#ifndef SAMPAN_EVICTION_H
#define SAMPAN_EVICTION_H

struct kubelet;
struct eviction;

struct eviction *eviction_new(struct kubelet *k);
void eviction_free(struct eviction *e);

#endif
