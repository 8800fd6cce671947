/*
 * pod_security.h: the Pod Security Standards (k8s.io/pod-security-admission/policy): what pods of a
 * level may not do, in each version of the rules.
 */
#ifndef SAMPAN_ADMISSION_POD_SECURITY_H
#define SAMPAN_ADMISSION_POD_SECURITY_H

#include "types.gen.h"

enum pod_security_level { LEVEL_PRIVILEGED, LEVEL_BASELINE, LEVEL_RESTRICTED };

enum { POD_SECURITY_LATEST = 1 << 30 };

struct pod_security_rules {
	enum pod_security_level level;
	int minor; /* v1.<minor>, or POD_SECURITY_LATEST */
};

struct pod_violation {
	const char *reason; /* "host namespaces" */
	struct str detail;  /* "hostNetwork=true"; may be empty */
};

struct pod_violations {
	struct pod_violation *v;
	size_t n;
};

/* What the pod violates, in upstream's order; n == 0: nothing. */
struct pod_violations pod_security_check(struct arena *a, struct pod_security_rules rules,
	const struct meta_v1_object_meta *meta, const struct v1_pod_spec *spec);

#endif
