#include "apiserver/auth/match_conditions.h"

#include "apiserver/auth/config_file.h"
#include "cel/cel.h"
#include "json/write.h"
#include "types.gen.h"

enum { REQUEST_MAX = 1 << 20 };

/* --- what `request` is --- */

#define STRUCT_TYPE(name_, fields_)                                                                \
	{                                                                                          \
		.kind = CEL_STRUCT, .name = name_, .fields = fields_,                              \
		.n_fields = ARRAY_SIZE(fields_)                                                    \
	}

static const struct cel_field_type requirement_fields[] = {{"key", &cel_type_string},
	{"operator", &cel_type_string}, {"values", &cel_type_list_string}};
static const struct cel_type field_requirement = STRUCT_TYPE(
				     "kubernetes.FieldSelectorRequirement", requirement_fields),
			     label_requirement = STRUCT_TYPE(
				     "kubernetes.LabelSelectorRequirement", requirement_fields),
			     field_requirements = {.kind = CEL_LIST,
				     .params = {&field_requirement}},
			     label_requirements = {
				     .kind = CEL_LIST, .params = {&label_requirement}};
static const struct cel_field_type field_selector_fields[] = {
	{"rawSelector", &cel_type_string}, {"requirements", &field_requirements}};
static const struct cel_field_type label_selector_fields[] = {
	{"rawSelector", &cel_type_string}, {"requirements", &label_requirements}};
static const struct cel_type field_selector = STRUCT_TYPE(
				     "kubernetes.FieldSelectorAttributes", field_selector_fields),
			     label_selector = STRUCT_TYPE(
				     "kubernetes.LabelSelectorAttributes", label_selector_fields);
static const struct cel_field_type resource_fields[] = {{"namespace", &cel_type_string},
	{"verb", &cel_type_string}, {"group", &cel_type_string}, {"version", &cel_type_string},
	{"resource", &cel_type_string}, {"subresource", &cel_type_string},
	{"name", &cel_type_string}, {"fieldSelector", &field_selector},
	{"labelSelector", &label_selector}};
static const struct cel_field_type path_fields[] = {
	{"path", &cel_type_string}, {"verb", &cel_type_string}};
static const struct cel_type resource_attributes =
				     STRUCT_TYPE("kubernetes.ResourceAttributes", resource_fields),
			     path_attributes =
				     STRUCT_TYPE("kubernetes.NonResourceAttributes", path_fields);
static const struct cel_field_type spec_fields[] = {{"resourceAttributes", &resource_attributes},
	{"nonResourceAttributes", &path_attributes}, {"user", &cel_type_string},
	{"groups", &cel_type_list_string}, {"extra", &cel_type_map_string_list_string},
	{"uid", &cel_type_string}};
static const struct cel_type spec_type =
	STRUCT_TYPE("kubernetes.SubjectAccessReviewSpec", spec_fields);

static const struct cel_variable variables[] = {{"request", &spec_type}};
static const struct cel_env env = {variables, ARRAY_SIZE(variables)};

/* --- compiling --- */

int match_condition_compile(
	struct str expression, struct arena *a, struct cel_program **ret, struct str *ret_why)
{
	struct cel_issues issues;
	struct cel_program *p;
	enum cel_kind kind;

	if (cel_compile(&env, expression, a, &p, &issues) < 0) {
		*ret_why = arena_fmt(a, "compilation failed: " STR_FMT, STR_ARG(issues.text));
		return -EINVAL;
	}
	kind = cel_program_type(p)->kind;
	if (kind != CEL_BOOL && kind != CEL_DYN) {
		*ret_why = arena_fmt(a, "must evaluate to bool but got " STR_FMT,
			STR_ARG(cel_type_text(cel_program_type(p), a)));
		cel_program_unref(p);
		return -EINVAL;
	}
	if (ret)
		*ret = p;
	else
		cel_program_unref(p);
	return 0;
}

int match_conditions_init(
	struct match_conditions *m, const struct str_vec *expressions, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str why;

	*m = (struct match_conditions){.v = xcalloc(expressions->n + 1, sizeof(*m->v))};
	for (size_t i = 0; i < expressions->n; i++) {
		if (match_condition_compile(expressions->v[i], &a, &m->v[m->n].program, &why) < 0)
			return err_bad_request(err, STR_FMT, STR_ARG(why));
		m->v[m->n++].text = xasprintf(STR_FMT, STR_ARG(expressions->v[i]));
	}
	return 0;
}

void match_conditions_release(struct match_conditions *m)
{
	for (size_t i = 0; i < m->n; i++) {
		cel_program_unref(m->v[i].program);
		free(m->v[i].text);
	}
	free(m->v);
	*m = (struct match_conditions){0};
}

/* --- evaluating --- */

static void write_member(struct buf *b, const char *name, struct str value)
{
	buf_fmt(b, "%s\"%s\":", b->p[b->n - 1] == '{' ? "" : ",", name);
	json_write_string(b, value);
}

static void write_list(struct buf *b, const struct str_vec *v)
{
	buf_add_char(b, '[');
	for (size_t i = 0; i < v->n; i++) {
		buf_add_c(b, i ? "," : "");
		json_write_string(b, v->v[i]);
	}
	buf_add_char(b, ']');
}

static void write_resource(struct buf *b, const struct authorization_v1_resource_attributes *r)
{
	buf_add_c(b, ",\"resourceAttributes\":{");
	write_member(b, "namespace", r->namespace);
	write_member(b, "verb", r->verb);
	write_member(b, "group", r->group);
	write_member(b, "version", r->version);
	write_member(b, "resource", r->resource);
	write_member(b, "subresource", r->subresource);
	write_member(b, "name", r->name);
	if (r->field_selector) {
		buf_add_c(b, ",\"fieldSelector\":");
		schema_encode_json(
			&authorization_v1_field_selector_attributes_schema, r->field_selector, b);
	}
	if (r->label_selector) {
		buf_add_c(b, ",\"labelSelector\":");
		schema_encode_json(
			&authorization_v1_label_selector_attributes_schema, r->label_selector, b);
	}
	buf_add_char(b, '}');
}

/* With all strings of the user and the attributes, empty ones, too: they can be compared. */
static struct str request_json(
	const struct authorization_v1_subject_access_review_spec *spec, struct arena *a)
{
	struct str out;
	struct buf b;

	buf_init(&b, REQUEST_MAX);
	buf_add_char(&b, '{');
	write_member(&b, "user", spec->user);
	write_member(&b, "uid", spec->uid);
	buf_add_c(&b, ",\"groups\":");
	write_list(&b, &spec->groups);
	buf_add_c(&b, ",\"extra\":{");
	for (size_t i = 0; i < spec->extra.n; i++) {
		buf_add_c(&b, i ? "," : "");
		json_write_string(&b, spec->extra.v[i].key);
		buf_add_char(&b, ':');
		write_list(&b, &spec->extra.v[i].value.items);
	}
	buf_add_char(&b, '}');
	if (spec->resource_attributes)
		write_resource(&b, spec->resource_attributes);
	if (spec->non_resource_attributes) {
		buf_add_c(&b, ",\"nonResourceAttributes\":{");
		write_member(&b, "path", spec->non_resource_attributes->path);
		write_member(&b, "verb", spec->non_resource_attributes->verb);
		buf_add_char(&b, '}');
	}
	buf_add_char(&b, '}');
	out = buf_failed(&b) ? S("") : arena_str(a, buf_str(&b));
	buf_release(&b);
	return out;
}

bool match_conditions_hold(const struct match_conditions *m,
	const struct authorization_v1_subject_access_review_spec *spec, struct arena *a,
	struct str *ret_error)
{
	struct cel_value request;
	struct str_vec errors = {0};

	*ret_error = S("");
	if (!m->n)
		return true;
	request = cel_json_text(request_json(spec, a), a);
	for (size_t i = 0; i < m->n; i++) {
		const struct cel_activation with = {.values = &request};
		struct cel_result r = cel_eval(m->v[i].program, &with, a);

		if (r.value.kind == CEL_BOOL && !r.value.b)
			return false;
		if (r.value.kind != CEL_BOOL)
			ARENA_PUSH(a, &errors,
				arena_fmt(a,
					"cel evaluation error: expression '%s' resulted in "
					"error: " STR_FMT,
					m->v[i].text,
					STR_ARG(r.value.kind == CEL_ERROR
							? r.value.s
							: S("the result is no bool"))));
	}
	if (errors.n)
		*ret_error = auth_aggregate(a, &errors);
	return !errors.n;
}
