/* fake_cri.h: a runtime that only pretends: sandboxes are ready and containers run as soon as they
 * are asked for. Tests make containers exit, fail calls, and read what was called. */
#ifndef SAMPAN_FAKE_CRI_H
#define SAMPAN_FAKE_CRI_H

#include "node/cri.h"

struct cri *fake_cri_new(struct loop *loop);
/* The container of that name ends; an event is sent. */
void fake_cri_exit(struct cri *c, const char *name, int exit_code);
/* The next call of that name ("pull_image", …) fails with this message; NULL: none does. */
void fake_cri_fail(struct cri *c, const char *call, const char *message);
/* What was called so far, in order: "run_sandbox create_container:a start_container:a …". */
const char *fake_cri_calls(struct cri *c);

#endif
