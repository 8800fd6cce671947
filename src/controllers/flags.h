/* flags.h: what of upstream's kube-controller-manager main.c does not implement, and why. Private. */
#ifndef SAMPAN_CONTROLLERS_FLAGS_H
#define SAMPAN_CONTROLLERS_FLAGS_H

#include "base/flags.h"

extern const struct flag upstream_flags_controller_manager[];

#endif
