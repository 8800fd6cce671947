/* lib_authz.c: Kubernetes' authorizer: the question is built up, then put to the embedder. */
#include "cel/eval.h"

/* Of every value of this library: the question so far, and whom to ask. */
struct question {
	const struct cel_authz_ops *ops;
	void *data;
	struct cel_authz_request r;
	/* of a decision */
	enum cel_decision decision;
	struct str reason, error;
};

static struct cel_value value(
	struct arena *a, const struct cel_type *type, const struct question *q)
{
	return cel_opaque(type, arena_memdup(a, q, sizeof(*q)));
}

static struct question copy(struct cel_value v)
{
	return *(const struct question *)v.ref.p;
}

struct cel_value cel_authorizer(const struct cel_authz_ops *ops, void *data, struct arena *a)
{
	return value(a, &cel_type_authorizer, &(struct question){.ops = ops, .data = data});
}

struct cel_value cel_resource_check(const struct cel_authz_ops *ops, void *data,
	const struct cel_authz_request *prepared, struct arena *a)
{
	struct question q = {.ops = ops, .data = data, .r = *prepared};

	q.r.is_resource = true;
	return value(a, &cel_type_resource_check, &q);
}

static bool blank(struct str s)
{
	return str_trim(s).n == 0;
}

static struct cel_value path(struct cel_call *c, const struct cel_value *v)
{
	struct question q = copy(v[0]);

	if (blank(v[1].s))
		return cel_error(S("path must not be empty"));
	q.r.is_path = true;
	q.r.path = v[1].s;
	return value(c->a, &cel_type_path_check, &q);
}

static struct cel_value group(struct cel_call *c, const struct cel_value *v)
{
	struct question q = copy(v[0]);

	q.r.group = v[1].s;
	return value(c->a, &cel_type_group_check, &q);
}

static bool label_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
}

/* DNS labels, with dots between them when `dots`. */
static bool is_name(struct str s, bool dots)
{
	size_t max = dots ? 253 : 63;

	if (s.n == 0 || s.n > max || !label_char(s.p[0]) || !label_char(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (label_char(s.p[i]) || s.p[i] == '-')
			continue;
		if (s.p[i] != '.' || !dots || !label_char(s.p[i - 1]) || !label_char(s.p[i + 1]))
			return false;
	}
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] == '.' && s.p[i - 1] == '-')
			return false;
	return true;
}

static struct cel_value service_account(struct cel_call *c, const struct cel_value *v)
{
	struct question q = copy(v[0]);

	if (!is_name(v[2].s, true))
		return cel_error(S("Invalid service account name"));
	if (!is_name(v[1].s, false))
		return cel_error(S("Invalid service account namespace"));
	q.r.sa_namespace = v[1].s;
	q.r.sa_name = v[2].s;
	return value(c->a, &cel_type_authorizer, &q);
}

static struct cel_value resource(struct cel_call *c, const struct cel_value *v)
{
	struct question q = copy(v[0]);

	if (blank(v[1].s))
		return cel_error(S("resource must not be empty"));
	q.r.is_resource = true;
	q.r.resource = v[1].s;
	return value(c->a, &cel_type_resource_check, &q);
}

#define SETTER(name, member)                                                                       \
	static struct cel_value name(struct cel_call *c, const struct cel_value *v)                \
	{                                                                                          \
		struct question q = copy(v[0]);                                                    \
                                                                                                   \
		q.r.member = v[1].s;                                                               \
		return value(c->a, &cel_type_resource_check, &q);                                  \
	}

SETTER(subresource, subresource)
SETTER(namespace, namespace)
SETTER(name, name)
SETTER(field_selector, field_selector)
SETTER(label_selector, label_selector)

static struct cel_value check(struct cel_call *c, const struct cel_value *v)
{
	struct question q = copy(v[0]);

	q.r.verb = v[1].s;
	q.decision = q.ops->check(q.data, &q.r, c->a, &q.reason, &q.error);
	return value(c->a, &cel_type_decision, &q);
}

static struct cel_value text(struct str s)
{
	return cel_string(s.p ? s : S(""));
}

static struct cel_value allowed(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(copy(*v).decision == CEL_AUTHZ_ALLOWED);
}

static struct cel_value reason(struct cel_call *c, const struct cel_value *v)
{
	return text(copy(*v).reason);
}

static struct cel_value error(struct cel_call *c, const struct cel_value *v)
{
	return text(copy(*v).error);
}

static struct cel_value errored(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(copy(*v).error.p != NULL);
}

#define T(name) &cel_type_##name
#define METHOD(n_args_, result_, fn_, cost_, ...)                                                  \
	{                                                                                          \
		.args = {__VA_ARGS__}, .n_args = (n_args_), .member = true, .result = T(result_),  \
		.fn = (fn_), .cost = (cost_)                                                       \
	}
#define ONE(n_args, result, fn, cost, ...)                                                         \
	(const struct cel_overload[])                                                              \
	{                                                                                          \
		METHOD(n_args, result, fn, cost, __VA_ARGS__)                                      \
	}

static const struct cel_overload check_overloads[] = {
	METHOD(2, decision, check, CEL_COST_AUTHZ, T(path_check), T(string)),
	METHOD(2, decision, check, CEL_COST_AUTHZ, T(resource_check), T(string)),
};

static const struct cel_function functions[] = {
	{"path", ONE(2, path_check, path, CEL_COST_ONE, T(authorizer), T(string)), 1, 0},
	{"group", ONE(2, group_check, group, CEL_COST_ONE, T(authorizer), T(string)), 1, 0},
	{"serviceAccount",
		ONE(3, authorizer, service_account, CEL_COST_ONE, T(authorizer), T(string),
			T(string)),
		1, 0},
	{"resource", ONE(2, resource_check, resource, CEL_COST_ONE, T(group_check), T(string)), 1,
		0},
	{"subresource",
		ONE(2, resource_check, subresource, CEL_COST_ONE, T(resource_check), T(string)), 1,
		0},
	{"namespace", ONE(2, resource_check, namespace, CEL_COST_ONE, T(resource_check), T(string)),
		1, 0},
	{"name", ONE(2, resource_check, name, CEL_COST_ONE, T(resource_check), T(string)), 1, 0},
	{"fieldSelector",
		ONE(2, resource_check, field_selector, CEL_COST_SELECTOR, T(resource_check),
			T(string)),
		1, 0},
	{"labelSelector",
		ONE(2, resource_check, label_selector, CEL_COST_SELECTOR, T(resource_check),
			T(string)),
		1, 0},
	{"check", CEL_OVERLOADS(check_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"allowed", ONE(1, boolean, allowed, CEL_COST_ONE, T(decision)), 1, 0},
	{"reason", ONE(1, string, reason, CEL_COST_ONE, T(decision)), 1, 0},
	{"error", ONE(1, string, error, CEL_COST_ONE, T(decision)), 1, 0},
	{"errored", ONE(1, boolean, errored, CEL_COST_ONE, T(decision)), 1, 0},
};
const struct cel_library cel_lib_authz = {functions, ARRAY_SIZE(functions)};
