/* match_rules.h: validation that webhooks and admission policies share. */
#ifndef SAMPAN_RESOURCES_MATCH_RULES_H
#define SAMPAN_RESOURCES_MATCH_RULES_H

#include "apiserver/resources/rules.h"

void validate_admission_rule(const struct admissionregistration_v1_rule_with_operations *r,
	const struct field_path *p, struct field_errors *e);
/* Names and that there is an expression: it is not compiled. */
void validate_match_conditions(const struct admissionregistration_v1_match_condition_vec *v,
	const struct field_path *p, struct field_errors *e);
/* Names that only configuration from files may have. */
void warn_static_name(struct strategy_ctx *ctx, struct str name);

#endif
