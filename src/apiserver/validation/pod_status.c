/* pod_status.c: what a kubelet may write into a pod's status. */
#include "apiserver/validation/ip.h"
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"
#include "schema/quantity.h"

enum { HEALTH_MESSAGE_MAX = 256 };

static void validate_conditions(
	const struct v1_pod_condition_vec *list, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < list->n; i++) {
		struct field_path item = FIELD_INDEX(p, i);
		struct str type = list->v[i].type;

		if (list->v[i].observed_generation < 0)
			field_invalid_int(e, AT(&item, "observedGeneration"),
				list->v[i].observed_generation, "must be a non-negative integer");
		if (!str_eqc(type, "PodScheduled") && !str_eqc(type, "Ready") &&
			!str_eqc(type, "Initialized"))
			validate_qualified_name(type, AT(&item, "Type"), e);
	}
}

static const struct v1_container *find_container(
	const struct v1_container_vec *list, struct str name)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i].name, name))
			return &list->v[i];
	return NULL;
}

/* Whether a container that ended with this code is started again. */
static bool should_restart(
	const struct v1_container *ctr, const struct v1_pod_spec *spec, int32_t code)
{
	struct str policy = spec->restart_policy;

	for (size_t i = 0; i < ctr->restart_policy_rules.n; i++) {
		const struct v1_container_restart_rule *rule = &ctr->restart_policy_rules.v[i];
		bool in = false;

		if (!rule->exit_codes)
			continue;
		for (size_t k = 0; k < rule->exit_codes->values.n; k++)
			in = in || rule->exit_codes->values.v[k] == code;
		if (in == str_eqc(rule->exit_codes->operator, "In"))
			return true;
	}
	if (ctr->restart_policy.p)
		policy = ctr->restart_policy;
	return str_eqc(policy, "Always") || (str_eqc(policy, "OnFailure") && code != 0);
}

static bool all_could_restart(const struct v1_pod_spec *spec)
{
	const struct v1_container_vec *lists[] = {&spec->init_containers, &spec->containers};

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		for (size_t i = 0; i < lists[l]->n; i++)
			for (size_t k = 0; k < lists[l]->v[i].restart_policy_rules.n; k++)
				if (str_eqc(lists[l]->v[i].restart_policy_rules.v[k].action,
					    "RestartAllContainers"))
					return true;
	return false;
}

/* Terminated containers that may not come back stay terminated; list NULL: ephemeral ones never
 * come back. */
static void validate_transitions(const struct v1_container_status_vec *now,
	const struct v1_container_status_vec *old, const struct v1_container_vec *list,
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e)
{
	if (list && all_could_restart(spec))
		return;
	for (size_t i = 0; i < old->n; i++) {
		const struct v1_container_state_terminated *end = old->v[i].state.terminated;
		struct field_path item = FIELD_INDEX(p, i);

		for (size_t k = 0; end && k < now->n; k++) {
			if (!str_eq(now->v[k].name, old->v[i].name) || now->v[k].state.terminated)
				continue;
			const struct v1_container *ctr =
				list ? find_container(list, old->v[i].name) : NULL;
			if (!ctr || !should_restart(ctr, spec, end->exit_code))
				field_forbidden(e, AT(&item, "state"),
					"may not be transitioned to non-terminated state");
			if (list)
				break;
		}
	}
}

static void validate_ips(struct str_vec now, struct str_vec old, struct str json,
	const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < now.n; i++)
		validate_ip_legacy(now.v[i], &old, AT_INDEX(p, i), e);
	if (now.n <= 1)
		return;
	if (now.n > 2 || !ip_texts_dual_stack(now))
		field_invalid_raw(e, p, json, "may specify no more than one IP for each IP family");
}

static struct str ips_json(struct arena *a, struct str_vec ips)
{
	struct str out = S("[");

	for (size_t i = 0; i < ips.n; i++) {
		struct str ip = go_quote(a, ips.v[i]);
		out = arena_fmt(a, STR_FMT "%s{\"IP\":" STR_FMT "}", STR_ARG(out), i ? "," : "",
			STR_ARG(ip));
	}
	return arena_fmt(a, STR_FMT "]", STR_ARG(out));
}

static void validate_addresses(const struct v1_pod_status *now, const struct v1_pod_status *old,
	const struct field_path *p, struct field_errors *e)
{
	struct str_vec pods = {0}, old_pods = {0}, hosts = {0}, old_hosts = {0};
	struct field_path host_path = FIELD(p, "hostIPs"), first = FIELD_INDEX(&host_path, 0);

	for (size_t i = 0; i < now->pod_ips.n; i++)
		ARENA_PUSH(e->arena, &pods, now->pod_ips.v[i].ip);
	for (size_t i = 0; i < old->pod_ips.n; i++)
		ARENA_PUSH(e->arena, &old_pods, old->pod_ips.v[i].ip);
	for (size_t i = 0; i < now->host_ips.n; i++)
		ARENA_PUSH(e->arena, &hosts, now->host_ips.v[i].ip);
	for (size_t i = 0; i < old->host_ips.n; i++)
		ARENA_PUSH(e->arena, &old_hosts, old->host_ips.v[i].ip);
	validate_ips(pods, old_pods, ips_json(e->arena, pods), AT(p, "podIPs"), e);
	if (hosts.n && !str_eq(now->host_ip, hosts.v[0]))
		field_invalid(e, AT(&first, "ip"), hosts.v[0], "must be equal to `hostIP`");
	validate_ips(hosts, old_hosts, ips_json(e->arena, hosts), &host_path, e);
}

static void validate_id(int64_t id, const struct field_path *p, struct field_errors *e)
{
	field_invalid_int_each(e, p, id, is_user_id(e->arena, id));
}

static void validate_users(const struct v1_container_status_vec *list,
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e)
{
	bool windows = spec->os && str_eqc(spec->os->name, "windows");

	for (size_t i = 0; i < list->n; i++) {
		const struct v1_container_user *user = list->v[i].user;
		struct field_path item = FIELD_INDEX(p, i), at = FIELD(&item, "user");
		struct field_path linux_path = FIELD(&at, "linux");
		struct field_path groups = FIELD(&linux_path, "supplementalGroups");

		if (!user || !user->linux_)
			continue;
		if (windows) {
			field_forbidden(e, &linux_path, "cannot be set for a windows pod");
			continue;
		}
		validate_id(user->linux_->uid, AT(&linux_path, "uid"), e);
		validate_id(user->linux_->gid, AT(&linux_path, "gid"), e);
		for (size_t k = 0; k < user->linux_->supplemental_groups.n; k++)
			validate_id(
				user->linux_->supplemental_groups.v[k], AT_INDEX(&groups, k), e);
	}
}

static bool claim_matches(const struct v1_container *ctr, struct str name, struct arena *a)
{
	for (size_t i = 0; i < ctr->resources.claims.n; i++) {
		const struct v1_resource_claim *c = &ctr->resources.claims.v[i];
		struct str want = c->request.n ? arena_fmt(a, "claim:" STR_FMT "/" STR_FMT,
							 STR_ARG(c->name), STR_ARG(c->request))
					       : arena_fmt(a, "claim:" STR_FMT, STR_ARG(c->name));
		if (str_eq(want, name))
			return true;
	}
	return false;
}

static void validate_health(
	const struct v1_resource_status *s, const struct field_path *p, struct field_errors *e)
{
	static const char *const healths[] = {"Healthy", "Unhealthy", "Unknown", NULL};
	struct field_path list = FIELD(p, "resources");
	struct str_vec seen = {0};

	for (size_t i = 0; i < s->resources.n; i++) {
		const struct v1_resource_health *r = &s->resources.v[i];
		struct field_path item = FIELD_INDEX(&list, i);

		field_one_of(e, AT(&item, "health"), r->health, healths);
		if (r->message.p && r->message.n == 0)
			field_required(e, AT(&item, "message"), "must be non-empty if specified");
		else if (r->message.n > HEALTH_MESSAGE_MAX)
			field_too_long(e, AT(&item, "message"), HEALTH_MESSAGE_MAX);
		if (str_vec_has(&seen, r->resource_id))
			field_duplicate(e, AT(&item, "resourceID"), r->resource_id);
		else
			ARENA_PUSH(e->arena, &seen, r->resource_id);
	}
}

static void validate_allocated(const struct v1_container_status_vec *list,
	const struct v1_container_vec *ctrs, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct v1_resource_status_vec *all = &list->v[i].allocated_resources_status;
		const struct v1_container *ctr = find_container(ctrs, list->v[i].name);
		struct field_path item = FIELD_INDEX(p, i),
				  at = FIELD(&item, "allocatedResourcesStatus");

		for (size_t k = 0; k < all->n; k++) {
			struct str name = all->v[k].name;
			struct field_path one = FIELD_INDEX(&at, k);
			bool claim = str_starts(name, S("claim:"));

			if (ctr && !(claim ? claim_matches(ctr, name, e->arena)
					   : str_map_get(&ctr->resources.requests, name) != NULL))
				field_invalid(e, AT(&one, "name"), name, "%s",
					claim ? "must match one of the container's resource claims "
						"in a "
						"format 'claim:<claimName>/<request>' or "
						"'claim:<claimName>' if request is empty"
					      : "must match one of the container's resource "
						"requests");
			validate_health(&all->v[k], &one, e);
		}
	}
}

static void validate_claim_statuses(
	const struct v1_pod *pod, const struct field_path *p, struct field_errors *e)
{
	const struct v1_pod_resource_claim_status_vec *list = &pod->status.resource_claim_statuses;
	struct str_vec seen = {0};

	for (size_t i = 0; i < list->n; i++) {
		struct field_path item = FIELD_INDEX(p, i);
		struct str name = list->v[i].name;
		bool known = false;

		for (size_t k = 0; k < pod->spec.resource_claims.n; k++)
			known = known || str_eq(pod->spec.resource_claims.v[k].name, name);
		if (!known)
			field_invalid(e, AT(&item, "name"), name,
				"must match the name of an entry in `spec.resourceClaims`");
		if (str_vec_has(&seen, name))
			field_duplicate(e, AT(&item, "name"), name);
		else
			ARENA_PUSH(e->arena, &seen, name);
		if (list->v[i].resource_claim_name.p)
			validate_dns1123_subdomain(
				list->v[i].resource_claim_name, AT(&item, "resourceClaimName"), e);
	}
}

static void validate_nominated(const struct v1_pod *pod, const struct v1_pod *old,
	const struct field_path *p, struct field_errors *e)
{
	struct str now = pod->status.nominated_node_name;

	if (now.n == 0 || str_eq(now, old->status.nominated_node_name))
		return;
	validate_dns1123_subdomain(now, p, e);
	if (old->spec.node_name.n)
		field_forbidden(e, p, "may not be set on pods that are already bound to a node");
}

void validate_pod_status_update(
	const struct v1_pod *pod, const struct v1_pod *old, struct field_errors *e)
{
	struct field_path meta = FIELD(NULL, "metadata"), p = FIELD(NULL, "status");
	struct field_path regular = FIELD(&p, "containerStatuses"),
			  init = FIELD(&p, "initContainerStatuses");
	struct field_path ephemeral = FIELD(&p, "ephemeralContainerStatuses");
	const struct v1_pod_status *now = &pod->status, *was = &old->status;

	validate_pod_annotations_update(&pod->metadata.annotations, &old->metadata.annotations,
		&pod->spec, AT(&meta, "annotations"), e);
	validate_conditions(&now->conditions, AT(&p, "conditions"), e);
	if (!str_eq(pod->spec.node_name, old->spec.node_name))
		field_forbidden(e, AT(&p, "nodeName"), "may not be changed directly");
	validate_nominated(pod, old, AT(&p, "nominatedNodeName"), e);
	if (now->observed_generation < 0)
		field_invalid_int(e, AT(&p, "observedGeneration"), now->observed_generation,
			"must be a non-negative integer");
	if (!str_eq(now->qos_class, was->qos_class))
		field_invalid(e, AT(&p, "qosClass"), now->qos_class, "field is immutable");
	validate_transitions(&now->container_statuses, &was->container_statuses,
		&old->spec.containers, &old->spec, &regular, e);
	validate_transitions(&now->init_container_statuses, &was->init_container_statuses,
		&old->spec.init_containers, &old->spec, &init, e);
	validate_transitions(&now->ephemeral_container_statuses, &was->ephemeral_container_statuses,
		NULL, &old->spec, &ephemeral, e);
	validate_claim_statuses(pod, AT(&p, "resourceClaimStatuses"), e);
	validate_addresses(now, was, &p, e);
	validate_users(&now->container_statuses, &pod->spec, &regular, e);
	validate_users(&now->init_container_statuses, &pod->spec, &init, e);
	validate_users(&now->ephemeral_container_statuses, &pod->spec, &ephemeral, e);
	validate_allocated(&now->container_statuses, &pod->spec.containers, &regular, e);
	validate_allocated(&now->init_container_statuses, &pod->spec.init_containers, &init, e);
	for (size_t i = 0; i < now->ephemeral_container_statuses.n; i++) {
		struct field_path item = FIELD_INDEX(&ephemeral, i);
		if (now->ephemeral_container_statuses.v[i].allocated_resources_status.n)
			field_forbidden(e, AT(&item, "allocatedResourcesStatus"),
				"must not be specified in container status");
	}
}
