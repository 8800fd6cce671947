/* type.c: the types of the language as constants, their names, and assignability. */
#include "cel/type.h"

#define SIMPLE(c_name, kind_, text)                                                                \
	const struct cel_type cel_type_##c_name = {.kind = (kind_), .name = (text)}
#define LIST(c_name, item)                                                                         \
	const struct cel_type cel_type_##c_name = {.kind = CEL_LIST, .params = {&cel_type_##item}}
#define MAP(c_name, key, value)                                                                    \
	const struct cel_type cel_type_##c_name = {                                                \
		.kind = CEL_MAP, .params = {&cel_type_##key, &cel_type_##value}}
#define OPTIONAL(c_name, value)                                                                    \
	const struct cel_type cel_type_##c_name = {                                                \
		.kind = CEL_OPTIONAL, .params = {&cel_type_##value}}

SIMPLE(null, CEL_NULL, "null");
SIMPLE(bool, CEL_BOOL, "bool");
SIMPLE(int, CEL_INT, "int");
SIMPLE(uint, CEL_UINT, "uint");
SIMPLE(double, CEL_DOUBLE, "double");
SIMPLE(string, CEL_STRING, "string");
SIMPLE(bytes, CEL_BYTES, "bytes");
SIMPLE(duration, CEL_DURATION, "duration");
SIMPLE(timestamp, CEL_TIMESTAMP, "timestamp");
SIMPLE(dyn, CEL_DYN, "dyn");
SIMPLE(error, CEL_ERROR_TYPE, "!error!");
SIMPLE(a, CEL_PARAM, "A");
SIMPLE(b, CEL_PARAM, "B");
SIMPLE(type, CEL_TYPE, "type");
SIMPLE(quantity, CEL_OPAQUE, "kubernetes.Quantity");
SIMPLE(url, CEL_OPAQUE, "kubernetes.URL");
SIMPLE(ip, CEL_OPAQUE, "net.IP");
SIMPLE(cidr, CEL_OPAQUE, "net.CIDR");
SIMPLE(semver, CEL_OPAQUE, "kubernetes.Semver");
SIMPLE(format, CEL_OPAQUE, "kubernetes.NamedFormat");
SIMPLE(authorizer, CEL_OPAQUE, "kubernetes.authorization.Authorizer");
SIMPLE(path_check, CEL_OPAQUE, "kubernetes.authorization.PathCheck");
SIMPLE(group_check, CEL_OPAQUE, "kubernetes.authorization.GroupCheck");
SIMPLE(resource_check, CEL_OPAQUE, "kubernetes.authorization.ResourceCheck");
SIMPLE(decision, CEL_OPAQUE, "kubernetes.authorization.Decision");
LIST(list_dyn, dyn);
LIST(list_string, string);
LIST(list_bool, bool);
LIST(list_int, int);
LIST(list_uint, uint);
LIST(list_double, double);
LIST(list_bytes, bytes);
LIST(list_duration, duration);
LIST(list_timestamp, timestamp);
LIST(list_a, a);
LIST(list_list_a, list_a);
MAP(map_string_dyn, string, dyn);
MAP(map_string_string, string, string);
MAP(map_string_list_string, string, list_string);
MAP(map_a_b, a, b);
OPTIONAL(optional_a, a);
OPTIONAL(optional_b, b);
OPTIONAL(optional_list_a, list_a);
OPTIONAL(optional_map_a_b, map_a_b);
OPTIONAL(optional_format, format);
OPTIONAL(optional_list_string, list_string);
LIST(list_optional_a, optional_a);
const struct cel_type cel_type_type_a = {.kind = CEL_TYPE, .params = {&cel_type_a}};

static const struct cel_type optional = {.kind = CEL_OPTIONAL};

/* What may be named in an expression, and the name at run time where it differs. */
static const struct {
	const char *name;
	const struct cel_type *type;
} named[] = {
	{"bool", &cel_type_bool},
	{"bytes", &cel_type_bytes},
	{"double", &cel_type_double},
	{"google.protobuf.Duration", &cel_type_duration},
	{"google.protobuf.Timestamp", &cel_type_timestamp},
	{"int", &cel_type_int},
	{"list", &cel_type_list_a},
	{"map", &cel_type_map_a_b},
	{"net.CIDR", &cel_type_cidr},
	{"net.IP", &cel_type_ip},
	{"null_type", &cel_type_null},
	{"optional_type", &optional},
	{"string", &cel_type_string},
	{"type", &cel_type_type},
	{"uint", &cel_type_uint},
};

const struct cel_type *cel_type_named(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (str_eqc(name, named[i].name))
			return named[i].type;
	return NULL;
}

static const struct cel_type *const of_kind[] = {
	[CEL_UNSET] = &cel_type_error,
	[CEL_ERROR] = &cel_type_error,
	[CEL_NULL] = &cel_type_null,
	[CEL_BOOL] = &cel_type_bool,
	[CEL_INT] = &cel_type_int,
	[CEL_UINT] = &cel_type_uint,
	[CEL_DOUBLE] = &cel_type_double,
	[CEL_STRING] = &cel_type_string,
	[CEL_BYTES] = &cel_type_bytes,
	[CEL_DURATION] = &cel_type_duration,
	[CEL_TIMESTAMP] = &cel_type_timestamp,
	[CEL_LIST] = &cel_type_list_dyn,
	[CEL_MAP] = &cel_type_map_a_b,
	[CEL_TYPE] = &cel_type_type,
	[CEL_OPTIONAL] = &cel_type_optional_a,
};

const struct cel_type *cel_type_of_value(struct cel_value v)
{
	return v.kind == CEL_OPAQUE ? v.ref.of : of_kind[v.kind];
}

const char *cel_type_runtime_name(const struct cel_type *t)
{
	switch (t->kind) {
	case CEL_NULL:
		return "null_type";
	case CEL_DURATION:
		return "google.protobuf.Duration";
	case CEL_TIMESTAMP:
		return "google.protobuf.Timestamp";
	case CEL_LIST:
		return "list";
	case CEL_MAP:
		return "map";
	case CEL_TYPE:
		return "type";
	case CEL_OPTIONAL:
		return "optional_type";
	default:
		return t->name;
	}
}

bool cel_type_accepts(const struct cel_type *t, struct cel_value v, struct arena *a)
{
	struct cel_entry e;

	if (t->kind == CEL_DYN || t->kind == CEL_PARAM)
		return true;
	if (t->kind == CEL_OPAQUE)
		return v.kind == CEL_OPAQUE && v.ref.of == t;
	if ((enum cel_kind)v.kind != t->kind)
		return false;
	if (t->kind == CEL_LIST)
		return cel_size(v) == 0 || cel_type_accepts(t->params[0], cel_list_at(v, 0, a), a);
	if (t->kind != CEL_MAP || cel_size(v) == 0)
		return true;
	e = cel_map_at(v, 0, a);
	return cel_type_accepts(t->params[0], e.key, a) &&
	       cel_type_accepts(t->params[1], e.value, a);
}

/* --- names --- */

static void write_type(struct buf *b, const struct cel_type *t)
{
	static const char *const generic[] = {
		[CEL_LIST] = "list",
		[CEL_MAP] = "map",
		[CEL_TYPE] = "type",
		[CEL_OPTIONAL] = "optional_type",
	};

	if (t->kind >= ARRAY_SIZE(generic) || !generic[t->kind]) {
		buf_add_c(b, t->name);
		return;
	}
	buf_add_c(b, generic[t->kind]);
	for (int i = 0; i < 2 && t->params[i]; i++) {
		buf_add_c(b, i ? ", " : "(");
		write_type(b, t->params[i]);
	}
	if (t->params[0])
		buf_add_char(b, ')');
}

struct str cel_type_text(const struct cel_type *t, struct arena *a)
{
	struct buf b;
	struct str s;

	buf_init(&b, 64 * 1024);
	write_type(&b, t);
	s = arena_str(a, buf_str(&b));
	buf_release(&b);
	return s;
}

/* --- making types --- */

static const struct cel_type *made(
	struct arena *a, enum cel_kind kind, const struct cel_type *p0, const struct cel_type *p1)
{
	struct cel_type *t = ARENA_NEW(a, struct cel_type);

	t->kind = kind;
	t->params[0] = p0;
	t->params[1] = p1;
	return t;
}

const struct cel_type *cel_type_list_of(struct arena *a, const struct cel_type *item)
{
	return item == &cel_type_dyn ? &cel_type_list_dyn : made(a, CEL_LIST, item, NULL);
}

const struct cel_type *cel_type_map_of(
	struct arena *a, const struct cel_type *key, const struct cel_type *value)
{
	return made(a, CEL_MAP, key, value);
}

const struct cel_type *cel_type_optional_of(struct arena *a, const struct cel_type *value)
{
	return made(a, CEL_OPTIONAL, value, NULL);
}

const struct cel_type *cel_type_type_of(struct arena *a, const struct cel_type *value)
{
	return made(a, CEL_TYPE, value, NULL);
}

/* A variable's number stands in n_fields, which parameters of signatures have not. */
struct cel_type *cel_type_fresh(struct cel_bindings *b)
{
	struct cel_type *t = ARENA_NEW(b->a, struct cel_type);

	if (b->n == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 16;
		const struct cel_type **bound = arena_alloc(b->a, cap * sizeof(*bound));

		if (b->n)
			memcpy(bound, b->bound, b->n * sizeof(*bound));
		b->bound = bound;
		b->cap = cap;
	}
	t->kind = CEL_PARAM;
	t->name = arena_fmt(b->a, "_var%zu", b->n).p;
	t->n_fields = b->n + 1;
	b->bound[b->n++] = NULL;
	return t;
}

const struct cel_type *cel_type_instantiate(struct arena *a, const struct cel_type *t,
	const struct cel_type *for_a, const struct cel_type *for_b)
{
	const struct cel_type *p0, *p1;

	if (t->kind == CEL_PARAM)
		return t == &cel_type_a ? for_a : t == &cel_type_b ? for_b : t;
	if (!t->params[0])
		return t;
	p0 = cel_type_instantiate(a, t->params[0], for_a, for_b);
	p1 = t->params[1] ? cel_type_instantiate(a, t->params[1], for_a, for_b) : NULL;
	return p0 == t->params[0] && p1 == t->params[1] ? t : made(a, t->kind, p0, p1);
}

/* --- bindings --- */

static const struct cel_type *binding(const struct cel_bindings *b, const struct cel_type *t)
{
	return t->kind == CEL_PARAM && t->n_fields ? b->bound[t->n_fields - 1] : NULL;
}

static void bind(struct cel_bindings *b, const struct cel_type *var, const struct cel_type *to)
{
	if (b->n_trail == b->cap_trail) {
		size_t cap = b->cap_trail ? b->cap_trail * 2 : 32;
		size_t *trail = arena_alloc(b->a, cap * sizeof(*trail));
		const struct cel_type **old = arena_alloc(b->a, cap * sizeof(*old));

		if (b->n_trail) {
			memcpy(trail, b->trail, b->n_trail * sizeof(*trail));
			memcpy(old, b->trail_old, b->n_trail * sizeof(*old));
		}
		b->trail = trail;
		b->trail_old = old;
		b->cap_trail = cap;
	}
	b->trail[b->n_trail] = var->n_fields - 1;
	b->trail_old[b->n_trail++] = b->bound[var->n_fields - 1];
	b->bound[var->n_fields - 1] = to;
}

static void take_back(struct cel_bindings *b, size_t mark)
{
	while (b->n_trail > mark) {
		b->n_trail--;
		b->bound[b->trail[b->n_trail]] = b->trail_old[b->n_trail];
	}
}

const struct cel_type *cel_type_resolve(
	struct cel_bindings *b, const struct cel_type *t, bool final)
{
	const struct cel_type *to = binding(b, t), *p0, *p1;

	if (to)
		return cel_type_resolve(b, to, final);
	if (t->kind == CEL_PARAM)
		return final ? &cel_type_dyn : t;
	if (!t->params[0])
		return t;
	p0 = cel_type_resolve(b, t->params[0], final);
	p1 = t->params[1] ? cel_type_resolve(b, t->params[1], final) : NULL;
	return p0 == t->params[0] && p1 == t->params[1] ? t : made(b->a, t->kind, p0, p1);
}

/* --- comparing --- */

bool cel_type_is_dyn(const struct cel_type *t)
{
	return t->kind == CEL_DYN;
}

static bool dyn_or_error(const struct cel_type *t)
{
	return t->kind == CEL_DYN || t->kind == CEL_ERROR_TYPE;
}

static bool same_name(const struct cel_type *x, const struct cel_type *y)
{
	if (x->kind != CEL_STRUCT && x->kind != CEL_OPAQUE && x->kind != CEL_PARAM)
		return true;
	return x->name == y->name || strcmp(x->name, y->name) == 0;
}

bool cel_type_same(const struct cel_type *x, const struct cel_type *y)
{
	if (x == y)
		return true;
	if (x->kind != y->kind || !same_name(x, y))
		return false;
	for (int i = 0; i < 2; i++) {
		if (!x->params[i] != !y->params[i])
			return false;
		if (x->params[i] && !cel_type_same(x->params[i], y->params[i]))
			return false;
	}
	return true;
}

static bool at_most_as_specific(const struct cel_type *x, const struct cel_type *y)
{
	if (x->kind == CEL_DYN || x->kind == CEL_PARAM)
		return true;
	if (y->kind == CEL_DYN || y->kind == CEL_PARAM)
		return false;
	if (x->kind != y->kind)
		return false;
	if (x->kind == CEL_TYPE)
		return true;
	if (!x->params[0] || !y->params[0])
		return cel_type_same(x, y);
	if (!at_most_as_specific(x->params[0], y->params[0]))
		return false;
	return !x->params[1] || at_most_as_specific(x->params[1], y->params[1]);
}

const struct cel_type *cel_type_general(const struct cel_type *x, const struct cel_type *y)
{
	return at_most_as_specific(x, y) ? x : y;
}

/* A variable must not be bound to something that holds it. */
static bool free_of(
	const struct cel_bindings *b, const struct cel_type *var, const struct cel_type *t)
{
	const struct cel_type *to;

	if (t == var)
		return false;
	if (t->kind == CEL_PARAM) {
		to = binding(b, t);
		return !to || free_of(b, var, to);
	}
	for (int i = 0; i < 2 && t->params[i]; i++)
		if (!free_of(b, var, t->params[i]))
			return false;
	return true;
}

static bool assign(struct cel_bindings *b, const struct cel_type *t1, const struct cel_type *t2);

/* Whether t may stand for the variable; *ret_bound: the variable stood for something already. */
static bool substitutes(struct cel_bindings *b, const struct cel_type *t,
	const struct cel_type *var, bool *ret_bound)
{
	const struct cel_type *old = binding(b, var), *general;

	*ret_bound = true;
	if (cel_type_same(t, var) || (old && cel_type_same(t, old)))
		return true;
	if (old) {
		if (!assign(b, t, old))
			return false;
		general = cel_type_general(t, old);
		if (free_of(b, var, general))
			bind(b, var, general);
		return true;
	}
	*ret_bound = false;
	if (!var->n_fields || !free_of(b, var, t)) /* a bare parameter, of a type's name */
		return false;
	bind(b, var, t);
	return true;
}

static bool nullable(const struct cel_type *t)
{
	switch (t->kind) {
	case CEL_OPAQUE:
	case CEL_OPTIONAL:
	case CEL_STRUCT:
	case CEL_DURATION:
	case CEL_TIMESTAMP:
	case CEL_NULL:
		return true;
	default:
		return false;
	}
}

static bool assign(struct cel_bindings *b, const struct cel_type *t1, const struct cel_type *t2)
{
	bool bound;

	if (t2->kind == CEL_PARAM) {
		if (substitutes(b, t1, t2, &bound))
			return true;
		if (bound)
			return false;
	}
	if (t1->kind == CEL_PARAM)
		return substitutes(b, t2, t1, &bound);
	if (dyn_or_error(t1) || dyn_or_error(t2))
		return true;
	if (t1->kind == CEL_NULL)
		return nullable(t2);
	if (t2->kind == CEL_NULL)
		return nullable(t1);
	if (t1->kind != t2->kind)
		return false;
	if (t1->kind == CEL_TYPE)
		return true;
	if (!same_name(t1, t2))
		return false;
	for (int i = 0; i < 2 && t1->params[i] && t2->params[i]; i++)
		if (!assign(b, t1->params[i], t2->params[i]))
			return false;
	return true;
}

bool cel_type_assign(struct cel_bindings *b, const struct cel_type *to, const struct cel_type *from)
{
	return cel_type_assign_list(b, &to, &from, 1);
}

bool cel_type_assign_list(struct cel_bindings *b, const struct cel_type *const *to,
	const struct cel_type *const *from, size_t n)
{
	size_t mark = b->n_trail;

	for (size_t i = 0; i < n; i++) {
		if (!assign(b, to[i], from[i])) {
			take_back(b, mark);
			return false;
		}
	}
	b->n_trail = 0; /* for good */
	return true;
}

bool cel_type_fits(const struct cel_type *to, const struct cel_type *from)
{
	struct arena a;
	struct cel_bindings b = {.a = &a};
	bool fits;

	arena_init(&a);
	fits = cel_type_assign(&b, to, from);
	arena_release(&a);
	return fits;
}
