/* security_context.c: who a container is and what it may do. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

enum { SYSCTL_MAX_LEN = 253, PROFILE_MAX_LEN = 4095 };
#define SYSCTL_SEGMENT "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"

static void validate_id(const int64_t *id, const struct field_path *p, struct field_errors *e)
{
	if (id)
		field_invalid_int_each(e, p, *id, is_user_id(e->arena, *id));
}

static void validate_seccomp(
	const struct v1_seccomp_profile *sp, const struct field_path *p, struct field_errors *e)
{
	static const char *const kinds[] = {"Localhost", "RuntimeDefault", "Unconfined", NULL};
	struct field_path local = FIELD(p, "localhostProfile");

	if (!sp)
		return;
	if (sp->type.n == 0)
		field_required(e, AT(p, "type"), "type is required when seccompProfile is set");
	else
		field_one_of(e, AT(p, "type"), sp->type, kinds);
	if (!str_eqc(sp->type, "Localhost")) {
		if (sp->localhost_profile.p)
			field_invalid_raw(e, &local,
				go_json(e->arena, &v1_seccomp_profile_schema, sp),
				"can only be set when seccomp type is Localhost");
	} else if (!sp->localhost_profile.p) {
		field_required(e, &local, "must be set when seccomp type is Localhost");
	} else {
		validate_local_descending_path(sp->localhost_profile, &local, e);
	}
}

static void validate_apparmor_local(
	struct str profile, const struct field_path *p, struct field_errors *e)
{
	static const char needed[] = "must be set when AppArmor type is Localhost";

	if (!profile.p) {
		field_required(e, p, needed);
		return;
	}
	if (str_trim(profile).n != profile.n)
		field_invalid(e, p, profile, "must not be padded with whitespace");
	else if (profile.n == 0)
		field_required(e, p, needed);
	if (profile.n > PROFILE_MAX_LEN)
		field_too_long(e, p, PROFILE_MAX_LEN);
}

static void validate_apparmor(
	const struct v1_app_armor_profile *ap, const struct field_path *p, struct field_errors *e)
{
	static const char *const kinds[] = {"Localhost", "RuntimeDefault", "Unconfined", NULL};
	struct field_path local = FIELD(p, "localhostProfile");

	if (!ap)
		return;
	if (ap->type.n == 0) {
		field_required(e, AT(p, "type"), "type is required when appArmorProfile is set");
	} else if (str_eqc(ap->type, "Localhost")) {
		validate_apparmor_local(ap->localhost_profile, &local, e);
	} else if (field_one_of(e, AT(p, "type"), ap->type, kinds) && ap->localhost_profile.p) {
		field_invalid(e, &local, ap->localhost_profile,
			"can only be set when AppArmor type is Localhost");
	}
}

static void validate_escalation(
	const struct v1_security_context *sc, const struct field_path *p, struct field_errors *e)
{
	if (!sc->allow_privilege_escalation || *sc->allow_privilege_escalation)
		return;
	struct str text = go_json(e->arena, &v1_security_context_schema, sc);
	if (sc->privileged && *sc->privileged)
		field_invalid_raw(e, p, text,
			"cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
	for (size_t i = 0; sc->capabilities && i < sc->capabilities->add.n; i++)
		if (str_eqc(sc->capabilities->add.v[i], "CAP_SYS_ADMIN"))
			field_invalid_raw(e, p, text,
				"cannot set `allowPrivilegeEscalation` to false and "
				"`capabilities.Add` "
				"CAP_SYS_ADMIN");
}

void validate_security_context(
	const struct v1_security_context *sc, const struct pod_check *c, const struct field_path *p)
{
	static const char *const mounts[] = {"Default", "Unmasked", NULL};
	struct field_errors *e = c->errs;

	if (!sc)
		return;
	if (sc->privileged && *sc->privileged && !c->opts.allow_privileged)
		field_forbidden(e, AT(p, "privileged"), "disallowed by cluster policy");
	validate_id(sc->run_as_user, AT(p, "runAsUser"), e);
	validate_id(sc->run_as_group, AT(p, "runAsGroup"), e);
	if (sc->proc_mount.p) {
		field_one_of(e, AT(p, "procMount"), sc->proc_mount, mounts);
		if (c->host_users && str_eqc(sc->proc_mount, "Unmasked"))
			field_invalid(e, AT(p, "procMount"), sc->proc_mount,
				"`hostUsers` must be false to use `Unmasked`");
	}
	validate_seccomp(sc->seccomp_profile, AT(p, "seccompProfile"), e);
	validate_escalation(sc, p, e);
	validate_windows_options(sc->windows_options, AT(p, "windowsOptions"), e);
	validate_apparmor(sc->app_armor_profile, AT(p, "appArmorProfile"), e);
}

/* ([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])? */
static bool sysctl_name_matches(struct str s)
{
	bool edge = true; /* the next character begins a segment */

	if (s.n > SYSCTL_MAX_LEN)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool word = (s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9');
		bool ends = i + 1 == s.n || s.p[i + 1] == '.' || s.p[i + 1] == '/';

		if (s.p[i] == '.' || s.p[i] == '/') {
			if (edge || i + 1 == s.n)
				return false;
			edge = true;
			continue;
		}
		if (!word && ((s.p[i] != '-' && s.p[i] != '_') || edge || ends))
			return false;
		edge = false;
	}
	return s.n > 0;
}

/* Dots and slashes may stand for each other: the first of them in the name tells which separates.
 */
static struct str sysctl_normalize(struct arena *a, struct str name)
{
	char *c = arena_cstr(a, name);
	ssize_t dot = str_chr(name, '.'), slash = str_chr(name, '/');

	if (slash < 0 || (dot >= 0 && dot < slash))
		return name;
	for (size_t i = 0; i < name.n; i++)
		c[i] = c[i] == '/' ? '.' : c[i] == '.' ? '/' : c[i];
	return str_n(c, name.n);
}

static bool sysctl_is_ipc(struct str name)
{
	static const char *const names[] = {"kernel.sem", "kernel.shmall", "kernel.shmmax",
		"kernel.shmmni", "kernel.shm_rmid_forced", "kernel.msgmax", "kernel.msgmnb",
		"kernel.msgmni"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(name, names[i]))
			return true;
	return str_starts(name, S("kernel.shm.")) || str_starts(name, S("kernel.msg.")) ||
	       str_starts(name, S("fs.mqueue."));
}

static void validate_host_sysctl(struct str name, const struct v1_pod_spec *spec,
	const struct field_path *p, struct field_errors *e)
{
	struct str normal = sysctl_normalize(e->arena, name);

	if (spec->host_network && str_starts(normal, S("net.")))
		field_invalid(e, p, name, "may not be specified when 'hostNetwork' is true");
	else if (spec->host_ipc && sysctl_is_ipc(normal))
		field_invalid(e, p, name, "may not be specified when 'hostIPC' is true");
}

static void validate_sysctls(const struct pod_check *c, const struct field_path *p)
{
	const struct v1_sysctl_vec *list = &c->spec->security_context->sysctls;
	struct field_errors *e = c->errs;
	struct str_vec seen = {0};

	for (size_t i = 0; i < list->n; i++) {
		struct field_path item = FIELD_INDEX(p, i), at = FIELD(&item, "name");
		struct str name = list->v[i].name;

		if (name.n == 0)
			field_required(e, &at, "");
		else if (!sysctl_name_matches(name))
			field_invalid(e, &at, name,
				"must have at most %d characters and match regex ^(" SYSCTL_SEGMENT
				"[\\./])*" SYSCTL_SEGMENT "$",
				SYSCTL_MAX_LEN);
		else if (str_vec_has(&seen, name))
			field_duplicate(e, &at, name);
		validate_host_sysctl(name, c->spec, &at, e);
		ARENA_PUSH(e->arena, &seen, name);
	}
}

void validate_pod_security_context(const struct pod_check *c, const struct field_path *p)
{
	static const char *const fs_policies[] = {"Always", "OnRootMismatch", NULL};
	static const char *const group_policies[] = {"Merge", "Strict", NULL};
	static const char *const selinux_policies[] = {"MountOption", "Recursive", NULL};
	const struct v1_pod_security_context *sc = c->spec->security_context;
	struct field_path groups = FIELD(p, "supplementalGroups");
	struct field_errors *e = c->errs;

	if (sc) {
		validate_id(sc->fs_group, AT(p, "fsGroup"), e);
		validate_id(sc->run_as_user, AT(p, "runAsUser"), e);
		validate_id(sc->run_as_group, AT(p, "runAsGroup"), e);
		for (size_t i = 0; i < sc->supplemental_groups.n; i++)
			validate_id(&sc->supplemental_groups.v[i], AT_INDEX(&groups, i), e);
	}
	if (c->spec->share_process_namespace && *c->spec->share_process_namespace &&
		c->spec->host_pid)
		field_invalid_raw(e, AT(p, "shareProcessNamespace"), S("true"),
			"ShareProcessNamespace and HostPID cannot both be enabled");
	if (!sc)
		return;
	validate_sysctls(c, AT(p, "sysctls"));
	if (sc->fs_group_change_policy.p)
		field_one_of(
			e, AT(p, "fsGroupChangePolicy"), sc->fs_group_change_policy, fs_policies);
	validate_seccomp(sc->seccomp_profile, AT(p, "seccompProfile"), e);
	validate_windows_options(sc->windows_options, AT(p, "windowsOptions"), e);
	validate_apparmor(sc->app_armor_profile, AT(p, "appArmorProfile"), e);
	if (sc->supplemental_groups_policy.p)
		field_one_of(e, AT(p, "supplementalGroupsPolicy"), sc->supplemental_groups_policy,
			group_policies);
	if (sc->se_linux_change_policy.p)
		field_one_of(e, AT(p, "seLinuxChangePolicy"), sc->se_linux_change_policy,
			selinux_policies);
}
