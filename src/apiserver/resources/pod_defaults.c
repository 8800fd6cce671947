/* pod_defaults.c: defaults of pods that depend on other fields (pkg/apis/core/v1/defaults.go). */
#include "apiserver/resources/rules.h"
#include "apiserver/validation/image_name.h"
#include "schema/quantity.h"

enum { NANO_PER_MILLI = 1000000 };

void default_resource_list(struct str_map *m, struct arena *a)
{
	for (size_t i = 0; i < m->n; i++) {
		struct quantity q = quantity_of(m->v[i].value);

		if (q.nano % NANO_PER_MILLI == 0)
			continue;
		q = quantity_from_milli(quantity_milli(&q), q.format);
		m->v[i].value = quantity_text(&q, a);
	}
}

static void default_requirements(struct v1_resource_requirements *r, struct arena *a)
{
	default_resource_list(&r->limits, a);
	default_resource_list(&r->requests, a);
}

static struct str pull_policy(struct str image)
{
	return image_is_latest(image) ? S("Always") : S("IfNotPresent");
}

static void default_container(struct v1_container *ctr, struct arena *a)
{
	if (ctr->image_pull_policy.n == 0)
		ctr->image_pull_policy = pull_policy(ctr->image);
	default_requirements(&ctr->resources, a);
}

static bool has_source(const struct v1_volume *v)
{
	const void *const *first = (const void *const *)(const void *)&v->host_path;
	const void *const *end = (const void *const *)(const void *)(v + 1);

	/* Every member after the name is a pointer to one kind of source. */
	for (; first < end; first++)
		if (*first)
			return true;
	return false;
}

static void default_volume(struct v1_volume *v, struct arena *a)
{
	if (!has_source(v))
		v->empty_dir = ARENA_NEW(a, struct v1_empty_dir_volume_source);
	if (v->image && v->image->pull_policy.n == 0)
		v->image->pull_policy = pull_policy(v->image->reference);
	if (v->ephemeral && v->ephemeral->volume_claim_template) {
		default_resource_list(
			&v->ephemeral->volume_claim_template->spec.resources.requests, a);
		default_resource_list(
			&v->ephemeral->volume_claim_template->spec.resources.limits, a);
	}
}

/* serviceAccount is the deprecated name of serviceAccountName: both are always the same. */
static void default_service_account(struct v1_pod_spec *spec)
{
	if (spec->service_account_name.n == 0)
		spec->service_account_name = spec->service_account;
	spec->service_account = spec->service_account_name;
}

void default_pod_spec(struct v1_pod_spec *spec, struct arena *a)
{
	for (size_t i = 0; i < spec->volumes.n; i++)
		default_volume(&spec->volumes.v[i], a);
	for (size_t i = 0; i < spec->containers.n; i++)
		default_container(&spec->containers.v[i], a);
	for (size_t i = 0; i < spec->init_containers.n; i++)
		default_container(&spec->init_containers.v[i], a);
	for (size_t i = 0; i < spec->ephemeral_containers.n; i++)
		default_container((struct v1_container *)ephemeral_as_container(
					  &spec->ephemeral_containers.v[i]),
			a);
	default_resource_list(&spec->overhead, a);
	if (spec->resources)
		default_requirements(spec->resources, a);
	default_service_account(spec);
}

static void requests_from_limits(struct v1_container_vec *list, struct arena *a)
{
	for (size_t i = 0; i < list->n; i++) {
		struct v1_resource_requirements *r = &list->v[i].resources;
		for (size_t k = 0; k < r->limits.n; k++)
			if (!str_map_get(&r->requests, r->limits.v[k].key))
				str_map_put(
					a, &r->requests, r->limits.v[k].key, r->limits.v[k].value);
	}
}

static void host_ports(struct v1_container_vec *list)
{
	for (size_t i = 0; i < list->n; i++)
		for (size_t k = 0; k < list->v[i].ports.n; k++)
			if (list->v[i].ports.v[k].host_port == 0)
				list->v[i].ports.v[k].host_port =
					list->v[i].ports.v[k].container_port;
}

/* Huge pages of all containers bound those of the pod, unless it says otherwise. */
static void default_huge_pages(struct v1_pod_spec *spec, struct arena *a)
{
	struct str_map sum = pod_aggregate_limits(spec, a);

	if (spec->resources->limits.n == 0 && spec->resources->requests.n == 0)
		return;
	for (size_t i = 0; i < sum.n; i++)
		if (resource_is_huge_page(sum.v[i].key) &&
			!str_map_get(&spec->resources->requests, sum.v[i].key) &&
			!str_map_get(&spec->resources->limits, sum.v[i].key))
			str_map_put(a, &spec->resources->limits, sum.v[i].key, sum.v[i].value);
}

static void default_pod_requests(struct v1_pod_spec *spec, struct arena *a)
{
	struct v1_resource_requirements *r = spec->resources;
	struct str_map sum = pod_aggregate_requests(spec, a);

	if (r->limits.n == 0)
		return;
	for (size_t i = 0; i < sum.n; i++)
		if (resource_is_pod_level(sum.v[i].key) &&
			resource_overcommit_allowed(sum.v[i].key) &&
			!str_map_get(&r->requests, sum.v[i].key))
			str_map_put(a, &r->requests, sum.v[i].key, sum.v[i].value);
	for (size_t i = 0; i < r->limits.n; i++)
		if (resource_is_pod_level(r->limits.v[i].key) &&
			!str_map_get(&r->requests, r->limits.v[i].key))
			str_map_put(a, &r->requests, r->limits.v[i].key, r->limits.v[i].value);
}

/* podIP is the first of podIPs, and wins when they differ (conversion of core/v1). */
static void sync_pod_ips(struct v1_pod_status *s, struct arena *a)
{
	if (s->pod_ip.n && (s->pod_ips.n == 0 || !str_eq(s->pod_ip, s->pod_ips.v[0].ip))) {
		s->pod_ips = (struct v1_pod_ip_vec){0};
		ARENA_PUSH(a, &s->pod_ips, ((struct v1_pod_ip){.ip = s->pod_ip}));
	}
	if (s->pod_ips.n)
		s->pod_ip = s->pod_ips.v[0].ip;
}

void default_pod(struct v1_pod *pod, struct arena *a)
{
	struct v1_pod_spec *spec = &pod->spec;

	default_pod_spec(spec, a);
	sync_pod_ips(&pod->status, a);
	if (spec->termination_grace_period_seconds && *spec->termination_grace_period_seconds < 0)
		*spec->termination_grace_period_seconds = 1;
	requests_from_limits(&spec->containers, a);
	requests_from_limits(&spec->init_containers, a);
	if (spec->resources) {
		default_huge_pages(spec, a);
		default_pod_requests(spec, a);
	}
	if (!spec->enable_service_links) {
		spec->enable_service_links = ARENA_NEW(a, bool);
		*spec->enable_service_links = true;
	}
	if (spec->host_network) {
		host_ports(&spec->containers);
		host_ports(&spec->init_containers);
	}
}

static bool uses_stop_signal(const struct v1_container_vec *list)
{
	for (size_t i = 0; list && i < list->n; i++)
		if (list->v[i].lifecycle && list->v[i].lifecycle->stop_signal.p)
			return true;
	return false;
}

static void drop_stop_signals(struct v1_container_vec *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct v1_lifecycle *l = list->v[i].lifecycle;

		if (!l || !l->stop_signal.p)
			continue;
		l->stop_signal = (struct str){0};
		if (!l->post_start && !l->pre_stop)
			list->v[i].lifecycle = NULL;
	}
}

static bool uses_projection(const struct v1_pod_spec *spec, bool certificate)
{
	for (size_t i = 0; spec && i < spec->volumes.n; i++) {
		const struct v1_projected_volume_source *v = spec->volumes.v[i].projected;
		for (size_t k = 0; v && k < v->sources.n; k++)
			if (certificate ? (const void *)v->sources.v[k].pod_certificate
					: (const void *)v->sources.v[k].cluster_trust_bundle)
				return true;
	}
	return false;
}

/* ContainerStopSignals, ClusterTrustBundleProjection, PodCertificateRequest and GenericWorkload are
 * off in v1.36. */
void drop_disabled_pod_fields(struct v1_pod_spec *spec, const struct v1_pod_spec *old)
{
	bool bundles = uses_projection(old, false), certificates = uses_projection(old, true);

	if (!uses_stop_signal(old ? &old->containers : NULL) &&
		!uses_stop_signal(old ? &old->init_containers : NULL)) {
		drop_stop_signals(&spec->containers);
		drop_stop_signals(&spec->init_containers);
	}
	for (size_t i = 0; i < spec->volumes.n; i++) {
		struct v1_projected_volume_source *v = spec->volumes.v[i].projected;
		for (size_t k = 0; v && k < v->sources.n; k++) {
			if (!bundles)
				v->sources.v[k].cluster_trust_bundle = NULL;
			if (!certificates)
				v->sources.v[k].pod_certificate = NULL;
		}
	}
	if (!old || !old->scheduling_group)
		spec->scheduling_group = NULL;
}
