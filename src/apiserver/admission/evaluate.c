#include "apiserver/admission/evaluate.h"
#include "apiserver/admission/match.h"
#include "apiserver/admission/webhook.h"
#include "apiserver/convert.h"
#include "apiserver/server.h"

enum { OPTIONS_MAX = 64 * 1024 };

/* --- the request --- */

struct entries {
	struct cel_entry *v;
	size_t n;
};

static void add(struct arena *a, struct entries *e, const char *name, struct cel_value v)
{
	struct cel_entry entry = {cel_string(str_c(name)), v};

	ARENA_PUSH(a, e, entry);
}

/* What is empty is not there, as in JSON. */
static void add_text(struct arena *a, struct entries *e, const char *name, struct str v)
{
	if (v.n)
		add(a, e, name, cel_string(v));
}

static struct cel_value take(struct arena *a, const struct entries *e)
{
	return cel_map(e->v, e->n, a);
}

static struct cel_value kind_value(
	struct arena *a, struct str group, struct str version, struct str kind)
{
	struct entries e = {0};

	add(a, &e, "group", cel_string(group));
	add(a, &e, "version", cel_string(version));
	add(a, &e, "kind", cel_string(kind));
	return take(a, &e);
}

static struct cel_value object_kind(
	const struct admission_attrs *attrs, const struct schema_resource *as)
{
	if (attrs->body)
		return kind_value(
			attrs->arena, attrs->body_group, attrs->body_version, attrs->body_kind);
	return kind_value(attrs->arena, str_c(as->group), str_c(as->version), str_c(as->kind));
}

static struct cel_value resource_value(struct arena *a, const struct schema_resource *res)
{
	struct entries e = {0};

	add(a, &e, "group", cel_string(str_c(res->group)));
	add(a, &e, "version", cel_string(str_c(res->version)));
	add(a, &e, "resource", cel_string(str_c(res->plural)));
	return take(a, &e);
}

static struct cel_value strings_value(struct arena *a, const struct str_vec *v)
{
	struct cel_value *items = ARENA_ARRAY(a, struct cel_value, v->n);

	for (size_t i = 0; i < v->n; i++)
		items[i] = cel_string(v->v[i]);
	return cel_list(items, v->n, a);
}

static struct cel_value user_value(struct arena *a, const struct user_info *u)
{
	struct entries e = {0}, extra = {0};

	add_text(a, &e, "username", u->name);
	add_text(a, &e, "uid", u->uid);
	if (u->groups.n)
		add(a, &e, "groups", strings_value(a, &u->groups));
	for (size_t i = 0; i < u->extra.n; i++) {
		struct cel_entry entry = {
			cel_string(u->extra.v[i].key), strings_value(a, &u->extra.v[i].values)};

		ARENA_PUSH(a, &extra, entry);
	}
	if (extra.n)
		add(a, &e, "extra", take(a, &extra));
	return take(a, &e);
}

static struct cel_value options_value(const struct admission_attrs *attrs)
{
	struct cel_value v;
	struct buf b;

	buf_init(&b, OPTIONS_MAX);
	webhook_options(&b, attrs);
	v = cel_json_text(arena_str(attrs->arena, buf_str(&b)), attrs->arena);
	buf_release(&b);
	return v;
}

static struct cel_value request_value(
	const struct admission_attrs *attrs, const struct schema_resource *as)
{
	struct arena *a = attrs->arena;
	struct entries e = {0};

	add(a, &e, "uid", cel_string(S("")));
	add(a, &e, "kind", object_kind(attrs, as));
	add(a, &e, "resource", resource_value(a, as));
	add_text(a, &e, "subResource", attrs->subresource);
	add(a, &e, "requestKind", object_kind(attrs, attrs->addressed));
	add(a, &e, "requestResource", resource_value(a, attrs->addressed));
	add_text(a, &e, "requestSubResource", attrs->subresource);
	add_text(a, &e, "name", attrs->name);
	add_text(a, &e, "namespace",
		attrs->resource == &v1_namespace_resource ? attrs->name : attrs->ns);
	add(a, &e, "operation", cel_string(str_c(match_operation(attrs->op))));
	add(a, &e, "userInfo", user_value(a, attrs->user));
	add(a, &e, "dryRun", cel_bool(attrs->dry_run));
	if (attrs->op != ADMIT_CONNECT)
		add(a, &e, "options", options_value(attrs));
	return take(a, &e);
}

/* --- authorizer --- */

static void service_account(
	const struct cel_authz_request *r, struct arena *a, struct user_info *ret)
{
	static const char *const all[] = {"system:serviceaccounts", "system:authenticated"};

	*ret = (struct user_info){.name = arena_fmt(a, "system:serviceaccount:" STR_FMT ":" STR_FMT,
					  STR_ARG(r->sa_namespace), STR_ARG(r->sa_name))};
	ARENA_PUSH(a, &ret->groups, str_c(all[0]));
	ARENA_PUSH(a, &ret->groups,
		arena_fmt(a, "system:serviceaccounts:" STR_FMT, STR_ARG(r->sa_namespace)));
	ARENA_PUSH(a, &ret->groups, str_c(all[1]));
}

bool evaluation_waits(const struct admission_attrs *attrs)
{
	return attrs->request && outside_waits(admission_outside(attrs));
}

void evaluation_wait(struct admission_attrs *attrs, void (*again)(void *user_data), void *user_data)
{
	outside_ask(admission_outside(attrs), again, user_data);
}

static enum cel_decision ask(void *data, const struct cel_authz_request *r, struct arena *a,
	struct str *ret_reason, struct str *ret_error)
{
	const struct admission_attrs *attrs = data;
	const struct user_info *user = attrs->user;
	struct request_info info = {
		.is_resource = r->is_resource,
		.verb = r->verb,
		.path = r->path,
		.group = r->group,
		.version = S("*"),
		.resource = r->resource,
		.subresource = r->subresource,
		.ns = r->namespace,
		.name = r->name,
		.field_selector = r->field_selector,
		.label_selector = r->label_selector,
	};
	struct auth_answer answer;
	struct user_info account;

	if (r->sa_name.n) {
		service_account(r, a, &account);
		user = &account;
	}
	auth_ask(attrs->server->auth, admission_outside(attrs), a, user, &info, &answer);
	*ret_reason = answer.reason;
	if (answer.error.n)
		*ret_error = answer.error;
	return answer.decision == AUTH_ALLOW  ? CEL_AUTHZ_ALLOWED
	       : answer.decision == AUTH_DENY ? CEL_AUTHZ_DENIED
					      : CEL_AUTHZ_NO_OPINION;
}

static const struct cel_authz_ops authorizer = {.check = ask};

static struct cel_value request_resource(struct admission_attrs *attrs)
{
	const struct cel_authz_request r = {
		.is_resource = true,
		.group = str_c(attrs->addressed->group),
		.resource = str_c(attrs->addressed->plural),
		.subresource = attrs->subresource,
		.namespace = attrs->resource == &v1_namespace_resource ? attrs->name : attrs->ns,
		.name = attrs->name,
	};

	return cel_resource_check(&authorizer, attrs, &r, attrs->arena);
}

/* --- input --- */

static int object_value(
	const struct evaluation_input *in, const void *obj, struct cel_value *ret, struct err *err)
{
	struct admission_attrs *attrs = in->attrs;
	void *typed = (void *)obj;
	int r;

	*ret = cel_null();
	if (!obj)
		return 0;
	if (attrs->body) {
		*ret = cel_object(attrs->body, obj);
		return 0;
	}
	r = convert(attrs->resource, typed, in->as, attrs->arena, &typed, err);
	if (r < 0)
		return r;
	set_type_meta(in->as, typed, attrs->arena);
	*ret = cel_object(in->as->type, typed);
	return 0;
}

int evaluation_input_init(struct evaluation_input *in, struct admission_attrs *attrs,
	const struct schema_resource *as, struct err *err)
{
	int r;

	*in = (struct evaluation_input){.attrs = attrs, .as = as};
	r = object_value(in, attrs->obj, &in->values[VARIABLE_OBJECT], err);
	if (r >= 0)
		r = object_value(in, attrs->old, &in->values[VARIABLE_OLD_OBJECT], err);
	if (r < 0)
		return r;
	in->values[VARIABLE_NAMESPACE] = cel_null();
	in->values[VARIABLE_PARAMS] = cel_null();
	in->values[VARIABLE_REQUEST] = request_value(attrs, as);
	in->values[VARIABLE_AUTHORIZER] = cel_authorizer(&authorizer, attrs, attrs->arena);
	in->values[VARIABLE_REQUEST_RESOURCE] = request_resource(attrs);
	return 0;
}

int evaluation_input_namespace(struct evaluation_input *in, struct err *err)
{
	const struct admission_attrs *attrs = in->attrs;
	const struct v1_namespace *ns;

	if (!attrs->ns.n || attrs->resource == &v1_namespace_resource)
		return 0;
	ns = admission_get(attrs, &v1_namespace_resource, S(""), attrs->ns);
	if (!ns)
		return err_not_found(err, S(""), S("namespaces"), attrs->ns);
	in->values[VARIABLE_NAMESPACE] = cel_object(&v1_namespace_schema, ns);
	return 0;
}

/* --- variables: computed once, when somebody asks --- */

static int64_t cost_of(const struct cel_result *r)
{
	return r->cost > INT64_MAX ? INT64_MAX : (int64_t)r->cost;
}

static struct cel_result run(struct evaluation *ev, const struct expression *x);

static struct cel_value compute(
	struct evaluation *ev, struct str name, const struct expression *x, struct arena *a)
{
	struct cel_result r;

	if (!x->program)
		return cel_error(arena_fmt(a,
			"composited variable \"" STR_FMT "\" fails to compile: " STR_FMT,
			STR_ARG(name), STR_ARG(x->error)));
	r = run(ev, x);
	ev->spent += cost_of(&r);
	if (r.value.kind != CEL_ERROR)
		return r.value;
	return cel_error(
		arena_fmt(a, "composited variable \"" STR_FMT "\" fails to evaluate: " STR_FMT,
			STR_ARG(name), STR_ARG(r.value.s)));
}

static bool get_variable(void *data, struct str key, struct arena *a, struct cel_value *ret)
{
	struct evaluation *ev = data;
	const struct expressions *e = ev->expressions;

	for (size_t i = 0; i < e->fields.n; i++) {
		struct cel_value *kept = &ev->variables[i];

		if (!str_eqc(key, e->fields.v[i].name))
			continue;
		if (kept->kind == CEL_UNSET) {
			/* what it finds when it asks for itself: a name can be given twice */
			*kept = cel_error(S("variable refers to itself"));
			*kept = compute(ev, key, &e->variables.v[i], ev->in->attrs->arena);
		}
		*ret = *kept;
		return true;
	}
	return false;
}

static bool variable_name(void *data, size_t n, struct str *ret)
{
	const struct evaluation *ev = data;

	if (n >= ev->expressions->fields.n)
		return false;
	*ret = str_c(ev->expressions->fields.v[n].name);
	return true;
}

static const struct cel_lazy_ops variables = {.get = get_variable, .key = variable_name};

/* --- evaluating --- */

void evaluation_init(struct evaluation *ev, const struct evaluation_input *in,
	const struct expressions *e, int64_t budget)
{
	*ev = (struct evaluation){.in = in, .expressions = e, .budget = budget};
	if (e->fields.n)
		ev->variables = ARENA_ARRAY(in->attrs->arena, struct cel_value, e->fields.n);
}

static struct cel_result run(struct evaluation *ev, const struct expression *x)
{
	struct cel_value values[N_EXPRESSION_VARIABLES];

	for (size_t i = 0; i < x->scope->env.n_vars; i++) {
		enum expression_variable source = x->scope->sources[i];

		values[i] = source == VARIABLE_VARIABLES ? cel_lazy_map(&variables, ev)
							 : ev->in->values[source];
	}
	return cel_eval(
		x->program, &(struct cel_activation){.values = values}, ev->in->attrs->arena);
}

#define OUT_OF_BUDGET                                                                              \
	"validation failed due to running out of cost budget, no further validation rules will "   \
	"be run"

int evaluate(struct evaluation *ev, const struct expression *x, struct cel_value *ret)
{
	struct arena *a = ev->in->attrs->arena;
	struct cel_result r;

	if (!x->program) {
		*ret = cel_error(arena_fmt(a, "compilation error: " STR_FMT, STR_ARG(x->error)));
		return 0;
	}
	ev->spent = 0;
	r = run(ev, x);
	if (ev->spent > ev->budget || cost_of(&r) > ev->budget - ev->spent) {
		*ret = cel_error(S(OUT_OF_BUDGET));
		return -EDQUOT;
	}
	ev->budget -= ev->spent + cost_of(&r);
	*ret = r.value;
	if (r.value.kind == CEL_ERROR)
		*ret = cel_error(
			arena_fmt(a, "expression '" STR_FMT "' resulted in error: " STR_FMT,
				STR_ARG(x->text), STR_ARG(r.value.s)));
	return 0;
}

/* --- matchConditions --- */

struct conditions conditions_of(
	const struct admissionregistration_v1_match_condition_vec *v, struct expressions *e)
{
	struct conditions c = {.expressions = e};

	if (!v->n)
		return c;
	c.v = ARENA_ARRAY(e->arena, struct expression, v->n);
	for (; c.n < v->n; c.n++)
		expression_compile(e, EXPRESSION_VALIDATION, v->v[c.n].expression, &c.v[c.n]);
	return c;
}

/* Several errors are one as Go's aggregate shows them: in brackets, each once. */
static struct str join(struct arena *a, const struct str_vec *errors)
{
	struct str_vec once = {0};
	struct str all;

	for (size_t i = 0; i < errors->n; i++)
		if (!str_vec_has(&once, errors->v[i]))
			ARENA_PUSH(a, &once, errors->v[i]);
	if (once.n == 1)
		return once.v[0];
	all = S("[");
	for (size_t i = 0; i < once.n; i++)
		all = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(all), i ? ", " : "", STR_ARG(once.v[i]));
	return arena_fmt(a, STR_FMT "]", STR_ARG(all));
}

int conditions_match(
	const struct conditions *c, const struct evaluation_input *in, struct str *ret_why)
{
	struct cel_value *results = NULL;
	struct str_vec errors = {0};
	struct arena *a = in->attrs->arena;
	struct evaluation ev;

	if (!c->n)
		return 1;
	results = ARENA_ARRAY(a, struct cel_value, c->n);
	evaluation_init(&ev, in, c->expressions, CEL_RUNTIME_BUDGET_MATCH_CONDITIONS);
	for (size_t i = 0; i < c->n; i++) {
		if (evaluate(&ev, &c->v[i], &results[i]) < 0) {
			*ret_why = results[i].s;
			return -EINVAL;
		}
	}
	for (size_t i = 0; i < c->n; i++) {
		if (results[i].kind == CEL_BOOL && !results[i].b)
			return 0;
		if (results[i].kind == CEL_ERROR)
			ARENA_PUSH(a, &errors, results[i].s);
	}
	if (!errors.n)
		return 1;
	*ret_why = join(a, &errors);
	return -EINVAL;
}
