#include "cel/patch_types.h"
#include "cel/eval.h"
#include "cel/node.h"

static const struct cel_field_type operation_fields[] = {
	{"op", &cel_type_string},
	{"path", &cel_type_string},
	{"from", &cel_type_string},
	{"value", &cel_type_dyn},
};
static const struct cel_type operation_type = {.kind = CEL_STRUCT,
	.name = "JSONPatch",
	.fields = operation_fields,
	.n_fields = ARRAY_SIZE(operation_fields)};

/* Nothing is known of objects' fields: their names are checked when a patch is made. */
static const struct cel_type *any_field(const struct cel_type *self, struct str name)
{
	return &cel_type_dyn;
}

bool cel_is_patch_type(struct str name)
{
	return str_eqc(name, "JSONPatch") || str_eqc(name, "Object") ||
	       str_starts(name, S("Object."));
}

const struct cel_type *cel_patch_type(struct str name, struct arena *a)
{
	struct cel_type *t;

	if (str_eqc(name, "JSONPatch"))
		return &operation_type;
	t = ARENA_NEW(a, struct cel_type);
	*t = (struct cel_type){
		.kind = CEL_STRUCT, .name = arena_cstr(a, name), .lookup = any_field};
	return t;
}

/* --- names of types and of fields --- */

struct names {
	struct arena *a;
	struct str wrong; /* a line each */
};

static void mismatch(struct names *names, struct str is, struct str want)
{
	names->wrong = arena_fmt(names->a,
		STR_FMT "%sunexpected type name \"" STR_FMT "\", expected \"" STR_FMT
			"\", which matches field name path from root Object type",
		STR_ARG(names->wrong), names->wrong.n ? "\n" : "", STR_ARG(is), STR_ARG(want));
}

/* `path` is what an Object here must be called; empty: the outermost one names itself. */
static void check_names(struct names *names, const struct cel_node *n, struct str path)
{
	bool object = n->kind == CEL_NODE_STRUCT && !str_eqc(n->name, "JSONPatch");
	bool step = n->kind == CEL_NODE_MAP || n->kind == CEL_NODE_STRUCT;

	if (object && !path.n)
		path = n->name;
	if (object && !str_eq(path, n->name))
		mismatch(names, n->name, path);
	for (size_t i = step ? 1 : 0; i < n->n_args; i += step ? 2 : 1)
		check_names(names, n->args[i],
			object ? arena_fmt(names->a, STR_FMT "." STR_FMT, STR_ARG(path),
					 STR_ARG(n->args[i - 1]->value.s))
			       : path);
}

struct str cel_program_wrong_names(const struct cel_program *p, struct arena *a)
{
	struct names names = {.a = a, .wrong = S("")};

	check_names(&names, p->root, S(""));
	return names.wrong;
}

/* --- jsonpatch.escapeKey --- */

static struct cel_value escape_key(struct cel_call *c, const struct cel_value *args)
{
	struct str s = args[0].s;
	char *out = arena_alloc(c->a, 2 * s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '/' || s.p[i] == '~') {
			out[n++] = '~';
			out[n++] = s.p[i] == '/' ? '1' : '0';
		} else {
			out[n++] = s.p[i];
		}
	}
	return cel_string(str_n(out, n));
}

static const struct cel_overload overloads[] = {{.args = {&cel_type_string},
	.n_args = 1,
	.result = &cel_type_string,
	.fn = escape_key,
	.cost = CEL_COST_ARG0_TENTH}};

const struct cel_function cel_jsonpatch_escape_key = {
	"jsonpatch.escapeKey", overloads, ARRAY_SIZE(overloads), 0};
const struct cel_library cel_lib_jsonpatch = {&cel_jsonpatch_escape_key, 1};
