#include "controllers/csr.h"

#include <arpa/inet.h>
#include <stdio.h>

const csr_condition_t *csr_condition(const csr_t *csr, const char *type)
{
	for (size_t i = 0; i < csr->status.conditions.n; i++)
		if (str_eqc(csr->status.conditions.v[i].type, type))
			return &csr->status.conditions.v[i];
	return NULL;
}

/* Exactly "digital signature" and `auth`, with or without "key encipherment" (which only RSA
 * needs). */
static bool usages_are(const struct str_vec *usages, const char *auth)
{
	struct str needed[] = {S("digital signature"), str_c(auth)};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!str_vec_has(usages, needed[i]))
			return false;
	for (size_t i = 0; i < usages->n; i++)
		if (!str_eq(usages->v[i], needed[0]) && !str_eq(usages->v[i], needed[1]) &&
			!str_eq(usages->v[i], S("key encipherment")))
			return false;
	return true;
}

static const char *not_a_node(const struct x509_names *names)
{
	if (names->organizations.n != 1 || !str_eq(names->organizations.v[0], S("system:nodes")))
		return "subject organization is not system:nodes";
	return NULL;
}

const char *csr_not_kubelet_client(const csr_t *csr, const struct x509_names *names)
{
	const char *why = not_a_node(names);

	if (why)
		return why;
	if (names->dns.n)
		return "DNS subjectAltNames are not allowed";
	if (names->emails.n)
		return "Email subjectAltNames are not allowed";
	if (names->ips.n)
		return "IP subjectAltNames are not allowed";
	if (names->uris.n)
		return "URI subjectAltNames are not allowed";
	if (!str_starts(names->common_name, S(NODE_USER_PREFIX)))
		return "subject common name does not begin with system:node:";
	if (!usages_are(&csr->spec.usages, "client auth"))
		return "usages did not match [client auth digital signature key encipherment]";
	return NULL;
}

const char *csr_not_kubelet_serving(const csr_t *csr, const struct x509_names *names)
{
	const char *why = not_a_node(names);

	if (why)
		return why;
	if (!names->dns.n && !names->ips.n)
		return "DNS or IP subjectAltName is required";
	if (names->emails.n)
		return "Email subjectAltNames are not allowed";
	if (names->uris.n)
		return "URI subjectAltNames are not allowed";
	if (!usages_are(&csr->spec.usages, "server auth"))
		return "usages did not match [digital signature key encipherment server auth]";
	if (!str_starts(names->common_name, S(NODE_USER_PREFIX)))
		return "subject common name does not begin with system:node:";
	return NULL;
}

/* --- whose names? --- */

/* Two texts of one address are the same name, however IPv6 is written. */
static bool same_name(struct str a, struct str b)
{
	unsigned char x[16], y[16];
	char s[INET6_ADDRSTRLEN], t[INET6_ADDRSTRLEN];

	if (str_ieq(a, b))
		return true;
	if (str_chr(a, ':') < 0 || str_chr(b, ':') < 0 || a.n >= sizeof(s) || b.n >= sizeof(t))
		return false;
	snprintf(s, sizeof(s), STR_FMT, STR_ARG(a));
	snprintf(t, sizeof(t), STR_FMT, STR_ARG(b));
	return inet_pton(AF_INET6, s, x) == 1 && inet_pton(AF_INET6, t, y) == 1 &&
	       !memcmp(x, y, sizeof(x));
}

static bool node_has(const struct v1_node *node, struct str name)
{
	if (same_name(node->metadata.name, name))
		return true;
	for (size_t i = 0; i < node->status.addresses.n; i++)
		if (same_name(node->status.addresses.v[i].address, name))
			return true;
	return false;
}

static bool another_node_has(struct view *v, struct str self, struct str name)
{
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, view_snapshot(v, &v1_node_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (!str_eq(o->name, self) && node_has(object_decode(o, v->arena), name))
			return true;
	return false;
}

/* Under which clients look for the API server: with such a certificate a node could pose as it. */
static bool is_api_servers(struct view *v, struct str name)
{
	const struct v1_service *s =
		view_decode(v, &v1_service_resource, S("default"), S("kubernetes"));
	const struct v1_endpoints *e =
		view_decode(v, &v1_endpoints_resource, S("default"), S("kubernetes"));

	if (str_ieq(name, S("localhost")) || str_ieq(name, S("kubernetes")) ||
		str_starts(name, S("kubernetes.default")) || str_starts(name, S("127.")) ||
		same_name(name, S("::1")))
		return true;
	for (size_t i = 0; s && i < s->spec.cluster_ips.n; i++)
		if (same_name(s->spec.cluster_ips.v[i], name))
			return true;
	for (size_t i = 0; e && i < e->subsets.n; i++)
		for (size_t k = 0; k < e->subsets.v[i].addresses.n; k++)
			if (same_name(e->subsets.v[i].addresses.v[k].ip, name))
				return true;
	return false;
}

static const char *name_refused(struct view *v, const struct v1_node *node, struct str name)
{
	bool control_plane =
		str_map_get(&node->metadata.labels, S("node-role.kubernetes.io/control-plane"));

	if (!node_has(node, name))
		return "a name or address is not one of the Node's";
	if (another_node_has(v, node->metadata.name, name))
		return "a name or address is another node's, too";
	if (!control_plane && is_api_servers(v, name))
		return "a name or address is the API server's";
	return NULL;
}

const char *csr_serving_names_refused(
	struct view *v, const csr_t *csr, const struct x509_names *names)
{
	const struct str_vec *lists[] = {&names->dns, &names->ips};
	struct str prefix = S(NODE_USER_PREFIX), name;
	const struct v1_node *node;
	const char *why = NULL;

	if (!str_eq(csr->spec.username, names->common_name) ||
		!str_starts(csr->spec.username, prefix) ||
		!str_vec_has(&csr->spec.groups, S("system:nodes")))
		return "it does not come from the node itself";
	name = str_sub(csr->spec.username, prefix.n, csr->spec.username.n);
	node = view_decode(v, &v1_node_resource, S(""), name);
	if (!node || node->metadata.deletion_timestamp.set)
		return "there is no such Node";
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		for (size_t i = 0; !why && i < lists[k]->n; i++)
			why = name_refused(v, node, lists[k]->v[i]);
	return why;
}

void csr_add_condition(struct view *v, struct plan *p, csr_t *csr, const char *subresource,
	const char *type, const char *reason, const char *message)
{
	csr_condition_t c = {.type = str_c(type),
		.status = S("True"),
		.reason = str_c(reason),
		.message = arena_strc(v->arena, message),
		.last_update_time = view_now(v)};
	struct plan_write *w;

	ARENA_PUSH(v->arena, &csr->status.conditions, c);
	w = plan_add(p, PLAN_UPDATE, &certificates_v1_certificate_signing_request_resource, S(""),
		csr->metadata.name);
	w->subresource = str_c(subresource);
	w->object = csr;
	w->ignore_not_found = true;
}
