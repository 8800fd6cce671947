/* print_network.c: the cells of services, endpoints, IP addresses and their ranges. */
#include "apiserver/resources/printers.h"
#include "apiserver/validation/names.h"
#include "types.gen.h"

enum { SHOWN_MAX = 3 };

#define ROW(a_, cells_, now_) ((struct row){.a = (a_), .out = (cells_), .now_ns = (now_)})

static int compare_str(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str_vec balancer_addresses(struct arena *a, const struct v1_service *s)
{
	struct str_vec out = {0};

	for (size_t i = 0; i < s->status.load_balancer.ingress.n; i++) {
		const struct v1_load_balancer_ingress *in = &s->status.load_balancer.ingress.v[i];
		struct str v = in->ip.n ? in->ip : in->hostname;
		if (v.n && !str_vec_has(&out, v))
			ARENA_PUSH(a, &out, v);
	}
	if (out.n)
		qsort(out.v, out.n, sizeof(*out.v), compare_str);
	return out;
}

static struct str external_ip(struct arena *a, const struct v1_service *s)
{
	struct str_vec ips;

	if (str_eqc(s->spec.type, "ClusterIP") || str_eqc(s->spec.type, "NodePort"))
		return join_list(a, &s->spec.external_ips, ",");
	if (str_eqc(s->spec.type, "ExternalName"))
		return s->spec.external_name;
	if (!str_eqc(s->spec.type, "LoadBalancer"))
		return S("<unknown>");
	ips = balancer_addresses(a, s);
	for (size_t i = 0; i < s->spec.external_ips.n; i++)
		ARENA_PUSH(a, &ips, s->spec.external_ips.v[i]);
	return ips.n ? join_list(a, &ips, ",") : S("<pending>");
}

static struct str ports_text(struct arena *a, const struct v1_service_port_vec *ports)
{
	struct str_vec list = {0};

	for (size_t i = 0; i < ports->n; i++) {
		const struct v1_service_port *p = &ports->v[i];
		if (p->node_port > 0)
			ARENA_PUSH(a, &list,
				arena_fmt(a, "%d:%d/" STR_FMT, p->port, p->node_port,
					STR_ARG(p->protocol)));
		else
			ARENA_PUSH(a, &list,
				arena_fmt(a, "%d/" STR_FMT, p->port, STR_ARG(p->protocol)));
	}
	return join_list(a, &list, ",");
}

void print_service(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_service *s = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, s->metadata.name);
	row_str(&r, s->spec.type);
	row_str(&r, s->spec.cluster_ips.n ? s->spec.cluster_ips.v[0] : S("<none>"));
	row_str(&r, external_ip(a, s));
	row_str(&r, ports_text(a, &s->spec.ports));
	row_age(&r, &s->metadata.creation_timestamp);
	row_str(&r, labels_text(a, &s->spec.selector));
}

/* The first three of a list, and how many more there are. */
struct shown {
	struct arena *a;
	struct str_vec list;
	size_t total;
};

static void show(struct shown *s, struct str v)
{
	if (s->total++ < SHOWN_MAX)
		ARENA_PUSH(s->a, &s->list, v);
}

static struct str shown_text(const struct shown *s, const char *empty)
{
	struct str list = join_list(s->a, &s->list, ",");

	if (s->total > SHOWN_MAX)
		return arena_fmt(
			s->a, STR_FMT " + %zu more...", STR_ARG(list), s->total - SHOWN_MAX);
	return s->total ? list : str_c(empty);
}

static struct str host_port(struct arena *a, struct str ip, int32_t port)
{
	bool v6 = str_chr(ip, ':') >= 0;

	return arena_fmt(a, "%s" STR_FMT "%s:%d", v6 ? "[" : "", STR_ARG(ip), v6 ? "]" : "", port);
}

void print_endpoints(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_endpoints *ep = obj;
	struct shown s = {.a = a};
	struct row r = ROW(a, cells, now_ns);

	for (size_t i = 0; i < ep->subsets.n; i++) {
		const struct v1_endpoint_subset *ss = &ep->subsets.v[i];
		for (size_t k = 0; ss->ports.n == 0 && k < ss->addresses.n; k++)
			show(&s, ss->addresses.v[k].ip);
		for (size_t p = 0; p < ss->ports.n; p++)
			for (size_t k = 0; k < ss->addresses.n; k++)
				show(&s, host_port(a, ss->addresses.v[k].ip, ss->ports.v[p].port));
	}
	row_str(&r, ep->metadata.name);
	row_str(&r, shown_text(&s, ep->subsets.n ? "" : "<none>"));
	row_age(&r, &ep->metadata.creation_timestamp);
}

void print_endpoint_slice(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct discovery_v1_endpoint_slice *es = obj;
	struct shown ports = {.a = a}, addresses = {.a = a};
	struct row r = ROW(a, cells, now_ns);

	for (size_t i = 0; i < es->ports.n; i++) {
		const struct discovery_v1_endpoint_port *p = &es->ports.v[i];
		show(&ports, p->port ? arena_fmt(a, "%d", *p->port) : p->name.p ? p->name : S("*"));
	}
	for (size_t i = 0; i < es->endpoints.n; i++)
		for (size_t k = 0; k < es->endpoints.v[i].addresses.n; k++)
			show(&addresses, es->endpoints.v[i].addresses.v[k]);
	row_str(&r, es->metadata.name);
	row_str(&r, es->address_type);
	row_str(&r, shown_text(&ports, "<unset>"));
	row_str(&r, shown_text(&addresses, "<unset>"));
	row_age(&r, &es->metadata.creation_timestamp);
}

/* Upstream's rows have an age, its columns do not. */
void print_ip_address(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct networking_v1_ip_address *ip = obj;
	const struct networking_v1_parent_reference *ref = ip->spec.parent_ref;
	struct row r = ROW(a, cells, now_ns);
	struct str parent = S("<none>");

	if (ref)
		parent = arena_fmt(a, STR_FMT "%s" STR_FMT "%s" STR_FMT "/" STR_FMT,
			STR_ARG(str_lower(a, ref->resource)), ref->group.n ? "." : "",
			STR_ARG(str_lower(a, ref->group)), ref->namespace.n ? "/" : "",
			STR_ARG(ref->namespace), STR_ARG(ref->name));
	row_str(&r, ip->metadata.name);
	row_str(&r, parent);
	row_age(&r, &ip->metadata.creation_timestamp);
}

void print_service_cidr(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct networking_v1_service_cidr *c = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, c->metadata.name);
	row_str(&r, c->spec.cidrs.n ? join_list(a, &c->spec.cidrs, ",") : S(""));
	row_age(&r, &c->metadata.creation_timestamp);
}
