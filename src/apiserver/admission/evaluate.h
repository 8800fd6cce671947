/*
 * evaluate.h: what expressions say about a write (apiserver pkg/admission/plugin/cel ForInput,
 * webhook/matchconditions).
 *
 * A group of expressions is evaluated together: they share a budget of cost and each variable of
 * the policy is computed once, when an expression asks for it.
 */
#ifndef SAMPAN_ADMISSION_EVALUATE_H
#define SAMPAN_ADMISSION_EVALUATE_H

#include "apiserver/admission.h"
#include "cel/expressions.h"

/* What is to be seen of a write. */
struct evaluation_input {
	struct admission_attrs *attrs;
	const struct schema_resource *as; /* the version of the objects that the rules named */
	struct cel_value values[N_EXPRESSION_VARIABLES];
};

/* Converts the objects; the values live in attrs->arena. The namespace is null and there are no
 * params until somebody sets them; `variables` is the evaluation's. */
int evaluation_input_init(struct evaluation_input *in, struct admission_attrs *attrs,
	const struct schema_resource *as, struct err *err);
/* Sets namespaceObject to the namespace of the write, if it has one. 404 when there is none. */
int evaluation_input_namespace(struct evaluation_input *in, struct err *err);

/* One group of expressions. */
struct evaluation {
	const struct evaluation_input *in;
	const struct expressions *expressions;
	int64_t budget;
	/* private */
	int64_t spent; /* by variables, of the budget */
	struct cel_value *variables;
};

void evaluation_init(struct evaluation *ev, const struct evaluation_input *in,
	const struct expressions *e, int64_t budget);
/* 0, with the value, or CEL_ERROR with a text in upstream's words; -EDQUOT when the budget does not
 * suffice: nothing more shall be evaluated. *ret is then an error, too. */
int evaluate(struct evaluation *ev, const struct expression *x, struct cel_value *ret);

/* Whether an expression asked the authorizer something that has to be asked outside of the process:
 * what was evaluated since says nothing. A plugin that has changed nothing yet then fails, and comes
 * again when the answer is there (admission.c); for others evaluation_wait() calls again(user_data)
 * on a later turn. */
bool evaluation_waits(const struct admission_attrs *attrs);
void evaluation_wait(
	struct admission_attrs *attrs, void (*again)(void *user_data), void *user_data);

/* --- matchConditions --- */

struct conditions {
	struct expressions *expressions;
	struct expression *v;
	size_t n;
};

/* Compiled with the variables that `e` has. */
struct conditions conditions_of(
	const struct admissionregistration_v1_match_condition_vec *v, struct expressions *e);
/* 1: all are true; 0: one is not; -EINVAL with their errors in *ret_why. */
int conditions_match(
	const struct conditions *c, const struct evaluation_input *in, struct str *ret_why);

#endif
