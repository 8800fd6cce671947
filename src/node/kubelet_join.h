/* kubelet_join.h: the command line's part in joining a cluster: its flags, and what they mean for
 * the kubelet's options. */
#ifndef SAMPAN_KUBELET_JOIN_H
#define SAMPAN_KUBELET_JOIN_H

#include "base/flags.h"
#include "node/kubelet.h"

struct join_flags {
	const char *ca_hash;
};

enum { JOIN_FLAGS_MAX = 8 };
void kubelet_join_flags(
	struct join_flags *f, struct kubelet_opts *o, struct flag table[JOIN_FLAGS_MAX]);
/* Before kubelet_start: joins the cluster when the options say so (join.h), and sets those that
 * follow from it. Runs the loop; -EINTR when that was stopped. Strings live in `a`. */
int kubelet_join(struct loop *loop, const struct join_flags *f, struct kubelet_opts *o,
	struct arena *a, struct err *err);

#endif
