/* pod_warnings.c: what is allowed in a pod but hardly meant (pkg/api/pod/warnings.go). */
#include "apiserver/validation/ip.h"
#include "apiserver/validation/overlap.h"
#include "apiserver/validation/pod.h"
#include "schema/quantity.h"

struct warner {
	struct arena *a;
	const struct v1_pod_spec *spec;
	const struct meta_v1_object_meta *meta;
	const struct field_path *root; /* NULL: a pod, not a template */
	struct field_path spec_path;
	struct str_vec out;
};

static void warn(struct warner *w, const struct field_path *p, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static void warn(struct warner *w, const struct field_path *p, const char *fmt, ...)
{
	struct str path = field_path_text(w->a, p), text;
	va_list ap;

	va_start(ap, fmt);
	text = arena_vfmt(w->a, fmt, ap);
	va_end(ap);
	ARENA_PUSH(
		w->a, &w->out, arena_fmt(w->a, STR_FMT ": " STR_FMT, STR_ARG(path), STR_ARG(text)));
}

/* A message when a node label has been replaced or dropped. */
static const char *deprecated_label(struct str key)
{
	static const struct {
		const char *label, *why;
	} labels[] = {
		{"beta.kubernetes.io/arch",
			"deprecated since v1.14; use \"kubernetes.io/arch\" instead"},
		{"beta.kubernetes.io/os",
			"deprecated since v1.14; use \"kubernetes.io/os\" instead"},
		{"failure-domain.beta.kubernetes.io/region",
			"deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"},
		{"failure-domain.beta.kubernetes.io/zone",
			"deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"},
		{"beta.kubernetes.io/instance-type",
			"deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"},
		{"app.kubernetes.io/created-by", "deprecated since v1.9"},
		{"scheduler.alpha.kubernetes.io/preferAvoidPods",
			"deprecated since v1.22; use Taints and Tolerations instead"},
		{"node-role.kubernetes.io/master",
			"use \"node-role.kubernetes.io/control-plane\" instead"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		if (str_eqc(key, labels[i].label))
			return labels[i].why;
	return NULL;
}

/* weighted: values are not checked when the term is required (they are refused there). */
static void warn_node_term(struct warner *w, const struct v1_node_selector_term *t, bool weighted,
	const struct field_path *p)
{
	struct field_path list = FIELD(p, "matchExpressions");

	for (size_t i = 0; i < t->match_expressions.n; i++) {
		const struct v1_node_selector_requirement *r = &t->match_expressions.v[i];
		struct field_path item = FIELD_INDEX(&list, i), values = FIELD(&item, "values");
		const char *why = deprecated_label(r->key);

		if (why)
			warn(w, AT(&item, "key"), STR_FMT " is %s", STR_ARG(r->key), why);
		for (size_t k = 0; weighted && k < r->values.n; k++)
			label_value_warning(w->a, AT_INDEX(&values, k), r->values.v[k], &w->out);
	}
}

static void warn_node_labels(struct warner *w)
{
	struct field_path selector = FIELD(&w->spec_path, "nodeSelector");
	struct field_path affinity = FIELD(&w->spec_path, "affinity"),
			  node = FIELD(&affinity, "nodeAffinity");
	struct field_path req = FIELD(&node, "requiredDuringSchedulingIgnoredDuringExecution");
	struct field_path terms = FIELD(&req, "nodeSelectorTerms");
	struct field_path pref = FIELD(&node, "preferredDuringSchedulingIgnoredDuringExecution");
	const struct v1_node_affinity *na =
		w->spec->affinity ? w->spec->affinity->node_affinity : NULL;

	for (size_t i = 0; i < w->spec->node_selector.n; i++) {
		const char *why = deprecated_label(w->spec->node_selector.v[i].key);
		if (why)
			warn(w, AT_KEY(&selector, w->spec->node_selector.v[i].key), "%s", why);
	}
	if (!na)
		return;
	if (na->required_during_scheduling_ignored_during_execution) {
		const struct v1_node_selector_term_vec *t =
			&na->required_during_scheduling_ignored_during_execution
				 ->node_selector_terms;
		for (size_t i = 0; i < t->n; i++)
			warn_node_term(w, &t->v[i], false, AT_INDEX(&terms, i));
	}
	for (size_t i = 0; i < na->preferred_during_scheduling_ignored_during_execution.n; i++) {
		struct field_path item = FIELD_INDEX(&pref, i);
		warn_node_term(w,
			&na->preferred_during_scheduling_ignored_during_execution.v[i].preference,
			true, AT(&item, "preference"));
	}
}

static void warn_spread(struct warner *w)
{
	struct field_path list = FIELD(&w->spec_path, "topologySpreadConstraints");

	for (size_t i = 0; i < w->spec->topology_spread_constraints.n; i++) {
		const struct v1_topology_spread_constraint *c =
			&w->spec->topology_spread_constraints.v[i];
		struct field_path item = FIELD_INDEX(&list, i);
		const char *why = deprecated_label(c->topology_key);

		if (why)
			warn(w, AT(&item, "topologyKey"), STR_FMT " is %s",
				STR_ARG(c->topology_key), why);
		if (!c->label_selector)
			warn(w, AT(&item, "labelSelector"),
				"a null labelSelector results in matching no pod");
	}
}

static void warn_annotations(struct warner *w)
{
	static const struct {
		const char *key, *why;
	} old[] = {
		{"scheduler.alpha.kubernetes.io/critical-pod",
			"non-functional in v1.16+; use the \"priorityClassName\" field instead"},
		{"security.alpha.kubernetes.io/sysctls",
			"non-functional in v1.11+; use the \"sysctls\" field instead"},
		{"security.alpha.kubernetes.io/unsafe-sysctls",
			"non-functional in v1.11+; use the \"sysctls\" field instead"},
	};
	struct field_path meta = FIELD(w->root, "metadata"), p = FIELD(&meta, "annotations");

	for (size_t i = 0; i < ARRAY_SIZE(old); i++)
		if (str_map_get(&w->meta->annotations, str_c(old[i].key)))
			warn(w, AT_KEY(&p, str_c(old[i].key)), "%s", old[i].why);
}

static void warn_volume(struct warner *w, const struct v1_volume *v, const struct field_path *p)
{
	if (v->photon_persistent_disk)
		warn(w, AT(p, "photonPersistentDisk"),
			"deprecated in v1.11, non-functional in v1.16+");
	if (v->git_repo)
		warn(w, AT(p, "gitRepo"), "deprecated in v1.11, and disabled by default in v1.33+");
	if (v->scale_io)
		warn(w, AT(p, "scaleIO"), "deprecated in v1.16, non-functional in v1.22+");
	if (v->flocker)
		warn(w, AT(p, "flocker"), "deprecated in v1.22, non-functional in v1.25+");
	if (v->storageos)
		warn(w, AT(p, "storageOS"), "deprecated in v1.22, non-functional in v1.25+");
	if (v->quobyte)
		warn(w, AT(p, "quobyte"), "deprecated in v1.22, non-functional in v1.25+");
	if (v->glusterfs)
		warn(w, AT(p, "glusterfs"), "deprecated in v1.25, non-functional in v1.26+");
	if (v->ephemeral && v->ephemeral->volume_claim_template) {
		struct field_path e = FIELD(p, "ephemeral"), t = FIELD(&e, "volumeClaimTemplate");
		claim_warnings(
			w->a, AT(&t, "spec"), &v->ephemeral->volume_claim_template->spec, &w->out);
	}
	if (v->cephfs)
		warn(w, AT(p, "cephfs"), "deprecated in v1.28, non-functional in v1.31+");
	if (v->rbd)
		warn(w, AT(p, "rbd"), "deprecated in v1.28, non-functional in v1.31+");
}

static void warn_duplicates(struct warner *w)
{
	struct field_path aliases = FIELD(&w->spec_path, "hostAliases");
	struct field_path secrets = FIELD(&w->spec_path, "imagePullSecrets");
	struct str_vec seen = {0}, names = {0};

	for (size_t i = 0; i < w->spec->host_aliases.n; i++) {
		struct str ip = w->spec->host_aliases.v[i].ip, quoted = go_quote(w->a, ip);
		struct field_path item = FIELD_INDEX(&aliases, i);
		if (str_vec_has(&seen, ip))
			warn(w, AT(&item, "ip"), "duplicate ip " STR_FMT, STR_ARG(quoted));
		else
			ARENA_PUSH(w->a, &seen, ip);
	}
	for (size_t i = 0; i < w->spec->image_pull_secrets.n; i++) {
		struct str name = w->spec->image_pull_secrets.v[i].name,
			   quoted = go_quote(w->a, name);
		struct field_path item = FIELD_INDEX(&secrets, i);
		if (str_vec_has(&names, name))
			warn(w, AT(&item, "name"), "duplicate name " STR_FMT, STR_ARG(quoted));
		else
			ARENA_PUSH(w->a, &names, name);
	}
	for (size_t i = 0; i < w->spec->image_pull_secrets.n; i++) {
		struct field_path item = FIELD_INDEX(&secrets, i);
		if (w->spec->image_pull_secrets.v[i].name.n == 0)
			warn(w, AT(&item, "name"), "invalid empty name \"\"");
	}
}

static void warn_fraction(
	struct warner *w, const struct str_map *m, const char *resource, const struct field_path *p)
{
	const struct str *v = str_map_get(m, str_c(resource));
	struct quantity q;

	if (!v)
		return;
	q = quantity_of(*v);
	if (quantity_milli(&q) % 1000 != 0) {
		struct str text = quantity_text(&q, w->a);
		warn(w, AT_KEY(p, str_c(resource)),
			"fractional byte value \"" STR_FMT "\" is invalid, must be an integer",
			STR_ARG(text));
	}
}

static void warn_env(struct warner *w, const struct v1_env_var_vec *env, const struct field_path *p)
{
	struct str_vec seen = {0};

	for (size_t i = 0; i < env->n; i++) {
		const struct v1_env_var *v = &env->v[i];
		struct str ref = arena_fmt(w->a, "$(" STR_FMT ")", STR_ARG(v->name));

		if (!str_vec_has(&seen, v->name)) {
			ARENA_PUSH(w->a, &seen, v->name);
			continue;
		}
		/* "$(PATH):/more" is the one good reason to say a name twice */
		if (v->value_from || str_eq(v->value, ref) || str_find(v->value, ref) < 0) {
			struct str quoted = go_quote(w->a, v->name);
			warn(w, AT_INDEX(p, i),
				"hides previous definition of " STR_FMT
				", which may be dropped when using apply",
				STR_ARG(quoted));
		}
	}
}

#define SECCOMP "seccomp.security.alpha.kubernetes.io/"
#define APPARMOR "container.apparmor.security.beta.kubernetes.io/"

static void warn_profiles(struct warner *w, const struct v1_container *ctr)
{
	const struct v1_security_context *sc = ctr->security_context;
	const struct v1_pod_security_context *pod = w->spec->security_context;
	struct field_path meta = FIELD(w->root, "metadata"), p = FIELD(&meta, "annotations");
	struct str seccomp = arena_fmt(w->a, "container." SECCOMP STR_FMT, STR_ARG(ctr->name));
	struct str apparmor = arena_fmt(w->a, APPARMOR STR_FMT, STR_ARG(ctr->name));

	if (!(sc && sc->seccomp_profile) && str_map_get(&w->meta->annotations, seccomp))
		warn(w, AT_KEY(&p, seccomp),
			"non-functional in v1.27+; use the \"seccompProfile\" field instead");
	if (w->root && !(sc && sc->app_armor_profile) &&
		str_map_get(&w->meta->annotations, apparmor) && !(pod && pod->app_armor_profile))
		warn(w, AT_KEY(&p, apparmor),
			"deprecated since v1.30; use the \"appArmorProfile\" field instead");
}

static void warn_container(
	const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	struct warner *w = user_data;
	struct field_path r = FIELD(p, "resources"), limits = FIELD(&r, "limits");
	struct field_path requests = FIELD(&r, "requests");

	warn_profiles(w, ctr);
	warn_fraction(w, &ctr->resources.limits, "memory", &limits);
	warn_fraction(w, &ctr->resources.requests, "memory", &requests);
	warn_fraction(w, &ctr->resources.limits, "ephemeral-storage", &limits);
	warn_fraction(w, &ctr->resources.requests, "ephemeral-storage", &requests);
	warn_env(w, &ctr->env, AT(p, "env"));
}

struct port_seen {
	const struct v1_container_port *port;
	struct str path;
};

struct port_warner {
	struct warner *w;
	struct {
		struct port_seen *v;
		size_t n;
	} seen;
	bool names;
};

static void warn_port_pair(struct warner *w, const struct v1_container_port *port,
	const struct port_seen *other, const struct field_path *p)
{
	const struct v1_container_port *o = other->port;
	bool any = port->host_ip.n == 0, other_any = o->host_ip.n == 0;

	if (port->container_port != o->container_port || !str_eq(port->protocol, o->protocol))
		return;
	if (str_eq(port->host_ip, o->host_ip) && port->host_port == o->host_port)
		warn(w, p, "duplicate port definition with " STR_FMT, STR_ARG(other->path));
	else if (port->host_port == 0 || o->host_port == 0)
		warn(w, p, "overlapping port definition with " STR_FMT, STR_ARG(other->path));
	else if (port->host_port == o->host_port && any != other_any)
		warn(w, p, "dangerously ambiguous port definition with " STR_FMT,
			STR_ARG(other->path));
}

static void warn_ports(const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	struct port_warner *pw = user_data;
	struct warner *w = pw->w;
	struct field_path list = FIELD(p, "ports");

	for (size_t i = 0; i < ctr->ports.n; i++) {
		const struct v1_container_port *port = &ctr->ports.v[i];
		struct field_path item = FIELD_INDEX(&list, i);
		struct port_seen now = {.port = port, .path = field_path_text(w->a, &item)};

		if (port->host_ip.n && port->host_port == 0)
			warn(w, &item,
				"hostIP set without hostPort: {Name:" STR_FMT
				" HostPort:%d ContainerPort:%d "
				"Protocol:" STR_FMT " HostIP:" STR_FMT "}",
				STR_ARG(port->name), port->host_port, port->container_port,
				STR_ARG(port->protocol), STR_ARG(port->host_ip));
		for (size_t k = 0; k < pw->seen.n; k++)
			warn_port_pair(w, port, &pw->seen.v[k], &item);
		ARENA_PUSH(w->a, &pw->seen, now);
	}
}

static void warn_port_names(
	const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	struct port_warner *pw = user_data;
	struct field_path list = FIELD(p, "ports");
	struct arena *a = pw->w->a;

	for (size_t i = 0; i < ctr->ports.n; i++) {
		struct field_path item = FIELD_INDEX(&list, i);
		struct port_seen now = {
			.port = &ctr->ports.v[i], .path = field_path_text(a, &item)};
		const struct port_seen *first = NULL;

		if (now.port->name.n == 0)
			continue;
		for (size_t k = 0; !first && k < pw->seen.n; k++)
			if (str_eq(pw->seen.v[k].port->name, now.port->name))
				first = &pw->seen.v[k];
		if (!first) {
			ARENA_PUSH(a, &pw->seen, now);
			continue;
		}
		struct str quoted = go_quote(a, now.port->name);
		warn(pw->w, &item,
			"duplicate port name " STR_FMT " with " STR_FMT
			", services and probes that select ports by name will use " STR_FMT,
			STR_ARG(quoted), STR_ARG(first->path), STR_ARG(first->path));
	}
}

static void warn_pod_terms(struct warner *w, const struct v1_pod_affinity_term_vec *required,
	const struct v1_weighted_pod_affinity_term_vec *preferred, const struct field_path *p)
{
	static const char why[] = "a null labelSelector results in matching no pod";
	struct field_path req = FIELD(p, "requiredDuringSchedulingIgnoredDuringExecution");
	struct field_path pref = FIELD(p, "preferredDuringSchedulingIgnoredDuringExecution");

	for (size_t i = 0; i < required->n; i++) {
		struct field_path item = FIELD_INDEX(&req, i);
		if (!required->v[i].label_selector)
			warn(w, AT(&item, "labelSelector"), why);
	}
	for (size_t i = 0; i < preferred->n; i++) {
		struct field_path item = FIELD_INDEX(&pref, i),
				  term = FIELD(&item, "podAffinityTerm");
		if (!preferred->v[i].pod_affinity_term.label_selector)
			warn(w, AT(&term, "labelSelector"), why);
	}
}

static void warn_affinity(struct warner *w)
{
	struct field_path p = FIELD(&w->spec_path, "affinity");
	const struct v1_affinity *a = w->spec->affinity;

	if (a && a->pod_affinity)
		warn_pod_terms(w,
			&a->pod_affinity->required_during_scheduling_ignored_during_execution,
			&a->pod_affinity->preferred_during_scheduling_ignored_during_execution,
			AT(&p, "podAffinity"));
	if (a && a->pod_anti_affinity)
		warn_pod_terms(w,
			&a->pod_anti_affinity->required_during_scheduling_ignored_during_execution,
			&a->pod_anti_affinity->preferred_during_scheduling_ignored_during_execution,
			AT(&p, "podAntiAffinity"));
}

static void warn_addresses(struct warner *w)
{
	struct field_path dns = FIELD(&w->spec_path, "dnsConfig"),
			  servers = FIELD(&dns, "nameservers");
	struct field_path aliases = FIELD(&w->spec_path, "hostAliases");

	for (size_t i = 0; w->spec->dns_config && i < w->spec->dns_config->nameservers.n; i++) {
		struct str line = ip_warning(
			w->a, AT_INDEX(&servers, i), w->spec->dns_config->nameservers.v[i]);
		if (line.n)
			ARENA_PUSH(w->a, &w->out, line);
	}
	for (size_t i = 0; i < w->spec->host_aliases.n; i++) {
		struct field_path item = FIELD_INDEX(&aliases, i);
		struct str line = ip_warning(w->a, AT(&item, "ip"), w->spec->host_aliases.v[i].ip);
		if (line.n)
			ARENA_PUSH(w->a, &w->out, line);
	}
}

static void warn_pod_seccomp(struct warner *w)
{
	const struct v1_pod_security_context *sc = w->spec->security_context;
	struct field_path meta = FIELD(w->root, "metadata"), p = FIELD(&meta, "annotations");
	struct str key = S(SECCOMP "pod");

	if (!(sc && sc->seccomp_profile) && str_map_get(&w->meta->annotations, key))
		warn(w, AT_KEY(&p, key),
			"non-functional in v1.27+; use the \"seccompProfile\" field instead");
}

struct str_vec pod_warnings(const struct v1_pod_spec *spec, const struct meta_v1_object_meta *meta,
	const struct field_path *p, struct arena *a)
{
	struct warner w = {
		.a = a, .spec = spec, .meta = meta, .root = p, .spec_path = FIELD(p, "spec")};
	struct port_warner ports = {.w = &w}, names = {.w = &w};
	struct field_path volumes = FIELD(&w.spec_path, "volumes"),
			  overhead = FIELD(&w.spec_path, "overhead");

	warn_node_labels(&w);
	warn_spread(&w);
	warn_annotations(&w);
	for (size_t i = 0; i < spec->volumes.n; i++)
		warn_volume(&w, &spec->volumes.v[i], AT_INDEX(&volumes, i));
	overlap_warnings(a, &spec->volumes, &w.out);
	warn_duplicates(&w);
	warn_fraction(&w, &spec->overhead, "memory", &overhead);
	warn_fraction(&w, &spec->overhead, "ephemeral-storage", &overhead);
	warn_pod_seccomp(&w);
	each_container(spec, &w.spec_path, warn_container, &w);
	each_container(spec, &w.spec_path, warn_ports, &ports);
	each_container(spec, &w.spec_path, warn_port_names, &names);
	if (spec->termination_grace_period_seconds && *spec->termination_grace_period_seconds < 0)
		warn(&w, AT(&w.spec_path, "terminationGracePeriodSeconds"),
			"must be >= 0; negative values are invalid and will be treated as 1");
	warn_affinity(&w);
	warn_addresses(&w);
	return w.out;
}
