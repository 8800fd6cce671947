/* pod_spec.c: the whole of a pod, in upstream's order of checks. */
#include "apiserver/validation/ip.h"
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

enum {
	NAMESERVERS_MAX = 3,
	SEARCHES_MAX = 32,
	SEARCH_LIST_MAX_LEN = 2048,
	HOSTNAME_MAX_LEN = 64,
};

static int compare_str(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void validate_resource_claim(const struct v1_pod_resource_claim *claim,
	struct str_vec *names, const struct field_path *p, struct field_errors *e)
{
	struct str text = go_json(e->arena, &v1_pod_resource_claim_schema, claim);

	if (claim->name.n == 0) {
		field_required(e, AT(p, "name"), "");
	} else if (str_vec_has(names, claim->name)) {
		field_duplicate(e, AT(p, "name"), claim->name);
	} else {
		validate_dns1123_label(claim->name, AT(p, "name"), e);
		ARENA_PUSH(e->arena, names, claim->name);
	}
	if (claim->resource_claim_name.p && claim->resource_claim_template_name.p)
		field_invalid_raw(e, p, text,
			"at most one of `resourceClaimName` or `resourceClaimTemplateName` may be "
			"specified");
	if (!claim->resource_claim_name.p && !claim->resource_claim_template_name.p)
		field_invalid_raw(e, p, text,
			"must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
	if (claim->resource_claim_name.p)
		validate_dns1123_subdomain(
			claim->resource_claim_name, AT(p, "resourceClaimName"), e);
	if (claim->resource_claim_template_name.p)
		validate_dns1123_subdomain(
			claim->resource_claim_template_name, AT(p, "resourceClaimTemplateName"), e);
}

static void validate_resource_claims(struct pod_check *c, const struct field_path *p)
{
	const struct v1_pod_resource_claim_vec *list = &c->spec->resource_claims;
	struct field_errors *e = c->errs;
	struct str_vec names = {0};

	for (size_t i = 0; i < list->n; i++)
		if (c->meta && str_map_get(&c->meta->annotations, S("kubernetes.io/config.mirror")))
			field_forbidden(
				e, AT(NULL, ""), "static pods do not support resource claims");
		else
			validate_resource_claim(&list->v[i], &names, AT_INDEX(p, i), e);
}

static void gather_claims(struct pod_check *c)
{
	for (size_t i = 0; i < c->spec->resource_claims.n; i++) {
		struct str name = c->spec->resource_claims.v[i].name;
		if (name.n && !str_vec_has(&c->claims, name))
			ARENA_PUSH(c->errs->arena, &c->claims, name);
	}
	if (c->claims.n)
		qsort(c->claims.v, c->claims.n, sizeof(*c->claims.v), compare_str);
}

static void validate_host_network_ports(
	const struct pod_check *c, const struct field_path *spec_path)
{
	struct field_path list = FIELD(spec_path, "containers");

	if (!c->spec->host_network)
		return;
	for (size_t i = 0; i < c->spec->containers.n; i++) {
		const struct v1_container_port_vec *ports = &c->spec->containers.v[i].ports;
		struct field_path ctr = FIELD_INDEX(&list, i), ports_path = FIELD(&ctr, "ports");

		for (size_t k = 0; k < ports->n; k++) {
			struct field_path item = FIELD_INDEX(&ports_path, k);
			int32_t host = ports->v[k].host_port;

			if ((c->opts.resource_is_pod || host != 0) &&
				host != ports->v[k].container_port)
				field_invalid_int(c->errs, AT(&item, "hostPort"), host,
					"must match `containerPort` when `hostNetwork` is true");
		}
	}
}

static void validate_policies(
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e)
{
	static const char *const restart[] = {"Always", "OnFailure", "Never", NULL};
	static const char *const dns[] = {
		"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None", NULL};

	if (spec->restart_policy.n == 0)
		field_required(e, AT(p, "restartPolicy"), "");
	else
		field_one_of(e, AT(p, "restartPolicy"), spec->restart_policy, restart);
	if (spec->dns_policy.n == 0)
		field_required(e, AT(p, "dnsPolicy"), "");
	else
		field_one_of(e, AT(p, "dnsPolicy"), spec->dns_policy, dns);
}

static void validate_searches(
	const struct str_vec *searches, const struct field_path *p, struct field_errors *e)
{
	size_t total = searches->n ? searches->n - 1 : 0;

	for (size_t i = 0; i < searches->n; i++)
		total += searches->v[i].n;
	if (searches->n > SEARCHES_MAX)
		field_invalid_raw(e, p, str_vec_json(e->arena, searches),
			"must not have more than %d search paths", SEARCHES_MAX);
	if (total > SEARCH_LIST_MAX_LEN)
		field_invalid_raw(e, p, str_vec_json(e->arena, searches),
			"must not have more than %d characters (including spaces) in the search "
			"list",
			SEARCH_LIST_MAX_LEN);
	for (size_t i = 0; i < searches->n; i++) {
		struct str s = searches->v[i];

		if (str_eqc(s, "."))
			continue;
		if (str_ends(s, S(".")))
			s.n--;
		field_invalid_each(
			e, AT_INDEX(p, i), s, is_dns1123_subdomain_underscore(e->arena, s));
	}
}

static void validate_dns_config(
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e)
{
	const struct v1_pod_dns_config *dns = spec->dns_config;
	struct field_path servers = FIELD(p, "nameservers"), options = FIELD(p, "options");

	if (str_eqc(spec->dns_policy, "None") && !dns) {
		field_required(e, p, "must provide `dnsConfig` when `dnsPolicy` is None");
		return;
	}
	if (str_eqc(spec->dns_policy, "None") && dns->nameservers.n == 0) {
		field_required(e, &servers,
			"must provide at least one DNS nameserver when `dnsPolicy` is None");
		return;
	}
	if (!dns)
		return;
	if (dns->nameservers.n > NAMESERVERS_MAX)
		field_invalid_raw(e, &servers, str_vec_json(e->arena, &dns->nameservers),
			"must not have more than %d nameservers", NAMESERVERS_MAX);
	for (size_t i = 0; i < dns->nameservers.n; i++)
		validate_ip_legacy(dns->nameservers.v[i], NULL, AT_INDEX(&servers, i), e);
	validate_searches(&dns->searches, AT(p, "searches"), e);
	for (size_t i = 0; i < dns->options.n; i++)
		if (dns->options.v[i].name.n == 0)
			field_required(e, AT_INDEX(&options, i), "must not be empty");
}

static void validate_gates(
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e)
{
	struct field_path ready = FIELD(p, "readinessGates"), sched = FIELD(p, "schedulingGates");
	struct str_vec seen = {0};

	for (size_t i = 0; i < spec->readiness_gates.n; i++) {
		struct field_path item = FIELD_INDEX(&ready, i);
		validate_qualified_name(
			spec->readiness_gates.v[i].condition_type, AT(&item, "conditionType"), e);
	}
	for (size_t i = 0; i < spec->scheduling_gates.n; i++) {
		struct str name = spec->scheduling_gates.v[i].name;
		validate_qualified_name(name, AT_INDEX(&sched, i), e);
		if (str_vec_has(&seen, name))
			field_duplicate(e, AT_INDEX(&sched, i), name);
		ARENA_PUSH(e->arena, &seen, name);
	}
}

static void no_devices(const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	if (ctr->volume_devices.n)
		field_forbidden(user_data, AT(p, "volumeDevices"), "when `hostUsers` is false");
}

static void validate_host_users(const struct pod_check *c, const struct field_path *p)
{
	static const char why[] = "when `hostUsers` is false";

	if (c->host_users)
		return;
	if (c->spec->host_network)
		field_forbidden(c->errs, AT(p, "hostNetwork"), why);
	if (c->spec->host_pid)
		field_forbidden(c->errs, AT(p, "HostPID"), why);
	if (c->spec->host_ipc)
		field_forbidden(c->errs, AT(p, "HostIPC"), why);
	each_container(c->spec, p, no_devices, c->errs);
}

static void validate_hostname_override(
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e)
{
	struct field_path at = FIELD(p, "hostnameOverride");

	if (!spec->hostname_override.p)
		return;
	if (spec->set_hostname_as_fqdn && *spec->set_hostname_as_fqdn)
		field_forbidden(e, &at, "may not be specified when setHostnameAsFQDN is true");
	if (spec->host_network)
		field_forbidden(e, &at, "may not be specified when hostNetwork is true");
	if (spec->hostname_override.n > HOSTNAME_MAX_LEN)
		field_too_long(e, &at, HOSTNAME_MAX_LEN);
	validate_dns1123_subdomain(spec->hostname_override, &at, e);
}

static void validate_names(
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e)
{
	if (spec->service_account_name.n)
		validate_dns1123_subdomain(
			spec->service_account_name, AT(p, "serviceAccountName"), e);
	if (spec->node_name.n)
		validate_dns1123_subdomain(spec->node_name, AT(p, "nodeName"), e);
	if (spec->active_deadline_seconds)
		field_invalid_int_each(e, AT(p, "activeDeadlineSeconds"),
			*spec->active_deadline_seconds,
			is_in_range(e->arena, *spec->active_deadline_seconds, 1, INT32_MAX));
	if (spec->hostname.n)
		validate_dns1123_label(spec->hostname, AT(p, "hostname"), e);
	if (spec->subdomain.n)
		validate_dns1123_label(spec->subdomain, AT(p, "subdomain"), e);
}

static void validate_host_aliases(
	const struct v1_host_alias_vec *list, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < list->n; i++) {
		struct field_path item = FIELD_INDEX(p, i), names = FIELD(&item, "hostnames");

		validate_ip_legacy(list->v[i].ip, NULL, AT(&item, "ip"), e);
		for (size_t k = 0; k < list->v[i].hostnames.n; k++)
			validate_dns1123_subdomain(
				list->v[i].hostnames.v[k], AT_INDEX(&names, k), e);
	}
}

static void validate_scheduling(const struct pod_check *c, const struct field_path *p)
{
	static const char *const policies[] = {"PreemptLowerPriority", "Never", NULL};
	const struct v1_pod_spec *spec = c->spec;
	struct v1_resource_requirements overhead = {.limits = spec->overhead};
	struct field_errors *e = c->errs;

	if (spec->priority_class_name.n)
		validate_dns1123_subdomain(
			spec->priority_class_name, AT(p, "priorityClassName"), e);
	if (spec->runtime_class_name.p)
		validate_dns1123_subdomain(spec->runtime_class_name, AT(p, "runtimeClassName"), e);
	if (spec->preemption_policy.p && spec->preemption_policy.n == 0)
		field_required(e, AT(p, "preemptionPolicy"), "");
	else if (spec->preemption_policy.p)
		field_one_of(e, AT(p, "preemptionPolicy"), spec->preemption_policy, policies);
	if (spec->overhead.v)
		validate_container_resources(&overhead, NULL, AT(p, "overhead"), e);
}

static void check_file_volumes(
	const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	struct pod_check *c = user_data;
	struct field_path env = FIELD(p, "env");

	for (size_t i = 0; i < ctr->env.n; i++) {
		const struct v1_env_var_source *from = ctr->env.v[i].value_from;
		struct field_path item = FIELD_INDEX(&env, i), at = FIELD(&item, "valueFrom");
		struct field_path ref = FIELD(&at, "fileKeyRef"), name = FIELD(&ref, "volumeName");
		const struct v1_volume *found = NULL;

		if (!from || !from->file_key_ref)
			continue;
		for (size_t k = 0; k < c->spec->volumes.n; k++)
			if (str_eq(c->spec->volumes.v[k].name, from->file_key_ref->volume_name))
				found = &c->spec->volumes.v[k];
		if (!found)
			field_not_found(c->errs, &name, from->file_key_ref->volume_name);
		else if (!found->empty_dir)
			field_invalid(c->errs, &name, from->file_key_ref->volume_name,
				"referenced volume must be of type emptyDir");
	}
}

void validate_pod_spec(const struct v1_pod_spec *spec, const struct meta_v1_object_meta *meta,
	const struct field_path *p, struct pod_opts opts, struct field_errors *e)
{
	struct pod_check c = {.opts = opts,
		.spec = spec,
		.meta = meta,
		.errs = e,
		.host_users = !spec->host_users || *spec->host_users};

	if (!spec->termination_grace_period_seconds)
		field_required(e, AT(p, "terminationGracePeriodSeconds"), "");
	validate_volumes(&c, AT(p, "volumes"));
	gather_claims(&c);
	validate_resource_claims(&c, AT(p, "resourceClaims"));
	validate_containers(&c, AT(p, "containers"));
	validate_init_containers(&c, AT(p, "initContainers"));
	validate_ephemeral_containers(&c, AT(p, "ephemeralContainers"));
	validate_pod_resources(&c, p);
	validate_host_network_ports(&c, p);
	validate_policies(spec, p, e);
	validate_labels(&spec->node_selector, AT(p, "nodeSelector"), e);
	validate_pod_security_context(&c, AT(p, "securityContext"));
	validate_affinity(spec->affinity, AT(p, "affinity"), e);
	validate_dns_config(spec, AT(p, "dnsConfig"), e);
	validate_gates(spec, p, e);
	validate_topology_spread(
		&spec->topology_spread_constraints, AT(p, "topologySpreadConstraints"), e);
	validate_windows_host_process(&c, p);
	validate_host_users(&c, p);
	validate_hostname_override(spec, p, e);
	validate_names(spec, p, e);
	validate_tolerations(&spec->tolerations, AT(p, "tolerations"), e);
	validate_host_aliases(&spec->host_aliases, AT(p, "hostAliases"), e);
	validate_scheduling(&c, p);
	validate_pod_os(&c, p);
	each_container(spec, p, check_file_volumes, &c);
}

void validate_pod_template_spec(const struct v1_pod_template_spec *t, const struct field_path *p,
	struct pod_opts opts, struct field_errors *e)
{
	struct field_path spec = FIELD(p, "spec");

	validate_labels(&t->metadata.labels, AT(p, "labels"), e);
	validate_annotations(&t->metadata.annotations, AT(p, "annotations"), e);
	validate_pod_annotations(&t->metadata.annotations, &t->spec, AT(p, "annotations"), e);
	validate_pod_spec(&t->spec, NULL, &spec, opts, e);
	validate_profiles_match_annotations(&t->metadata.annotations, &t->spec, &spec, e);
	if (t->spec.ephemeral_containers.n)
		field_forbidden(e, AT(&spec, "ephemeralContainers"),
			"ephemeral containers not allowed in pod template");
}

static void validate_images(
	const struct v1_container_vec *list, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < list->n; i++) {
		struct str image = list->v[i].image;
		struct field_path item = FIELD_INDEX(p, i);

		if (str_trim(image).n != image.n)
			field_invalid(e, AT(&item, "image"), image,
				"must not have leading or trailing whitespace");
	}
}

void validate_pod(const struct v1_pod *pod, struct pod_opts opts, struct field_errors *e)
{
	struct field_path meta = FIELD(NULL, "metadata"), spec = FIELD(NULL, "spec");
	struct field_path volumes = FIELD(&spec, "volumes");

	validate_pod_annotations(
		&pod->metadata.annotations, &pod->spec, AT(&meta, "annotations"), e);
	validate_pod_spec(&pod->spec, &pod->metadata, &spec, opts, e);
	for (size_t i = 0; pod->spec.service_account_name.n == 0 && i < pod->spec.volumes.n; i++) {
		const struct v1_projected_volume_source *v = pod->spec.volumes.v[i].projected;
		struct field_path item = FIELD_INDEX(&volumes, i), at = FIELD(&item, "projected");
		struct field_path sources = FIELD(&at, "sources");

		for (size_t k = 0; v && k < v->sources.n; k++)
			if (v->sources.v[k].service_account_token) {
				struct field_path source = FIELD_INDEX(&sources, k);
				field_forbidden(e, AT(&source, "serviceAccountToken"),
					"must not be specified when serviceAccountName is not set");
			}
	}
	validate_images(&pod->spec.containers, AT(&spec, "containers"), e);
	validate_images(&pod->spec.init_containers, AT(&spec, "initContainers"), e);
}

void validate_pod_create(const struct v1_pod *pod, struct pod_opts opts, struct field_errors *e)
{
	struct field_path spec = FIELD(NULL, "spec");

	validate_pod(pod, opts, e);
	if (pod->spec.ephemeral_containers.n)
		field_forbidden(e, AT(&spec, "ephemeralContainers"), "cannot be set on create");
	if (pod->spec.node_name.n && pod->spec.scheduling_gates.n)
		field_forbidden(e, AT(&spec, "nodeName"),
			"cannot be set until all schedulingGates have been cleared");
	validate_profiles_match_annotations(&pod->metadata.annotations, &pod->spec, &spec, e);
}
