/* lib_net.c: Kubernetes' ip and cidr libraries. */
#include "cel/netip.h"

#include "json/quote.h"

static const struct cel_net *net(struct cel_value v)
{
	return v.ref.p;
}

static struct cel_value value(
	struct cel_call *c, const struct cel_type *type, const struct cel_net *n)
{
	return cel_opaque(type, arena_memdup(c->a, n, sizeof(*n)));
}

struct str cel_net_text(struct cel_value v, struct arena *a)
{
	struct str s = cel_netip_text(net(v), a);

	if (v.ref.of == &cel_type_cidr)
		return arena_fmt(a, STR_FMT "/%d", STR_ARG(s), net(v)->prefix);
	return s;
}

bool cel_net_equal(struct cel_value x, struct cel_value y)
{
	return memcmp(net(x), net(y), sizeof(struct cel_net)) == 0;
}

uint64_t cel_net_size(struct cel_value v)
{
	if (v.ref.of == &cel_type_ip)
		return net(v)->bits / 8;
	return v.ref.of == &cel_type_cidr ? (net(v)->prefix + 7) / 8 : 1;
}

/* --- reading --- */

static bool read_ip(
	struct cel_call *c, struct str s, struct cel_net *ret, struct cel_value *ret_error)
{
	struct str zone, why, q = quote_text(c->a, s);

	if (!cel_netip_parse(s, c->a, ret, &zone, &why))
		*ret_error = cel_error_fmt(c->a,
			"IP Address " STR_FMT
			" parse error during conversion from string: " STR_FMT,
			STR_ARG(q), STR_ARG(why));
	else if (zone.n)
		*ret_error = cel_error_fmt(
			c->a, "IP address " STR_FMT " with zone value is not allowed", STR_ARG(q));
	else if (cel_netip_is_4in6(ret))
		*ret_error = cel_error_fmt(
			c->a, "IPv4-mapped IPv6 address " STR_FMT " is not allowed", STR_ARG(q));
	else
		return true;
	return false;
}

static bool read_cidr(
	struct cel_call *c, struct str s, struct cel_net *ret, struct cel_value *ret_error)
{
	struct str why;

	if (!cel_netip_parse_prefix(s, c->a, ret, &why))
		*ret_error = cel_error_fmt(c->a,
			"network address parse error during conversion from string: network "
			"address "
			"parse error during conversion from string: " STR_FMT,
			STR_ARG(why));
	else if (cel_netip_is_4in6(ret))
		*ret_error = cel_error_fmt(c->a,
			"network address parse error during conversion from string: IPv4-mapped "
			"IPv6 "
			"address " STR_FMT " is not allowed",
			STR_ARG(quote_text(c->a, s)));
	else
		return true;
	return false;
}

static struct cel_value ip(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value error;
	struct cel_net n;

	return read_ip(c, v->s, &n, &error) ? value(c, &cel_type_ip, &n) : error;
}

static struct cel_value is_ip(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value error;
	struct cel_net n;

	return cel_bool(read_ip(c, v->s, &n, &error));
}

static struct cel_value is_canonical(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value error;
	struct cel_net n;

	if (!read_ip(c, v->s, &n, &error))
		return error;
	return cel_bool(str_eq(cel_netip_text(&n, c->a), v->s));
}

static struct cel_value cidr(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value error;
	struct cel_net n;

	return read_cidr(c, v->s, &n, &error) ? value(c, &cel_type_cidr, &n) : error;
}

static struct cel_value is_cidr(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value error;
	struct cel_net n;

	return cel_bool(read_cidr(c, v->s, &n, &error));
}

/* --- addresses --- */

static bool all_zero(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static bool unspecified(const struct cel_net *n)
{
	return all_zero(n->bytes, n->bits / 8);
}

static bool loopback(const struct cel_net *n)
{
	return n->bits == 32 ? n->bytes[0] == 127 : all_zero(n->bytes, 15) && n->bytes[15] == 1;
}

static bool multicast(const struct cel_net *n)
{
	return n->bits == 32 ? (n->bytes[0] & 0xf0) == 0xe0 : n->bytes[0] == 0xff;
}

static bool link_local_multicast(const struct cel_net *n)
{
	if (n->bits == 32)
		return n->bytes[0] == 224 && n->bytes[1] == 0 && n->bytes[2] == 0;
	return n->bytes[0] == 0xff && (n->bytes[1] & 0x0f) == 2;
}

static bool link_local_unicast(const struct cel_net *n)
{
	if (n->bits == 32)
		return n->bytes[0] == 169 && n->bytes[1] == 254;
	return n->bytes[0] == 0xfe && (n->bytes[1] & 0xc0) == 0x80;
}

static bool broadcast(const struct cel_net *n)
{
	return n->bits == 32 && memcmp(n->bytes, "\xff\xff\xff\xff", 4) == 0;
}

static struct cel_value family(struct cel_call *c, const struct cel_value *v)
{
	return cel_int(net(*v)->bits == 32 ? 4 : 6);
}

static struct cel_value is_unspecified(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(unspecified(net(*v)));
}

static struct cel_value is_loopback(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(loopback(net(*v)));
}

static struct cel_value is_link_local_multicast(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(link_local_multicast(net(*v)));
}

static struct cel_value is_link_local_unicast(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(link_local_unicast(net(*v)));
}

static struct cel_value is_global_unicast(struct cel_call *c, const struct cel_value *v)
{
	const struct cel_net *n = net(*v);

	return cel_bool(!unspecified(n) && !loopback(n) && !multicast(n) &&
			!link_local_unicast(n) && !broadcast(n));
}

/* --- networks --- */

static bool same_prefix(const struct cel_net *x, const struct cel_net *y, unsigned bits)
{
	unsigned char mask = (unsigned char)(0xff00 >> (bits % 8));

	if (x->bits != y->bits || memcmp(x->bytes, y->bytes, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((x->bytes[bits / 8] ^ y->bytes[bits / 8]) & mask) == 0;
}

static struct cel_value contains_ip(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(same_prefix(net(v[0]), net(v[1]), net(v[0])->prefix));
}

static struct cel_value contains_ip_string(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value error;
	struct cel_net n;

	if (!read_ip(c, v[1].s, &n, &error)) /* upstream hands the error on as the wrong type */
		return cel_no_overload();
	return cel_bool(same_prefix(net(v[0]), &n, net(v[0])->prefix));
}

static bool contains(const struct cel_net *x, const struct cel_net *y)
{
	return x->prefix <= y->prefix && same_prefix(x, y, x->prefix);
}

static struct cel_value contains_cidr(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(contains(net(v[0]), net(v[1])));
}

static struct cel_value contains_cidr_string(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value error;
	struct cel_net n;

	return read_cidr(c, v[1].s, &n, &error) ? cel_bool(contains(net(v[0]), &n)) : error;
}

static struct cel_value prefix_length(struct cel_call *c, const struct cel_value *v)
{
	return cel_int(net(*v)->prefix);
}

static struct cel_value cidr_ip(struct cel_call *c, const struct cel_value *v)
{
	struct cel_net n = *net(*v);

	n.prefix = 0;
	return value(c, &cel_type_ip, &n);
}

static struct cel_value masked(struct cel_call *c, const struct cel_value *v)
{
	struct cel_net n = *net(*v);

	for (unsigned i = n.prefix; i < n.bits; i++)
		n.bytes[i / 8] &= (unsigned char)~(0x80 >> (i % 8));
	return value(c, &cel_type_cidr, &n);
}

/* --- tables --- */

#define T(name) &cel_type_##name
#define FUNCTION(result_, fn_, cost_)                                                              \
	{                                                                                          \
		.args = {T(string)}, .n_args = 1, .result = T(result_), .fn = (fn_),               \
		.cost = (cost_)                                                                    \
	}
#define METHOD(n_args_, result_, fn_, cost_, ...)                                                  \
	{                                                                                          \
		.args = {__VA_ARGS__}, .n_args = (n_args_), .member = true, .result = T(result_),  \
		.fn = (fn_), .cost = (cost_)                                                       \
	}

static const struct cel_overload ip_overloads[] = {
	FUNCTION(ip, ip, CEL_COST_ARG0_TENTH), METHOD(1, ip, cidr_ip, CEL_COST_ONE, T(cidr))};
static const struct cel_overload is_ip_overloads[] = {
	FUNCTION(boolean, is_ip, CEL_COST_ARG0_TENTH)};
static const struct cel_overload canonical_overloads[] = {
	FUNCTION(boolean, is_canonical, CEL_COST_ARG0_FIFTH)};
static const struct cel_overload cidr_overloads[] = {FUNCTION(cidr, cidr, CEL_COST_ARG0_TENTH)};
static const struct cel_overload is_cidr_overloads[] = {
	FUNCTION(boolean, is_cidr, CEL_COST_ARG0_TENTH)};
static const struct cel_overload contains_ip_overloads[] = {
	METHOD(2, boolean, contains_ip, CEL_COST_CONTAINS_IP, T(cidr), T(ip)),
	METHOD(2, boolean, contains_ip_string, CEL_COST_CONTAINS_IP_STRING, T(cidr), T(string))};
static const struct cel_overload contains_cidr_overloads[] = {
	METHOD(2, boolean, contains_cidr, CEL_COST_CONTAINS_CIDR, T(cidr), T(cidr)),
	METHOD(2, boolean, contains_cidr_string, CEL_COST_CONTAINS_CIDR_STRING, T(cidr),
		T(string))};

#define OF(type, result, fn)                                                                       \
	(const struct cel_overload[])                                                              \
	{                                                                                          \
		METHOD(1, result, fn, CEL_COST_ONE, T(type))                                       \
	}

static const struct cel_function functions[] = {
	{"ip", CEL_OVERLOADS(ip_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"isIP", CEL_OVERLOADS(is_ip_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"ip.isCanonical", CEL_OVERLOADS(canonical_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"family", OF(ip, int, family), 1, 0},
	{"isUnspecified", OF(ip, boolean, is_unspecified), 1, 0},
	{"isLoopback", OF(ip, boolean, is_loopback), 1, 0},
	{"isLinkLocalMulticast", OF(ip, boolean, is_link_local_multicast), 1, 0},
	{"isLinkLocalUnicast", OF(ip, boolean, is_link_local_unicast), 1, 0},
	{"isGlobalUnicast", OF(ip, boolean, is_global_unicast), 1, 0},
	{"cidr", CEL_OVERLOADS(cidr_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"isCIDR", CEL_OVERLOADS(is_cidr_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"containsIP", CEL_OVERLOADS(contains_ip_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"containsCIDR", CEL_OVERLOADS(contains_cidr_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"prefixLength", OF(cidr, int, prefix_length), 1, 0},
	{"masked", OF(cidr, cidr, masked), 1, 0},
};
const struct cel_library cel_lib_net = {functions, ARRAY_SIZE(functions)};
