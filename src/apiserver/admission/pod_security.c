/*
 * PodSecurity: the labels of a namespace say which level of the Pod Security Standards its pods
 * keep: enforced, noted in the audit log, or warned about (k8s.io/pod-security-admission).
 */
#include "apiserver/admission/pod_security.h"

#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "json/value.h"
#include <stdio.h>

#define LABEL "pod-security.kubernetes.io/"

enum { PODS_CHECKED_MAX = 3000 /* of a namespace whose level changes */ };

struct policy {
	struct pod_security_rules enforce, audit, warn;
};

struct config {
	struct arena arena;
	struct policy defaults;
	struct str_vec usernames, namespaces, runtime_classes; /* exempt */
};

/* --- levels and versions --- */

static const char *const level_names[] = {"privileged", "baseline", "restricted"};

static bool parse_level(struct str s, enum pod_security_level *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (!str_eqc(s, level_names[i]))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

/* "latest" or "v1.x" */
static bool parse_version(struct str s, int *ret)
{
	struct str minor = str_starts(s, S("v1.")) ? str_sub(s, 3, s.n) : S("");
	int64_t n;

	*ret = POD_SECURITY_LATEST;
	if (str_eqc(s, "latest"))
		return true;
	if (!minor.n || (minor.p[0] == '0' && minor.n > 1) || minor.p[0] == '-' ||
		minor.p[0] == '+' || str_to_i64(minor, &n) < 0 || n >= POD_SECURITY_LATEST)
		return false;
	*ret = (int)n;
	return true;
}

#define LEVEL_WORDS "must be one of privileged, baseline, restricted"
#define VERSION_WORDS "must be \"latest\" or \"v1.x\""

static struct str rules_text(struct arena *a, struct pod_security_rules r)
{
	if (r.minor == POD_SECURITY_LATEST)
		return arena_fmt(a, "%s:latest", level_names[r.level]);
	return arena_fmt(a, "%s:v1.%d", level_names[r.level], r.minor);
}

static bool same_rules(struct pod_security_rules a, struct pod_security_rules b)
{
	return a.level == b.level && a.minor == b.minor;
}

static bool all_privileged(const struct policy *p)
{
	return p->enforce.level == LEVEL_PRIVILEGED && p->audit.level == LEVEL_PRIVILEGED &&
	       p->warn.level == LEVEL_PRIVILEGED;
}

/* --- the policy of a namespace --- */

struct labels {
	const struct str_map *map;
	struct field_errors *errs;
};

/* Whether there is such a label; what is wrong with it is in errs. *ret stays on a bad level. */
static bool read_level(struct labels *l, const char *mode, enum pod_security_level on_error,
	enum pod_security_level *ret, bool *ret_valid)
{
	struct arena *a = l->errs->arena;
	struct str key = arena_fmt(a, LABEL "%s", mode);
	const struct str *v = str_map_get(l->map, key);
	struct field_path meta = FIELD(NULL, "metadata"), labels = FIELD(&meta, "labels");

	*ret_valid = v && parse_level(*v, ret);
	if (v && !*ret_valid) {
		*ret = on_error;
		field_invalid(l->errs, AT_KEY(&labels, key), *v, LEVEL_WORDS);
	}
	return v;
}

static bool read_version(struct labels *l, const char *mode, int *ret)
{
	struct arena *a = l->errs->arena;
	struct str key = arena_fmt(a, LABEL "%s-version", mode);
	const struct str *v = str_map_get(l->map, key);
	struct field_path meta = FIELD(NULL, "metadata"), labels = FIELD(&meta, "labels");

	if (v && !parse_version(*v, ret))
		field_invalid(l->errs, AT_KEY(&labels, key), *v, VERSION_WORDS);
	return v;
}

/* A valid policy in any case: a bad level counts as restricted when enforced, as none else. */
static struct policy policy_of(
	const struct str_map *map, const struct policy *defaults, struct field_errors *errs)
{
	struct labels l = {map, errs};
	struct policy p = *defaults;
	bool enforced, valid, has_warn, has_version;

	read_level(&l, "enforce", LEVEL_RESTRICTED, &p.enforce.level, &enforced);
	read_version(&l, "enforce", &p.enforce.minor);
	read_level(&l, "audit", LEVEL_PRIVILEGED, &p.audit.level, &valid);
	read_version(&l, "audit", &p.audit.minor);
	has_warn = read_level(&l, "warn", LEVEL_PRIVILEGED, &p.warn.level, &valid);
	has_version = read_version(&l, "warn", &p.warn.minor);
	if (!has_warn && enforced && p.enforce.level > p.warn.level) {
		p.warn.level = p.enforce.level;
		if (!has_version)
			p.warn.minor = p.enforce.minor;
	}
	return p;
}

/* --- what a pod violates, as text --- */

/* "a (why), b (why)", or without the details. */
static struct str violations_text(
	struct arena *a, const struct pod_violations *v, bool with_details)
{
	struct str s = S("");

	for (size_t i = 0; i < v->n; i++) {
		s = arena_fmt(a, STR_FMT "%s%s", STR_ARG(s), i ? ", " : "", v->v[i].reason);
		if (with_details && v->v[i].detail.n)
			s = arena_fmt(
				a, STR_FMT " (" STR_FMT ")", STR_ARG(s), STR_ARG(v->v[i].detail));
	}
	return s;
}

struct subject {
	const struct meta_v1_object_meta *meta;
	const struct v1_pod_spec *spec;
};

static struct str would_violate(struct admission_attrs *attrs, struct pod_security_rules rules,
	const struct pod_violations *v)
{
	return arena_fmt(attrs->arena, "would violate PodSecurity \"" STR_FMT "\": " STR_FMT,
		STR_ARG(rules_text(attrs->arena, rules)),
		STR_ARG(violations_text(attrs->arena, v, true)));
}

static int evaluate(struct admission_attrs *attrs, const struct policy *p, struct subject pod,
	bool enforce, struct err *err)
{
	const struct config *c = attrs->state;
	struct arena *a = attrs->arena;
	struct pod_violations v;

	if (pod.spec->runtime_class_name.n &&
		str_vec_has(&c->runtime_classes, pod.spec->runtime_class_name)) {
		admission_annotate(attrs, S(LABEL "exempt"), S("runtimeClass"));
		return 0;
	}
	if (enforce)
		admission_annotate(attrs, S(LABEL "enforce-policy"), rules_text(a, p->enforce));
	v = pod_security_check(a, p->audit, pod.meta, pod.spec);
	if (v.n)
		admission_annotate(
			attrs, S(LABEL "audit-violations"), would_violate(attrs, p->audit, &v));
	if (enforce) {
		v = pod_security_check(a, p->enforce, pod.meta, pod.spec);
		if (v.n)
			return admission_forbidden(attrs, err,
				"violates PodSecurity \"" STR_FMT "\": " STR_FMT,
				STR_ARG(rules_text(a, p->enforce)),
				STR_ARG(violations_text(a, &v, true)));
	}
	v = pod_security_check(a, p->warn, pod.meta, pod.spec);
	if (v.n) {
		struct str text = would_violate(attrs, p->warn, &v);

		admission_warn(attrs, STR_FMT, STR_ARG(text));
	}
	return 0;
}

/* --- namespaces --- */

/* Pods that violate the same rules are one line. */
struct group {
	struct str reasons, pod;
	size_t n;
};

struct groups {
	struct group *v;
	size_t n;
};

static void count(struct arena *a, struct groups *g, struct str reasons, struct str pod)
{
	for (size_t i = 0; i < g->n; i++) {
		if (!str_eq(g->v[i].reasons, reasons))
			continue;
		if (str_cmp(pod, g->v[i].pod) < 0)
			g->v[i].pod = pod;
		g->v[i].n++;
		return;
	}
	ARENA_PUSH(a, g, ((struct group){.reasons = reasons, .pod = pod, .n = 1}));
}

static int compare_lines(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void warn_groups(struct admission_attrs *attrs, const struct groups *g)
{
	struct str_vec lines = {0};

	for (size_t i = 0; i < g->n; i++) {
		const struct group *one = &g->v[i];
		struct str more = S("");

		if (one->n > 1)
			more = arena_fmt(attrs->arena, " (and %zu other %s)", one->n - 1,
				one->n == 2 ? "pod" : "pods");
		ARENA_PUSH(attrs->arena, &lines,
			arena_fmt(attrs->arena, STR_FMT STR_FMT ": " STR_FMT, STR_ARG(one->pod),
				STR_ARG(more), STR_ARG(one->reasons)));
	}
	if (lines.n)
		qsort(lines.v, lines.n, sizeof(*lines.v), compare_lines);
	for (size_t i = 0; i < lines.n; i++)
		admission_warn(attrs, STR_FMT, STR_ARG(lines.v[i]));
}

static void warn_existing_pods(
	struct admission_attrs *attrs, struct str ns, struct pod_security_rules rules)
{
	const struct config *c = attrs->state;
	struct snapshot *s = store_snapshot(attrs->store, &v1_pod_resource);
	struct arena *a = attrs->arena;
	struct groups groups = {0};
	size_t pods = 0;
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, ns, S(""), S(""));
	while ((o = snapshot_next(&it))) {
		struct arena scratch = {0};
		const struct v1_pod *pod;
		struct pod_violations v;

		if (++pods > PODS_CHECKED_MAX)
			continue;
		pod = object_decode(o, &scratch);
		v = str_vec_has(&c->runtime_classes, pod->spec.runtime_class_name)
			    ? (struct pod_violations){0}
			    : pod_security_check(&scratch, rules, &pod->metadata, &pod->spec);
		if (v.n)
			count(a, &groups, violations_text(a, &v, false),
				arena_str(a, pod->metadata.name));
		arena_release(&scratch);
	}
	snapshot_unref(s);
	if (pods > PODS_CHECKED_MAX)
		admission_warn(attrs,
			"new PodSecurity enforce level only checked against the first %d of %zu "
			"existing pods",
			PODS_CHECKED_MAX, pods);
	if (groups.n)
		admission_warn(attrs,
			"existing pods in namespace \"" STR_FMT
			"\" violate the new PodSecurity enforce level \"" STR_FMT "\"",
			STR_ARG(ns), STR_ARG(rules_text(a, rules)));
	warn_groups(attrs, &groups);
}

static void add_mode(struct arena *a, struct str *text, const struct str_map *labels,
	const char *mode, struct pod_security_rules rules)
{
	if (rules.level == LEVEL_PRIVILEGED ||
		(!str_map_get(labels, arena_fmt(a, LABEL "%s", mode)) &&
			!str_map_get(labels, arena_fmt(a, LABEL "%s-version", mode))))
		return;
	*text = arena_fmt(a, STR_FMT "%s%s=" STR_FMT, STR_ARG(*text), text->n ? ", " : "", mode,
		STR_ARG(rules_text(a, rules)));
}

static bool equivalent(struct pod_security_rules a, struct pod_security_rules b)
{
	return (a.level == LEVEL_PRIVILEGED && b.level == LEVEL_PRIVILEGED) || same_rules(a, b);
}

static void warn_exempt(
	struct admission_attrs *attrs, const struct v1_namespace *ns, const struct policy *p)
{
	const struct config *c = attrs->state;
	const struct policy *d = &c->defaults;
	struct str text = S("");

	if (all_privileged(p) ||
		(equivalent(p->enforce, d->enforce) && equivalent(p->audit, d->audit) &&
			equivalent(p->warn, d->warn)))
		return;
	add_mode(attrs->arena, &text, &ns->metadata.labels, "enforce", p->enforce);
	add_mode(attrs->arena, &text, &ns->metadata.labels, "audit", p->audit);
	add_mode(attrs->arena, &text, &ns->metadata.labels, "warn", p->warn);
	admission_warn(attrs,
		"namespace \"" STR_FMT "\" is exempt from Pod Security, and the policy (" STR_FMT
		") will be ignored",
		STR_ARG(ns->metadata.name), STR_ARG(text));
}

static bool same_errors(const struct field_errors *a, const struct field_errors *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = str_eq(a->v[i].path, b->v[i].path) && str_eq(a->v[i].value, b->v[i].value);
	return same;
}

static int validate_namespace(struct admission_attrs *attrs, struct err *err)
{
	const struct config *c = attrs->state;
	const struct v1_namespace *now = attrs->obj, *old = attrs->old;
	struct field_errors errs = {.arena = attrs->arena}, old_errs = {.arena = attrs->arena};
	bool exempt = str_vec_has(&c->namespaces, now->metadata.name);
	struct policy p = policy_of(&now->metadata.labels, &c->defaults, &errs), was = p;

	if (attrs->op == ADMIT_UPDATE)
		was = policy_of(&old->metadata.labels, &c->defaults, &old_errs);
	if (errs.n && (attrs->op == ADMIT_CREATE || !same_errors(&errs, &old_errs)))
		return field_errors_status(&errs, S(""), S("Namespace"), now->metadata.name, err);
	if (attrs->op == ADMIT_CREATE) {
		if (exempt)
			warn_exempt(attrs, now, &p);
		return 0;
	}
	if (p.enforce.level == LEVEL_PRIVILEGED || same_rules(p.enforce, was.enforce) ||
		(p.enforce.minor == was.enforce.minor && p.enforce.level <= was.enforce.level))
		return 0;
	if (exempt)
		warn_exempt(attrs, now, &p);
	else
		warn_existing_pods(attrs, now->metadata.name, p.enforce);
	return 0;
}

/* --- pods --- */

static bool new_image(const struct v1_container_vec *now, const struct v1_container_vec *old)
{
	if (now->n != old->n)
		return true;
	for (size_t i = 0; i < now->n; i++)
		if (!str_eq(now->v[i].image, old->v[i].image))
			return true;
	return false;
}

static bool new_ephemeral(const struct v1_pod *now, const struct v1_pod *old)
{
	for (size_t i = 0; i < now->spec.ephemeral_containers.n; i++) {
		const struct v1_ephemeral_container *c = &now->spec.ephemeral_containers.v[i];
		bool same = false;

		for (size_t k = 0; k < old->spec.ephemeral_containers.n; k++)
			if (str_eq(old->spec.ephemeral_containers.v[k].name, c->name))
				same = str_eq(old->spec.ephemeral_containers.v[k].image, c->image);
		if (!same)
			return true;
	}
	return false;
}

static bool significant(const struct v1_pod *now, const struct v1_pod *old)
{
	return new_image(&now->spec.containers, &old->spec.containers) ||
	       new_image(&now->spec.init_containers, &old->spec.init_containers) ||
	       new_ephemeral(now, old);
}

/* Whether the request is exempt; the policy of its namespace otherwise. */
static int find_policy(
	struct admission_attrs *attrs, struct policy *ret, bool *ret_exempt, struct err *err)
{
	const struct config *c = attrs->state;
	struct field_errors errs = {.arena = attrs->arena};
	const struct v1_namespace *ns;

	*ret_exempt = true;
	if (str_vec_has(&c->namespaces, attrs->ns)) {
		admission_annotate(attrs, S(LABEL "exempt"), S("namespace"));
		return 0;
	}
	if (attrs->user->name.n && str_vec_has(&c->usernames, attrs->user->name)) {
		admission_annotate(attrs, S(LABEL "exempt"), S("user"));
		return 0;
	}
	ns = admission_get(attrs, &v1_namespace_resource, S(""), attrs->ns);
	if (!ns)
		return err_internal(
			err, "failed to lookup namespace \"" STR_FMT "\"", STR_ARG(attrs->ns));
	*ret = policy_of(&ns->metadata.labels, &c->defaults, &errs);
	*ret_exempt = !errs.n && all_privileged(ret);
	return 0;
}

static int validate_pod(struct admission_attrs *attrs, struct err *err)
{
	const struct v1_pod *pod = attrs->obj;
	struct policy p;
	bool exempt;
	int r;

	if (attrs->body || str_eqc(attrs->subresource, "status"))
		return 0;
	r = find_policy(attrs, &p, &exempt, err);
	if (r < 0 || exempt || (attrs->op == ADMIT_UPDATE && !significant(pod, attrs->old)))
		return r;
	return evaluate(attrs, &p, (struct subject){&pod->metadata, &pod->spec}, true, err);
}

static const struct v1_pod_template_spec *template_of(const struct admission_attrs *attrs)
{
	const void *o = attrs->obj;

	if (attrs->resource == &v1_pod_template_resource)
		return &((const struct v1_pod_template *)o)->template;
	if (attrs->resource == &v1_replication_controller_resource)
		return ((const struct v1_replication_controller *)o)->spec.template;
	if (attrs->resource == &apps_v1_replica_set_resource)
		return &((const struct apps_v1_replica_set *)o)->spec.template;
	if (attrs->resource == &apps_v1_deployment_resource)
		return &((const struct apps_v1_deployment *)o)->spec.template;
	if (attrs->resource == &apps_v1_stateful_set_resource)
		return &((const struct apps_v1_stateful_set *)o)->spec.template;
	if (attrs->resource == &apps_v1_daemon_set_resource)
		return &((const struct apps_v1_daemon_set *)o)->spec.template;
	if (attrs->resource == &batch_v1_job_resource)
		return &((const struct batch_v1_job *)o)->spec.template;
	if (attrs->resource == &batch_v1_cron_job_resource)
		return &((const struct batch_v1_cron_job *)o)->spec.job_template.spec.template;
	return NULL;
}

/* Templates are only warned about: pods are what is enforced. */
static int validate_template(struct admission_attrs *attrs, struct err *err)
{
	const struct v1_pod_template_spec *t = template_of(attrs);
	struct policy p;
	bool exempt;

	if (!t || find_policy(attrs, &p, &exempt, NULL) < 0 || exempt)
		return 0;
	return evaluate(attrs, &p, (struct subject){&t->metadata, &t->spec}, false, err);
}

static int validate(struct admission_attrs *attrs, struct err *err)
{
	if (attrs->resource == &v1_pod_resource)
		return validate_pod(attrs, err);
	if (attrs->subresource.n || attrs->body)
		return 0;
	if (attrs->resource == &v1_namespace_resource)
		return validate_namespace(attrs, err);
	return validate_template(attrs, err);
}

/* --- configuration: PodSecurityConfiguration of pod-security.admission.config.k8s.io/v1 --- */

static int read_default(
	struct json_value *v, const char *mode, struct pod_security_rules *r, struct err *err)
{
	char version[32];
	struct str level_text = json_get_str(v, mode), version_text;

	snprintf(version, sizeof(version), "%s-version", mode);
	version_text = json_get_str(v, version);
	if (level_text.n && !parse_level(level_text, &r->level))
		return err_bad_request(err,
			"PodSecurity: defaults.%s: Invalid value: \"" STR_FMT "\": " LEVEL_WORDS,
			mode, STR_ARG(level_text));
	if (version_text.n && !parse_version(version_text, &r->minor))
		return err_bad_request(err,
			"PodSecurity: defaults.%s: Invalid value: \"" STR_FMT "\": " VERSION_WORDS,
			version, STR_ARG(version_text));
	return 0;
}

static void read_list(struct arena *a, struct json_value *v, const char *name, struct str_vec *ret)
{
	struct json_value *list = json_getc(v, name);

	for (size_t i = 0; list && i < list->items.n; i++)
		ARENA_PUSH(a, ret, list->items.v[i]->text);
}

static int init(struct apiserver *s, struct str json, void **ret, struct err *err)
{
	const struct pod_security_rules none = {LEVEL_PRIVILEGED, POD_SECURITY_LATEST};
	struct config *c = xcalloc(1, sizeof(*c));
	struct json_value *v = NULL, *d;
	int r = 0;

	*ret = c;
	c->defaults = (struct policy){none, none, none};
	if (json.n)
		r = json_parse(arena_str(&c->arena, json), &c->arena, &v, err);
	d = json_getc(v, "defaults");
	if (r >= 0)
		r = read_default(d, "enforce", &c->defaults.enforce, err);
	if (r >= 0)
		r = read_default(d, "audit", &c->defaults.audit, err);
	if (r >= 0)
		r = read_default(d, "warn", &c->defaults.warn, err);
	d = json_getc(v, "exemptions");
	read_list(&c->arena, d, "usernames", &c->usernames);
	read_list(&c->arena, d, "namespaces", &c->namespaces);
	read_list(&c->arena, d, "runtimeClasses", &c->runtime_classes);
	return r;
}

static void config_free(void *state)
{
	struct config *c = state;

	arena_release(&c->arena);
	free(c);
}

const struct admission_plugin admission_pod_security = {
	.name = "PodSecurity",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.init = init,
	.free = config_free,
	.validate = validate,
};
