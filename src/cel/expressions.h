/*
 * expressions.h: the CEL expressions of webhooks and admission policies: which variables they see,
 * what they must evaluate to, compiled (apiserver pkg/admission/plugin/cel).
 *
 *     struct expressions e;
 *     struct expression x;
 *     expressions_init(&e, arena, EXPRESSIONS_PARAMS | EXPRESSIONS_VARIABLES);
 *     expressions_variable(&e, S("replicas"), S("object.spec.replicas"), &x);
 *     expression_compile(&e, EXPRESSION_VALIDATION, S("variables.replicas < 5"), &x);
 *     if (x.error.n)
 *             … "compilation failed: …", "must evaluate to bool but got int"
 *
 * Everything lives in the arena, the programs too; a struct expressions does not move. Immutable
 * and shared between threads once all is compiled.
 */
#ifndef SAMPAN_CEL_EXPRESSIONS_H
#define SAMPAN_CEL_EXPRESSIONS_H

#include "cel/cel.h"

enum expression_variable {
	VARIABLE_OBJECT,
	VARIABLE_OLD_OBJECT,
	VARIABLE_NAMESPACE,
	VARIABLE_REQUEST,
	VARIABLE_PARAMS,
	VARIABLE_AUTHORIZER,
	VARIABLE_REQUEST_RESOURCE,
	VARIABLE_VARIABLES,
	N_EXPRESSION_VARIABLES
};

enum expression_sort {
	EXPRESSION_VALIDATION, /* a condition, too: bool */
	EXPRESSION_MESSAGE,    /* string; without the authorizer */
	EXPRESSION_AUDIT,      /* string or null */
	EXPRESSION_VARIABLE,   /* anything; what is only checked, too */
	EXPRESSION_JSON_PATCH, /* list(JSONPatch) */
	EXPRESSION_APPLY,      /* Object */
};

/* What an expression sees when it is only checked against the kinds that it is for. */
struct expression_types {
	const struct cel_type *object, *params; /* NULL: anything */
};

/* What a program was compiled against, and where its variables' values are to come from. */
struct expression_scope {
	struct cel_env env;
	struct cel_variable vars[N_EXPRESSION_VARIABLES];
	enum expression_variable sources[N_EXPRESSION_VARIABLES];
};

struct expression {
	struct cel_program *program; /* NULL: error says why */
	const struct expression_scope *scope;
	struct str text;
	struct str error;
};

enum {
	EXPRESSIONS_PARAMS = 1 << 0,    /* there is `params` */
	EXPRESSIONS_VARIABLES = 1 << 1, /* there is `variables` */
};

struct expressions {
	struct arena *arena;
	struct expression_scope plain, with_authorizer, with_patches;
	/* The variables in order; of a name that comes twice, the last one counts. */
	struct cel_type variables_type;
	struct {
		struct cel_field_type *v;
		size_t n;
	} fields;
	struct {
		struct expression *v;
		size_t n;
	} variables; /* of the same indices */
	bool uses_namespace;
};

void expressions_init(struct expressions *e, struct arena *a, unsigned flags);
/* For checking: object, oldObject and params have these types, and no result has to have one. */
void expressions_init_typed(struct expressions *e, struct arena *a, unsigned flags,
	const struct expression_types *types);
void expression_compile(
	struct expressions *e, enum expression_sort sort, struct str text, struct expression *ret);
/* Adds variables.NAME for what is compiled after it; a broken one is of any type. */
void expressions_variable(
	struct expressions *e, struct str name, struct str text, struct expression *ret);

#endif
