/* type.h: the checker's arithmetic of types: substitution of parameters, assignability. */
#ifndef SAMPAN_CEL_TYPE_H
#define SAMPAN_CEL_TYPE_H

#include "cel/cel.h"

/* Parameters of signatures, and types made of them. */
extern const struct cel_type cel_type_a, cel_type_b, cel_type_list_a, cel_type_map_a_b,
	cel_type_type, cel_type_type_a, cel_type_optional_a, cel_type_optional_list_a,
	cel_type_optional_map_a_b, cel_type_list_optional_a, cel_type_list_list_a,
	cel_type_optional_b, cel_type_error;
extern const struct cel_type cel_type_list_bool, cel_type_list_int, cel_type_list_uint,
	cel_type_list_double, cel_type_list_bytes, cel_type_list_duration, cel_type_list_timestamp;
extern const struct cel_type cel_type_path_check, cel_type_group_check, cel_type_decision,
	cel_type_optional_format, cel_type_optional_list_string;

/* For macros that paste names together, to which `bool` is _Bool. */
#define cel_type_boolean cel_type_bool
#define cel_type_list_boolean cel_type_list_bool

/* The bindings of one check: fresh variables stand for the parameters of each signature used. */
struct cel_bindings {
	struct arena *a;
	const struct cel_type **bound; /* by variable; NULL: free */
	size_t n, cap;
	size_t *trail; /* what was bound since, to take it back */
	const struct cel_type **trail_old;
	size_t n_trail, cap_trail;
};

struct cel_type *cel_type_fresh(struct cel_bindings *b);
const struct cel_type *cel_type_list_of(struct arena *a, const struct cel_type *item);
const struct cel_type *cel_type_map_of(
	struct arena *a, const struct cel_type *key, const struct cel_type *value);
const struct cel_type *cel_type_optional_of(struct arena *a, const struct cel_type *value);
const struct cel_type *cel_type_type_of(struct arena *a, const struct cel_type *value);

/* With bound variables replaced; free ones become dyn when `final`. */
const struct cel_type *cel_type_resolve(
	struct cel_bindings *b, const struct cel_type *t, bool final);
/* A signature's type with its parameters A and B replaced. */
const struct cel_type *cel_type_instantiate(struct arena *a, const struct cel_type *t,
	const struct cel_type *for_a, const struct cel_type *for_b);
/* Binds variables when they fit; none when not. */
bool cel_type_assign(
	struct cel_bindings *b, const struct cel_type *to, const struct cel_type *from);
bool cel_type_assign_list(struct cel_bindings *b, const struct cel_type *const *to,
	const struct cel_type *const *from, size_t n);
const struct cel_type *cel_type_general(const struct cel_type *x, const struct cel_type *y);
bool cel_type_same(const struct cel_type *x, const struct cel_type *y);
bool cel_type_is_dyn(const struct cel_type *t);

/* The name of a value's type at run time ("google.protobuf.Duration", "null_type"). */
const char *cel_type_runtime_name(const struct cel_type *t);
const struct cel_type *cel_type_of_value(struct cel_value v);
/* Whether a value may be an argument of that type; of its items only the first is looked at. */
bool cel_type_accepts(const struct cel_type *t, struct cel_value v, struct arena *a);
/* A type's name as an identifier of expressions ("int", "net.IP"); NULL: none. */
const struct cel_type *cel_type_named(struct str name);

#endif
