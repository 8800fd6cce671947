/* pod_annotations.c: annotations that once were fields of pods, and must agree with them. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

#define MIRROR "kubernetes.io/config.mirror"
#define DELETION_COST "controller.kubernetes.io/pod-deletion-cost"
#define SECCOMP_POD "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP_CONTAINER "container.seccomp.security.alpha.kubernetes.io/"
#define APPARMOR "container.apparmor.security.beta.kubernetes.io/"

/* "+5" and "05" are no costs. */
static bool is_deletion_cost(struct str v)
{
	int64_t cost;

	if (v.n > 1 && v.p[0] == '0')
		return false;
	if (v.n && v.p[0] == '+')
		return false;
	return str_to_i64(v, &cost) == 0 && cost >= INT32_MIN && cost <= INT32_MAX;
}

static void validate_seccomp_name(struct str v, const struct field_path *p, struct field_errors *e)
{
	if (str_eqc(v, "runtime/default") || str_eqc(v, "docker/default") ||
		str_eqc(v, "unconfined"))
		return;
	if (str_starts(v, S("localhost/")))
		validate_local_descending_path(str_sub(v, strlen("localhost/"), v.n), p, e);
	else
		field_invalid(e, p, v, "must be a valid seccomp profile");
}

struct search {
	struct str name;
	bool found;
};

static void find_container(
	const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	struct search *s = user_data;

	s->found = s->found || str_eq(ctr->name, s->name);
}

static void validate_apparmor_annotation(const struct str_pair *kv, const struct v1_pod_spec *spec,
	const struct field_path *p, struct field_errors *e)
{
	struct search s = {.name = str_sub(kv->key, strlen(APPARMOR), kv->key.n)};
	struct field_path at = FIELD_KEY(p, kv->key);

	each_container(spec, p, find_container, &s);
	if (!s.found)
		field_invalid(e, &at, s.name, "container not found");
	if (kv->value.n && !str_eqc(kv->value, "runtime/default") &&
		!str_eqc(kv->value, "unconfined") && !str_starts(kv->value, S("localhost/"))) {
		struct str quoted = go_quote(e->arena, kv->value);
		field_invalid(e, &at, kv->value, "invalid AppArmor profile name: " STR_FMT,
			STR_ARG(quoted));
	}
}

void validate_pod_annotations(const struct str_map *annotations, const struct v1_pod_spec *spec,
	const struct field_path *p, struct field_errors *e)
{
	const struct str *v = str_map_get(annotations, S(MIRROR));

	if (v && spec->node_name.n == 0)
		field_invalid(e, AT_KEY(p, S(MIRROR)), *v,
			"must set spec.nodeName if mirror pod annotation is set");
	v = str_map_get(annotations, S(DELETION_COST));
	if (v && !is_deletion_cost(*v))
		field_invalid(e, AT_KEY(p, S(DELETION_COST)), *v, "must be a 32bit integer");
	v = str_map_get(annotations, S(SECCOMP_POD));
	if (v)
		validate_seccomp_name(*v, AT(p, SECCOMP_POD), e);
	for (size_t i = 0; i < annotations->n; i++)
		if (str_starts(annotations->v[i].key, S(SECCOMP_CONTAINER))) {
			struct field_path at = {.parent = p, .name = annotations->v[i].key};
			validate_seccomp_name(annotations->v[i].value, &at, e);
		}
	for (size_t i = 0; i < annotations->n; i++)
		if (str_starts(annotations->v[i].key, S(APPARMOR)))
			validate_apparmor_annotation(&annotations->v[i], spec, p, e);
}

void validate_pod_annotations_update(const struct str_map *annotations, const struct str_map *old,
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < old->n; i++) {
		struct str key = old->v[i].key;
		const struct str *now = str_map_get(annotations, key);

		if (now && str_eq(*now, old->v[i].value))
			continue;
		if (str_starts(key, S(APPARMOR)))
			field_forbidden(
				e, AT_KEY(p, key), "may not remove or update AppArmor annotations");
		if (str_eqc(key, MIRROR))
			field_forbidden(e, AT_KEY(p, key),
				"may not remove or update mirror pod annotation");
	}
	for (size_t i = 0; i < annotations->n; i++) {
		struct str key = annotations->v[i].key;

		if (str_map_get(old, key))
			continue;
		if (str_starts(key, S(APPARMOR)))
			field_forbidden(e, AT_KEY(p, key), "may not add AppArmor annotations");
		if (str_eqc(key, MIRROR))
			field_forbidden(e, AT_KEY(p, key), "may not add mirror pod annotation");
	}
	validate_pod_annotations(annotations, spec, p, e);
}

/* A profile in a field and the annotation it replaced must say the same. */
static void validate_match(struct str annotation, struct str type, struct str local,
	const char *what, const struct field_path *p, struct field_errors *e)
{
	bool seccomp = what[0] == 's', ok = true;

	if (str_eqc(type, "Unconfined"))
		ok = str_eqc(annotation, "unconfined");
	else if (str_eqc(type, "RuntimeDefault"))
		ok = str_eqc(annotation, "runtime/default") ||
		     (seccomp && str_eqc(annotation, "docker/default"));
	else if (str_eqc(type, "Localhost"))
		ok = str_starts(annotation, S("localhost/"));
	if (!ok)
		field_forbidden(
			e, AT(p, "type"), "%s type in annotation and field must match", what);
	else if (str_eqc(type, "Localhost") &&
		 (!local.p ||
			 !str_eq(str_sub(annotation, strlen("localhost/"), annotation.n), local)))
		field_forbidden(e, AT(p, "localhostProfile"),
			"%s profile in annotation and field must match", what);
}

struct profiles {
	const struct str_map *annotations;
	const struct v1_pod_spec *spec;
	struct field_errors *e;
};

static void match_seccomp(
	const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	struct profiles *pr = user_data;
	struct arena *a = pr->e->arena;
	const struct v1_security_context *sc = ctr->security_context;
	struct field_path context = FIELD(p, "securityContext");
	const struct str *v = str_map_get(
		pr->annotations, arena_fmt(a, SECCOMP_CONTAINER STR_FMT, STR_ARG(ctr->name)));

	if (v && sc && sc->seccomp_profile)
		validate_match(*v, sc->seccomp_profile->type,
			sc->seccomp_profile->localhost_profile, "seccomp",
			AT(&context, "seccompProfile"), pr->e);
}

static void match_apparmor(
	const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	struct profiles *pr = user_data;
	struct arena *a = pr->e->arena;
	const struct v1_pod_security_context *pod = pr->spec->security_context;
	const struct v1_app_armor_profile *profile = pod ? pod->app_armor_profile : NULL;
	struct field_path context = FIELD(p, "securityContext");
	const struct str *v =
		str_map_get(pr->annotations, arena_fmt(a, APPARMOR STR_FMT, STR_ARG(ctr->name)));

	if (ctr->security_context && ctr->security_context->app_armor_profile)
		profile = ctr->security_context->app_armor_profile;
	if (v && profile)
		validate_match(*v, profile->type, profile->localhost_profile, "apparmor",
			AT(&context, "appArmorProfile"), pr->e);
}

void validate_profiles_match_annotations(const struct str_map *annotations,
	const struct v1_pod_spec *spec, const struct field_path *spec_path, struct field_errors *e)
{
	struct profiles pr = {.annotations = annotations, .spec = spec, .e = e};
	const struct v1_pod_security_context *sc = spec->security_context;
	const struct str *v = str_map_get(annotations, S(SECCOMP_POD));
	struct field_path context = FIELD(spec_path, "securityContext");

	if (v && sc && sc->seccomp_profile)
		validate_match(*v, sc->seccomp_profile->type,
			sc->seccomp_profile->localhost_profile, "seccomp",
			AT(&context, "seccompProfile"), e);
	each_container(spec, spec_path, match_seccomp, &pr);
	if (!spec->os || !str_eqc(spec->os->name, "windows"))
		each_container(spec, spec_path, match_apparmor, &pr);
}
