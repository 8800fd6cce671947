/* print_storage.c: the cells of volumes, claims, classes, disruption budgets, ingresses. */
#include "apiserver/resources/printers.h"
#include "types.gen.h"

#define ROW(a_, cells_, now_) ((struct row){.a = (a_), .out = (cells_), .now_ns = (now_)})
#define CLASS_ANNOTATION "volume.beta.kubernetes.io/storage-class"

static struct str modes_text(struct arena *a, const struct str_vec *modes)
{
	static const char *const names[][2] = {{"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"},
		{"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
	struct str_vec out = {0};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_vec_has(modes, str_c(names[i][0])))
			ARENA_PUSH(a, &out, str_c(names[i][1]));
	return out.n ? join_list(a, &out, ",") : S("");
}

static struct str storage_of(const struct str_map *m)
{
	const struct str *v = str_map_get(m, S("storage"));

	return v ? *v : S("0");
}

static struct str or_unset(struct str s)
{
	return s.p ? s : S("<unset>");
}

static struct str class_of(const struct meta_v1_object_meta *m, struct str class)
{
	const struct str *v = str_map_get(&m->annotations, S(CLASS_ANNOTATION));

	return v ? *v : class.p ? class : S("");
}

void print_persistent_volume(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_persistent_volume *pv = obj;
	const struct v1_object_reference *claim = pv->spec.claim_ref;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, pv->metadata.name);
	row_str(&r, storage_of(&pv->spec.capacity));
	row_str(&r, modes_text(a, &pv->spec.access_modes));
	row_str(&r, pv->spec.persistent_volume_reclaim_policy);
	row_str(&r, pv->metadata.deletion_timestamp.set ? S("Terminating") : pv->status.phase);
	if (claim)
		row_fmt(&r, STR_FMT "/" STR_FMT, STR_ARG(claim->namespace), STR_ARG(claim->name));
	else
		row_strc(&r, "");
	row_str(&r, class_of(&pv->metadata, pv->spec.storage_class_name));
	row_str(&r, or_unset(pv->spec.volume_attributes_class_name));
	row_str(&r, pv->status.reason);
	row_age(&r, &pv->metadata.creation_timestamp);
	row_str(&r, or_unset(pv->spec.volume_mode));
}

void print_persistent_volume_claim(
	struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_persistent_volume_claim *c = obj;
	struct row r = ROW(a, cells, now_ns);
	bool bound = c->spec.volume_name.n > 0;

	row_str(&r, c->metadata.name);
	row_str(&r, c->metadata.deletion_timestamp.set ? S("Terminating") : c->status.phase);
	row_str(&r, c->spec.volume_name);
	row_str(&r, bound ? storage_of(&c->status.capacity) : S(""));
	row_str(&r, bound ? modes_text(a, &c->status.access_modes) : S(""));
	row_str(&r, class_of(&c->metadata, c->spec.storage_class_name));
	row_str(&r, or_unset(c->spec.volume_attributes_class_name));
	row_age(&r, &c->metadata.creation_timestamp);
	row_str(&r, or_unset(c->spec.volume_mode));
}

static bool is_default(const struct meta_v1_object_meta *m)
{
	const struct str *v =
		str_map_get(&m->annotations, S("storageclass.kubernetes.io/is-default-class"));
	const struct str *beta =
		str_map_get(&m->annotations, S("storageclass.beta.kubernetes.io/is-default-class"));

	return (v && str_eqc(*v, "true")) || (beta && str_eqc(*beta, "true"));
}

void print_storage_class(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct storage_v1_storage_class *sc = obj;
	struct row r = ROW(a, cells, now_ns);

	row_fmt(&r, STR_FMT "%s", STR_ARG(sc->metadata.name),
		is_default(&sc->metadata) ? " (default)" : "");
	row_str(&r, sc->provisioner);
	row_str(&r, sc->reclaim_policy.p ? sc->reclaim_policy : S("Delete"));
	row_str(&r, sc->volume_binding_mode.p ? sc->volume_binding_mode : S("Immediate"));
	row_bool(&r, sc->allow_volume_expansion && *sc->allow_volume_expansion);
	row_age(&r, &sc->metadata.creation_timestamp);
}

void print_priority_class(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct scheduling_v1_priority_class *pc = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, pc->metadata.name);
	row_int(&r, pc->value);
	row_bool(&r, pc->global_default);
	row_age(&r, &pc->metadata.creation_timestamp);
	row_str(&r, pc->preemption_policy);
}

void print_runtime_class(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct node_v1_runtime_class *rc = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, rc->metadata.name);
	row_str(&r, rc->handler);
	row_age(&r, &rc->metadata.creation_timestamp);
}

static void row_int_or_string(struct row *r, const struct int_or_string *v)
{
	if (!v)
		row_strc(r, "N/A");
	else if (v->is_string)
		row_str(r, v->s);
	else
		row_fmt(r, "%d", v->i);
}

void print_pod_disruption_budget(
	struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct policy_v1_pod_disruption_budget *pdb = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, pdb->metadata.name);
	row_int_or_string(&r, pdb->spec.min_available);
	row_int_or_string(&r, pdb->spec.max_unavailable);
	row_int(&r, pdb->status.disruptions_allowed);
	row_age(&r, &pdb->metadata.creation_timestamp);
}

static struct str hosts_text(struct arena *a, const struct networking_v1_ingress_rule_vec *rules)
{
	enum { SHOWN_MAX = 3 };
	struct str_vec hosts = {0};
	bool more = false;

	for (size_t i = 0; i < rules->n; i++) {
		more = more || hosts.n == SHOWN_MAX;
		if (!more && rules->v[i].host.n)
			ARENA_PUSH(a, &hosts, rules->v[i].host);
	}
	if (hosts.n == 0)
		return S("*");
	if (!more)
		return join_list(a, &hosts, ",");
	return arena_fmt(a, STR_FMT " + %zu more...", STR_ARG(join_list(a, &hosts, ",")),
		rules->n - SHOWN_MAX);
}

void print_ingress_class(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct networking_v1_ingress_class *c = obj;
	const struct networking_v1_ingress_class_parameters_reference *ref = c->spec.parameters;
	const struct str *is_default = str_map_get(
		&c->metadata.annotations, S("ingressclass.kubernetes.io/is-default-class"));
	struct row r = ROW(a, cells, now_ns);

	row_fmt(&r, STR_FMT "%s", STR_ARG(c->metadata.name),
		is_default && str_eqc(*is_default, "true") ? " (default)" : "");
	row_str(&r, c->spec.controller);
	if (ref)
		row_fmt(&r, STR_FMT "%s" STR_FMT "/" STR_FMT, STR_ARG(ref->kind),
			ref->api_group.p ? "." : "", STR_ARG(ref->api_group), STR_ARG(ref->name));
	else
		row_strc(&r, "<none>");
	row_age(&r, &c->metadata.creation_timestamp);
}

void print_ingress(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct networking_v1_ingress *in = obj;
	const struct networking_v1_ingress_load_balancer_ingress_vec *lb =
		&in->status.load_balancer.ingress;
	struct str_vec addresses = {0};
	struct row r = ROW(a, cells, now_ns);

	for (size_t i = 0; i < lb->n; i++) {
		struct str v = lb->v[i].ip.n ? lb->v[i].ip : lb->v[i].hostname;
		if (v.n && !str_vec_has(&addresses, v))
			ARENA_PUSH(a, &addresses, v);
	}
	row_str(&r, in->metadata.name);
	row_str(&r, in->spec.ingress_class_name.p ? in->spec.ingress_class_name : S("<none>"));
	row_str(&r, hosts_text(a, &in->spec.rules));
	row_str(&r, addresses.n ? join_list(a, &addresses, ",") : S(""));
	row_strc(&r, in->spec.tls.n ? "80, 443" : "80");
	row_age(&r, &in->metadata.creation_timestamp);
}

void print_network_policy(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct networking_v1_network_policy *np = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, np->metadata.name);
	row_str(&r, selector_text(a, &np->spec.pod_selector));
	row_age(&r, &np->metadata.creation_timestamp);
}
