#include "apiserver/cluster_ips.h"

#include "apiserver/resources/printers.h"
#include "apiserver/resources/service.h"
#include "apiserver/resources/service_books.h"
#include "client/client.h"
#include "client/recorder.h"
#include "schema/time.h"

#define CONTROLLER "kubernetes-service-cidr-controller"
#define MANAGED_BY "ipaddress.kubernetes.io/managed-by"
#define ALLOCATOR "ipallocator.k8s.io"
#define STRATEGIC "application/strategic-merge-patch+json"

enum {
	CALLS_MAX = 64,
	RETRY_MS = 5 * 1000,
	NEW_MS = 60 * 1000, /* upstream's servers make the IPAddress before the Service */
};

struct cluster_ips {
	struct apiserver *s;
	struct loop *loop;
	struct client *client;
	struct recorder *recorder;
	struct store_watch *ranges, *addresses;
	struct loop_timer timer; /* the next look at everything */
	int64_t due_ms;          /* 0: none is planned */
	size_t calls;            /* under way */
	bool held;               /* there was more to do than CALLS_MAX */
	bool told_mismatch, told_not_ready;
};

/* What a call is about. */
struct fix {
	struct cluster_ips *c;
	struct str ns, service; /* to be looked at when it is done; may be empty */
};

static void check_service_of(struct cluster_ips *c, struct str ns, struct str name);

static void look_in(struct cluster_ips *c, int64_t ms)
{
	int64_t due = loop_now_ms(c->loop) + ms;

	if (c->due_ms && c->due_ms <= due)
		return;
	c->due_ms = due;
	loop_timer_start(&c->timer, ms);
}

/* --- writes --- */

static void on_done(struct client_call *call)
{
	struct fix *fix = call->user_data;
	struct cluster_ips *c = fix->c;

	c->calls--;
	if (call->result < 0 && call->result != -EEXIST && call->result != -ENOENT)
		look_in(c, RETRY_MS);
	else if (fix->service.n)
		check_service_of(c, fix->ns, fix->service);
	if (c->held && c->calls == 0) {
		c->held = false;
		look_in(c, 0);
	}
}

/* NULL: there are enough of them; everything will be looked at again. */
static struct client_call *begin_call(struct cluster_ips *c, const char *verb,
	const struct schema_resource *res, struct fix **fix)
{
	struct client_call *call;

	if (c->calls >= CALLS_MAX) {
		c->held = true;
		return NULL;
	}
	call = client_call_new(c->client);
	*fix = ARENA_NEW(&call->arena, struct fix);
	(*fix)->c = c;
	call->verb = verb;
	call->resource = res;
	call->query = S("fieldManager=" CONTROLLER);
	call->done = on_done;
	call->user_data = *fix;
	c->calls++;
	return call;
}

/* --- the default range --- */

struct networking_v1_service_cidr *cluster_ips_default(struct arena *a, const struct apiserver *s)
{
	struct networking_v1_service_cidr *cidr = ARENA_NEW(a, struct networking_v1_service_cidr);
	int first = service_books_primary(s->service_books);

	cidr->metadata.name = S("kubernetes");
	for (int i = 0; i < FAMILIES; i++) {
		int family = i == 0 ? first : FAMILIES - 1 - first;
		struct ip_net net;

		if (!service_books_has(s->service_books, family))
			continue;
		service_books_range(s->service_books, family, &net);
		ARENA_PUSH(a, &cidr->spec.cidrs, ip_net_text(a, &net));
	}
	return cidr;
}

static void create_default(struct cluster_ips *c, struct arena *a)
{
	struct fix *fix;
	struct client_call *call =
		begin_call(c, "create", &networking_v1_service_cidr_resource, &fix);

	if (!call)
		return;
	call->object = cluster_ips_default(a, c->s);
	client_do(c->client, call);
}

static void patch_default(struct cluster_ips *c, const char *subresource, struct str patch)
{
	struct fix *fix;
	struct client_call *call =
		begin_call(c, "patch", &networking_v1_service_cidr_resource, &fix);

	if (!call)
		return;
	call->name = S("kubernetes");
	call->subresource = str_c(subresource);
	call->content_type = STRATEGIC;
	call->body = patch;
	client_do(c->client, call);
}

static const struct meta_v1_condition *ready_condition(
	const struct networking_v1_service_cidr *cidr)
{
	for (size_t i = 0; i < cidr->status.conditions.n; i++)
		if (str_eqc(cidr->status.conditions.v[i].type, "Ready"))
			return &cidr->status.conditions.v[i];
	return NULL;
}

static void set_ready(struct cluster_ips *c, struct arena *a)
{
	struct k8s_time now = time_from_ns(loop_wall_ns(c->loop));
	char text[K8S_TIME_TEXT_MAX];

	k8s_time_format(&now, false, text);
	patch_default(c, "status",
		arena_fmt(a,
			"{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\","
			"\"reason\":\"\",\"message\":\"Kubernetes default Service CIDR is ready\","
			"\"lastTransitionTime\":\"%s\"}]}}",
			text));
}

static void tell_mismatch(struct cluster_ips *c, const struct object *o, struct arena *a,
	const struct str_vec *there, const struct str_vec *ours)
{
	if (c->told_mismatch)
		return;
	c->told_mismatch = true;
	recorder_event_object(c->recorder, o, "Warning", "KubernetesDefaultServiceCIDRInconsistent",
		arena_fmt(a,
			"The default ServiceCIDR [" STR_FMT
			"] does not match the controller flag configurations [" STR_FMT "]",
			STR_ARG(join_list(a, there, " ")), STR_ARG(join_list(a, ours, " "))));
}

static void check_default(struct cluster_ips *c)
{
	const struct object *o = store_get(
		c->s->store, &networking_v1_service_cidr_resource, S(""), S("kubernetes"));
	struct arena a CLEANUP(arena_release) = {0};
	const struct str_vec *ours, *there;
	const struct networking_v1_service_cidr *cidr;
	const struct meta_v1_condition *ready;

	if (!o) {
		create_default(c, &a);
		return;
	}
	cidr = object_decode(object_ref_in(&a, o), &a);
	ours = &cluster_ips_default(&a, c->s)->spec.cidrs;
	there = &cidr->spec.cidrs;
	ready = ready_condition(cidr);
	if (ours->n == 2 && there->n == 1 && str_eq(ours->v[0], there->v[0])) {
		patch_default(c, "",
			arena_fmt(&a, "{\"spec\":{\"cidrs\":[\"" STR_FMT "\",\"" STR_FMT "\"]}}",
				STR_ARG(ours->v[0]), STR_ARG(ours->v[1])));
	} else if (o->deletion_ms) {
		/* its end is the controller's matter */
	} else if (!str_vecs_equal(ours, there)) {
		tell_mismatch(c, o, &a, there, ours);
	} else if (!ready || str_eqc(ready->status, "Unknown")) {
		set_ready(c, &a);
	} else if (str_eqc(ready->status, "False") && !c->told_not_ready) {
		c->told_not_ready = true;
		recorder_event_object(c->recorder, o, "Warning", arena_cstr(&a, ready->reason),
			arena_fmt(&a, "Configuration matches, but " STR_FMT,
				STR_ARG(ready->message)));
	}
	object_unref((struct object *)o);
}

/* --- who has an address --- */

static void create_address(struct cluster_ips *c, const struct object *service,
	const struct v1_service *s, struct str ip)
{
	struct fix *fix;
	struct client_call *call =
		begin_call(c, "create", &networking_v1_ip_address_resource, &fix);

	if (!call)
		return;
	call->object = service_ip_address(&call->arena, s, ip);
	recorder_event_object(c->recorder, service, "Warning", "ClusterIPNotAllocated",
		arena_fmt(&call->arena, "Cluster IP [%s]: " STR_FMT " is not allocated; repairing",
			ip_is_v6_text(ip) ? "IPv6" : "IPv4", STR_ARG(ip)));
	client_do(c->client, call);
}

static void delete_address(
	struct cluster_ips *c, const struct object *o, struct str ns, struct str service)
{
	struct fix *fix;
	struct client_call *call =
		begin_call(c, "delete", &networking_v1_ip_address_resource, &fix);

	if (!call)
		return;
	fix->ns = arena_str(&call->arena, ns);
	fix->service = arena_str(&call->arena, service);
	call->name = o->name;
	call->body = arena_fmt(
		&call->arena, "{\"preconditions\":{\"uid\":\"" STR_FMT "\"}}", STR_ARG(o->uid));
	client_do(c->client, call);
}

static bool refers_to(const struct networking_v1_ip_address *ip, struct str ns, struct str name)
{
	const struct networking_v1_parent_reference *ref = ip->spec.parent_ref;

	return ref && !ref->group.n && str_eqc(ref->resource, "services") &&
	       str_eq(ref->namespace, ns) && str_eq(ref->name, name);
}

/* Whether the Service that the address refers to is there, and has it. */
static bool is_used(struct cluster_ips *c, const struct networking_v1_ip_address *ip, bool *there)
{
	const struct networking_v1_parent_reference *ref = ip->spec.parent_ref;
	struct arena a CLEANUP(arena_release) = {0};
	const struct object *o = NULL;
	bool used;

	*there = false;
	if (ref && !ref->group.n && str_eqc(ref->resource, "services"))
		o = store_get(c->s->store, &v1_service_resource, ref->namespace, ref->name);
	if (!o)
		return false;
	*there = true;
	used = service_uses_ip(object_decode(object_ref_in(&a, o), &a), ip->metadata.name);
	object_unref((struct object *)o);
	return used;
}

static bool is_managed(const struct object *o)
{
	const struct str *by = str_map_get(&o->labels, S(MANAGED_BY));

	return by && str_eqc(*by, ALLOCATOR);
}

static void check_ip(struct cluster_ips *c, const struct object *service,
	const struct v1_service *s, struct str text)
{
	struct arena a CLEANUP(arena_release) = {0};
	const struct networking_v1_ip_address *ip;
	const struct object *o;
	struct ip_addr parsed;
	bool there;

	if (!ip_parse(text, &parsed))
		return; /* "None" */
	text = ip_text(&a, &parsed);
	o = store_get(c->s->store, &networking_v1_ip_address_resource, S(""), text);
	if (!o) {
		create_address(c, service, s, text);
		return;
	}
	ip = object_decode(object_ref_in(&a, o), &a);
	if (refers_to(ip, service->ns, service->name) && !is_managed(o))
		delete_address(c, o, service->ns, service->name);
	else if (!refers_to(ip, service->ns, service->name) && !is_used(c, ip, &there) && !there)
		delete_address(c, o, service->ns, service->name);
	object_unref((struct object *)o);
}

static void check_service(struct cluster_ips *c, const struct object *o)
{
	struct arena a CLEANUP(arena_release) = {0};
	const struct v1_service *s = object_decode(o, &a);

	for (size_t i = 0; service_has_cluster_ip(s) && i < s->spec.cluster_ips.n; i++)
		check_ip(c, o, s, s->spec.cluster_ips.v[i]);
}

static void check_service_of(struct cluster_ips *c, struct str ns, struct str name)
{
	const struct object *o = store_get(c->s->store, &v1_service_resource, ns, name);

	if (o)
		check_service(c, o);
	object_unref((struct object *)o);
}

/* One of ours that nobody has: its Service may be on its way for a minute. */
static void check_address(struct cluster_ips *c, const struct object *o)
{
	struct arena a CLEANUP(arena_release) = {0};
	const struct networking_v1_ip_address *ip = object_decode(o, &a);
	int64_t age_ms =
		loop_wall_ns(c->loop) / 1000000 - ip->metadata.creation_timestamp.sec * 1000;
	bool there;

	if (is_used(c, ip, &there)) {
		if (!is_managed(o))
			delete_address(
				c, o, ip->spec.parent_ref->namespace, ip->spec.parent_ref->name);
		return;
	}
	if (!is_managed(o) || o->deletion_ms)
		return;
	if (age_ms < NEW_MS)
		look_in(c, NEW_MS - age_ms + 1);
	else
		delete_address(c, o, S(""), S(""));
}

/* --- everything, and what happens --- */

static void check_all(struct cluster_ips *c, const struct schema_resource *res,
	void (*check)(struct cluster_ips *c, const struct object *o))
{
	struct snapshot *s = store_snapshot(c->s->store, res);
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while (!c->held && (o = snapshot_next(&it)))
		check(c, o);
	snapshot_unref(s);
}

static void on_address(struct cluster_ips *c, const struct store_event *ev)
{
	struct arena a CLEANUP(arena_release) = {0};
	const struct networking_v1_ip_address *ip;

	if (ev->type != STORE_DELETED) {
		check_address(c, ev->object);
		return;
	}
	ip = object_decode(ev->object, &a);
	if (ip->spec.parent_ref)
		check_service_of(c, ip->spec.parent_ref->namespace, ip->spec.parent_ref->name);
}

/* What was too fast for us is found by looking at everything. */
static void read_events(struct cluster_ips *c, struct store_watch **w)
{
	struct store_event ev;
	int r;

	while ((r = store_watch_next(*w, &ev)) > 0) {
		if (w == &c->addresses)
			on_address(c, &ev);
		else
			check_default(c);
	}
	if (r == 0)
		return;
	store_watch_close(*w);
	*w = NULL;
	look_in(c, 0);
}

static void on_wake(struct store_watch *w, void *user_data)
{
	struct cluster_ips *c = user_data;

	read_events(c, w == c->ranges ? &c->ranges : &c->addresses);
}

static void open_watch(
	struct cluster_ips *c, const struct schema_resource *res, struct store_watch **w)
{
	if (*w)
		return;
	if (store_watch_open(
		    c->s->store, res, store_revision(c->s->store), c->loop, on_wake, c, w) < 0) {
		*w = NULL;
		look_in(c, RETRY_MS);
	} else {
		read_events(c, w);
	}
}

static void look(struct loop_timer *t)
{
	struct cluster_ips *c = container_of(t, struct cluster_ips, timer);

	c->due_ms = 0;
	open_watch(c, &networking_v1_service_cidr_resource, &c->ranges);
	open_watch(c, &networking_v1_ip_address_resource, &c->addresses);
	check_default(c);
	check_all(c, &v1_service_resource, check_service);
	check_all(c, &networking_v1_ip_address_resource, check_address);
}

struct cluster_ips *cluster_ips_start(struct apiserver *s, struct loop *loop)
{
	struct str groups[] = {S("system:masters")};
	const struct user_info user = {.name = S("system:apiserver"), .groups = {groups, 1}};
	struct cluster_ips *c = xcalloc(1, sizeof(*c));

	c->s = s;
	c->loop = loop;
	c->client = client_local_new(loop, s->store, apiserver_handler(s), &user);
	c->recorder = recorder_new(c->client, CONTROLLER, NULL);
	loop_timer_init(&c->timer, loop, look);
	look_in(c, 0);
	return c;
}

void cluster_ips_free(struct cluster_ips *c)
{
	if (!c)
		return;
	loop_timer_stop(&c->timer);
	if (c->ranges)
		store_watch_close(c->ranges);
	if (c->addresses)
		store_watch_close(c->addresses);
	client_free(c->client);
	recorder_free(c->recorder);
	free(c);
}
