/*
 * match_conditions.h: which questions a webhook authorizer is asked (apiserver pkg/authorization/cel): expressions over
 * `request`, the spec of the SubjectAccessReview it would get. Immutable once made; any thread.
 */
#ifndef SAMPAN_AUTH_MATCH_CONDITIONS_H
#define SAMPAN_AUTH_MATCH_CONDITIONS_H

#include "base/base.h"

struct authorization_v1_subject_access_review_spec;
struct cel_program;

struct match_conditions {
	struct {
		struct cel_program *program;
		char *text;
	} *v;
	size_t n;
};

/* 0, or -EINVAL with *ret_why in the arena: "compilation failed: …", "must evaluate to bool but got int". *ret NULL: only checked. */
int match_condition_compile(
	struct str expression, struct arena *a, struct cel_program **ret, struct str *ret_why);
int match_conditions_init(struct match_conditions *m, const struct str_vec *expressions, struct err *err);
void match_conditions_release(struct match_conditions *m);
/* Whether all are true; false with *ret_error: none is false, but some could not be evaluated. */
bool match_conditions_hold(const struct match_conditions *m,
	const struct authorization_v1_subject_access_review_spec *spec, struct arena *a, struct str *ret_error);

#endif
