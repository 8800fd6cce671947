/*
 * abac.c: --authorization-mode=ABAC: a policy on each line of a file that is read once
 * (pkg/auth/authorizer/abac).
 */
#include "apiserver/auth/authz_chain.h"
#include "base/file.h"
#include "json/value.h"

enum { POLICY_FILE_MAX = 16 << 20, POLICY_LINE_MAX = 64 * 1024 };

#define V1BETA1 "abac.authorization.kubernetes.io/v1beta1"
#define V0 "abac.authorization.kubernetes.io/v0"
#define ALL_AUTHENTICATED "system:authenticated"
#define SCHEME "kubernetes/pkg/apis/abac/register.go:33"

struct abac {
	struct arena arena;
	struct abac_v1beta1_policy_spec_vec policies;
};

/* --- reading --- */

static void everybody(struct abac_v1beta1_policy_spec *p)
{
	p->group = S(ALL_AUTHENTICATED);
	p->user = S("");
}

static int read_v1beta1(struct abac *b, struct str line, struct err *err)
{
	struct abac_v1beta1_policy *p;
	int r = schema_decode_json(
		&abac_v1beta1_policy_schema, line, &b->arena, NULL, (void **)&p, err);

	if (r < 0)
		return r;
	if (str_eqc(p->spec.user, "*") || str_eqc(p->spec.group, "*"))
		everybody(&p->spec);
	ARENA_PUSH(&b->arena, &b->policies, p->spec);
	return 0;
}

/* Before there were versions, what was left out meant everything. */
static int read_unversioned(struct abac *b, struct str line, struct err *err)
{
	struct abac_v0_policy *old;
	struct abac_v1beta1_policy_spec p = {.api_group = S("*")};
	int r = schema_decode_json(
		&abac_v0_policy_schema, line, &b->arena, NULL, (void **)&old, err);

	if (r < 0)
		return r;
	p.user = old->user;
	p.group = old->group;
	p.readonly = old->readonly;
	p.namespace = old->namespace.n ? old->namespace : S("*");
	p.resource = old->resource.n ? old->resource : S("*");
	if (!old->user.n && !old->group.n)
		p.group = S(ALL_AUTHENTICATED);
	if (str_eqc(old->user, "*") || str_eqc(old->group, "*"))
		everybody(&p);
	if (!old->namespace.n && !old->resource.n)
		p.non_resource_path = S("*");
	ARENA_PUSH(&b->arena, &b->policies, p);
	return 0;
}

static const char *go_kind(const struct json_value *v)
{
	static const char *const names[] = {[JSON_NULL] = "null",
		[JSON_BOOL] = "bool",
		[JSON_NUMBER] = "number",
		[JSON_STRING] = "string",
		[JSON_ARRAY] = "array"};

	return names[v->kind];
}

static int not_an_object(const char *kind, struct err *err)
{
	return err_bad_request(err,
		"couldn't get version/kind; json parse error: json: cannot unmarshal %s into Go "
		"value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; "
		"Kind string \"json:\\\"kind,omitempty\\\"\" }",
		kind);
}

/* The line as JSON; a line without any brace is YAML, which is a string to those who want an
 * object. */
static int parse_line(struct arena *a, struct str line, struct json_value **ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct str text = str_trim(line);
	int r = json_parse(line, a, ret, &why);

	if (r < 0 && text.p[0] != '{' && text.p[0] != '[')
		return not_an_object("string", err);
	if (r < 0)
		return err_bad_request(
			err, "couldn't get version/kind; json parse error: %s", err_text(&why));
	return (*ret)->kind == JSON_OBJECT ? 0 : not_an_object(go_kind(*ret), err);
}

static int read_policy(struct abac *b, struct str line, bool *ret_old, struct err *err)
{
	struct json_value *v;
	struct str version, kind;
	int r = parse_line(&b->arena, line, &v, err);

	if (r < 0)
		return r;
	version = json_get_str(v, "apiVersion");
	kind = json_get_str(v, "kind");
	if (str_eqc(version, V1BETA1) && str_eqc(kind, "Policy"))
		return read_v1beta1(b, line, err);
	if (version.n && kind.n && !(str_eqc(version, V0) && str_eqc(kind, "Policy")))
		return err_bad_request(err,
			"no kind \"" STR_FMT "\" is registered for version \"" STR_FMT
			"\" in scheme \"" SCHEME "\"",
			STR_ARG(kind), STR_ARG(version));
	*ret_old = true;
	return read_unversioned(b, line, err);
}

static int read_lines(struct abac *b, const char *path, struct str text, struct err *err)
{
	struct str line, rest = text;
	bool old = false;

	for (int n = 1; rest.n; n++) {
		struct err why CLEANUP(err_release) = {0};
		struct str trimmed;

		str_cut(rest, '\n', &line, &rest);
		trimmed = str_trim(line);
		if (line.n > POLICY_LINE_MAX)
			return err_bad_request(err,
				"error reading policy file %s: bufio.Scanner: token too long",
				path);
		if (!trimmed.n || trimmed.p[0] == '#')
			continue;
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (read_policy(b, line, &old, &why) < 0)
			return err_bad_request(err,
				"error reading policy file %s, line %d: " STR_FMT ": %s", path, n,
				STR_ARG(line), err_text(&why));
	}
	if (old)
		log_warn("Policy file %s contained unversioned rules. See "
			 "docs/admin/authorization.md#abac-mode for ABAC file format details.",
			path);
	return 0;
}

static void abac_free(void *self)
{
	struct abac *b = self;

	arena_release(&b->arena);
	free(b);
}

int abac_new(const char *path, void **ret, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str text;
	int r = file_read(path, POLICY_FILE_MAX, &a, &text, NULL);

	if (r < 0)
		return err_bad_request(err, "open %s: %s", path,
			r == -ENOENT ? "no such file or directory" : strerror(-r));
	return abac_from_text(path, text, ret, err);
}

int abac_from_text(const char *path, struct str text, void **ret, struct err *err)
{
	struct abac *b = xcalloc(1, sizeof(*b));
	int r = read_lines(b, path, arena_str(&b->arena, text), err);

	if (r < 0) {
		abac_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

/* --- matching --- */

static bool is_for(const struct abac_v1beta1_policy_spec *p, const struct user_info *user)
{
	bool named = false;

	if (p->user.n) {
		named = str_eqc(p->user, "*") || str_eq(p->user, user->name);
		if (!named)
			return false;
	}
	if (!p->group.n)
		return named;
	return str_eqc(p->group, "*") || user_in_group(user, p->group);
}

static bool covers(struct str pattern, struct str value)
{
	return str_eqc(pattern, "*") || str_eq(pattern, value);
}

static bool covers_path(struct str pattern, struct str path)
{
	if (covers(pattern, path))
		return true;
	if (!str_ends(pattern, S("*")))
		return false;
	while (pattern.n && pattern.p[pattern.n - 1] == '*')
		pattern.n--;
	return str_starts(path, pattern);
}

static bool only_reads(const struct request_info *info)
{
	return str_eqc(info->verb, "get") || str_eqc(info->verb, "list") ||
	       str_eqc(info->verb, "watch");
}

static bool matches(const struct abac_v1beta1_policy_spec *p, const struct auth_question *q)
{
	const struct request_info *info = q->info;

	if (!is_for(p, q->user) || (p->readonly && !only_reads(info)))
		return false;
	if (!info->is_resource)
		return covers_path(p->non_resource_path, info->path);
	return covers(p->namespace, info->ns) && covers(p->resource, info->resource) &&
	       covers(p->api_group, info->group);
}

static void authorize_abac(void *self, const struct auth_question *q, struct auth_answer *ret)
{
	const struct abac *b = self;

	for (size_t i = 0; i < b->policies.n; i++) {
		if (matches(&b->policies.v[i], q)) {
			ret->decision = AUTH_ALLOW;
			return;
		}
	}
	ret->reason = S("No policy matched.");
}

static struct str_vec one(struct arena *a, struct str s)
{
	struct str_vec v = {0};

	ARENA_PUSH(a, &v, s);
	return v;
}

static struct str_vec verbs_of(struct arena *a, const struct abac_v1beta1_policy_spec *p)
{
	struct str_vec v = one(a, p->readonly ? S("get") : S("*"));

	if (p->readonly) {
		ARENA_PUSH(a, &v, S("list"));
		ARENA_PUSH(a, &v, S("watch"));
	}
	return v;
}

static void list_rules(void *self, struct auth *auth, struct arena *a, const struct user_info *user,
	struct str ns, struct authorization_v1_subject_rules_review_status *ret)
{
	const struct abac *b = self;

	for (size_t i = 0; i < b->policies.n; i++) {
		const struct abac_v1beta1_policy_spec *p = &b->policies.v[i];

		if (!is_for(p, user) || !covers(p->namespace, ns))
			continue;
		if (p->resource.n)
			ARENA_PUSH(a, &ret->resource_rules,
				((struct authorization_v1_resource_rule){.verbs = verbs_of(a, p),
					.api_groups = one(a, p->api_group),
					.resources = one(a, p->resource)}));
		if (p->non_resource_path.n)
			ARENA_PUSH(a, &ret->non_resource_rules,
				((struct authorization_v1_non_resource_rule){
					.verbs = verbs_of(a, p),
					.non_resource_urls = one(a, p->non_resource_path)}));
	}
}

const struct authorizer abac_authorizer = {
	.mode = "ABAC",
	.authorize = authorize_abac,
	.rules = list_rules,
	.free = abac_free,
};
