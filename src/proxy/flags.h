/* flags.h: what of upstream's kube-proxy main.c does not implement, and why. Private. */
#ifndef SAMPAN_PROXY_FLAGS_H
#define SAMPAN_PROXY_FLAGS_H

#include "base/flags.h"

extern const struct flag upstream_flags_kube_proxy[];

#endif
