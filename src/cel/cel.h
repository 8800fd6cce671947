/*
 * cel.h: the Common Expression Language as Kubernetes 1.36 uses it (webhook matchConditions,
 * admission policies, CRD validation rules, device selectors).
 *
 * An environment says which variables there are and of which types; an expression is compiled
 * against it once, checked, and evaluated any number of times. Language, libraries, costs and every
 * message are those of upstream's base environment at compatibility version 1.36 (cel-go 0.26 with
 * the Kubernetes libraries).
 *
 *     static const struct cel_variable vars[] = {{"object", &cel_type_dyn}, {"x", &cel_type_int}};
 *     static const struct cel_env env = {vars, ARRAY_SIZE(vars)};
 *     struct cel_issues issues;
 *     struct cel_program *p;
 *     if (cel_compile(&env, S("object.spec.replicas < x"), arena, &p, &issues) < 0)
 *             … "compilation failed: " issues.text
 *     struct cel_value values[] = {cel_object(o->type, o->v), cel_int(5)}; // in the order of vars
 *     struct cel_result r = cel_eval(p, &(struct cel_activation){values}, arena);
 *     if (r.value.kind == CEL_ERROR)
 *             … r.value.s: "no such key: replicas"
 *
 * Threads: an environment is constant; a program is immutable and may be shared; an evaluation
 * belongs to its arena. No I/O but reading the zone database (a time zone named in an expression).
 */
#ifndef SAMPAN_CEL_H
#define SAMPAN_CEL_H

#include "base/base.h"
#include "cel/value.h"

enum {
	CEL_EXPRESSION_MAX = 100000,   /* code points, as upstream's parser */
	CEL_DEPTH_MAX = 250,           /* nesting of an expression, as upstream's parser */
	CEL_PER_CALL_LIMIT = 1000000,  /* of cost; upstream's PerCallLimit */
	CEL_RUNTIME_BUDGET = 10000000, /* RuntimeCELCostBudget: all expressions of one policy */
	CEL_RUNTIME_BUDGET_MATCH_CONDITIONS = 2500000,
};

/* --- types --- */

struct cel_field_type {
	const char *name;
	const struct cel_type *type;
};

struct cel_type {
	enum cel_kind kind;
	const char *name;                 /* of struct, opaque and parameter types; else NULL */
	const struct cel_type *params[2]; /* list: item; map: key, value; optional: value */
	/* of a struct type: its fields, by table or by function (NULL: no such field) */
	const struct cel_field_type *fields;
	size_t n_fields;
	const struct cel_type *(*lookup)(const struct cel_type *self, struct str field);
	const void *data; /* the function's */
};

extern const struct cel_type cel_type_null, cel_type_bool, cel_type_int, cel_type_uint,
	cel_type_double, cel_type_string, cel_type_bytes, cel_type_duration, cel_type_timestamp,
	cel_type_dyn, cel_type_list_dyn, cel_type_list_string, cel_type_map_string_dyn,
	cel_type_map_string_string, cel_type_map_string_list_string, /* map(string, list(string)) */
	cel_type_quantity, cel_type_url, cel_type_ip, cel_type_cidr, cel_type_semver,
	cel_type_format, cel_type_authorizer, cel_type_resource_check;

/* "int", "list(string)", "kubernetes.Quantity", as messages name it. */
struct str cel_type_text(const struct cel_type *t, struct arena *a);
/* Whether a value of type `from` may stand where `to` is wanted (dyn fits everywhere). */
bool cel_type_fits(const struct cel_type *to, const struct cel_type *from);

/* --- compiling --- */

struct cel_variable {
	const char *name; /* may be qualified: "a.b" */
	const struct cel_type *type;
};

struct cel_env {
	const struct cel_variable *vars;
	size_t n_vars;
	bool patches; /* there are JSONPatch{…}, Object{…}, Object.spec{…} and jsonpatch.escapeKey();
			 their values are maps */
};

struct cel_issue {
	int line, column; /* 1-based line, 0-based column in code points */
	struct str message;
};

struct cel_issues {
	struct str
		text; /* all of them, as upstream shows them:
	     "ERROR: <input>:1:5: undeclared reference to 'x' (in container '')\n | …\n | ....^" */
	struct cel_issue *v;
	size_t n;
	bool instantiation; /* the expression is well formed, but its program could not be made
			       (int('x')): text is the bare reason, v is empty. Upstream says
			       "program instantiation failed: " then, not "compilation failed: " */
};

struct cel_program;

/* 0 and a program with one reference; -EINVAL and issues (in the arena), never none. The
 * environment, its types included, must outlive the program; the text and the arena need not. */
int cel_compile(const struct cel_env *env, struct str expression, struct arena *a,
	struct cel_program **ret, struct cel_issues *issues);
struct cel_program *cel_program_ref(struct cel_program *p);
struct cel_program *cel_program_unref(struct cel_program *p); /* NULL */
/* The expression's type as the checker found it; lives as long as the program. */
const struct cel_type *cel_program_type(const struct cel_program *p);
/* What is wrong with the names of the Object types that it constructs, a line each: upstream's
 * CheckTypeNamesMatchFieldPathNames. Empty: nothing. */
struct str cel_program_wrong_names(const struct cel_program *p, struct arena *a);
/* Whether the expression reads the variable (before doing costly work to provide it). */
bool cel_program_uses(const struct cel_program *p, const char *variable);

/* --- evaluating --- */

/* One question of an expression to the authorizer, as it was built up: authorizer.group('apps')
 * .resource('deployments').namespace('x').check('get'), or authorizer.path('/healthz').check(…). */
struct cel_authz_request {
	bool is_path, is_resource; /* one of the two */
	struct str path;
	struct str group, resource, subresource, namespace, name; /* version is always "*" */
	struct str verb;
	/* of authorizer.serviceAccount(namespace, name); absent: the requesting user */
	struct str sa_namespace, sa_name;
	struct str field_selector, label_selector; /* as given; absent when not */
};

enum cel_decision { CEL_AUTHZ_NO_OPINION, CEL_AUTHZ_ALLOWED, CEL_AUTHZ_DENIED };

struct cel_authz_ops {
	/* Reason and error (absent: none) live in the arena or longer. */
	enum cel_decision (*check)(void *data, const struct cel_authz_request *r, struct arena *a,
		struct str *ret_reason, struct str *ret_error);
};

/* The variable `authorizer`; with a resource check prepared, `authorizer.requestResource`. */
struct cel_value cel_authorizer(const struct cel_authz_ops *ops, void *data, struct arena *a);
struct cel_value cel_resource_check(const struct cel_authz_ops *ops, void *data,
	const struct cel_authz_request *prepared, struct arena *a);

struct cel_activation {
	const struct cel_value *values; /* one for each variable of the environment, in its order */
	uint64_t cost_max;              /* 0: CEL_PER_CALL_LIMIT */
};

struct cel_result {
	struct cel_value value; /* CEL_ERROR when it failed */
	uint64_t cost;
	bool over_budget; /* failed because of cost_max: "operation cancelled: actual cost limit
			     exceeded" */
};

/* Everything made on the way lives in the arena: no heap but that, and at most 128 MiB. The value
 * points there, into the activation's values and into the program (its constants): it lives no
 * longer than any of them. */
struct cel_result cel_eval(
	const struct cel_program *p, const struct cel_activation *activation, struct arena *a);

#endif
