/* flags.h: the flags of kube-controller-manager, and those of them that `sampan control` has. */
#ifndef SAMPAN_CONTROLLERS_FLAGS_H
#define SAMPAN_CONTROLLERS_FLAGS_H

#include "base/flags.h"
#include "controllers/controllers.h"

/* What of upstream's is not implemented, and why. */
extern const struct flag upstream_flags_controller_manager[];

/* flags.c: what the controllers do, wherever they run. */
enum { CONTROLLERS_FLAGS_MAX = 12 };
void controllers_flags_table(struct controllers_opts *o, struct flag table[CONTROLLERS_FLAGS_MAX]);

/* signing_flags.c: --cluster-signing-…: one CA for all signers, or one for each. */
struct signing_files {
	const char *cert, *key;
	const char *certs[SIGNERS], *keys[SIGNERS];
};
enum { SIGNING_FLAGS_MAX = 2 * SIGNERS + 4 };
void signing_flags_table(
	struct signing_files *f, struct controllers_opts *o, struct flag table[SIGNING_FLAGS_MAX]);
/* Reads them into o->signing, in `a`; errors name the flag. */
int signing_files_read(const struct signing_files *f, struct controllers_opts *o, struct arena *a,
	struct err *err);

#endif
