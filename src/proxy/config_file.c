/* config_file.c: KubeProxyConfiguration, kubeproxy.config.k8s.io/v1alpha1. */
#include "base/file.h"
#include "base/flags.h"
#include "json/value.h"
#include "proxy/config.h"
#include "schema/schema.h"

enum { FILE_MAX = 1 << 20 };

struct loader {
	struct proxy_config *c;
	struct err *err;
};

struct field {
	const char *path; /* "nftables.masqueradeAll"; ends with '.': a struct of fields */
	int (*set)(struct loader *l, const struct json_value *v, const struct field *f);
	size_t offset; /* in struct proxy_config, for the simple ones */
};

static int wrong(struct loader *l, const struct field *f, const char *what)
{
	return err_bad_request(l->err, "%s: must be %s", f->path, what);
}

static int set_str(struct loader *l, const struct json_value *v, const struct field *f)
{
	if (v->kind != JSON_STRING)
		return wrong(l, f, "a string");
	if (v->text.n) /* "" means the default */
		*(struct str *)((char *)l->c + f->offset) = arena_str(&l->c->arena, v->text);
	return 0;
}

static int set_bool(struct loader *l, const struct json_value *v, const struct field *f)
{
	if (v->kind != JSON_BOOL)
		return wrong(l, f, "true or false");
	*(bool *)((char *)l->c + f->offset) = v->boolean;
	return 0;
}

static int set_mode(struct loader *l, const struct json_value *v, const struct field *f)
{
	return v->kind != JSON_STRING ? wrong(l, f, "a string")
				      : proxy_config_set_mode(l->c, v->text, l->err);
}

static int set_detect(struct loader *l, const struct json_value *v, const struct field *f)
{
	return v->kind != JSON_STRING ? wrong(l, f, "a string")
				      : proxy_config_set_detect(l->c, v->text, l->err);
}

static int set_cidr(struct loader *l, const struct json_value *v, const struct field *f)
{
	return v->kind != JSON_STRING ? wrong(l, f, "a string")
				      : proxy_config_set_cluster_cidr(l->c, v->text, l->err);
}

static int set_node_ports(struct loader *l, const struct json_value *v, const struct field *f)
{
	int r = v->kind == JSON_ARRAY ? 0 : wrong(l, f, "a list of strings");

	for (size_t i = 0; r == 0 && i < v->items.n; i++)
		r = v->items.v[i]->kind != JSON_STRING
			    ? wrong(l, f, "a list of strings")
			    : proxy_config_add_node_port_address(l->c, v->items.v[i]->text, l->err);
	return r;
}

static int set_kubeconfig(struct loader *l, const struct json_value *v, const struct field *f)
{
	if (v->kind != JSON_STRING)
		return wrong(l, f, "a string");
	if (v->text.n)
		l->c->kubeconfig = arena_cstr(&l->c->arena, v->text);
	return 0;
}

static int set_period(struct loader *l, const struct json_value *v, const struct field *f)
{
	int64_t ms;

	if (v->kind != JSON_STRING || duration_parse(v->text, &ms) < 0)
		return wrong(l, f, "a duration such as 30s");
	if (ms)
		l->c->sync_period_ms = ms;
	return 0;
}

/* Of a mode's own settings those of the mode chosen count. */
static bool of_this_mode(struct loader *l, const struct field *f)
{
	return str_starts(str_c(f->path), S("nftables.")) == (l->c->mode == PROXY_NFTABLES);
}

static int set_mode_bit(struct loader *l, const struct json_value *v, const struct field *f)
{
	int64_t n;

	if (v->kind != JSON_NUMBER || str_to_i64(v->text, &n) < 0)
		return wrong(l, f, "a whole number");
	if (of_this_mode(l, f))
		l->c->masquerade_bit = n < INT32_MIN || n > INT32_MAX ? -1 : (int)n;
	return 0;
}

static int set_mode_bool(struct loader *l, const struct json_value *v, const struct field *f)
{
	return of_this_mode(l, f) ? set_bool(l, v, f) : 0;
}

static int set_mode_period(struct loader *l, const struct json_value *v, const struct field *f)
{
	return of_this_mode(l, f) ? set_period(l, v, f) : 0;
}

/* The interface that goes with the mode. */
static int set_interface(struct loader *l, const struct json_value *v, const struct field *f)
{
	enum proxy_detect mode = str_ends(str_c(f->path), S("bridgeInterface"))
					 ? PROXY_DETECT_BRIDGE
					 : PROXY_DETECT_PREFIX;

	return l->c->detect == mode ? set_str(l, v, f) : 0;
}

static int accepted(struct loader *l, const struct json_value *v, const struct field *f)
{
	return 0; /* says nothing to this proxy */
}

#define AT(member) offsetof(struct proxy_config, member)
static const struct field fields[] = {
	{"mode", set_mode}, /* first: others depend on it */
	{"apiVersion", accepted},
	{"kind", accepted},
	{"clientConnection.kubeconfig", set_kubeconfig},
	{"clientConnection.acceptContentTypes", accepted},
	{"clientConnection.contentType", accepted},
	{"clientConnection.qps", accepted},
	{"clientConnection.burst", accepted},
	{"hostnameOverride", set_str, AT(node_name)},
	{"bindAddress", set_str, AT(bind_address)},
	{"healthzBindAddress", set_str, AT(healthz_address)},
	{"metricsBindAddress", set_str, AT(metrics_address)},
	{"bindAddressHardFail", set_bool, AT(bind_hard_fail)},
	{"clusterCIDR", set_cidr},
	{"detectLocalMode", set_detect},
	{"detectLocal.bridgeInterface", set_interface, AT(interface)},
	{"detectLocal.interfaceNamePrefix", set_interface, AT(interface)},
	{"nodePortAddresses", set_node_ports},
	{"iptables.masqueradeBit", set_mode_bit},
	{"iptables.masqueradeAll", set_mode_bool, AT(masquerade_all)},
	{"iptables.localhostNodePorts", set_mode_bool, AT(localhost_node_ports)},
	{"iptables.syncPeriod", set_mode_period},
	{"iptables.minSyncPeriod", accepted},
	{"nftables.masqueradeBit", set_mode_bit},
	{"nftables.masqueradeAll", set_mode_bool, AT(masquerade_all)},
	{"nftables.syncPeriod", set_mode_period},
	{"nftables.minSyncPeriod", accepted},
	{"conntrack.maxPerCore", accepted},
	{"conntrack.min", accepted},
	{"conntrack.tcpEstablishedTimeout", accepted},
	{"conntrack.tcpCloseWaitTimeout", accepted},
	{"conntrack.tcpBeLiberal", accepted},
	{"conntrack.udpTimeout", accepted},
	{"conntrack.udpStreamTimeout", accepted},
	{"ipvs.", accepted},
	{"winkernel.", accepted},
	{"logging.", accepted},
	{"featureGates.", accepted},
	{"enableProfiling", accepted},
	{"showHiddenMetricsForVersion", accepted},
	{"oomScoreAdj", accepted},
	{"configSyncPeriod", accepted},
	{"portRange", accepted},
	{"windowsRunAsService", accepted},
};

static const struct json_value *at_path(const struct json_value *root, const char *path)
{
	struct str rest = str_c(path), part;

	while (root && rest.n) {
		str_cut(rest, '.', &part, &rest);
		root = json_get(root, part);
	}
	return root && root->kind != JSON_NULL ? root : NULL;
}

/* Whether there is a field of this name, or one below it. */
static bool is_known(struct str path, bool *ret_has_parts)
{
	*ret_has_parts = false;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		struct str f = str_c(fields[i].path);

		if (str_eq(f, path) ||
			(f.n == path.n + 1 && str_starts(f, path) && f.p[path.n] == '.'))
			return true;
		if (f.n > path.n && str_starts(f, path) && f.p[path.n] == '.') {
			*ret_has_parts = true;
			return true;
		}
	}
	return false;
}

static int check_names(struct loader *l, const struct json_value *v, struct str prefix)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->members.n; i++) {
		const struct json_member *m = &v->members.v[i];
		struct str path = arena_fmt(&l->c->arena, STR_FMT "%s" STR_FMT, STR_ARG(prefix),
			prefix.n ? "." : "", STR_ARG(m->key));
		bool parts;

		if (!is_known(path, &parts))
			return err_bad_request(
				l->err, "unknown field \"" STR_FMT "\"", STR_ARG(path));
		if (parts)
			r = check_names(l, m->value, path);
	}
	return r;
}

static int load(struct loader *l, struct str yaml)
{
	struct json_value *root;
	struct str json;
	int r = yaml_to_json(yaml, &l->c->arena, &json, NULL, l->err);

	if (r == 0)
		r = json_parse(json, &l->c->arena, &root, l->err);
	if (r < 0)
		return r;
	if (!str_eqc(json_get_str(root, "apiVersion"), "kubeproxy.config.k8s.io/v1alpha1") ||
		!str_eqc(json_get_str(root, "kind"), "KubeProxyConfiguration"))
		return err_bad_request(
			l->err, "not a KubeProxyConfiguration of kubeproxy.config.k8s.io/v1alpha1");
	r = check_names(l, root, (struct str){0});
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fields); i++) {
		const struct json_value *v = at_path(root, fields[i].path);

		if (v)
			r = fields[i].set(l, v, &fields[i]);
	}
	return r;
}

int proxy_config_load(struct proxy_config *c, const char *path, struct err *err)
{
	struct err inner CLEANUP(err_release) = {0};
	struct loader l = {c, &inner};
	struct str text;
	int r = file_read(path, FILE_MAX, &c->arena, &text, &inner);

	if (r == 0)
		r = load(&l, text);
	if (r < 0)
		return err_bad_request(err, "%s: %s", path, err_text(&inner));
	return 0;
}
