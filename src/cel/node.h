/*
 * node.h: an expression as a tree, made by the parser, annotated by the checker, walked by the
 * evaluator. Nodes live in the program's arena and are constant after cel_compile().
 *
 * Macros are expanded by the parser into folds and calls, as upstream's are: costs and errors then
 * follow by themselves.
 */
#ifndef SAMPAN_CEL_NODE_H
#define SAMPAN_CEL_NODE_H

#include "cel/cel.h"
#include "cel/function.h"

enum cel_node_kind {
	CEL_NODE_CONST,
	CEL_NODE_IDENT,
	CEL_NODE_SELECT, /* a.b, has(a.b), a.?b */
	CEL_NODE_INDEX,  /* a[b], a[?b] */
	CEL_NODE_CALL,
	CEL_NODE_AND, /* of two and more */
	CEL_NODE_OR,
	CEL_NODE_COND,
	CEL_NODE_LIST,
	CEL_NODE_MAP,
	CEL_NODE_STRUCT, /* T{field: value}; args as of a map. Its value is one */
	CEL_NODE_FOLD,
};

enum cel_scope { CEL_SCOPE_NONE, CEL_SCOPE_VARIABLE, CEL_SCOPE_LOCAL };

struct cel_node {
	uint8_t kind;   /* enum cel_node_kind */
	uint8_t scope;  /* enum cel_scope, of an identifier */
	bool test_only; /* has() */
	bool optional;  /* of select and index */
	bool member;    /* of a call: args[0] is what stands before the dot */
	bool set;       /* `x in [constants]`: costs nothing */
	uint16_t depth; /* of nested members, operators and conditions; 1 and more */
	uint32_t pos;   /* byte offset in the expression */
	uint32_t slot;  /* of an identifier: the variable's index, or the local's */
	uint32_t n_args;
	struct str name;             /* identifier, field, function */
	const struct cel_type *type; /* NULL until checked */
	struct cel_node **args;      /* operands; of a map: key, value, key, value … */
	bool *optionals;             /* of list and map: which items are `?x`; NULL: none */
	union {
		struct cel_value value; /* CONST */
		struct {                /* CALL */
			const struct cel_function *function;
			const struct cel_overload *overload; /* NULL: chosen by the values */
			const struct cel_regex *regex;       /* of a constant pattern */
		};
		struct cel_fold *fold;
	};
};

/* for (accu = init; item in range && cond; ) accu = step; then result. Locals have slots of their
 * own in the evaluation, so that no two folds share any. */
struct cel_fold {
	struct str iter, iter2, accu; /* iter2 is empty in folds of one variable */
	struct cel_node *range, *init, *cond, *step, *result;
	uint32_t iter_slot, iter2_slot, accu_slot;
};

struct cel_program {
	_Atomic unsigned refs;
	const struct cel_env *env;
	struct cel_node *root;
	uint32_t n_locals;
	bool *used;         /* by variable */
	struct arena arena; /* nodes, constants, the text */
};

/* What parsing and checking share. */
struct cel_compile {
	const struct cel_env *env;
	struct arena *a;       /* the program's */
	struct arena *scratch; /* the caller's: issues */
	struct str text;
	struct cel_issues *issues;
	size_t n_issues; /* reported, also beyond CEL_ISSUES_MAX */
	uint32_t n_locals;
	uint32_t n_nodes; /* copied by macros */
	bool stop;        /* nothing more can be made of this expression */
};

enum { CEL_ISSUES_MAX = 100, CEL_COPIES_MAX = 50000 };

/* issues.c */
void cel_issue_at(struct cel_compile *c, uint32_t pos, const char *fmt, ...) PRINTF_LIKE(3, 4);
void cel_issues_finish(struct cel_compile *c); /* sorts them and writes the text */

/* parse.c: NULL, or a tree even when there were issues */
struct cel_node *cel_parse(struct cel_compile *c);
struct cel_node *cel_node_new(struct cel_compile *c, enum cel_node_kind kind, uint32_t pos);
struct cel_node *cel_node_call(
	struct cel_compile *c, uint32_t pos, const char *name, size_t n_args, ...);

/* macro.c: the expansion of name(args) or target.name(args); NULL when it is no macro */
struct cel_node *cel_macro(struct cel_compile *c, uint32_t pos, struct str name,
	struct cel_node *target, struct cel_node **args, size_t n);

/* check.c: resolves names, overloads and types; marks the variables that are used */
void cel_check(struct cel_compile *c, struct cel_node *root, bool *used);
/* fold.c: computes what is constant; false and a message when that fails */
bool cel_fold_constants(struct cel_compile *c, struct cel_node **n, struct str *ret_error);

#endif
