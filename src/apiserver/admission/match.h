/*
 * match.h: which writes a webhook or a policy is for: its rules, its selectors, and whether another
 * version of the same objects counts, too (apiserver pkg/admission/plugin/webhook/predicates).
 */
#ifndef SAMPAN_ADMISSION_MATCH_H
#define SAMPAN_ADMISSION_MATCH_H

#include "api/selector.h"
#include "apiserver/admission.h"

struct match_rule {
	struct admissionregistration_v1_rule_with_operations rule;
	struct str_vec names; /* of objects; empty: all */
};

struct match_rules {
	struct match_rule *v;
	size_t n;
};

struct match_selector {
	const struct meta_v1_label_selector *from; /* NULL: everything */
	struct label_selector parsed;
	bool broken; /* parsed is nothing; parse `from` again to hear why */
};

struct match_criteria {
	struct match_rules rules, exclude;
	struct match_selector namespaces, objects;
	bool equivalent; /* matchPolicy */
	bool all;        /* without rules, everything matches */
};

/* For the maker of criteria; the selector must outlive the result. */
struct match_selector match_selector_of(const struct meta_v1_label_selector *s, struct arena *a);
/* Of a policy or a binding; NULL: everything matches. */
void match_resources_of(const struct admissionregistration_v1_match_resources *m, struct arena *a,
	struct match_criteria *ret);

/* 1, with *ret_as the version of the resource that the rules name; 0; or negative: it cannot be
 * said (a broken selector, no such namespace), although the rules name the resource. */
int match_criteria_match(const struct admission_attrs *attrs, const struct match_criteria *c,
	const struct schema_resource **ret_as, struct err *err);

/* Whether the write is to the configuration of admission itself, which nothing may lock up. */
bool match_is_exempt(const struct admission_attrs *attrs);
/* "CREATE" … as rules and reviews have it. */
const char *match_operation(enum admission_op op);

#endif
