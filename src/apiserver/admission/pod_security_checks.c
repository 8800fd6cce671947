/* The checks of the Pod Security Standards, one function each, and the table that says for which
 * level and versions each counts. */
#include "apiserver/admission/pod_security.h"
#include "apiserver/field.h"
#include "apiserver/validation/pod.h"

#define APPARMOR_PREFIX "container.apparmor.security.beta.kubernetes.io/"
#define SECCOMP_POD "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP_CONTAINER "container.seccomp.security.alpha.kubernetes.io/"

/* One pod under one check. */
struct check {
	struct arena *a;
	const struct meta_v1_object_meta *meta;
	const struct v1_pod_spec *spec;
	struct {
		const struct v1_container **v;
		size_t n;
	} containers; /* all kinds */
	const char *reason;
	struct str detail;
};

typedef void check_fn(struct check *c);

#define EACH_CONTAINER(c, ctr)                                                                     \
	for (size_t ctr##_i = 0; ctr##_i < (c)->containers.n; ctr##_i++)                           \
		for (const struct v1_container *ctr = (c)->containers.v[ctr##_i]; ctr; ctr = NULL)
#define POD_SC(c, member) ((c)->spec->security_context ? (c)->spec->security_context->member : NULL)
#define SC(ctr, member) ((ctr)->security_context ? (ctr)->security_context->member : NULL)
#define FORBID(c, why, ...)                                                                        \
	do {                                                                                       \
		(c)->reason = (why);                                                               \
		(c)->detail = arena_fmt((c)->a, __VA_ARGS__);                                      \
	} while (0)

/* --- text --- */

static struct str join(struct arena *a, const struct str_vec *v, const char *between)
{
	struct str s = S("");

	for (size_t i = 0; i < v->n; i++)
		s = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(s), i ? between : "", STR_ARG(v->v[i]));
	return s;
}

static struct str quoted(struct arena *a, const struct str_vec *v)
{
	if (!v->n)
		return S("");
	return arena_fmt(a, "\"" STR_FMT "\"", STR_ARG(join(a, v, "\", \"")));
}

static const char *plural(size_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

/* 'containers "a", "b"' */
static struct str containers_text(struct arena *a, const struct str_vec *names)
{
	return arena_fmt(a, "%s " STR_FMT, plural(names->n, "container", "containers"),
		STR_ARG(quoted(a, names)));
}

/* Sorted, each once. */
static void set_add(struct arena *a, struct str_vec *set, struct str s)
{
	size_t at = 0;

	while (at < set->n && str_cmp(set->v[at], s) < 0)
		at++;
	if (at < set->n && str_eq(set->v[at], s))
		return;
	ARENA_PUSH(a, set, s);
	memmove(&set->v[at + 1], &set->v[at], (set->n - 1 - at) * sizeof(*set->v));
	set->v[at] = s;
}

/* Who set something bad: "pod", 'container "a"', or both. */
static struct str setters(struct check *c, bool pod, const struct str_vec *containers)
{
	struct str_vec who = {0};

	if (pod)
		ARENA_PUSH(c->a, &who, S("pod"));
	if (containers->n)
		ARENA_PUSH(c->a, &who, containers_text(c->a, containers));
	return join(c->a, &who, " and ");
}

static bool is_windows(const struct check *c)
{
	return c->spec->os && str_eqc(c->spec->os->name, "windows");
}

static bool own_users(const struct check *c)
{
	return c->spec->host_users && !*c->spec->host_users;
}

static bool one_of(struct str s, const char *const *names)
{
	for (; *names; names++)
		if (str_eqc(s, *names))
			return true;
	return false;
}

/* --- baseline --- */

static bool apparmor_type(struct str type)
{
	return str_eqc(type, "RuntimeDefault") || str_eqc(type, "Localhost");
}

static struct str_vec apparmor_annotations(struct check *c)
{
	const struct str_map *m = &c->meta->annotations;
	struct str_vec bad = {0};

	for (size_t i = 0; i < m->n; i++) {
		struct str v = m->v[i].value;

		if (str_starts(m->v[i].key, S(APPARMOR_PREFIX)) && v.n &&
			!str_eqc(v, "runtime/default") && !str_starts(v, S("localhost/")))
			ARENA_PUSH(c->a, &bad,
				arena_fmt(c->a, STR_FMT "=" STR_FMT, STR_ARG(m->v[i].key),
					STR_ARG(go_quote(c->a, v))));
	}
	return bad;
}

static void check_apparmor(struct check *c)
{
	const struct v1_app_armor_profile *pod = POD_SC(c, app_armor_profile);
	bool bad_pod = pod && !apparmor_type(pod->type);
	struct str_vec names = {0}, values = {0}, who = {0}, annotations;

	if (bad_pod)
		set_add(c->a, &values, pod->type);
	EACH_CONTAINER(c, ctr)
	{
		const struct v1_app_armor_profile *p = SC(ctr, app_armor_profile);

		if (!p || apparmor_type(p->type))
			continue;
		ARENA_PUSH(c->a, &names, ctr->name);
		set_add(c->a, &values, p->type);
	}
	if (bad_pod || names.n)
		ARENA_PUSH(c->a, &who, setters(c, bad_pod, &names));
	annotations = apparmor_annotations(c);
	for (size_t i = 0; i < annotations.n; i++)
		ARENA_PUSH(c->a, &values, annotations.v[i]);
	if (annotations.n)
		ARENA_PUSH(c->a, &who, str_c(plural(annotations.n, "annotation", "annotations")));
	if (who.n)
		FORBID(c,
			plural(values.n, "forbidden AppArmor profile",
				"forbidden AppArmor profiles"),
			STR_FMT " must not set AppArmor profile type to " STR_FMT,
			STR_ARG(join(c->a, &who, " and ")), STR_ARG(quoted(c->a, &values)));
}

/* Names of containers that add a capability that is not among the allowed ones. */
static struct str_vec adding(
	struct check *c, const char *const *allowed, struct str_vec *ret_capabilities)
{
	struct str_vec names = {0};

	EACH_CONTAINER(c, ctr)
	{
		const struct v1_capabilities *caps = SC(ctr, capabilities);
		bool bad = false;

		for (size_t i = 0; caps && i < caps->add.n; i++) {
			if (one_of(caps->add.v[i], allowed))
				continue;
			bad = true;
			set_add(c->a, ret_capabilities, caps->add.v[i]);
		}
		if (bad)
			ARENA_PUSH(c->a, &names, ctr->name);
	}
	return names;
}

static struct str adding_text(
	struct check *c, const struct str_vec *names, const struct str_vec *capabilities)
{
	return arena_fmt(c->a,
		STR_FMT " must not include " STR_FMT " in securityContext.capabilities.add",
		STR_ARG(containers_text(c->a, names)), STR_ARG(quoted(c->a, capabilities)));
}

static void check_capabilities(struct check *c)
{
	static const char *const allowed[] = {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER",
		"FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
		"SETUID", "SYS_CHROOT", NULL};
	struct str_vec capabilities = {0}, names = adding(c, allowed, &capabilities);

	if (names.n)
		FORBID(c, "non-default capabilities", STR_FMT,
			STR_ARG(adding_text(c, &names, &capabilities)));
}

static void check_host_namespaces(struct check *c)
{
	struct str_vec v = {0};

	if (c->spec->host_network)
		ARENA_PUSH(c->a, &v, S("hostNetwork=true"));
	if (c->spec->host_pid)
		ARENA_PUSH(c->a, &v, S("hostPID=true"));
	if (c->spec->host_ipc)
		ARENA_PUSH(c->a, &v, S("hostIPC=true"));
	if (v.n)
		FORBID(c, "host namespaces", STR_FMT, STR_ARG(join(c->a, &v, ", ")));
}

static void check_host_path(struct check *c)
{
	struct str_vec names = {0};

	for (size_t i = 0; i < c->spec->volumes.n; i++)
		if (c->spec->volumes.v[i].host_path)
			ARENA_PUSH(c->a, &names, c->spec->volumes.v[i].name);
	if (names.n)
		FORBID(c, "hostPath volumes", "%s " STR_FMT, plural(names.n, "volume", "volumes"),
			STR_ARG(quoted(c->a, &names)));
}

static void check_host_ports(struct check *c)
{
	struct str_vec names = {0}, ports = {0};

	EACH_CONTAINER(c, ctr)
	{
		bool bad = false;

		for (size_t i = 0; i < ctr->ports.n; i++) {
			if (!ctr->ports.v[i].host_port)
				continue;
			bad = true;
			set_add(c->a, &ports, arena_fmt(c->a, "%d", ctr->ports.v[i].host_port));
		}
		if (bad)
			ARENA_PUSH(c->a, &names, ctr->name);
	}
	if (names.n)
		FORBID(c, "hostPort", STR_FMT " %s %s " STR_FMT,
			STR_ARG(containers_text(c->a, &names)), plural(names.n, "uses", "use"),
			plural(ports.n, "hostPort", "hostPorts"),
			STR_ARG(join(c->a, &ports, ", ")));
}

static void add_hosts(struct check *c, const struct v1_http_get_action *http,
	const struct v1_tcp_socket_action *tcp, struct str_vec *hosts)
{
	if (http && http->host.n)
		set_add(c->a, hosts, http->host);
	if (tcp && tcp->host.n)
		set_add(c->a, hosts, tcp->host);
}

static void check_probe_hosts(struct check *c)
{
	struct str_vec names = {0}, hosts = {0};

	EACH_CONTAINER(c, ctr)
	{
		const struct v1_probe *probes[] = {
			ctr->liveness_probe, ctr->readiness_probe, ctr->startup_probe};
		const struct v1_lifecycle_handler *handlers[] = {
			ctr->lifecycle ? ctr->lifecycle->post_start : NULL,
			ctr->lifecycle ? ctr->lifecycle->pre_stop : NULL};
		struct str_vec own = {0};

		for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
			if (probes[i])
				add_hosts(c, probes[i]->http_get, probes[i]->tcp_socket, &own);
		for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
			if (handlers[i])
				add_hosts(c, handlers[i]->http_get, handlers[i]->tcp_socket, &own);
		for (size_t i = 0; i < own.n; i++)
			set_add(c->a, &hosts, own.v[i]);
		if (own.n)
			set_add(c->a, &names, ctr->name);
	}
	if (names.n)
		FORBID(c, "probe or lifecycle host", STR_FMT " %s %s " STR_FMT,
			STR_ARG(containers_text(c->a, &names)), plural(names.n, "uses", "use"),
			plural(hosts.n, "probe or lifecycle host", "probe or lifecycle hosts"),
			STR_ARG(quoted(c->a, &hosts)));
}

static void check_privileged(struct check *c)
{
	struct str_vec names = {0};

	EACH_CONTAINER(c, ctr)
	{
		const bool *privileged = SC(ctr, privileged);

		if (privileged && *privileged)
			ARENA_PUSH(c->a, &names, ctr->name);
	}
	if (names.n)
		FORBID(c, "privileged", STR_FMT " must not set securityContext.privileged=true",
			STR_ARG(containers_text(c->a, &names)));
}

static void check_proc_mount(struct check *c)
{
	struct str_vec names = {0}, types = {0};

	EACH_CONTAINER(c, ctr)
	{
		struct str type =
			ctr->security_context ? ctr->security_context->proc_mount : (struct str){0};

		if (!type.p || str_eqc(type, "Default"))
			continue;
		ARENA_PUSH(c->a, &names, ctr->name);
		set_add(c->a, &types, type);
	}
	if (names.n)
		FORBID(c, "procMount",
			STR_FMT " must not set securityContext.procMount to " STR_FMT,
			STR_ARG(containers_text(c->a, &names)), STR_ARG(quoted(c->a, &types)));
}

static void check_proc_mount_1_35(struct check *c)
{
	if (!own_users(c))
		check_proc_mount(c);
}

struct selinux {
	const char *const *allowed;
	struct str_vec types;
	bool user, role;
};

static bool bad_selinux(struct check *c, const struct v1_se_linux_options *o, struct selinux *s)
{
	bool bad = false;

	if (!o)
		return false;
	if (o->type.n && !one_of(o->type, s->allowed)) {
		set_add(c->a, &s->types, o->type);
		bad = true;
	}
	s->user |= o->user.n > 0;
	s->role |= o->role.n > 0;
	return bad || o->user.n || o->role.n;
}

static void selinux(struct check *c, const char *const *allowed)
{
	struct selinux s = {.allowed = allowed};
	bool pod = bad_selinux(c, POD_SC(c, se_linux_options), &s);
	struct str_vec names = {0}, what = {0};

	EACH_CONTAINER(c, ctr)
	{
		if (bad_selinux(c, SC(ctr, se_linux_options), &s))
			ARENA_PUSH(c->a, &names, ctr->name);
	}
	if (!pod && !names.n)
		return;
	if (s.types.n)
		ARENA_PUSH(c->a, &what,
			arena_fmt(c->a, "%s " STR_FMT, plural(s.types.n, "type", "types"),
				STR_ARG(quoted(c->a, &s.types))));
	if (s.user)
		ARENA_PUSH(c->a, &what, S("user may not be set"));
	if (s.role)
		ARENA_PUSH(c->a, &what, S("role may not be set"));
	FORBID(c, "seLinuxOptions",
		STR_FMT " set forbidden securityContext.seLinuxOptions: " STR_FMT,
		STR_ARG(setters(c, pod, &names)), STR_ARG(join(c->a, &what, "; ")));
}

static void check_selinux_1_0(struct check *c)
{
	static const char *const allowed[] = {
		"container_t", "container_init_t", "container_kvm_t", NULL};

	selinux(c, allowed);
}

static void check_selinux_1_31(struct check *c)
{
	static const char *const allowed[] = {
		"container_t", "container_init_t", "container_kvm_t", "container_engine_t", NULL};

	selinux(c, allowed);
}

static void add_bad_annotation(struct check *c, struct str key, struct str_vec *bad)
{
	const struct str *v = str_map_get(&c->meta->annotations, key);

	if (v && !str_eqc(*v, "runtime/default") && !str_eqc(*v, "docker/default") &&
		!str_starts(*v, S("localhost/")))
		set_add(c->a, bad,
			arena_fmt(c->a, STR_FMT "=" STR_FMT, STR_ARG(key),
				STR_ARG(go_quote(c->a, *v))));
}

static void check_seccomp_1_0(struct check *c)
{
	struct str_vec bad = {0};

	add_bad_annotation(c, S(SECCOMP_POD), &bad);
	EACH_CONTAINER(c, ctr)
	add_bad_annotation(c, arena_fmt(c->a, SECCOMP_CONTAINER STR_FMT, STR_ARG(ctr->name)), &bad);
	if (bad.n)
		FORBID(c, "seccompProfile", "forbidden %s " STR_FMT,
			plural(bad.n, "annotation", "annotations"),
			STR_ARG(join(c->a, &bad, ", ")));
}

static bool seccomp_type(struct str type)
{
	return str_eqc(type, "RuntimeDefault") || str_eqc(type, "Localhost");
}

/* Bad values first; then, when one is required, containers without any. */
static void seccomp(struct check *c, bool required)
{
	const struct v1_seccomp_profile *pod = POD_SC(c, seccomp_profile);
	bool bad_pod = pod && !seccomp_type(pod->type);
	struct str_vec names = {0}, values = {0}, without = {0};

	if (bad_pod)
		set_add(c->a, &values, pod->type);
	EACH_CONTAINER(c, ctr)
	{
		const struct v1_seccomp_profile *p = SC(ctr, seccomp_profile);

		if (!p && (!pod || bad_pod))
			ARENA_PUSH(c->a, &without, ctr->name);
		if (!p || seccomp_type(p->type))
			continue;
		ARENA_PUSH(c->a, &names, ctr->name);
		set_add(c->a, &values, p->type);
	}
	if (bad_pod || names.n)
		FORBID(c, "seccompProfile",
			STR_FMT " must not set securityContext.seccompProfile.type to " STR_FMT,
			STR_ARG(setters(c, bad_pod, &names)), STR_ARG(quoted(c->a, &values)));
	else if (required && without.n)
		FORBID(c, "seccompProfile",
			"pod or " STR_FMT " must set securityContext.seccompProfile.type to "
			"\"RuntimeDefault\" or \"Localhost\"",
			STR_ARG(containers_text(c->a, &without)));
}

static void check_seccomp_1_19(struct check *c)
{
	seccomp(c, false);
}

static const char *const sysctls[] = {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range",
	"net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
	"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
	"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"};

/* How many of them were allowed in which version. */
enum { SYSCTLS_1_0 = 5, SYSCTLS_1_27 = 6, SYSCTLS_1_29 = 10, SYSCTLS_1_32 = 12 };

static void only_sysctls(struct check *c, size_t n)
{
	struct str_vec bad = {0};

	for (size_t i = 0; c->spec->security_context && i < c->spec->security_context->sysctls.n;
		i++) {
		struct str name = c->spec->security_context->sysctls.v[i].name;
		bool ok = false;

		for (size_t k = 0; k < n; k++)
			ok |= str_eqc(name, sysctls[k]);
		if (!ok)
			ARENA_PUSH(c->a, &bad, name);
	}
	if (bad.n)
		FORBID(c, "forbidden sysctls", STR_FMT, STR_ARG(join(c->a, &bad, ", ")));
}

static void check_sysctls_1_0(struct check *c)
{
	only_sysctls(c, SYSCTLS_1_0);
}

static void check_sysctls_1_27(struct check *c)
{
	only_sysctls(c, SYSCTLS_1_27);
}

static void check_sysctls_1_29(struct check *c)
{
	only_sysctls(c, SYSCTLS_1_29);
}

static void check_sysctls_1_32(struct check *c)
{
	only_sysctls(c, SYSCTLS_1_32);
}

static bool host_process(const struct v1_windows_security_context_options *o)
{
	return o && o->host_process && *o->host_process;
}

static void check_host_process(struct check *c)
{
	bool pod = host_process(POD_SC(c, windows_options));
	struct str_vec names = {0};

	EACH_CONTAINER(c, ctr)
	{
		if (host_process(SC(ctr, windows_options)))
			ARENA_PUSH(c->a, &names, ctr->name);
	}
	if (pod || names.n)
		FORBID(c, "hostProcess",
			STR_FMT " must not set securityContext.windowsOptions.hostProcess=true",
			STR_ARG(setters(c, pod, &names)));
}

/* --- restricted --- */

static void check_escalation_1_8(struct check *c)
{
	struct str_vec names = {0};

	EACH_CONTAINER(c, ctr)
	{
		const bool *allow = SC(ctr, allow_privilege_escalation);

		if (!allow || *allow)
			ARENA_PUSH(c->a, &names, ctr->name);
	}
	if (names.n)
		FORBID(c, "allowPrivilegeEscalation != false",
			STR_FMT " must set securityContext.allowPrivilegeEscalation=false",
			STR_ARG(containers_text(c->a, &names)));
}

static void check_escalation_1_25(struct check *c)
{
	if (!is_windows(c))
		check_escalation_1_8(c);
}

static void check_drop_all_1_22(struct check *c)
{
	static const char *const allowed[] = {"NET_BIND_SERVICE", NULL};
	struct str_vec capabilities = {0}, names = adding(c, allowed, &capabilities);
	struct str_vec missing = {0}, what = {0};

	EACH_CONTAINER(c, ctr)
	{
		const struct v1_capabilities *caps = SC(ctr, capabilities);

		if (!caps || !str_vec_has(&caps->drop, S("ALL")))
			ARENA_PUSH(c->a, &missing, ctr->name);
	}
	if (missing.n)
		ARENA_PUSH(c->a, &what,
			arena_fmt(c->a,
				STR_FMT " must set securityContext.capabilities.drop=[\"ALL\"]",
				STR_ARG(containers_text(c->a, &missing))));
	if (names.n)
		ARENA_PUSH(c->a, &what, adding_text(c, &names, &capabilities));
	if (what.n)
		FORBID(c, "unrestricted capabilities", STR_FMT, STR_ARG(join(c->a, &what, "; ")));
}

static void check_drop_all_1_25(struct check *c)
{
	if (!is_windows(c))
		check_drop_all_1_22(c);
}

static const char *restricted_type(const struct v1_volume *v)
{
	const struct {
		const void *source;
		const char *name;
	} types[] = {
		{v->host_path, "hostPath"},
		{v->gce_persistent_disk, "gcePersistentDisk"},
		{v->aws_elastic_block_store, "awsElasticBlockStore"},
		{v->git_repo, "gitRepo"},
		{v->nfs, "nfs"},
		{v->iscsi, "iscsi"},
		{v->glusterfs, "glusterfs"},
		{v->rbd, "rbd"},
		{v->flex_volume, "flexVolume"},
		{v->cinder, "cinder"},
		{v->cephfs, "cephfs"},
		{v->flocker, "flocker"},
		{v->fc, "fc"},
		{v->azure_file, "azureFile"},
		{v->vsphere_volume, "vsphereVolume"},
		{v->quobyte, "quobyte"},
		{v->azure_disk, "azureDisk"},
		{v->photon_persistent_disk, "photonPersistentDisk"},
		{v->portworx_volume, "portworxVolume"},
		{v->scale_io, "scaleIO"},
		{v->storageos, "storageos"},
	};

	if (v->config_map || v->csi || v->downward_api || v->empty_dir || v->ephemeral ||
		v->image || v->persistent_volume_claim || v->projected || v->secret)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].source)
			return types[i].name;
	return "unknown";
}

static void check_volumes(struct check *c)
{
	struct str_vec names = {0}, types = {0};

	for (size_t i = 0; i < c->spec->volumes.n; i++) {
		const char *type = restricted_type(&c->spec->volumes.v[i]);

		if (!type)
			continue;
		ARENA_PUSH(c->a, &names, c->spec->volumes.v[i].name);
		set_add(c->a, &types, str_c(type));
	}
	if (names.n)
		FORBID(c, "restricted volume types", "%s " STR_FMT " %s %s " STR_FMT,
			plural(names.n, "volume", "volumes"), STR_ARG(quoted(c->a, &names)),
			plural(names.n, "uses", "use"),
			plural(types.n, "restricted volume type", "restricted volume types"),
			STR_ARG(quoted(c->a, &types)));
}

static void check_non_root_1_0(struct check *c)
{
	const bool *pod = POD_SC(c, run_as_non_root);
	struct str_vec bad = {0}, without = {0};

	EACH_CONTAINER(c, ctr)
	{
		const bool *own = SC(ctr, run_as_non_root);

		if (own && !*own)
			ARENA_PUSH(c->a, &bad, ctr->name);
		else if (!own && (!pod || !*pod))
			ARENA_PUSH(c->a, &without, ctr->name);
	}
	if ((pod && !*pod) || bad.n)
		FORBID(c, "runAsNonRoot != true",
			STR_FMT " must not set securityContext.runAsNonRoot=false",
			STR_ARG(setters(c, pod && !*pod, &bad)));
	else if (without.n)
		FORBID(c, "runAsNonRoot != true",
			"pod or " STR_FMT " must set securityContext.runAsNonRoot=true",
			STR_ARG(containers_text(c->a, &without)));
}

static void check_non_root_1_35(struct check *c)
{
	if (!own_users(c))
		check_non_root_1_0(c);
}

static void check_user_1_23(struct check *c)
{
	const int64_t *pod = POD_SC(c, run_as_user);
	struct str_vec names = {0};

	EACH_CONTAINER(c, ctr)
	{
		const int64_t *own = SC(ctr, run_as_user);

		if (own && !*own)
			ARENA_PUSH(c->a, &names, ctr->name);
	}
	if ((pod && !*pod) || names.n)
		FORBID(c, "runAsUser=0", STR_FMT " must not set runAsUser=0",
			STR_ARG(setters(c, pod && !*pod, &names)));
}

static void check_user_1_35(struct check *c)
{
	if (!own_users(c))
		check_user_1_23(c);
}

static void check_seccomp_required_1_19(struct check *c)
{
	seccomp(c, true);
}

static void check_seccomp_required_1_25(struct check *c)
{
	if (!is_windows(c))
		seccomp(c, true);
}

/* --- which counts when --- */

enum { FOREVER = 1 << 20, MINOR_MAX = 35 /* the newest version with a rule of its own */ };

struct rule {
	check_fn *check;
	int from, until;     /* minor versions: from <= v < until */
	int overridden_from; /* baseline rules: restricted has a stricter one from there on */
};

/* In the order of their ids, as violations are listed. */
static const struct rule baseline[] = {
	{check_apparmor, 0, FOREVER, FOREVER},
	{check_capabilities, 0, FOREVER, 22},
	{check_host_namespaces, 0, FOREVER, FOREVER},
	{check_host_path, 0, FOREVER, 0},
	{check_host_ports, 0, FOREVER, FOREVER},
	{check_probe_hosts, 34, FOREVER, FOREVER},
	{check_privileged, 0, FOREVER, FOREVER},
	{check_proc_mount, 0, 35, 35},
	{check_proc_mount_1_35, 35, FOREVER, 35},
	{check_selinux_1_0, 0, 31, FOREVER},
	{check_selinux_1_31, 31, FOREVER, FOREVER},
	{check_seccomp_1_0, 0, 19, 19},
	{check_seccomp_1_19, 19, FOREVER, 19},
	{check_sysctls_1_0, 0, 27, FOREVER},
	{check_sysctls_1_27, 27, 29, FOREVER},
	{check_sysctls_1_29, 29, 32, FOREVER},
	{check_sysctls_1_32, 32, FOREVER, FOREVER},
	{check_host_process, 0, FOREVER, FOREVER},
};

static const struct rule restricted[] = {
	{check_escalation_1_8, 8, 25, FOREVER},
	{check_escalation_1_25, 25, FOREVER, FOREVER},
	{check_drop_all_1_22, 22, 25, FOREVER},
	{check_drop_all_1_25, 25, FOREVER, FOREVER},
	{check_proc_mount, 35, FOREVER, FOREVER},
	{check_volumes, 0, FOREVER, FOREVER},
	{check_non_root_1_0, 0, 35, FOREVER},
	{check_non_root_1_35, 35, FOREVER, FOREVER},
	{check_user_1_23, 23, 35, FOREVER},
	{check_user_1_35, 35, FOREVER, FOREVER},
	{check_seccomp_required_1_19, 19, 25, FOREVER},
	{check_seccomp_required_1_25, 25, FOREVER, FOREVER},
};

static void add_container(
	const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	struct check *c = user_data;

	ARENA_PUSH(c->a, &c->containers, ctr);
}

static void run(
	struct check *c, const struct rule *r, int minor, bool strict, struct pod_violations *ret)
{
	if (minor < r->from || minor >= r->until || (strict && minor >= r->overridden_from))
		return;
	c->reason = NULL;
	r->check(c);
	if (c->reason)
		ARENA_PUSH(c->a, ret,
			((struct pod_violation){.reason = c->reason, .detail = c->detail}));
}

struct pod_violations pod_security_check(struct arena *a, struct pod_security_rules rules,
	const struct meta_v1_object_meta *meta, const struct v1_pod_spec *spec)
{
	struct check c = {.a = a, .meta = meta, .spec = spec};
	struct pod_violations found = {0};
	int minor = MIN(rules.minor, MINOR_MAX);
	bool strict = rules.level == LEVEL_RESTRICTED;

	if (rules.level == LEVEL_PRIVILEGED)
		return found;
	each_container(spec, NULL, add_container, &c);
	for (size_t i = 0; i < ARRAY_SIZE(baseline); i++)
		run(&c, &baseline[i], minor, strict, &found);
	for (size_t i = 0; strict && i < ARRAY_SIZE(restricted); i++)
		run(&c, &restricted[i], minor, false, &found);
	return found;
}
