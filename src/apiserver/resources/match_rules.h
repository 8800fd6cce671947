/* match_rules.h: validation that webhooks and admission policies share. */
#ifndef SAMPAN_RESOURCES_MATCH_RULES_H
#define SAMPAN_RESOURCES_MATCH_RULES_H

#include "cel/expressions.h"
#include "apiserver/resources/rules.h"

void validate_admission_rule(const struct admissionregistration_v1_rule_with_operations *r,
	const struct field_path *p, struct field_errors *e);
void validate_match_conditions(const struct admissionregistration_v1_match_condition_vec *v,
	bool params, const struct field_path *p, struct field_errors *e);
/* Whether an update leaves them as they are. */
bool match_conditions_equal(const struct admissionregistration_v1_match_condition_vec *x,
	const struct admissionregistration_v1_match_condition_vec *y);
/* Compiles; in e->arena. */
struct expressions *validation_expressions(struct field_errors *e, unsigned flags);
void validate_expression(struct expressions *x, enum expression_sort sort, struct str text,
	const struct field_path *p, struct field_errors *e);
/* Names that only configuration from files may have. */
void warn_static_name(struct strategy_ctx *ctx, struct str name);

#endif
