/*
 * function.h: the functions of the language and its libraries, as tables.
 *
 * Each library is an array of functions, each function an array of overloads: signature, code,
 * cost. The checker chooses overloads by type, the evaluator by value where types did not decide.
 */
#ifndef SAMPAN_CEL_FUNCTION_H
#define SAMPAN_CEL_FUNCTION_H

#include "cel/cel.h"

struct cel_call; /* an evaluation: eval.h */

/* Arguments are never errors; may return CEL_ERROR. */
typedef struct cel_value (*cel_fn)(struct cel_call *c, const struct cel_value *args);

enum { CEL_ARGS_MAX = 4 };

/* How a call's cost is computed (upstream: runtimecost.go and the libraries' CostEstimator). Sizes:
 * code points of strings, bytes, items; 1 of anything else. */
enum cel_cost {
	CEL_COST_ONE,
	CEL_COST_ARG0_TENTH, /* size(arg 0) / 10 */
	CEL_COST_ARG0_FIFTH,
	CEL_COST_ARG1,          /* size(arg 1) */
	CEL_COST_MIN_TENTH,     /* of the shorter of two */
	CEL_COST_SUM_TENTH,     /* of both */
	CEL_COST_PRODUCT_TENTH, /* of both, each by ten */
	CEL_COST_REGEX,
	CEL_COST_RESULT_FIFTH,
	CEL_COST_TRAVERSAL, /* all of arg 0 */
	CEL_COST_AUTHZ,
	CEL_COST_SELECTOR,
	CEL_COST_EQUAL,
	CEL_COST_CONTAINS_IP,
	CEL_COST_CONTAINS_IP_STRING,
	CEL_COST_CONTAINS_CIDR,
	CEL_COST_CONTAINS_CIDR_STRING,
	CEL_COST_VALIDATE,
	CEL_COST_PRODUCT,       /* of both sizes, and one */
	CEL_COST_PRODUCT_TWICE, /* … twice */
	CEL_COST_LIST_RESULT,   /* size of the result and what a list costs */
	CEL_COST_FLATTEN,       /* size of arg 0 times the levels, arg 1 */
	CEL_COST_SORT,          /* all items of arg 0 with each other */
	CEL_COST_SORT_BY,       /* … of arg 1 */
	CEL_COST_NONE,          /* not even one */
};

struct cel_overload {
	const struct cel_type *args[CEL_ARGS_MAX]; /* of a member overload, [0] is the target */
	const struct cel_type *result;
	cel_fn fn;
	uint8_t n_args;
	bool member;
	uint8_t cost; /* enum cel_cost; when the checker found just this overload, else one */
};

enum cel_function_flags {
	CEL_FN_COST_BY_NAME = 1 << 0, /* chosen by values it costs what the first overload does */
	CEL_FN_SINGLETON = 1 << 1,  /* one piece of code for all overloads: overloads[0].fn. What it
				       does not like it answers itself ("no such overload") */
	CEL_FN_UNGUARDED = 1 << 2,  /* likewise for each overload: arguments are not checked */
	CEL_FN_CONVERSION = 1 << 3, /* of constants it is computed when compiling */
	CEL_FN_REGEX = 1 << 4,      /* args[1] is a pattern */
	CEL_FN_NONSTRICT = 1 << 5,  /* gets errors, too */
	CEL_FN_OR = 1 << 6,         /* x.or(y): y is evaluated when x is none, and x itself stays */
	CEL_FN_OR_VALUE = 1 << 7,   /* x.orValue(y): likewise, x's value is taken */
};

struct cel_function {
	const char *name;
	const struct cel_overload *overloads;
	uint8_t n_overloads;
	uint8_t flags;
};

struct cel_library {
	const struct cel_function *functions;
	size_t n;
};

extern const struct cel_library cel_lib_operators, cel_lib_std, cel_lib_time, cel_lib_strings,
	cel_lib_lists, cel_lib_k8s_lists, cel_lib_sets, cel_lib_optional, cel_lib_regex,
	cel_lib_url, cel_lib_quantity, cel_lib_net, cel_lib_format, cel_lib_semver, cel_lib_authz,
	cel_lib_jsonpatch;

/* NULL when there is none. */
const struct cel_function *cel_function_find(struct str name);

/* Rows of the tables. */
#define CEL_OVERLOADS(array) .overloads = (array), .n_overloads = ARRAY_SIZE(array)

#endif
