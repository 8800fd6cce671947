/*
 * proxy_subresource.c: subresources that something else answers: a node's kubelet (log, exec,
 * attach, portforward, nodes/proxy), a pod (pods/proxy) or the pods of a service (services/proxy).
 * Which container, which address: registry/core/{pod,node,service}/strategy.
 */
#include "apiserver/decode.h"
#include "apiserver/options.h"
#include "apiserver/relay.h"
#include "apiserver/subresource.h"
#include "apiserver/validation/ip.h"
#include "schema/time.h"

enum { TARGET_MAX = 1024 * 1024 };

/* --- percent-encoding --- */

static void escape(struct buf *b, struct str s, const char *keep)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || (c && strchr("-_.~", c));

		if (plain || (c && strchr(keep, c)))
			buf_add_char(b, (char)c);
		else
			buf_fmt(b, "%%%02X", c);
	}
}

static void add_param(struct buf *b, const char *name, struct str value)
{
	buf_fmt(b, "%s%s=", b->n && memchr(b->p, '?', b->n) ? "&" : "?", name);
	escape(b, value, "");
}

static struct str take(struct request *r, struct buf *b)
{
	struct str s = arena_str(r->arena, buf_str(b));

	buf_release(b);
	return s;
}

/* --- the pod and its kubelet --- */

static int get_pod(struct request *r, struct str name, const struct v1_pod **ret, struct err *err)
{
	const struct object *o = store_get(r->s->store, &v1_pod_resource, r->ctx.ns, name);

	if (!o)
		return err_not_found(err, S(""), S("pods"), name);
	*ret = object_decode(object_ref_in(r->arena, o), r->arena);
	object_unref(o);
	return 0;
}

static struct str names_of(struct arena *a, const struct v1_container_vec *v)
{
	struct str s = S("");

	for (size_t i = 0; i < v->n; i++)
		s = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(s), i ? " " : "", STR_ARG(v->v[i].name));
	return s;
}

static bool has_container(const struct v1_pod *pod, struct str name)
{
	const struct v1_container_vec *lists[] = {
		&pod->spec.containers, &pod->spec.init_containers};

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		for (size_t i = 0; i < lists[l]->n; i++)
			if (str_eq(lists[l]->v[i].name, name))
				return true;
	for (size_t i = 0; i < pod->spec.ephemeral_containers.n; i++)
		if (str_eq(pod->spec.ephemeral_containers.v[i].name, name))
			return true;
	return false;
}

static int choose_container(
	struct request *r, const struct v1_pod *pod, struct str *ret, struct err *err)
{
	struct str name = query_get(&r->query, "container"), pod_name = pod->metadata.name;
	struct str init = names_of(r->arena, &pod->spec.init_containers);

	if (name.n && !has_container(pod, name))
		return err_bad_request(err, "container " STR_FMT " is not valid for pod " STR_FMT,
			STR_ARG(name), STR_ARG(pod_name));
	if (!name.n && pod->spec.containers.n == 1)
		name = pod->spec.containers.v[0].name;
	if (!name.n && !pod->spec.containers.n)
		return err_bad_request(err, "a container name must be specified for pod " STR_FMT,
			STR_ARG(pod_name));
	if (!name.n)
		return err_bad_request(err,
			"a container name must be specified for pod " STR_FMT
			", choose one of: [" STR_FMT "]%s" STR_FMT "%s",
			STR_ARG(pod_name), STR_ARG(names_of(r->arena, &pod->spec.containers)),
			init.n ? " or one of the init containers: [" : "", STR_ARG(init),
			init.n ? "]" : "");
	*ret = name;
	return 0;
}

static struct str host_text(struct arena *a, struct str address)
{
	if (str_chr(address, ':') >= 0)
		return arena_fmt(a, "[" STR_FMT "]", STR_ARG(address));
	return address;
}

int kubelet_url(struct request *r, struct str node_name, struct str *ret, struct err *err)
{
	const struct object *o = store_get(r->s->store, &v1_node_resource, S(""), node_name);
	const struct v1_node *node;
	struct str address = S("");
	int port;

	if (!o)
		return err_not_found(err, S(""), r->info.resource, node_name);
	node = object_decode(object_ref_in(r->arena, o), r->arena);
	object_unref(o);
	for (size_t i = 0; i < node->status.addresses.n; i++)
		if (!address.n && str_eqc(node->status.addresses.v[i].type, "InternalIP"))
			address = node->status.addresses.v[i].address;
	if (!address.n)
		return err_fmt(err, 500, "", "no preferred addresses found; known addresses: []");
	port = node->status.daemon_endpoints.kubelet_endpoint.port;
	*ret = arena_fmt(r->arena, "https://" STR_FMT ":%d", STR_ARG(host_text(r->arena, address)),
		port ? port : r->s->opts.kubelet_port);
	return 0;
}

/* --- log --- */

struct log_options {
	struct str tail, since_s, since, limit; /* as sent; p == NULL: not given */
	bool follow, previous, timestamps;
};

static int check_number(struct request *r, const char *name, int64_t min, struct field_errors *errs,
	struct str *ret, struct err *err)
{
	struct field_path path = {.name = str_c(name)};
	int64_t v;

	*ret = query_get(&r->query, name);
	if (!ret->p)
		return 0;
	if (str_to_i64(*ret, &v) < 0)
		return err_bad_request(err, "strconv.ParseInt: parsing " STR_FMT ": invalid syntax",
			STR_ARG(go_quote(r->arena, *ret)));
	if (v < min)
		field_invalid_int(errs, &path, v,
			min ? "must be greater than 0" : "must be greater than or equal to 0");
	return 0;
}

static int read_log_options(struct request *r, struct log_options *o, struct err *err)
{
	struct field_errors errs = {.arena = r->arena};
	struct field_path both = {.is_key = true}, stream = FIELD(NULL, "stream");
	struct k8s_time since;

	o->follow = query_bool(&r->query, "follow");
	o->previous = query_bool(&r->query, "previous");
	o->timestamps = query_bool(&r->query, "timestamps");
	o->since = query_get(&r->query, "sinceTime");
	if (o->since.n && k8s_time_parse(o->since, false, &since, err) < 0)
		return -EINVAL;
	if (check_number(r, "tailLines", 0, &errs, &o->tail, err) < 0 ||
		check_number(r, "limitBytes", 1, &errs, &o->limit, err) < 0)
		return -EINVAL;
	if (o->since.n && query_has(&r->query, "sinceSeconds"))
		field_forbidden(&errs, &both,
			"at most one of `sinceTime` or `sinceSeconds` may be specified");
	if (check_number(r, "sinceSeconds", 1, &errs, &o->since_s, err) < 0)
		return -EINVAL;
	if (query_get(&r->query, "stream").n)
		field_forbidden(&errs, &stream, "may not be specified");
	return field_errors_status(&errs, S(""), S("PodLogOptions"), r->ctx.name, err);
}

static struct str log_path(struct request *r, struct str container, const struct log_options *o)
{
	struct buf b;

	buf_init(&b, TARGET_MAX);
	buf_fmt(&b, "/containerLogs/" STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(r->ctx.ns),
		STR_ARG(r->ctx.name), STR_ARG(container));
	if (o->follow)
		add_param(&b, "follow", S("true"));
	if (o->previous)
		add_param(&b, "previous", S("true"));
	if (o->timestamps)
		add_param(&b, "timestamps", S("true"));
	if (o->since_s.p)
		add_param(&b, "sinceSeconds", o->since_s);
	if (o->since.n)
		add_param(&b, "sinceTime", o->since);
	if (o->tail.p)
		add_param(&b, "tailLines", o->tail);
	if (o->limit.p)
		add_param(&b, "limitBytes", o->limit);
	return take(r, &b);
}

static void no_content(struct request *r)
{
	respond_headers(r);
	http_respond(r->x, 204, NULL, S(""));
}

static int handle_log(struct request *r, struct err *err)
{
	struct log_options o;
	struct relay_target t = {.kubelet = true, .logs = true};
	const struct v1_pod *pod;
	struct str container;
	int e = read_log_options(r, &o, err);

	if (e >= 0)
		e = get_pod(r, r->ctx.name, &pod, err);
	if (e >= 0)
		e = choose_container(r, pod, &container, err);
	if (e < 0)
		return e;
	if (!pod->spec.node_name.n) {
		no_content(r);
		return 0;
	}
	e = kubelet_url(r, pod->spec.node_name, &t.url, err);
	if (e < 0)
		return e;
	t.path = log_path(r, container, &o);
	relay_request(r, &t);
	return 0;
}

/* --- exec, attach, portforward --- */

static void add_streams(struct request *r, struct buf *b)
{
	static const char *const names[][2] = {
		{"stdin", "input"}, {"stdout", "output"}, {"stderr", "error"}, {"tty", "tty"}};
	struct str_vec command = query_all(&r->query, r->arena, "command");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (query_bool(&r->query, names[i][0]))
			add_param(b, names[i][1], S("1"));
	for (size_t i = 0; i < command.n; i++)
		add_param(b, "command", command.v[i]);
}

static int add_ports(struct request *r, struct buf *b, struct err *err)
{
	struct str_vec ports = query_all(&r->query, r->arena, "ports");
	uint64_t port;

	for (size_t i = 0; i < ports.n; i++) {
		if (str_to_u64(ports.v[i], &port) < 0)
			return err_bad_request(err,
				"cannot convert to []int32: strconv.ParseUint: parsing " STR_FMT
				": invalid syntax",
				STR_ARG(go_quote(r->arena, ports.v[i])));
		add_param(b, "port", ports.v[i]);
	}
	return 0;
}

static int stream_path(struct request *r, const struct v1_pod *pod, struct buf *b, struct err *err)
{
	bool forward = !strcmp(r->sub->name, "portforward");
	struct str container = S("");
	int e = forward ? 0 : choose_container(r, pod, &container, err);

	if (e < 0)
		return e;
	buf_fmt(b, "/%s/" STR_FMT "/" STR_FMT, forward ? "portForward" : r->sub->name,
		STR_ARG(r->ctx.ns), STR_ARG(r->ctx.name));
	if (forward)
		return add_ports(r, b, err);
	buf_fmt(b, "/" STR_FMT, STR_ARG(container));
	add_streams(r, b);
	return 0;
}

/* Each field of an options type is a query parameter of that name. */
static void *connect_options(struct request *r, const struct schema_type *type)
{
	void *obj = arena_alloc(r->arena, type->size);

	for (size_t i = 0; i < type->n_fields; i++) {
		const struct schema_field *f = &type->fields[i];
		struct str v = query_get(&r->query, f->name);
		char *at = (char *)obj + f->offset;

		if (!v.p)
			continue;
		if (f->shape == SCHEMA_ONE && f->kind == SCHEMA_STRING)
			*(struct str *)at = v;
		else if (f->shape == SCHEMA_ONE && f->kind == SCHEMA_BOOL)
			*(bool *)at = query_bool(&r->query, f->name);
		else if (f->shape == SCHEMA_LIST && f->kind == SCHEMA_STRING)
			*(struct str_vec *)at = query_all(&r->query, r->arena, f->name);
	}
	return obj;
}

static void connect_admitted(
	struct request *r, struct admission_attrs *attrs, void *user_data, struct err *err)
{
	if (err)
		respond_error(r, err);
	else if (r->x)
		relay_upgrade(r, user_data);
}

/* What the query asks for is the object that plugins and webhooks see. */
static void admit_connect(struct request *r, struct relay_target *t)
{
	static const struct {
		const char *subresource;
		struct body_type body;
	} bodies[] = {
		{"exec", {.version = {"v1", 2},
				 .kind = {"PodExecOptions", 14},
				 .type = &v1_pod_exec_options_schema}},
		{"attach", {.version = {"v1", 2},
				   .kind = {"PodAttachOptions", 16},
				   .type = &v1_pod_attach_options_schema}},
		{"portforward", {.version = {"v1", 2},
					.kind = {"PodPortForwardOptions", 21},
					.type = &v1_pod_port_forward_options_schema}},
	};
	void *obj;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		if (strcmp(r->sub->name, bodies[i].subresource))
			continue;
		obj = connect_options(r, bodies[i].body.type);
		subresource_admission(
			r, ADMIT_CONNECT, &bodies[i].body, obj, NULL, connect_admitted, t);
		return;
	}
}

static int connect_pod(struct request *r, struct err *err)
{
	struct relay_target *t = ARENA_NEW(r->arena, struct relay_target);
	const struct v1_pod *pod;
	struct buf b;
	int e = get_pod(r, r->ctx.name, &pod, err);

	if (e < 0)
		return e;
	buf_init(&b, TARGET_MAX);
	e = stream_path(r, pod, &b, err);
	t->kubelet = true;
	t->path = take(r, &b);
	if (e < 0)
		return e;
	if (!pod->spec.node_name.n)
		return err_bad_request(err, "pod " STR_FMT " does not have a host assigned",
			STR_ARG(pod->metadata.name));
	e = kubelet_url(r, pod->spec.node_name, &t->url, err);
	if (e >= 0)
		admit_connect(r, t);
	return e;
}

/* --- proxy --- */

struct proxy_name {
	struct str scheme, name, port;
};

/* "name", "name:port", "scheme:name:port" (apimachinery util/net SplitSchemeNamePort). */
static bool split_name(struct str id, struct proxy_name *ret)
{
	struct str parts[4], rest = id;
	size_t n = 0;
	bool more;

	do {
		more = str_cut(rest, ':', &parts[n], &rest);
		n++;
	} while (more && n < 4);
	*ret = (struct proxy_name){.name = parts[n == 3 ? 1 : 0]};
	if (n > 1)
		ret->port = parts[n - 1];
	if (n == 3)
		ret->scheme = parts[0];
	return n <= 3 && ret->name.n &&
	       (!ret->scheme.n || str_eqc(ret->scheme, "http") || str_eqc(ret->scheme, "https"));
}

/* Not the machine of the API server itself, nor its link. */
static bool is_proxyable(struct str address)
{
	struct ip_addr ip;

	return ip_parse(address, &ip) && !str_starts(address, S("127.")) &&
	       !str_starts(address, S("169.254.")) && !str_starts(address, S("fe80")) &&
	       !str_eqc(address, "::1") && !str_eqc(address, "0.0.0.0") && !str_eqc(address, "::");
}

static struct str target_url(
	struct request *r, struct str scheme, struct str address, struct str port)
{
	bool tls = str_eqc(scheme, "https");

	return arena_fmt(r->arena, "%s://" STR_FMT ":" STR_FMT, tls ? "https" : "http",
		STR_ARG(host_text(r->arena, address)),
		STR_ARG(port.n ? port : (tls ? S("443") : S("80"))));
}

static int pod_url(struct request *r, struct str *ret, struct err *err)
{
	struct proxy_name n;
	const struct v1_pod *pod;
	int e;

	if (!split_name(r->ctx.name, &n))
		return err_bad_request(err, "invalid pod request " STR_FMT,
			STR_ARG(go_quote(r->arena, r->ctx.name)));
	e = get_pod(r, n.name, &pod, err);
	if (e < 0)
		return e;
	for (size_t i = 0; !n.port.n && i < pod->spec.containers.n; i++)
		if (pod->spec.containers.v[i].ports.n)
			n.port = arena_fmt(r->arena, "%d",
				pod->spec.containers.v[i].ports.v[0].container_port);
	if (!is_proxyable(pod->status.pod_ip))
		return err_bad_request(err, "address not allowed");
	*ret = target_url(r, n.scheme, pod->status.pod_ip, n.port);
	return 0;
}

/* The name of a service's port by its number, or the name itself. */
static int service_port(
	struct request *r, const struct proxy_name *n, struct str *ret, struct err *err)
{
	const struct object *o = store_get(r->s->store, &v1_service_resource, r->ctx.ns, n->name);
	const struct v1_service *s;
	int64_t number;

	if (!o)
		return err_not_found(err, S(""), S("services"), n->name);
	s = object_decode(object_ref_in(r->arena, o), r->arena);
	object_unref(o);
	*ret = n->port;
	if (str_to_i64(n->port, &number) < 0)
		return 0;
	for (size_t i = 0; i < s->spec.ports.n; i++) {
		if (s->spec.ports.v[i].port == number) {
			*ret = s->spec.ports.v[i].name;
			return 0;
		}
	}
	return err_fmt(err, 503, "ServiceUnavailable",
		"no service port %lld found for service " STR_FMT, (long long)number,
		STR_ARG(go_quote(r->arena, n->name)));
}

struct candidate_list {
	struct str *v;
	size_t n;
};

static void add_candidates(struct request *r, const struct discovery_v1_endpoint_slice *s,
	const struct proxy_name *n, struct str port_name, struct candidate_list *ret)
{
	for (size_t p = 0; p < s->ports.n; p++) {
		if ((n->port.n && !str_eq(s->ports.v[p].name, port_name)) || !s->ports.v[p].port)
			continue;
		for (size_t i = 0; i < s->endpoints.n; i++) {
			const struct discovery_v1_endpoint *e = &s->endpoints.v[i];

			if (!e->addresses.n || (e->conditions.ready && !*e->conditions.ready))
				continue;
			ARENA_PUSH(r->arena, ret,
				target_url(r, n->scheme, e->addresses.v[0],
					arena_fmt(r->arena, "%d", *s->ports.v[p].port)));
		}
		return;
	}
}

static int service_url(struct request *r, struct str *ret, struct err *err)
{
	struct candidate_list found = {0};
	struct snapshot *snap;
	struct snapshot_iter it;
	struct proxy_name n;
	struct str port_name = {0};
	const struct object *o;
	int e;

	if (!split_name(r->ctx.name, &n))
		return err_bad_request(err, "invalid service request " STR_FMT,
			STR_ARG(go_quote(r->arena, r->ctx.name)));
	e = service_port(r, &n, &port_name, err);
	if (e < 0)
		return e;
	snap = store_snapshot(r->s->store, &discovery_v1_endpoint_slice_resource);
	snapshot_iter_init(&it, snap, r->ctx.ns, S(""), S(""));
	while ((o = snapshot_next(&it))) {
		const struct str *of = str_map_get(&o->labels, S("kubernetes.io/service-name"));

		if (of && str_eq(*of, n.name))
			add_candidates(r, object_decode(object_ref_in(r->arena, o), r->arena), &n,
				port_name, &found);
	}
	snapshot_unref(snap);
	if (!found.n)
		return err_fmt(err, 503, "ServiceUnavailable",
			"no endpoints available for service " STR_FMT,
			STR_ARG(go_quote(r->arena, n.name)));
	*ret = found.v[loop_random(r->loop) % found.n];
	return 0;
}

static int node_url(struct request *r, struct relay_target *t, struct err *err)
{
	struct proxy_name n;
	int e;

	if (!split_name(r->ctx.name, &n))
		return err_bad_request(err, "invalid node request " STR_FMT,
			STR_ARG(go_quote(r->arena, r->ctx.name)));
	e = kubelet_url(r, n.name, &t->url, err);
	t->kubelet = true;
	if (e >= 0 && n.port.n)
		t->url = arena_fmt(r->arena, "https://" STR_FMT ":" STR_FMT,
			STR_ARG(str_sub(t->url, 8, (size_t)str_rchr(t->url, ':'))),
			STR_ARG(n.port));
	return e;
}

/* What stands behind …/proxy, as it was sent. */
static struct str proxied_path(struct request *r)
{
	struct buf b;

	buf_init(&b, TARGET_MAX);
	for (size_t i = 3; i < r->info.parts.n; i++) {
		buf_add_char(&b, '/');
		escape(&b, r->info.parts.v[i], "!$&'()*+,;=:@");
	}
	if (!b.n || r->info.path.p[r->info.path.n - 1] == '/')
		buf_add_char(&b, '/');
	if (r->raw_query.n)
		buf_fmt(&b, "?" STR_FMT, STR_ARG(r->raw_query));
	return take(r, &b);
}

/* The path up to and with "proxy", as it goes into links: nothing in it needs quotes. */
static struct str proxy_prefix(struct request *r)
{
	struct buf b;
	size_t slashes = r->info.parts.n - 3, end = r->info.path.n;

	buf_init(&b, TARGET_MAX);
	while (end && r->info.path.p[end - 1] == '/')
		end--;
	for (; slashes; slashes--)
		while (end && r->info.path.p[--end] != '/')
			;
	escape(&b, str_sub(r->info.path, 0, end), "/!$()*+,;=:@");
	return take(r, &b);
}

/* ".../proxy" is a directory: who reads it is sent to ".../proxy/", so that relative links work. */
static bool redirect_root(struct request *r)
{
	struct str path = r->info.path, location;
	bool reads = str_eqc(r->method, "GET") || str_eqc(r->method, "HEAD");

	if (!reads || r->info.parts.n > 3 || str_ends(path, S("/")) || relay_is_upgrade(r))
		return false;
	location = arena_fmt(r->arena, STR_FMT "/%s" STR_FMT, STR_ARG(path),
		r->raw_query.n ? "?" : "", STR_ARG(r->raw_query));
	respond_headers(r);
	http_header(r->x, "Location", location);
	http_respond(r->x, 301, NULL, S(""));
	return true;
}

static int handle_proxy(struct request *r, struct err *err)
{
	struct relay_target t = {.prefix = proxy_prefix(r)};
	int e;

	if (r->storage == &v1_pod_resource)
		e = pod_url(r, &t.url, err);
	else if (r->storage == &v1_service_resource)
		e = service_url(r, &t.url, err);
	else
		e = node_url(r, &t, err);
	if (e < 0)
		return e;
	if (redirect_root(r))
		return 0;
	t.path = proxied_path(r);
	if (relay_is_upgrade(r))
		relay_upgrade(r, &t);
	else
		relay_request(r, &t);
	return 0;
}

void handle_proxy_subresource(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	int e;

	if (!strcmp(r->sub->name, "log"))
		e = handle_log(r, &err);
	else if (!strcmp(r->sub->name, "proxy"))
		e = handle_proxy(r, &err);
	else
		e = connect_pod(r, &err);
	if (e < 0)
		respond_error(r, &err);
}
