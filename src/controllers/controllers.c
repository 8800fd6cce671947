/* controllers.c: which planners run, as whom, with which options. */
#include <netinet/in.h>

#include "controllers/controllers.h"

#include "controllers/cidr.h"
#include "controllers/executor.h"
#include "controllers/metrics.h"
#include "types.gen.h"

enum { CLIENTS_MAX = 64 };

struct controllers {
	struct controllers_opts opts;
	struct arena arena; /* the options' strings */
	struct executor *executor;
	struct client *clients[CLIENTS_MAX]; /* [0] reads */
	size_t n_clients;
	bool synced;
};

/* --controllers: "*" all, "foo" this one, "-foo" not this one; what is said of a name goes before
 * "*". */
static bool is_enabled(struct str list, struct str name)
{
	bool star = false;

	while (!str_empty(list)) {
		struct str entry;

		str_cut(list, ',', &entry, &list);
		if (str_eq(entry, name))
			return true;
		if (entry.n > 1 && entry.p[0] == '-' && str_eq(str_sub(entry, 1, entry.n), name))
			return false;
		star |= str_eq(entry, S("*"));
	}
	return star;
}

static bool is_known(struct str name)
{
	for (size_t i = 0; planners[i]; i++)
		if (str_eqc(name, planners[i]->name))
			return true;
	return false;
}

/* Upstream's controllers that have no counterpart here are accepted, so that a command line can be
 * taken over. */
static bool is_upstreams(struct str name)
{
	static const char *const names[] = {"horizontal-pod-autoscaler-controller",
		"disruption-controller", "job-controller", "cronjob-controller",
		"resourcequota-controller", "ttl-controller", "service-lb-controller",
		"node-route-controller", "cloud-node-lifecycle-controller",
		"persistentvolume-binder-controller", "persistentvolume-attach-detach-controller",
		"persistentvolume-expander-controller",
		"persistentvolumeclaim-protection-controller",
		"persistentvolume-protection-controller", "ttl-after-finished-controller",
		"ephemeral-volume-controller", "endpointslice-mirroring-controller",
		"serviceaccount-token-controller", "legacy-serviceaccount-token-cleaner-controller",
		"validatingadmissionpolicy-status-controller", "service-cidr-controller",
		"resourceclaim-controller", "device-taint-eviction-controller",
		"volumeattributesclass-protection-controller",
		"storage-version-migrator-controller", "selinux-warning-controller",
		"podcertificaterequest-cleaner-controller",
		"kube-apiserver-serving-clustertrustbundle-publisher-controller"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(name, names[i]))
			return true;
	return false;
}

static int check_list(struct str list, struct err *err)
{
	while (!str_empty(list)) {
		struct str entry, name;

		str_cut(list, ',', &entry, &list);
		name = entry.n && entry.p[0] == '-' ? str_sub(entry, 1, entry.n) : entry;
		if (!str_eq(entry, S("*")) && !is_known(name) && !is_upstreams(name))
			return err_bad_request(err,
				"\"" STR_FMT "\" is not in the list of known controllers",
				STR_ARG(name));
	}
	return 0;
}

int controllers_check(const struct controllers_opts *opts, struct err *err)
{
	struct cidr ranges[CIDRS_MAX];
	int r = opts->controllers ? check_list(str_c(opts->controllers), err) : 0;

	if (r == 0 && opts->cluster_cidr)
		r = cidrs_parse(str_c(opts->cluster_cidr), ranges, err);
	for (int i = 0, n = r; i < n && r >= 0; i++) {
		bool v4 = ranges[i].family == AF_INET;
		int bits = v4 ? opts->node_cidr_mask_ipv4 : opts->node_cidr_mask_ipv6;

		r = cidr_check_mask(&ranges[i], bits ? bits : v4 ? 24 : 64, err);
	}
	return r < 0 ? r : 0;
}

static void copy_opts(struct controllers *c, const struct controllers_opts *opts)
{
	struct controllers_opts *o = &c->opts;

	*o = *opts;
	o->controllers = arena_cstr(&c->arena, str_c(opts->controllers ? opts->controllers : "*"));
	o->cluster_cidr = arena_cstr(
		&c->arena, str_c(opts->cluster_cidr ? opts->cluster_cidr : "10.244.0.0/16"));
	o->service_cidr =
		opts->service_cidr ? arena_cstr(&c->arena, str_c(opts->service_cidr)) : NULL;
	o->root_ca_pem = arena_str(&c->arena, opts->root_ca_pem);
	for (int i = 0; i < SIGNERS; i++) {
		o->signing[i].cert_pem = arena_str(&c->arena, opts->signing[i].cert_pem);
		o->signing[i].key_pem = arena_str(&c->arena, opts->signing[i].key_pem);
	}
	if (!o->node_cidr_mask_ipv4)
		o->node_cidr_mask_ipv4 = 24;
	if (!o->node_cidr_mask_ipv6)
		o->node_cidr_mask_ipv6 = 64;
	if (!o->node_monitor_grace_ms)
		o->node_monitor_grace_ms = 50 * 1000;
	if (!o->node_startup_grace_ms)
		o->node_startup_grace_ms = 60 * 1000;
	if (!o->terminated_pod_gc_threshold)
		o->terminated_pod_gc_threshold = 12500;
}

static struct client *add_client(struct controllers *c, const char *user)
{
	struct client *client = c->opts.client_for(c->opts.user_data, user);

	assert(c->n_clients < CLIENTS_MAX);
	if (client)
		c->clients[c->n_clients++] = client;
	return client;
}

static void synced(void *user_data)
{
	struct controllers *c = user_data;

	c->synced = true;
	executor_run(c->executor);
}

static void start_planners(struct controllers *c)
{
	c->executor = executor_new(c->clients[0], &c->opts);
	for (size_t i = 0; planners[i]; i++) {
		const struct planner *p = planners[i];

		if (!is_enabled(str_c(c->opts.controllers), str_c(p->name)) ||
			(p->wanted && !p->wanted(&c->opts)))
			continue;
		char *user = xasprintf("system:serviceaccount:kube-system:%s", p->user);
		struct client *writer = add_client(c, user);

		free(user);
		executor_add(c->executor, p, writer ? writer : c->clients[0]);
	}
	for (size_t i = 1; i < c->n_clients; i++)
		client_start(c->clients[i], NULL, NULL);
	client_start(c->clients[0], synced, c);
}

int controllers_start(
	const struct controllers_opts *opts, struct controllers **ret, struct err *err)
{
	struct controllers *c = xcalloc(1, sizeof(*c));
	int r;

	arena_init(&c->arena);
	copy_opts(c, opts);
	r = controllers_check(&c->opts, err);
	if (r >= 0 && !add_client(c, "system:kube-controller-manager"))
		r = err_internal(err, "controllers: there is no client");
	if (r < 0) {
		controllers_stop(c);
		return r;
	}
	start_planners(c);
	*ret = c;
	return 0;
}

const char *controllers_running(const struct controllers *c, size_t i)
{
	return executor_planner(c->executor, i);
}

void controllers_write_metrics(struct controllers *c, struct buf *out)
{
	struct snapshot *nodes;

	if (!c->synced)
		return;
	executor_write_metrics(c->executor, out);
	nodes = client_snapshot(c->clients[0], &v1_node_resource);
	node_zones_write(nodes, out);
	snapshot_unref(nodes);
}

bool controllers_synced(const struct controllers *c)
{
	return c->synced;
}

void controllers_stop(struct controllers *c)
{
	if (!c)
		return;
	/* The one that reads may be in use by the others' calls: it goes last. */
	while (c->n_clients > 0)
		client_free(c->clients[--c->n_clients]);
	executor_free(c->executor);
	arena_release(&c->arena);
	free(c);
}
