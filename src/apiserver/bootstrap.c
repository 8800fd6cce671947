/*
 * bootstrap.c: what must be there before anybody can use the cluster. Each object is created if it
 * is missing; everything is tried again, a little later each time, until all is there.
 */
#include <arpa/inet.h>

#include "apiserver/auth/policy.h"
#include "apiserver/cluster_ips.h"
#include "apiserver/masters.h"
#include "apiserver/resources/node_port_record.h"
#include "client/client.h"
#include "json/write.h"
#include "pki/bootstrap_token.h"
#include "pki/cluster_info.h"

enum { RETRY_MS = 100, RETRY_MAX_MS = 5000 };

struct wanted {
	const struct schema_resource *resource;
	struct str ns, name;
	const void *object;
	bool outdated; /* there, but to be patched */
	bool optional; /* when it is refused, the cluster is none the worse */
};

struct bootstrap {
	struct apiserver *s;
	struct loop *loop;
	struct client *client;
	struct arena arena;
	struct {
		struct wanted *v;
		size_t n;
	} wanted;
	size_t at;
	int64_t delay_ms;
	struct loop_timer retry;
	struct loop_task begin;
	void (*done)(void *);
	void *user_data;
};

static void next(struct bootstrap *b);

/* --- what --- */

static void want(struct bootstrap *b, const struct schema_resource *res, struct str ns,
	struct str name, const void *object)
{
	struct wanted w = {.resource = res, .ns = ns, .name = name, .object = object};

	ARENA_PUSH(&b->arena, &b->wanted, w);
}

static void want_namespace(struct bootstrap *b, const char *name)
{
	struct v1_namespace *n = ARENA_NEW(&b->arena, struct v1_namespace);

	n->metadata.name = str_c(name);
	want(b, &v1_namespace_resource, S(""), n->metadata.name, n);
}

static void want_priority(
	struct bootstrap *b, const char *name, int32_t value, const char *description)
{
	struct scheduling_v1_priority_class *p =
		ARENA_NEW(&b->arena, struct scheduling_v1_priority_class);

	p->metadata.name = str_c(name);
	p->value = value;
	p->description = str_c(description);
	want(b, &scheduling_v1_priority_class_resource, S(""), p->metadata.name, p);
}

/* The first address of the service range: 10.254.0.1 of 10.254.0.0/16, fd00::1 of fd00::/108. */
static struct str first_address(struct arena *a, const char *range)
{
	struct str cidr, net, bits;

	str_cut(str_c(range ? range : "10.254.0.0/16"), ',', &cidr, &bits);
	str_cut(str_trim(cidr), '/', &net, &bits);
	if (str_chr(net, ':') >= 0)
		return arena_fmt(a, STR_FMT "1", STR_ARG(net));
	return arena_fmt(a, STR_FMT ".1", STR_ARG(str_sub(net, 0, (size_t)str_rchr(net, '.'))));
}

static struct str_map labels(struct arena *a, const char *key, const char *value)
{
	struct str_map m = {0};

	ARENA_PUSH(a, &m, ((struct str_pair){str_c(key), str_c(value)}));
	return m;
}

static void want_service(struct bootstrap *b)
{
	struct v1_service *s = ARENA_NEW(&b->arena, struct v1_service);
	struct v1_service_port port = {.name = S("https"), .protocol = S("TCP"), .port = 443};

	s->metadata.name = S("kubernetes");
	s->metadata.labels = labels(&b->arena, "component", "apiserver");
	ARENA_PUSH(&b->arena, &s->metadata.labels,
		((struct str_pair){S("provider"), S("kubernetes")}));
	port.target_port.i = b->s->opts.advertise_port;
	ARENA_PUSH(&b->arena, &s->spec.ports, port);
	s->spec.cluster_ip = first_address(&b->arena, b->s->opts.service_cluster_ip_range);
	ARENA_PUSH(&b->arena, &s->spec.cluster_ips, s->spec.cluster_ip);
	s->spec.type = S("ClusterIP");
	s->spec.session_affinity = S("None");
	want(b, &v1_service_resource, S("default"), S("kubernetes"), s);
}

/* Address number ten of each service range: 10.254.0.10 of 10.254.0.0/16. A machine's address is
 * counted on as a number, whatever the range's prefix. */
static struct str_vec tenth_addresses(struct arena *a, const char *range)
{
	struct str rest = str_c(range ? range : "10.254.0.0/16"), cidr, net, bits;
	struct str_vec out = {0};

	while (rest.n && out.n < 2) {
		unsigned char ip[16];
		char text[INET6_ADDRSTRLEN];
		bool v6;

		str_cut(rest, ',', &cidr, &rest);
		str_cut(str_trim(cidr), '/', &net, &bits);
		v6 = str_chr(net, ':') >= 0;
		if (inet_pton(v6 ? AF_INET6 : AF_INET, arena_cstr(a, net), ip) != 1)
			continue;
		ip[v6 ? 15 : 3] += 10; /* ranges begin at a multiple of sixteen, or have no tenth */
		inet_ntop(v6 ? AF_INET6 : AF_INET, ip, text, sizeof(text));
		ARENA_PUSH(a, &out, arena_strc(a, text));
	}
	return out;
}

/* The cluster's DNS: every node answers at this address itself (src/dns), unless somebody gives the
 * service a selector or endpoints. */
static void want_dns_service(struct bootstrap *b)
{
	struct arena *a = &b->arena;
	struct v1_service *s = ARENA_NEW(a, struct v1_service);
	struct str_vec ips = tenth_addresses(a, b->s->opts.service_cluster_ip_range);
	static const char *const names[] = {"dns", "dns-tcp"}, *const protocols[] = {"UDP", "TCP"};

	if (!ips.n)
		return;
	s->metadata.name = S("kube-dns");
	s->metadata.labels = labels(a, "k8s-app", "kube-dns");
	ARENA_PUSH(a, &s->metadata.labels,
		((struct str_pair){S("kubernetes.io/cluster-service"), S("true")}));
	ARENA_PUSH(
		a, &s->metadata.labels, ((struct str_pair){S("kubernetes.io/name"), S("CoreDNS")}));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct v1_service_port port = {
			.name = str_c(names[i]), .protocol = str_c(protocols[i]), .port = 53};

		port.target_port.i = 53;
		ARENA_PUSH(a, &s->spec.ports, port);
	}
	s->spec.cluster_ip = ips.v[0];
	s->spec.cluster_ips = ips;
	if (ips.n > 1)
		s->spec.ip_family_policy = S("PreferDualStack");
	s->spec.type = S("ClusterIP");
	s->spec.session_affinity = S("None");
	want(b, &v1_service_resource, S("kube-system"), s->metadata.name, s);
	/* the address may be taken, or the range too small for it */
	b->wanted.v[b->wanted.n - 1].optional = true;
}

static void want_endpoints(struct bootstrap *b, struct str address)
{
	const struct str_vec addresses = {&address, 1};
	int32_t port = b->s->opts.advertise_port;

	want(b, &v1_endpoints_resource, S("default"), S("kubernetes"),
		masters_endpoints(&b->arena, &addresses, port));
	want(b, &discovery_v1_endpoint_slice_resource, S("default"), S("kubernetes"),
		masters_slice(&b->arena, &addresses, port));
}

/* What joining machines are told (kubeadm's cluster-info); the bootstrap signer signs it. */
static void want_cluster_info(struct bootstrap *b, const char *address)
{
	const struct apiserver_opts *o = &b->s->opts;
	struct v1_config_map *cm = ARENA_NEW(&b->arena, struct v1_config_map);
	struct str_pair kubeconfig = {S("kubeconfig")};

	if (!o->ca_pem.n)
		return;
	kubeconfig.value = cluster_info_kubeconfig(
		&b->arena, &(struct cluster_info){str_c(address), o->advertise_port, o->ca_pem,
				   str_c(o->cluster_cidr), str_c(o->service_cluster_ip_range)});
	cm->metadata.name = S(CLUSTER_INFO);
	cm->metadata.namespace = S("kube-public");
	ARENA_PUSH(&b->arena, &cm->data, kubeconfig);
	want(b, &v1_config_map_resource, S("kube-public"), cm->metadata.name, cm);
}

/* How we tell clients by their certificates: for servers that ask us who their clients are. */
static void want_client_ca(struct bootstrap *b)
{
	struct v1_config_map *cm = ARENA_NEW(&b->arena, struct v1_config_map);
	struct str_pair ca = {S("client-ca-file"), b->s->opts.client_ca_pem};

	if (!ca.value.n)
		return;
	cm->metadata.name = S("extension-apiserver-authentication");
	cm->metadata.namespace = S("kube-system");
	ARENA_PUSH(&b->arena, &cm->data, ca);
	want(b, &v1_config_map_resource, S("kube-system"), cm->metadata.name, cm);
}

static void fill(struct bootstrap *b)
{
	const char *address = b->s->opts.advertise_address;

	want_namespace(b, "default");
	want_namespace(b, "kube-system");
	want_namespace(b, "kube-public");
	want_namespace(b, "kube-node-lease");
	want_priority(b, "system-node-critical", 2000001000,
		"Used for system critical pods that must not be moved from their current node.");
	want_priority(b, "system-cluster-critical", 2000000000,
		"Used for system critical pods that must run in the cluster, but can be moved to "
		"another node if necessary.");
	want(b, &networking_v1_service_cidr_resource, S(""), S("kubernetes"),
		cluster_ips_default(&b->arena, b->s));
	want_service(b);
	want_dns_service(b);
	if (!address || !b->s->opts.advertise_port)
		return;
	want_client_ca(b);
	want_cluster_info(b, address);
	want_endpoints(b, str_c(address));
}

/* --- how --- */

static void finish(struct bootstrap *b)
{
	void (*done)(void *) = b->done;
	void *user_data = b->user_data;

	if (store_is_shared(b->s->store) && b->s->opts.advertise_address)
		b->s->masters = masters_start(b->s, b->loop);
	if (store_is_shared(b->s->store))
		b->s->node_port_repair =
			node_port_repair_start(b->s->store, b->s->service_books, b->loop);
	b->s->cluster_ips = cluster_ips_start(b->s, b->loop);
	atomic_store(&b->s->bootstrapped, true);
	client_free(b->client);
	arena_release(&b->arena);
	free(b);
	if (done)
		done(user_data);
}

static void try_again(struct bootstrap *b)
{
	loop_timer_start(&b->retry, b->delay_ms);
	b->delay_ms = MIN(b->delay_ms * 2, (int64_t)RETRY_MAX_MS);
}

static void on_retry(struct loop_timer *t)
{
	next(container_of(t, struct bootstrap, retry));
}

static void created(struct client_call *call)
{
	struct bootstrap *b = call->user_data;

	if (call->result < 0 && b->wanted.v[b->at].optional && call->status == 422) {
		log_warn("bootstrap: %s", err_text(&call->err));
	} else if (call->result < 0 && call->result != -EEXIST) {
		if (b->delay_ms == RETRY_MAX_MS)
			log_warn("bootstrap: " STR_FMT ": %s", STR_ARG(b->wanted.v[b->at].name),
				err_text(&call->err));
		try_again(b);
		return;
	}
	b->at++;
	b->delay_ms = RETRY_MS;
	loop_timer_start(&b->retry, 0); /* the client is not freed inside its own callback */
}

/* A cluster-info that a former start wrote and that says what is no longer so (the machine has got
 * another address). One that a person wrote is left alone. */
static bool is_outdated(const struct object *o, const struct wanted *w)
{
	const struct v1_config_map *want = w->object, *there;
	const struct str *was, *now;
	struct arena a = {0};
	bool outdated;

	if (w->resource != &v1_config_map_resource)
		return false;
	there = object_decode(o, &a);
	was = str_map_get(&there->data, S("kubeconfig"));
	now = str_map_get(&want->data, S("kubeconfig"));
	outdated =
		was && now && !str_eq(*was, *now) && str_find(*was, S(CLUSTER_INFO_EXTENSION)) >= 0;
	arena_release(&a);
	return outdated;
}

static bool is_there(struct bootstrap *b, struct wanted *w)
{
	const struct object *o = store_get(b->s->store, w->resource, w->ns, w->name);

	w->outdated = o && is_outdated(o, w);
	object_unref(o);
	return o && !w->outdated;
}

/* {"data": …} of the config map; what others have added stays. */
static void patch_data(struct client_call *call, const struct wanted *w)
{
	const struct v1_config_map *cm = w->object;
	struct buf b;

	buf_init(&b, OBJECT_JSON_MAX);
	buf_add_c(&b, "{\"data\":{");
	for (size_t i = 0; i < cm->data.n; i++) {
		buf_add_c(&b, i ? "," : "");
		json_write_string(&b, cm->data.v[i].key);
		buf_add_c(&b, ":");
		json_write_string(&b, cm->data.v[i].value);
	}
	buf_add_c(&b, "}}");
	call->verb = "patch";
	call->name = w->name;
	call->content_type = "application/merge-patch+json";
	call->object = NULL;
	call->body = arena_str(&call->arena, buf_str(&b));
	buf_release(&b);
}

static void policy_done(void *user_data)
{
	finish(user_data);
}

static void next(struct bootstrap *b)
{
	const struct wanted *w;
	struct client_call *call;

	while (b->at < b->wanted.n && is_there(b, &b->wanted.v[b->at]))
		b->at++;
	if (b->at == b->wanted.n) {
		if (auth_has_mode(b->s->auth, "RBAC"))
			policy_sync(b->client, b->s->store, b->s->opts.node_agents, policy_done, b);
		else
			finish(b);
		return;
	}
	w = &b->wanted.v[b->at];
	call = client_call_new(b->client);
	call->verb = "create";
	call->resource = w->resource;
	call->ns = w->ns;
	call->object = w->object;
	call->done = created;
	call->user_data = b;
	if (w->outdated)
		patch_data(call, w);
	client_do(b->client, call);
}

static void begin(struct loop_task *t)
{
	struct bootstrap *b = container_of(t, struct bootstrap, begin);
	struct str groups[] = {S("system:masters")};
	const struct user_info user = {.name = S("system:apiserver"), .groups = {groups, 1}};

	loop_timer_init(&b->retry, b->loop, on_retry);
	b->client = client_local_new(b->loop, b->s->store, apiserver_handler(b->s), &user);
	next(b);
}

void apiserver_bootstrap(
	struct apiserver *s, struct loop *loop, void (*done)(void *), void *user_data)
{
	struct bootstrap *b = xcalloc(1, sizeof(*b));

	atomic_store(&s->bootstrapped, false);
	arena_init(&b->arena);
	b->s = s;
	b->loop = loop;
	b->done = done;
	b->user_data = user_data;
	b->delay_ms = RETRY_MS;
	fill(b);
	b->begin.fn = begin;
	loop_post(loop, &b->begin);
}
