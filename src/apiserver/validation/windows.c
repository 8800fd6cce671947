/* windows.c: what a pod may say about the operating system of its node. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

enum { GMSA_MAX_KIB = 64, DOMAIN_MAX_LEN = 256, USER_MAX_LEN = 104 };

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

static bool has_any(struct str s, const char *chars)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] && strchr(chars, s.p[i]))
			return true;
	return false;
}

static bool is_netbios(struct str s)
{
	return s.n >= 1 && s.n <= 15 && s.p[0] != '.' && !has_any(s, "\\/:*?\"<>|");
}

static bool is_dns_domain(struct arena *a, struct str s)
{
	return is_dns1123_subdomain_caseless(a, s).n == 0;
}

static void validate_user_name(struct str name, const struct field_path *p, struct field_errors *e)
{
	struct str domain, user, rest;
	bool has_domain = str_cut(name, '\\', &domain, &user);

	if (name.n == 0) {
		field_invalid(e, p, name, "runAsUserName cannot be an empty string");
		return;
	}
	if (has_control(name)) {
		field_invalid(e, p, name, "runAsUserName cannot contain control characters");
		return;
	}
	if (has_domain && str_cut(user, '\\', &rest, &rest)) {
		field_invalid(e, p, name, "runAsUserName cannot contain more than one backslash");
		return;
	}
	if (!has_domain)
		user = name;
	else if (domain.n >= DOMAIN_MAX_LEN)
		field_invalid(e, p, name,
			"runAsUserName's Domain length must be under %d characters",
			DOMAIN_MAX_LEN);
	if (has_domain && !is_netbios(domain) && !is_dns_domain(e->arena, domain))
		field_invalid(e, p, name,
			"runAsUserName's Domain doesn't match the NetBios nor the DNS format");
	if (user.n == 0)
		field_invalid(e, p, name, "runAsUserName's User cannot be empty");
	else if (user.n > USER_MAX_LEN)
		field_invalid(e, p, name,
			"runAsUserName's User length must not be longer than %d characters",
			USER_MAX_LEN);
	if (user.n && strspn(arena_cstr(e->arena, user), ". ") == user.n)
		field_invalid(
			e, p, name, "runAsUserName's User cannot contain only periods or spaces");
	if (has_any(user, "\"/\\:;|=,+*?<>@[]"))
		field_invalid(e, p, name,
			"runAsUserName's User cannot contain the following characters: "
			"\"/\\:;|=,+*?<>@[]");
}

void validate_windows_options(const struct v1_windows_security_context_options *w,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path spec = FIELD(p, "gmsaCredentialSpec");

	if (!w)
		return;
	if (w->gmsa_credential_spec_name.p)
		validate_dns1123_subdomain(
			w->gmsa_credential_spec_name, AT(p, "gmsaCredentialSpecName"), e);
	if (w->gmsa_credential_spec.p && w->gmsa_credential_spec.n == 0)
		field_invalid(e, &spec, w->gmsa_credential_spec,
			"gmsaCredentialSpec cannot be an empty string");
	else if (w->gmsa_credential_spec.n > GMSA_MAX_KIB * 1024)
		field_invalid(e, &spec, w->gmsa_credential_spec,
			"gmsaCredentialSpec size must be under %d KiB", GMSA_MAX_KIB);
	if (w->run_as_user_name.p)
		validate_user_name(w->run_as_user_name, AT(p, "runAsUserName"), e);
}

struct host_process {
	const bool *pod;
	size_t containers, host;
	struct field_errors *e;
};

static void count_host_process(
	const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	struct host_process *h = user_data;
	const struct v1_security_context *sc = ctr->security_context;
	const bool *own = sc && sc->windows_options ? sc->windows_options->host_process : NULL;
	struct field_path context = FIELD(p, "securityContext"),
			  win = FIELD(&context, "windowsOptions");

	h->containers++;
	if (h->pod && own && *h->pod != *own)
		field_invalid_raw(h->e, AT(&win, "hostProcess"), *own ? S("true") : S("false"),
			"pod hostProcess value must be identical if both are specified, was %s",
			*h->pod ? "true" : "false");
	h->host += own ? *own : h->pod && *h->pod;
}

void validate_windows_host_process(const struct pod_check *c, const struct field_path *spec_path)
{
	const struct v1_pod_security_context *sc = c->spec->security_context;
	struct host_process h = {.e = c->errs};

	if (sc && sc->windows_options)
		h.pod = sc->windows_options->host_process;
	each_container(c->spec, spec_path, count_host_process, &h);
	if (h.host == 0)
		return;
	if (h.host != h.containers)
		field_invalid(c->errs, spec_path, S(""),
			"If pod contains any hostProcess containers then all containers must be "
			"HostProcess containers");
	if (!c->spec->host_network)
		field_invalid_raw(c->errs, AT(spec_path, "hostNetwork"), S("false"),
			"hostNetwork must be true if pod contains any hostProcess containers");
	if (!c->opts.allow_privileged)
		field_forbidden(c->errs, spec_path,
			"hostProcess containers are disallowed by cluster policy");
}

static void linux_container(
	const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	struct field_path sc = FIELD(p, "securityContext");

	if (ctr->security_context && ctr->security_context->windows_options)
		field_forbidden(user_data, AT(&sc, "windowsOptions"),
			"windows options cannot be set for a linux pod");
}

static void forbid(bool present, const struct field_path *p, struct field_errors *e)
{
	if (present)
		field_forbidden(e, p, "cannot be set for a windows pod");
}

static void windows_container(
	const struct v1_container *ctr, const struct field_path *p, void *user_data)
{
	const struct v1_security_context *sc = ctr->security_context;
	struct field_path at = FIELD(p, "securityContext");
	struct field_errors *e = user_data;

	if (!sc)
		return;
	forbid(sc->app_armor_profile, AT(&at, "appArmorProfile"), e);
	forbid(sc->se_linux_options, AT(&at, "seLinuxOptions"), e);
	forbid(sc->seccomp_profile, AT(&at, "seccompProfile"), e);
	forbid(sc->capabilities, AT(&at, "capabilities"), e);
	forbid(sc->read_only_root_filesystem, AT(&at, "readOnlyRootFilesystem"), e);
	forbid(sc->privileged, AT(&at, "privileged"), e);
	forbid(sc->allow_privilege_escalation, AT(&at, "allowPrivilegeEscalation"), e);
	forbid(sc->proc_mount.p, AT(&at, "procMount"), e);
	forbid(sc->run_as_user, AT(&at, "runAsUser"), e);
	forbid(sc->run_as_group, AT(&at, "runAsGroup"), e);
}

static void validate_windows(
	const struct v1_pod_spec *spec, const struct field_path *p, struct field_errors *e)
{
	static const struct v1_pod_security_context none;
	const struct v1_pod_security_context *sc =
		spec->security_context ? spec->security_context : &none;
	struct field_path at = FIELD(p, "securityContext");

	forbid(sc->app_armor_profile, AT(&at, "appArmorProfile"), e);
	forbid(sc->se_linux_options, AT(&at, "seLinuxOptions"), e);
	forbid(spec->host_users, AT(p, "hostUsers"), e);
	forbid(spec->host_pid, AT(p, "hostPID"), e);
	forbid(spec->host_ipc, AT(p, "hostIPC"), e);
	forbid(sc->seccomp_profile, AT(&at, "seccompProfile"), e);
	forbid(sc->fs_group, AT(&at, "fsGroup"), e);
	forbid(sc->fs_group_change_policy.p, AT(&at, "fsGroupChangePolicy"), e);
	forbid(sc->sysctls.n > 0, AT(&at, "sysctls"), e);
	forbid(spec->share_process_namespace, AT(p, "shareProcessNamespace"), e);
	forbid(sc->run_as_user, AT(&at, "runAsUser"), e);
	forbid(sc->run_as_group, AT(&at, "runAsGroup"), e);
	forbid(sc->supplemental_groups.v, AT(&at, "supplementalGroups"), e);
	forbid(sc->supplemental_groups_policy.p, AT(&at, "supplementalGroupsPolicy"), e);
	forbid(sc->se_linux_change_policy.p, AT(&at, "seLinuxChangePolicy"), e);
	each_container(spec, p, windows_container, e);
}

void validate_pod_os(const struct pod_check *c, const struct field_path *spec_path)
{
	static const char *const names[] = {"linux", "windows", NULL};
	const struct v1_pod_security_context *sc = c->spec->security_context;
	struct field_path p = FIELD(spec_path, "os"), at = FIELD(spec_path, "securityContext");

	if (!c->spec->os)
		return;
	if (c->spec->os->name.n == 0) {
		field_required(c->errs, AT(&p, "name"), "");
	} else if (!field_one_of(c->errs, &p, c->spec->os->name, names)) {
		return;
	} else if (str_eqc(c->spec->os->name, "windows")) {
		validate_windows(c->spec, spec_path, c->errs);
	} else {
		if (sc && sc->windows_options)
			field_forbidden(c->errs, AT(&at, "windowsOptions"),
				"windows options cannot be set for a linux pod");
		each_container(c->spec, spec_path, linux_container, c->errs);
	}
}
