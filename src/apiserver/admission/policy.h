/*
 * policy.h: admission policies and their bindings, validating and mutating ones alike, as they are
 * used on a write: compiled, with their parameters found (apiserver
 * pkg/admission/plugin/policy/generic).
 *
 * policy.c             stored objects -> struct policy, struct policy_binding
 * policy_params.c      the objects that a binding's paramRef names
 * policy_apply.c       what an apply configuration makes of an object
 * validating_policy.c  ValidatingAdmissionPolicy
 * mutating_policy.c    MutatingAdmissionPolicy
 */
#ifndef SAMPAN_ADMISSION_POLICY_H
#define SAMPAN_ADMISSION_POLICY_H

#include "apiserver/admission/derived.h"
#include "apiserver/admission/evaluate.h"
#include "apiserver/admission/match.h"

struct policy_validation {
	struct expression check, message; /* message.text is empty: none */
	struct str text;                  /* the fixed message, trimmed */
	struct str reason;
};

struct policy_audit {
	struct str key;
	struct expression value;
};

struct policy_mutation {
	struct expression patch;
	bool apply; /* an apply configuration, else a JSON patch */
};

struct policy {
	struct str name;
	struct match_criteria match;
	const struct admissionregistration_v1_param_kind *param_kind; /* or NULL */
	const struct schema_resource *params; /* NULL, too, when there is no such kind */
	struct expressions expressions;
	struct conditions conditions;
	bool ignore; /* failurePolicy */
	bool again;  /* reinvocationPolicy IfNeeded */
	struct {
		struct policy_validation *v;
		size_t n;
	} validations;
	struct {
		struct policy_audit *v;
		size_t n;
	} audits;
	struct {
		struct policy_mutation *v;
		size_t n;
	} mutations;
};

struct policy_binding {
	struct str name, policy;
	struct match_criteria match;
	const struct admissionregistration_v1_param_ref *param_ref; /* or NULL */
	struct str_vec actions;
};

/* The state of either plugin. */
struct bound_policies;

struct bound_policies *bound_policies_new(struct store *store, bool mutating);
void bound_policies_free(struct bound_policies *p); /* NULL-safe */

/* The policies that somebody has bound, with their bindings, both by name. As long as the arena. */
struct policy_hook {
	const struct policy *policy;
	const struct policy_binding **bindings;
	size_t n_bindings;
};
struct policy_hooks {
	struct policy_hook *v;
	size_t n;
};
struct policy_hooks bound_policies_hooks(struct bound_policies *p, struct arena *a);

/* Whether the write is to a policy or a binding: none of them looks at it. */
bool policy_is_exempt(const struct admission_attrs *attrs);

/* The objects to evaluate with, each as `params`: one null when the policy or the binding asks for
 * none. err->message is what is wrong with the binding. */
struct policy_params {
	struct policy_param {
		struct cel_value value;
		struct str ns, name; /* of the object */
	} * v;
	size_t n;
};
int policy_params(const struct admission_attrs *attrs, const struct policy *p,
	const struct policy_binding *b, struct policy_params *ret, struct err *err);
/* The object, JSON of `type`, with an apply configuration laid over it; owners of fields stay as
 * they are. err->message is what the policy did wrong. */
int policy_apply(const struct schema_type *type, struct str object, struct cel_value config,
	struct arena *a, struct str *ret, struct err *err);
/* What is wrong with a policy whose kind of parameters nobody knows: 0 when all is well. */
int policy_check(const struct policy *p, struct err *err);

#endif
