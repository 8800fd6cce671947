/* containers.c: what every container, init container and ephemeral container must be. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

enum { RESTART_RULES_MAX = 20, RESTART_VALUES_MAX = 255 };

const char *const port_protocols[] = {"SCTP", "TCP", "UDP", NULL};

_Static_assert(offsetof(struct v1_ephemeral_container, tty) == offsetof(struct v1_container, tty),
	"an ephemeral container begins with the fields of a container");

const struct v1_container *ephemeral_as_container(const struct v1_ephemeral_container *ec)
{
	return (const struct v1_container *)(const void *)ec;
}

bool sidecar_container(const struct v1_container *ctr)
{
	return str_eqc(ctr->restart_policy, "Always");
}

void each_container(const struct v1_pod_spec *spec, const struct field_path *spec_path,
	void (*fn)(const struct v1_container *ctr, const struct field_path *p, void *user_data),
	void *user_data)
{
	struct field_path init = FIELD(spec_path, "initContainers");
	struct field_path regular = FIELD(spec_path, "containers");
	struct field_path ephemeral = FIELD(spec_path, "ephemeralContainers");

	for (size_t i = 0; i < spec->init_containers.n; i++)
		fn(&spec->init_containers.v[i], AT_INDEX(&init, i), user_data);
	for (size_t i = 0; i < spec->containers.n; i++)
		fn(&spec->containers.v[i], AT_INDEX(&regular, i), user_data);
	for (size_t i = 0; i < spec->ephemeral_containers.n; i++)
		fn(ephemeral_as_container(&spec->ephemeral_containers.v[i]),
			AT_INDEX(&ephemeral, i), user_data);
}

static void validate_ports(const struct v1_container_port_vec *ports, const struct field_path *p,
	struct field_errors *e)
{
	struct str_vec names = {0};

	for (size_t i = 0; i < ports->n; i++) {
		const struct v1_container_port *port = &ports->v[i];
		struct field_path item = FIELD_INDEX(p, i);

		if (port->name.n) {
			struct str_vec msgs = is_port_name(e->arena, port->name);
			if (msgs.n)
				field_invalid_each(e, AT(&item, "name"), port->name, msgs);
			else if (str_vec_has(&names, port->name))
				field_duplicate(e, AT(&item, "name"), port->name);
			else
				ARENA_PUSH(e->arena, &names, port->name);
		}
		if (port->container_port == 0)
			field_required(e, AT(&item, "containerPort"), "");
		else
			field_invalid_int_each(e, AT(&item, "containerPort"), port->container_port,
				is_port_number(e->arena, port->container_port));
		if (port->host_port != 0)
			field_invalid_int_each(e, AT(&item, "hostPort"), port->host_port,
				is_port_number(e->arena, port->host_port));
		if (port->protocol.n == 0)
			field_required(e, AT(&item, "protocol"), "");
		else
			field_one_of(e, AT(&item, "protocol"), port->protocol, port_protocols);
	}
}

void validate_pull_policy(struct str policy, const struct field_path *p, struct field_errors *e)
{
	static const char *const policies[] = {"Always", "IfNotPresent", "Never", NULL};

	if (policy.n == 0)
		field_required(e, p, "");
	else
		field_one_of(e, p, policy, policies);
}

static void validate_resize_policy(const struct v1_container_resize_policy_vec *v,
	const struct pod_check *c, const struct field_path *p)
{
	static const char *const resources[] = {"cpu", "memory", NULL};
	static const char *const policies[] = {"NotRequired", "RestartContainer", NULL};
	struct field_errors *e = c->errs;
	struct str_vec seen = {0};

	for (size_t i = 0; i < v->n; i++) {
		struct str resource = v->v[i].resource_name, policy = v->v[i].restart_policy;

		if (str_vec_has(&seen, resource))
			field_duplicate(e, AT_INDEX(p, i), resource);
		ARENA_PUSH(e->arena, &seen, resource);
		if (resource.n == 0)
			field_required(e, p, "");
		else
			field_one_of(e, p, resource, resources);
		if (policy.n == 0)
			field_required(e, p, "");
		else
			field_one_of(e, p, policy, policies);
		if (str_eqc(c->spec->restart_policy, "Never") && !str_eqc(policy, "NotRequired"))
			field_invalid(e, p, policy,
				"must be 'NotRequired' when pod `restartPolicy` is 'Never'");
	}
}

static void validate_common(
	const struct v1_container *ctr, struct pod_check *c, const struct field_path *p)
{
	static const char *const policies[] = {"File", "FallbackToLogsOnError", NULL};
	struct field_errors *e = c->errs;

	if (ctr->name.n == 0)
		field_required(e, AT(p, "name"), "");
	else
		validate_dns1123_label(ctr->name, AT(p, "name"), e);
	if (ctr->image.n == 0)
		field_required(e, AT(p, "image"), "");
	if (ctr->termination_message_policy.n == 0)
		field_required(e, AT(p, "terminationMessagePolicy"), "");
	else
		field_one_of(e, AT(p, "terminationMessagePolicy"), ctr->termination_message_policy,
			policies);
	validate_ports(&ctr->ports, AT(p, "ports"), e);
	validate_env(&ctr->env, AT(p, "env"), e);
	validate_env_from(&ctr->env_from, AT(p, "envFrom"), e);
	validate_volume_mounts(ctr, c, AT(p, "volumeMounts"));
	validate_volume_devices(ctr, c, AT(p, "volumeDevices"));
	validate_pull_policy(ctr->image_pull_policy, AT(p, "imagePullPolicy"), e);
	validate_container_resources(&ctr->resources, &c->claims, AT(p, "resources"), e);
	validate_resize_policy(&ctr->resize_policy, c, AT(p, "resizePolicy"));
	validate_security_context(ctr->security_context, c, AT(p, "securityContext"));
}

static void validate_restart_rule(const struct v1_container_restart_rule *rule,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const actions[] = {"Restart", "RestartAllContainers", NULL};
	static const char *const operators[] = {"In", "NotIn", NULL};
	struct field_path codes = FIELD(p, "exitCodes");

	field_one_of(e, AT(p, "action"), rule->action, actions);
	if (!rule->exit_codes) {
		field_required(e, &codes, "must be specified");
		return;
	}
	field_one_of(e, AT(&codes, "operator"), rule->exit_codes->operator, operators);
	if (rule->exit_codes->values.n > RESTART_VALUES_MAX)
		field_too_many(
			e, AT(&codes, "values"), rule->exit_codes->values.n, RESTART_VALUES_MAX);
}

static void validate_restart_policy(
	const struct v1_container *ctr, const struct field_path *p, struct field_errors *e)
{
	static const char *const policies[] = {"Always", "Never", "OnFailure", NULL};
	struct field_path rules = FIELD(p, "restartPolicyRules");

	if (!ctr->restart_policy.p) {
		if (ctr->restart_policy_rules.n == 0)
			return;
		field_required(e, AT(p, "restartPolicy"),
			"must specify restartPolicy when restart rules are used");
	} else {
		field_one_of(e, AT(p, "restartPolicy"), ctr->restart_policy, policies);
	}
	if (ctr->restart_policy_rules.n > RESTART_RULES_MAX)
		field_too_many(e, &rules, ctr->restart_policy_rules.n, RESTART_RULES_MAX);
	for (size_t i = 0; i < ctr->restart_policy_rules.n; i++)
		validate_restart_rule(&ctr->restart_policy_rules.v[i], AT_INDEX(&rules, i), e);
}

/* Host ports of containers that run at the same time; `seen` collects them. */
static void validate_host_ports(const struct v1_container *ctr, struct str_vec *seen,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path ports = FIELD(p, "ports");

	for (size_t i = 0; i < ctr->ports.n; i++) {
		const struct v1_container_port *port = &ctr->ports.v[i];
		struct field_path item = FIELD_INDEX(&ports, i);

		if (port->host_port == 0)
			continue;
		struct str key = arena_fmt(e->arena, STR_FMT "/" STR_FMT "/%d",
			STR_ARG(port->protocol), STR_ARG(port->host_ip), port->host_port);
		if (str_vec_has(seen, key))
			field_duplicate(e, AT(&item, "hostPort"), key);
		else
			ARENA_PUSH(e->arena, seen, key);
	}
}

static void validate_hooks(
	const struct v1_container *ctr, const struct pod_check *c, const struct field_path *p)
{
	if (ctr->lifecycle)
		validate_lifecycle(ctr->lifecycle, c, AT(p, "lifecycle"));
	validate_probe(ctr->liveness_probe, PROBE_LIVENESS, c, AT(p, "livenessProbe"));
	validate_probe(ctr->readiness_probe, PROBE_READINESS, c, AT(p, "readinessProbe"));
	validate_probe(ctr->startup_probe, PROBE_STARTUP, c, AT(p, "startupProbe"));
}

void validate_containers(struct pod_check *c, const struct field_path *p)
{
	const struct v1_container_vec *list = &c->spec->containers;
	struct field_errors *e = c->errs;
	struct str_vec names = {0}, host_ports = {0};

	if (list->n == 0) {
		field_required(e, p, "");
		return;
	}
	for (size_t i = 0; i < list->n; i++) {
		const struct v1_container *ctr = &list->v[i];
		struct field_path item = FIELD_INDEX(p, i);

		validate_common(ctr, c, &item);
		if (str_vec_has(&names, ctr->name))
			field_duplicate(e, AT(&item, "name"), ctr->name);
		else
			ARENA_PUSH(e->arena, &names, ctr->name);
		validate_hooks(ctr, c, &item);
		validate_restart_policy(ctr, &item, e);
	}
	for (size_t i = 0; i < list->n; i++)
		validate_host_ports(&list->v[i], &host_ports, AT_INDEX(p, i), e);
}

static void forbid_hooks(
	const struct v1_container *ctr, const struct field_path *p, struct field_errors *e)
{
	static const char why[] = "may not be set for init containers without restartPolicy=Always";

	if (ctr->lifecycle)
		field_forbidden(e, AT(p, "lifecycle"), why);
	if (ctr->liveness_probe)
		field_forbidden(e, AT(p, "livenessProbe"), why);
	if (ctr->readiness_probe)
		field_forbidden(e, AT(p, "readinessProbe"), why);
	if (ctr->startup_probe)
		field_forbidden(e, AT(p, "startupProbe"), why);
}

static void validate_init_resize(
	const struct v1_container *ctr, const struct field_path *p, struct field_errors *e)
{
	struct field_path list = FIELD(p, "resizePolicy");

	for (size_t i = 0; i < ctr->resize_policy.n; i++)
		if (str_eqc(ctr->resize_policy.v[i].restart_policy, "RestartContainer")) {
			struct field_path item = FIELD_INDEX(&list, i);
			field_invalid(e, AT(&item, "restartPolicy"), S("RestartContainer"),
				"must not be set to 'RestartContainer' for non-sidecar "
				"initContainers");
		}
}

void validate_init_containers(struct pod_check *c, const struct field_path *p)
{
	const struct v1_container_vec *list = &c->spec->init_containers;
	struct field_errors *e = c->errs;
	struct str_vec names = {0};

	for (size_t i = 0; i < c->spec->containers.n; i++)
		ARENA_PUSH(e->arena, &names, c->spec->containers.v[i].name);
	for (size_t i = 0; i < list->n; i++) {
		const struct v1_container *ctr = &list->v[i];
		struct field_path item = FIELD_INDEX(p, i);
		struct str_vec host_ports = {0};

		validate_common(ctr, c, &item);
		if (ctr->restart_policy.p || ctr->restart_policy_rules.n == 0)
			validate_restart_policy(ctr, &item, e);
		else
			field_required(e, AT(&item, "restartPolicy"),
				"must specify restartPolicy when restart rules are used");
		if (str_vec_has(&names, ctr->name))
			field_duplicate(e, AT(&item, "name"), ctr->name);
		else if (ctr->name.n)
			ARENA_PUSH(e->arena, &names, ctr->name);
		/* One at a time runs, so each is alone; upstream counts it as the first. */
		validate_host_ports(ctr, &host_ports, AT_INDEX(p, 0), e);
		if (sidecar_container(ctr)) {
			validate_hooks(ctr, c, &item);
		} else {
			forbid_hooks(ctr, &item, e);
			validate_init_resize(ctr, &item, e);
		}
	}
}

static void forbid_ephemeral_fields(
	const struct v1_ephemeral_container *ec, const struct field_path *p, struct field_errors *e)
{
	static const char why[] = "cannot be set for an Ephemeral Container";
	struct field_path mounts = FIELD(p, "volumeMounts");

	if (ec->ports.n)
		field_forbidden(e, AT(p, "ports"), why);
	if (ec->resources.limits.n || ec->resources.requests.n || ec->resources.claims.n)
		field_forbidden(e, AT(p, "resources"), why);
	if (ec->resize_policy.n)
		field_forbidden(e, AT(p, "resizePolicy"), why);
	if (ec->restart_policy.p)
		field_forbidden(e, AT(p, "restartPolicy"), why);
	if (ec->restart_policy_rules.n)
		field_forbidden(e, AT(p, "restartPolicyRules"), why);
	if (ec->liveness_probe)
		field_forbidden(e, AT(p, "livenessProbe"), why);
	if (ec->readiness_probe)
		field_forbidden(e, AT(p, "readinessProbe"), why);
	if (ec->startup_probe)
		field_forbidden(e, AT(p, "startupProbe"), why);
	if (ec->lifecycle)
		field_forbidden(e, AT(p, "lifecycle"), why);
	for (size_t i = 0; i < ec->volume_mounts.n; i++) {
		struct field_path item = FIELD_INDEX(&mounts, i);

		if (ec->volume_mounts.v[i].sub_path.n)
			field_forbidden(e, AT(&item, "subPath"), why);
		if (ec->volume_mounts.v[i].sub_path_expr.n)
			field_forbidden(e, AT(&item, "subPathExpr"), why);
	}
}

static void validate_image_spaces(
	struct str image, const struct field_path *p, struct field_errors *e)
{
	if (str_trim(image).n != image.n)
		field_invalid(
			e, AT(p, "image"), image, "must not have leading or trailing whitespace");
}

void validate_ephemeral_containers(struct pod_check *c, const struct field_path *p)
{
	const struct v1_ephemeral_container_vec *list = &c->spec->ephemeral_containers;
	struct field_errors *e = c->errs;
	struct str_vec others = {0}, names = {0};

	for (size_t i = 0; i < c->spec->containers.n; i++)
		ARENA_PUSH(e->arena, &others, c->spec->containers.v[i].name);
	for (size_t i = 0; i < c->spec->init_containers.n; i++)
		ARENA_PUSH(e->arena, &others, c->spec->init_containers.v[i].name);
	for (size_t i = 0; i < list->n; i++) {
		const struct v1_ephemeral_container *ec = &list->v[i];
		struct field_path item = FIELD_INDEX(p, i);

		validate_common(ephemeral_as_container(ec), c, &item);
		validate_image_spaces(ec->image, &item, e);
		if (str_vec_has(&others, ec->name) || str_vec_has(&names, ec->name))
			field_duplicate(e, AT(&item, "name"), ec->name);
		else
			ARENA_PUSH(e->arena, &names, ec->name);
		if (ec->target_container_name.n && !str_vec_has(&others, ec->target_container_name))
			field_not_found(
				e, AT(&item, "targetContainerName"), ec->target_container_name);
		forbid_ephemeral_fields(ec, &item, e);
	}
}
