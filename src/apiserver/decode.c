#include "apiserver/decode.h"

#include "json/reader.h"

#define GO_META                                                                                    \
	"struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string "           \
	"\"json:\\\"kind,omitempty\\\"\" }"

struct body_type body_type_of(const struct schema_resource *res)
{
	return (struct body_type){.group = str_c(res->group),
		.version = str_c(res->version),
		.kind = str_c(res->kind),
		.type = res->type};
}

/* --- apiVersion and kind --- */

struct gvk {
	struct str group, version, kind;
	bool known; /* false: not even read */
};

static const char *json_type_name(char c)
{
	switch (c) {
	case '{':
		return "object";
	case '[':
		return "array";
	case '"':
		return "string";
	case 't':
	case 'f':
		return "bool";
	default:
		return "number";
	}
}

static int read_meta_value(
	struct json_reader *jr, const char *field, struct str *ret, struct err *err)
{
	char c = json_peek(jr);

	if (c == '"') {
		json_read_string(jr, ret);
		return 0;
	}
	if (c != 'n')
		return err_fmt(err, 400, "",
			"json: cannot unmarshal %s into Go struct field .%s of type string",
			json_type_name(c), field);
	json_read_word(jr, NULL);
	return 0;
}

/* Go's encoding/json finds these two whatever their case. */
static int read_members(
	struct json_reader *jr, struct str *api_version, struct str *kind, struct err *err)
{
	struct str key;
	int ret = 0;

	while (ret == 0 && json_next_key(jr, &key)) {
		if (str_ieq(key, S("apiVersion")))
			ret = read_meta_value(jr, "apiVersion", api_version, err);
		else if (str_ieq(key, S("kind")))
			ret = read_meta_value(jr, "kind", kind, err);
		else
			json_skip(jr, NULL);
	}
	return ret;
}

static int read_meta(struct arena *a, struct str json, struct str *api_version, struct str *kind,
	struct err *err)
{
	struct json_reader jr;
	char why[96], c;

	*api_version = *kind = S("");
	if (!json_valid(json, why))
		return err_fmt(err, 400, "", "%s", why);
	json_reader_init(&jr, json, a);
	c = json_peek(&jr);
	if (c == 'n')
		return 0;
	if (c != '{')
		return err_fmt(err, 400, "",
			"json: cannot unmarshal %s into Go value of type " GO_META,
			json_type_name(c));
	json_enter(&jr, '{');
	return read_members(&jr, api_version, kind, err);
}

/* What is not said is what was expected. */
static void fill_gvk(
	struct str api_version, struct str kind, const struct body_type *want, struct gvk *ret)
{
	struct str group, version;

	if (!str_cut(api_version, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	if (!version.n && (!group.n || str_eq(group, want->group))) {
		group = want->group;
		version = want->version;
	}
	*ret = (struct gvk){group, version, kind.n ? kind : want->kind, true};
}

static int interpret(struct arena *a, struct str json, const struct body_type *want,
	struct gvk *ret, struct err *err)
{
	struct str api_version, kind;

	if (read_meta(a, json, &api_version, &kind, err) < 0) {
		struct str why = arena_str(a, err->message);

		return err_fmt(err, 400, "",
			"couldn't get version/kind; json parse error: " STR_FMT, STR_ARG(why));
	}
	fill_gvk(api_version, kind, want, ret);
	return 0;
}

/* --- the kinds that exist --- */

static const char *const meta_kinds[] = {"ListOptions", "GetOptions", "DeleteOptions",
	"CreateOptions", "UpdateOptions", "PatchOptions", "WatchEvent", NULL};
static const char *const unversioned_kinds[] = {
	"Status", "APIVersions", "APIGroupList", "APIGroup", "APIResourceList", NULL};

static bool listed(const char *const *names, struct str s)
{
	for (; *names; names++)
		if (str_eqc(s, *names))
			return true;
	return false;
}

static bool names_itself(const struct schema_type *t)
{
	return t->n_fields > 1 && !strcmp(t->fields[0].name, "kind") &&
	       !strcmp(t->fields[1].name, "apiVersion");
}

static const struct schema_type *type_in_group(
	struct arena *a, struct str group, struct str version, struct str kind)
{
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];
		struct str name = str_c(res->type->name);
		const struct schema_type *t;

		if (!str_eqc(group, res->group) || !str_eqc(version, res->version))
			continue;
		name = str_sub(name, 0, (size_t)str_rchr(name, '.') + 1);
		t = schema_type_by_name(
			arena_fmt(a, STR_FMT STR_FMT, STR_ARG(name), STR_ARG(kind)));
		if (t && names_itself(t))
			return t;
	}
	return NULL;
}

const struct schema_type *type_of_kind(
	struct arena *a, struct str group, struct str version, struct str kind)
{
	const struct schema_type *t = type_in_group(a, group, version, kind);

	if (t)
		return t;
	if (listed(meta_kinds, kind) || str_eqc(group, "meta.k8s.io") ||
		(!group.n && str_eqc(version, "v1") && listed(unversioned_kinds, kind)))
		return schema_type_by_name(arena_fmt(
			a, "io.k8s.apimachinery.pkg.apis.meta.v1." STR_FMT, STR_ARG(kind)));
	return NULL;
}

static const struct schema_type *find_type(
	struct arena *a, const struct body_type *want, const struct gvk *k)
{
	if (str_eq(k->group, want->group) && str_eq(k->version, want->version) &&
		str_eq(k->kind, want->kind))
		return want->type;
	if (str_eqc(k->group, "meta.k8s.io") && !listed(meta_kinds, k->kind))
		return NULL; /* Table, PartialObjectMetadata: only ever sent, never read */
	return type_of_kind(a, k->group, k->version, k->kind);
}

static struct str gv_text(struct arena *a, struct str group, struct str version)
{
	if (!group.n)
		return version;
	return arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(group), STR_ARG(version));
}

static const char *internal_group(struct arena *a, const struct body_type *want)
{
	struct str label, rest;

	if (want->go_group)
		return want->go_group;
	str_cut(want->group, '.', &label, &rest);
	return label.n ? arena_cstr(a, label) : "core";
}

/* Versions that upstream still reads, though no path serves them: the body is understood, and then
 * refused for its version. */
static const struct {
	const char *group, *version, *kind;
} retired[] = {
	{"apps", "v1beta1", "Deployment"},
	{"apps", "v1beta1", "StatefulSet"},
	{"apps", "v1beta2", "DaemonSet"},
	{"apps", "v1beta2", "Deployment"},
	{"apps", "v1beta2", "ReplicaSet"},
	{"apps", "v1beta2", "StatefulSet"},
	{"extensions", "v1beta1", "DaemonSet"},
	{"extensions", "v1beta1", "Deployment"},
	{"extensions", "v1beta1", "Ingress"},
	{"extensions", "v1beta1", "NetworkPolicy"},
	{"extensions", "v1beta1", "ReplicaSet"},
	{"batch", "v1beta1", "CronJob"},
	{"coordination.k8s.io", "v1beta1", "Lease"},
	{"discovery.k8s.io", "v1beta1", "EndpointSlice"},
	{"events.k8s.io", "v1beta1", "Event"},
	{"policy", "v1beta1", "PodDisruptionBudget"},
};

static bool is_retired(const struct gvk *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(retired); i++)
		if (str_eqc(k->group, retired[i].group) &&
			str_eqc(k->version, retired[i].version) &&
			str_eqc(k->kind, retired[i].kind))
			return true;
	return false;
}

static int check_kind(struct arena *a, const struct body_type *want, const struct gvk *k,
	const struct schema_type **ret, struct err *err)
{
	*ret = find_type(a, want, k);
	if (!*ret && str_eq(k->kind, want->kind) && is_retired(k))
		*ret = want->type;
	if (*ret)
		return 0;
	if (!k->group.n && str_eqc(k->version, "v1") && str_eqc(k->kind, "List"))
		return err_fmt(err, 400, "",
			"converting (v1.List) to (%s." STR_FMT "): unknown conversion",
			internal_group(a, want), STR_ARG(want->kind));
	return err_fmt(err, 400, "",
		"no kind \"" STR_FMT "\" is registered for version \"" STR_FMT
		"\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
		STR_ARG(k->kind), STR_ARG(gv_text(a, k->group, k->version)));
}

/* --- bodies --- */

struct str strict_error_text(struct arena *a, const struct str_vec *fields)
{
	struct str s = S("strict decoding error: ");

	for (size_t i = 0; i < fields->n; i++)
		s = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(s), i ? ", " : "", STR_ARG(fields->v[i]));
	return s;
}

static int decode_known(struct request *r, const struct body_type *want, const struct gvk *k,
	struct str json, enum field_validation v, struct str_vec *unknown, void **ret,
	struct err *err)
{
	struct schema_decode_opts opts = {.flags = v == FIELDS_IGNORE ? 0 : SCHEMA_DECODE_STRICT};
	const struct schema_type *type;
	int e = check_kind(r->arena, want, k, &type, err);

	if (e < 0)
		return e;
	e = schema_decode_json(type, json, r->arena, &opts, ret, err);
	if (e < 0)
		return e;
	for (size_t i = 0; i < opts.warnings.n; i++)
		ARENA_PUSH(r->arena, unknown, opts.warnings.v[i]);
	if (type != want->type)
		return err_fmt(err, 400, "",
			"converting (%s) to (%s." STR_FMT "): unknown conversion", type->go_name,
			internal_group(r->arena, want), STR_ARG(want->kind));
	return 0;
}

int decode_json_as(struct request *r, const struct body_type *want, struct str json,
	enum field_validation v, struct str_vec *ret_unknown, void **ret, struct err *err)
{
	struct gvk k = {0};
	int e = interpret(r->arena, json, want, &k, err);

	return e < 0 ? e : decode_known(r, want, &k, json, v, ret_unknown, ret, err);
}

/* The start of what could not be understood: text if it looks like JSON, else hexadecimal. */
static struct str summary(struct arena *a, struct str body)
{
	enum { MAX = 30 };
	size_t n = MIN(body.n, (size_t)MAX);
	struct str s = S("");

	if (!body.n)
		return S("<empty>");
	if (body.p[0] == '{')
		s = str_sub(body, 0, n);
	else
		for (size_t i = 0; i < n; i++)
			s = arena_fmt(a, STR_FMT "%02x", STR_ARG(s), (unsigned char)body.p[i]);
	return arena_fmt(a, STR_FMT "%s", STR_ARG(s), body.n > MAX ? " ..." : "");
}

static int wrap(
	struct request *r, const struct body_type *want, const struct gvk *k, struct err *err)
{
	struct str why = arena_str(r->arena, err->message);

	if (k->known)
		return err_bad_request(err,
			STR_FMT " in version \"" STR_FMT "\" cannot be handled as a " STR_FMT
				": " STR_FMT,
			STR_ARG(k->kind), STR_ARG(k->version), STR_ARG(want->kind), STR_ARG(why));
	return err_bad_request(err,
		"the object provided is unrecognized (must be of type " STR_FMT "): " STR_FMT
		" (" STR_FMT ")",
		STR_ARG(want->kind), STR_ARG(why), STR_ARG(summary(r->arena, r->body)));
}

/* twice: keys that a YAML body has twice. */
static int check_strict(struct request *r, enum field_validation v, const struct str_vec *twice,
	const struct str_vec *unknown, struct err *err)
{
	struct str_vec all = {0};
	struct str text = S("yaml: unmarshal errors:");

	if (v == FIELDS_IGNORE)
		return 0;
	for (size_t i = 0; i < twice->n; i++)
		text = arena_fmt(
			r->arena, STR_FMT "\n  " STR_FMT, STR_ARG(text), STR_ARG(twice->v[i]));
	if (v == FIELDS_STRICT && twice->n)
		ARENA_PUSH(r->arena, &all, text);
	for (size_t i = 0; v != FIELDS_STRICT && i < twice->n; i++)
		request_warn(r, STR_FMT, STR_ARG(twice->v[i]));
	for (size_t i = 0; i < unknown->n; i++) {
		ARENA_PUSH(r->arena, &all, unknown->v[i]);
		if (v != FIELDS_STRICT)
			request_warn(r, STR_FMT, STR_ARG(unknown->v[i]));
	}
	if (v != FIELDS_STRICT || !all.n)
		return 0;
	text = strict_error_text(r->arena, &all);
	return err_fmt(err, 400, "", STR_FMT, STR_ARG(text));
}

static int check_version(
	struct request *r, const struct body_type *want, const struct gvk *k, struct err *err)
{
	if (str_eq(k->group, want->group) && str_eq(k->version, want->version))
		return 0;
	return err_bad_request(err,
		"the API version in the data (" STR_FMT
		") does not match the expected API version (" STR_FMT ")",
		STR_ARG(gv_text(r->arena, k->group, k->version)),
		STR_ARG(gv_text(r->arena, want->group, want->version)));
}

/* The envelope, then the message: fields that are not known are passed over. */
static int decode_proto(
	struct request *r, const struct body_type *want, struct gvk *k, void **ret, struct err *err)
{
	struct str api_version, kind, message;
	const struct schema_type *type;
	int e;

	e = schema_unwrap_proto(r->body, &api_version, &kind, &message, err);
	if (e < 0)
		return e;
	fill_gvk(api_version, kind, want, k);
	e = check_kind(r->arena, want, k, &type, err);
	if (e >= 0)
		e = schema_decode_proto(type, message, r->arena, ret, err);
	if (e >= 0 && type != want->type)
		e = err_fmt(err, 400, "", "converting (%s) to (%s." STR_FMT "): unknown conversion",
			type->go_name, internal_group(r->arena, want), STR_ARG(want->kind));
	return e;
}

static int read_body(struct request *r, const struct body_type *want, enum field_validation v,
	void **ret, struct err *err)
{
	struct str_vec unknown = {0}, twice = {0};
	struct str json = r->body;
	struct gvk k = {0};
	enum body_form form;
	int e = negotiate_input(r, &form, err);

	if (e < 0)
		return e;
	if (form == BODY_PROTO) {
		e = decode_proto(r, want, &k, ret, err);
		return e < 0 ? wrap(r, want, &k, err) : check_version(r, want, &k, err);
	}
	if ((form == BODY_YAML && yaml_to_json(r->body, r->arena, &json, &twice, err) < 0) ||
		interpret(r->arena, json, want, &k, err) < 0 ||
		decode_known(r, want, &k, json, v, &unknown, ret, err) < 0 ||
		check_strict(r, v, &twice, &unknown, err) < 0)
		return wrap(r, want, &k, err);
	return check_version(r, want, &k, err);
}

int decode_body(struct request *r, const struct body_type *want, enum field_validation v,
	void **ret, struct err *err)
{
	int e = read_body(r, want, v, ret, err);

	if (e == 0)
		audit_request_object(r, gv_text(r->arena, want->group, want->version), want->kind,
			want->type, *ret, NULL);
	return e;
}

static int read_delete_options(struct request *r, enum body_form form, const struct body_type *want,
	struct gvk *k, void **ret, struct err *err)
{
	struct schema_decode_opts opts = {0};
	struct str json = r->body, api_version, kind, message;

	if (form == BODY_PROTO) {
		if (schema_unwrap_proto(r->body, &api_version, &kind, &message, err) < 0)
			return -EINVAL;
		fill_gvk(api_version, kind, want, k);
		return schema_decode_proto(want->type, message, r->arena, ret, err);
	}
	if (form == BODY_YAML && yaml_to_json(r->body, r->arena, &json, NULL, err) < 0)
		return -EINVAL;
	if (interpret(r->arena, json, want, k, err) < 0)
		return -EINVAL;
	if (!str_eqc(k->kind, "DeleteOptions"))
		return 0;
	return schema_decode_json(want->type, json, r->arena, &opts, ret, err);
}

int decode_delete_options(struct request *r, struct meta_v1_delete_options *ret, struct err *err)
{
	const struct body_type want = {
		S(""), S("v1"), S("DeleteOptions"), &meta_v1_delete_options_schema, NULL};
	struct gvk k = {0};
	enum body_form form;
	void *typed = NULL;
	int e = negotiate_input(r, &form, err);

	if (e < 0)
		return e;
	if (read_delete_options(r, form, &want, &k, &typed, err) < 0)
		return err_bad_request(err, "%s", arena_cstr(r->arena, err->message));
	if (!str_eqc(k.kind, "DeleteOptions"))
		return err_bad_request(err,
			"no kind \"" STR_FMT "\" is registered for version \"" STR_FMT
			"\" in scheme \"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/"
			"register.go:27\"",
			STR_ARG(k.kind), STR_ARG(gv_text(r->arena, k.group, k.version)));
	*ret = *(struct meta_v1_delete_options *)typed;
	audit_request_object(
		r, gv_text(r->arena, k.group, k.version), k.kind, want.type, ret, NULL);
	return 0;
}
