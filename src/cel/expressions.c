#include "cel/expressions.h"

/* --- the types that are declared (BuildRequestType, BuildNamespaceType) --- */

#define STRUCT_TYPE(name_, fields_)                                                                \
	{                                                                                          \
		.kind = CEL_STRUCT, .name = (name_), .fields = (fields_),                          \
		.n_fields = ARRAY_SIZE(fields_)                                                    \
	}

static const struct cel_field_type kind_fields[] = {
	{"group", &cel_type_string},
	{"kind", &cel_type_string},
	{"version", &cel_type_string},
};
static const struct cel_type kind_type = STRUCT_TYPE("kubernetes.GroupVersionKind", kind_fields);

static const struct cel_field_type resource_fields[] = {
	{"group", &cel_type_string},
	{"resource", &cel_type_string},
	{"version", &cel_type_string},
};
static const struct cel_type resource_type =
	STRUCT_TYPE("kubernetes.GroupVersionResource", resource_fields);

static const struct cel_field_type user_fields[] = {
	{"username", &cel_type_string},
	{"uid", &cel_type_string},
	{"groups", &cel_type_list_string},
	{"extra", &cel_type_map_string_list_string},
};
static const struct cel_type user_type = STRUCT_TYPE("kubernetes.UserInfo", user_fields);

static const struct cel_field_type request_fields[] = {
	{"kind", &kind_type},
	{"resource", &resource_type},
	{"subResource", &cel_type_string},
	{"requestKind", &kind_type},
	{"requestResource", &resource_type},
	{"requestSubResource", &cel_type_string},
	{"name", &cel_type_string},
	{"namespace", &cel_type_string},
	{"operation", &cel_type_string},
	{"userInfo", &user_type},
	{"dryRun", &cel_type_bool},
	{"options", &cel_type_dyn},
};
static const struct cel_type request_type =
	STRUCT_TYPE("kubernetes.AdmissionRequest", request_fields);

static const struct cel_field_type condition_fields[] = {
	{"status", &cel_type_string},
	{"type", &cel_type_string},
	{"lastTransitionTime", &cel_type_timestamp},
	{"message", &cel_type_string},
	{"reason", &cel_type_string},
};
static const struct cel_type condition_type =
	STRUCT_TYPE("kubernetes.NamespaceCondition", condition_fields);
static const struct cel_type conditions_type = {.kind = CEL_LIST, .params = {&condition_type}};

static const struct cel_field_type namespace_spec_fields[] = {
	{"finalizers", &cel_type_list_string},
};
static const struct cel_type namespace_spec_type =
	STRUCT_TYPE("kubernetes.NamespaceSpec", namespace_spec_fields);

static const struct cel_field_type namespace_status_fields[] = {
	{"conditions", &conditions_type},
	{"phase", &cel_type_string},
};
static const struct cel_type namespace_status_type =
	STRUCT_TYPE("kubernetes.NamespaceStatus", namespace_status_fields);

static const struct cel_field_type namespace_meta_fields[] = {
	{"name", &cel_type_string},
	{"generateName", &cel_type_string},
	{"namespace", &cel_type_string},
	{"labels", &cel_type_map_string_string},
	{"annotations", &cel_type_map_string_string},
	{"UID", &cel_type_string}, /* as upstream declares it, although the value has `uid` */
	{"creationTimestamp", &cel_type_timestamp},
	{"deletionGracePeriodSeconds", &cel_type_int},
	{"deletionTimestamp", &cel_type_timestamp},
	{"generation", &cel_type_int},
	{"resourceVersion", &cel_type_string},
	{"finalizers", &cel_type_list_string},
};
static const struct cel_type namespace_meta_type =
	STRUCT_TYPE("kubernetes.NamespaceMetadata", namespace_meta_fields);

static const struct cel_field_type namespace_fields[] = {
	{"metadata", &namespace_meta_type},
	{"spec", &namespace_spec_type},
	{"status", &namespace_status_type},
};
static const struct cel_type namespace_type = STRUCT_TYPE("kubernetes.Namespace", namespace_fields);

/* --- scopes --- */

static void declare(struct expression_scope *s, enum expression_variable source, const char *name,
	const struct cel_type *type)
{
	s->vars[s->env.n_vars] = (struct cel_variable){name, type};
	s->sources[s->env.n_vars++] = source;
	s->env.vars = s->vars;
}

static void declare_all(struct expressions *e, struct expression_scope *s, unsigned flags,
	const struct expression_types *types)
{
	declare(s, VARIABLE_OBJECT, "object", types->object);
	declare(s, VARIABLE_OLD_OBJECT, "oldObject", types->object);
	declare(s, VARIABLE_NAMESPACE, "namespaceObject", &namespace_type);
	declare(s, VARIABLE_REQUEST, "request", &request_type);
	if (flags & EXPRESSIONS_PARAMS)
		declare(s, VARIABLE_PARAMS, "params", types->params);
	s->env.patches = s == &e->with_patches;
	if (s != &e->plain) {
		declare(s, VARIABLE_AUTHORIZER, "authorizer", &cel_type_authorizer);
		declare(s, VARIABLE_REQUEST_RESOURCE, "authorizer.requestResource",
			&cel_type_resource_check);
	}
	if (flags & EXPRESSIONS_VARIABLES)
		declare(s, VARIABLE_VARIABLES, "variables", &e->variables_type);
}

void expressions_init_typed(struct expressions *e, struct arena *a, unsigned flags,
	const struct expression_types *types)
{
	const struct expression_types t = {
		.object = types->object ? types->object : &cel_type_dyn,
		.params = types->params ? types->params : &cel_type_dyn,
	};

	*e = (struct expressions){
		.arena = a,
		.variables_type = {.kind = CEL_STRUCT, .name = "kubernetes.variables"},
	};
	declare_all(e, &e->plain, flags, &t);
	declare_all(e, &e->with_authorizer, flags, &t);
	declare_all(e, &e->with_patches, flags, &t);
}

void expressions_init(struct expressions *e, struct arena *a, unsigned flags)
{
	static const struct expression_types dynamic = {0};

	expressions_init_typed(e, a, flags, &dynamic);
}

/* --- compiling --- */

static bool has_right_type(enum expression_sort sort, const struct cel_type *t)
{
	switch (sort) {
	case EXPRESSION_VALIDATION:
		return t->kind == CEL_BOOL;
	case EXPRESSION_MESSAGE:
		return t->kind == CEL_STRING;
	case EXPRESSION_AUDIT:
		return t->kind == CEL_STRING || t->kind == CEL_NULL;
	case EXPRESSION_VARIABLE:
		return true;
	case EXPRESSION_JSON_PATCH:
		return t->kind == CEL_LIST && t->params[0] && t->params[0]->name &&
		       !strcmp(t->params[0]->name, "JSONPatch");
	case EXPRESSION_APPLY:
		return t->kind == CEL_STRUCT && !strcmp(t->name, "Object");
	}
	return false;
}

static const char *const wanted[] = {
	[EXPRESSION_VALIDATION] = "bool",
	[EXPRESSION_MESSAGE] = "string",
	[EXPRESSION_AUDIT] = "one of [string null_type]",
	[EXPRESSION_VARIABLE] = "any",
	[EXPRESSION_JSON_PATCH] = "list(JSONPatch)",
	[EXPRESSION_APPLY] = "Object",
};

static void drop_program(void *p)
{
	cel_program_unref(p);
}

static const struct expression_scope *scope_of(
	const struct expressions *e, enum expression_sort sort)
{
	if (sort == EXPRESSION_MESSAGE)
		return &e->plain;
	if (sort == EXPRESSION_JSON_PATCH || sort == EXPRESSION_APPLY)
		return &e->with_patches;
	return &e->with_authorizer;
}

void expression_compile(
	struct expressions *e, enum expression_sort sort, struct str text, struct expression *ret)
{
	struct expression x = {
		.scope = scope_of(e, sort),
		.text = arena_str(e->arena, text),
	};
	struct cel_issues issues = {0};

	if (cel_compile(&x.scope->env, x.text, e->arena, &x.program, &issues) < 0) {
		x.program = NULL;
		x.error = arena_fmt(e->arena, "%s failed: " STR_FMT,
			issues.instantiation ? "program instantiation" : "compilation",
			STR_ARG(issues.text));
	} else {
		arena_ref(e->arena, drop_program, x.program);
		e->uses_namespace |= cel_program_uses(x.program, "namespaceObject");
	}
	if (x.program && !has_right_type(sort, cel_program_type(x.program))) {
		x.error = arena_fmt(e->arena, "must evaluate to %s but got " STR_FMT, wanted[sort],
			STR_ARG(cel_type_text(cel_program_type(x.program), e->arena)));
		x.program = NULL;
	}
	*ret = x;
}

/* --- variables --- */

static const struct cel_type *container(
	struct arena *a, enum cel_kind kind, const struct cel_type *k, const struct cel_type *v)
{
	struct cel_type *t = ARENA_NEW(a, struct cel_type);

	*t = (struct cel_type){.kind = kind, .params = {k, v}};
	return t;
}

/* The type of a variable as others see it: what upstream can declare, else anything. */
static const struct cel_type *declared(struct arena *a, const struct cel_type *t)
{
	if (!t)
		return &cel_type_dyn;
	switch (t->kind) {
	case CEL_BOOL:
	case CEL_BYTES:
	case CEL_DOUBLE:
	case CEL_DURATION:
	case CEL_INT:
	case CEL_NULL:
	case CEL_STRING:
	case CEL_TIMESTAMP:
	case CEL_UINT:
		return t;
	case CEL_LIST:
		return container(a, CEL_LIST, declared(a, t->params[0]), NULL);
	case CEL_MAP:
		return container(a, CEL_MAP, declared(a, t->params[0]), declared(a, t->params[1]));
	default:
		return &cel_type_dyn;
	}
}

void expressions_variable(
	struct expressions *e, struct str name, struct str text, struct expression *ret)
{
	struct cel_field_type field = {arena_cstr(e->arena, name), &cel_type_dyn};
	size_t at = 0;

	expression_compile(e, EXPRESSION_VARIABLE, text, ret);
	if (ret->program)
		field.type = declared(e->arena, cel_program_type(ret->program));
	while (at < e->fields.n && !str_eqc(name, e->fields.v[at].name))
		at++;
	if (at < e->fields.n) {
		e->fields.v[at] = field;
		e->variables.v[at] = *ret;
	} else {
		ARENA_PUSH(e->arena, &e->fields, field);
		ARENA_PUSH(e->arena, &e->variables, *ret);
	}
	e->variables_type.fields = e->fields.v;
	e->variables_type.n_fields = e->fields.n;
}
