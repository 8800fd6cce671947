#include "cel/schema_type.h"

/* What a struct type made here knows; schema NULL: an object of which nothing is known. */
struct origin {
	const struct schema_type *schema;
	struct arena *arena;
	struct {
		struct known {
			const struct schema_field *field;
			const struct cel_type *type;
		} * v;
		size_t n;
	} known; /* fields that were asked for */
};

static const struct cel_type *lookup(const struct cel_type *self, struct str name);

static const struct cel_type *struct_type(
	const struct schema_type *t, struct str name, struct arena *a)
{
	struct cel_type *made = ARENA_NEW(a, struct cel_type);
	struct origin *o = ARENA_NEW(a, struct origin);

	*o = (struct origin){.schema = t, .arena = a};
	*made = (struct cel_type){
		.kind = CEL_STRUCT, .name = arena_cstr(a, name), .lookup = lookup, .data = o};
	return made;
}

/* NULL: not to be seen. */
static const struct cel_type *single(const struct schema_field *f, struct str name, struct arena *a)
{
	switch (f->kind) {
	case SCHEMA_BOOL:
		return &cel_type_bool;
	case SCHEMA_INT32:
	case SCHEMA_INT64:
		return &cel_type_int;
	case SCHEMA_DOUBLE:
		return &cel_type_double;
	case SCHEMA_STRING:
	case SCHEMA_DURATION:
		return &cel_type_string;
	case SCHEMA_BYTES:
		return &cel_type_bytes;
	case SCHEMA_QUANTITY:
		return NULL;
	case SCHEMA_INT_OR_STRING:
		return &cel_type_dyn;
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return &cel_type_timestamp;
	case SCHEMA_RAW:
		return struct_type(NULL, name, a);
	case SCHEMA_MESSAGE:
		return struct_type(f->type, name, a);
	}
	return NULL;
}

static const struct cel_type *field_type(
	const struct schema_field *f, struct str name, struct arena *a)
{
	const struct cel_type *item;
	struct cel_type *made;

	if (f->shape == SCHEMA_ONE)
		return single(f, name, a);
	item = single(f,
		arena_fmt(a, STR_FMT ".%s", STR_ARG(name),
			f->shape == SCHEMA_LIST ? "@idx" : "@elem"),
		a);
	if (!item)
		return NULL;
	made = ARENA_NEW(a, struct cel_type);
	*made = (struct cel_type){.kind = CEL_LIST, .params = {item}};
	if (f->shape == SCHEMA_MAP)
		*made = (struct cel_type){.kind = CEL_MAP, .params = {&cel_type_string, item}};
	return made;
}

/* A name that CEL reserves stands between underscores: __namespace__. */
static struct str unescape(struct str name)
{
	static const char *const reserved[] = {"as", "break", "const", "continue", "else", "false",
		"for", "function", "if", "import", "in", "let", "loop", "namespace", "null",
		"package", "return", "true", "var", "void", "while"};

	if (!str_starts(name, S("__")) || !str_ends(name, S("__")) || name.n < 5)
		return name;
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (str_eqc(str_sub(name, 2, name.n - 2), reserved[i]))
			return str_sub(name, 2, name.n - 2);
	return name;
}

static const struct cel_type *lookup(const struct cel_type *self, struct str name)
{
	struct origin *o = (struct origin *)self->data;
	const struct schema_field *f =
		o->schema ? schema_field_find(o->schema, unescape(name)) : NULL;
	struct known k = {.field = f};

	if (!f)
		return NULL;
	for (size_t i = 0; i < o->known.n; i++)
		if (o->known.v[i].field == f)
			return o->known.v[i].type;
	k.type = field_type(
		f, arena_fmt(o->arena, "%s." STR_FMT, self->name, STR_ARG(name)), o->arena);
	ARENA_PUSH(o->arena, &o->known, k);
	return k.type;
}

const struct cel_type *cel_type_of_schema(
	const struct schema_type *t, struct str name, struct arena *a)
{
	return struct_type(t, name, a);
}
