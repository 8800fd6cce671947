/* programs.h: what programs.def names. */
#ifndef SAMPAN_PROGRAMS_H
#define SAMPAN_PROGRAMS_H

#include "controllers/controllers.h"
#include "node/hollow.h"
#include "node/kubelet.h"
#include "proxy/proxy.h"
#include "scheduler/scheduler.h"
#include "server/check/check.h"
#include "server/control.h"
#include "server/node.h"
#include "server/supervisor.h"
#include "server/token.h"
#include "node/runtime/image/image.h"
#include "node/runtime/pause.h"

#endif
