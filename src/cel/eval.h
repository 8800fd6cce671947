/*
 * eval.h: one evaluation, as the libraries see it, and what they share.
 */
#ifndef SAMPAN_CEL_EVAL_H
#define SAMPAN_CEL_EVAL_H

#include "cel/node.h"
#include "cel/type.h"

enum {
	CEL_LIST_ITEMS_MAX = 1 << 20,
	CEL_STRING_BYTES_MAX = 16 << 20,
	CEL_MEMORY_MAX = 128 << 20, /* of one evaluation */
};

struct cel_slot {
	struct cel_value value;
	const struct cel_node *lazy; /* computes the value at its first use */
};

struct cel_call {
	const struct cel_program *program;
	const struct cel_activation *activation;
	struct arena *a;
	size_t memory_from; /* a->total at the start */
	struct cel_slot *slots;
	uint64_t cost, cost_max;
	bool over;                   /* the limit is passed: nothing is evaluated any more */
	const struct cel_node *node; /* the call whose function runs */
};

/* --- errors --- */

struct cel_value cel_error_fmt(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline struct cel_value cel_no_overload(void)
{
	return cel_error(S("no such overload"));
}
/* A value as error texts show it (Go's %v). */
struct str cel_show(struct cel_value v, struct arena *a);
/* The name of a value's type in upstream's implementation, where that ends up in a message. */
const char *cel_go_type(struct cel_value v);
struct cel_value cel_no_key(struct cel_value key, struct arena *a);

/* --- evaluating --- */

struct cel_value cel_eval_node(struct cel_call *c, const struct cel_node *n);
struct cel_value cel_eval_attribute(struct cel_call *c, const struct cel_node *n);
struct cel_value cel_eval_call(struct cel_call *c, const struct cel_node *n);
struct cel_value cel_eval_fold(struct cel_call *c, const struct cel_node *n);
struct cel_value cel_eval_list(struct cel_call *c, const struct cel_node *n);
struct cel_value cel_eval_map(struct cel_call *c, const struct cel_node *n);
/* The choice of a function's code by its arguments. */
struct cel_value cel_apply(struct cel_call *c, const struct cel_function *f,
	const struct cel_overload *o, const struct cel_value *args, size_t n);

/* Adds to the cost; false when the limit is passed (then c->over). */
bool cel_spend(struct cel_call *c, uint64_t cost);
uint64_t cel_call_cost(struct cel_call *c, enum cel_cost how, const struct cel_value *args,
	size_t n, struct cel_value result);
uint64_t cel_value_size(struct cel_value v); /* as costs count it */

/* --- values: what value.h does not show --- */

/* A growing list: {NULL} is empty. Appending to a list of the same block that ends where the block
 * does is cheap and leaves the list itself as it was. */
struct cel_value cel_list_append(struct cel_value list, struct cel_value item, struct arena *a);
struct cel_value cel_list_concat(struct cel_value x, struct cel_value y, struct arena *a);
struct cel_value cel_empty_list(void);
struct cel_value cel_empty_map(void);
/* False: the key is there already (then `ret` is untouched). */
bool cel_map_insert(struct cel_value map, struct cel_value key, struct cel_value value,
	struct arena *a, struct cel_value *ret);
struct cel_value cel_map_put(
	struct cel_value map, struct cel_value key, struct cel_value value, struct arena *a);
struct cel_value cel_map_without(struct cel_value map, struct cel_value key, struct arena *a);
struct cel_value cel_optional_of(struct cel_value v, struct arena *a);
struct cel_value cel_none(void);
struct cel_value cel_opaque(const struct cel_type *type, const void *p);
bool cel_is_zero(struct cel_value v, struct arena *a);

/* -1, 0, 1; false and an error value when they have no order. */
bool cel_compare(struct cel_value x, struct cel_value y, int *ret, struct cel_value *ret_error);
/* Opaque values: == of their type. */
bool cel_opaque_equal(struct cel_value x, struct cel_value y);

size_t cel_rune_count(struct str s);

/* --- conversions that several libraries need --- */

struct cel_value cel_duration_parse(struct str s, struct arena *a);
struct cel_value cel_timestamp_parse(struct str s, struct arena *a);
struct str cel_timestamp_text(struct cel_value t, struct arena *a);
struct str cel_duration_text(struct cel_value d, struct arena *a); /* "1.5s" */
/* Go's strconv.FormatFloat(v, format, -1, 64): 'g' or 'f' */
struct str cel_double_text(double d, char format, struct arena *a);
/* An index: int, or another number that is whole; false and the error when it is none. */
bool cel_index(struct cel_value v, int64_t *ret, struct cel_value *ret_error, struct arena *a);

#endif
