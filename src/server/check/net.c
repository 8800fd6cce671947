/* net.c: ports, address ranges, servers that have to be reached, names. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/address.h"
#include "network/network.h"
#include "server/check/check.h"

enum { CONNECT_MS = 2000, ROUTES_MAX = 4096, KUBELET_PORT = 10250 };

/* --- ports --- */

static void check_port(struct check_report *r, const char *address, int port, const char *flags)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE,
				.ai_socktype = SOCK_STREAM},
			*ai;
	char text[16];
	int fd, on = 1;

	snprintf(text, sizeof(text), "%d", port);
	if (getaddrinfo(address, text, &hints, &ai)) {
		check_wrong(r, "%s is not an IP address: give one with %s", address, flags);
		return;
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
			       bind(fd, ai->ai_addr, ai->ai_addrlen) < 0))
		check_wrong(r,
			errno == EADDRINUSE
				? "%s port %d is in use (%s): stop what uses it (ss -ltnp), or "
				  "give another one with %s"
				: "%s port %d cannot be served (%s): give another one with %s",
			address, port, strerror(errno), flags);
	if (fd >= 0)
		close(fd);
	freeaddrinfo(ai);
}

void check_ports(const struct check_opts *o, struct check_report *r)
{
	if (o->control && o->secure_port)
		check_port(r, o->bind_address, o->secure_port, "--bind-address, --secure-port");
	if (o->node && o->kubelet_port >= 0)
		check_port(
			r, "0.0.0.0", o->kubelet_port ? o->kubelet_port : KUBELET_PORT, "--port");
}

/* --- address ranges --- */

struct range {
	const char *flag;
	struct ip_prefix prefix;
};

static size_t add_ranges(
	struct check_report *r, const char *flag, const char *list, struct range *to)
{
	struct str rest = str_c(list), one;
	size_t n = 0;

	while (rest.n && n < 2) {
		str_cut(rest, ',', &one, &rest);
		to[n].flag = flag;
		if (ip_prefix_parse(str_trim(one), &to[n].prefix) < 0)
			check_wrong(r, "%s=%s is not a range such as 10.0.0.0/16", flag, list);
		else
			n++;
	}
	return n;
}

static bool is_ours(const char *device)
{
	static const char *const names[] = {
		NETWORK_BRIDGE, NETWORK_BRIDGE_OVS, "sampan-vxlan", "lo"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(device, names[i]))
			return true;
	return false;
}

/* A line of /proc/net/route: "eth0 0002000A 00000000 0001 0 0 0 00FFFFFF …", in network order. */
static bool read_route(const char *line, char device[17], struct ip_prefix *ret, bool *gateway)
{
	unsigned dst, via, flags, mask;

	if (sscanf(line, "%16s %x %x %x %*d %*d %*d %x", device, &dst, &via, &flags, &mask) != 5)
		return false;
	*ret = (struct ip_prefix){.addr.family = AF_INET, .bits = __builtin_popcount(mask)};
	memcpy(ret->addr.b, &dst, 4);
	*gateway = via != 0;
	return true;
}

/* A route of this machine's own inside a range, or around it: not the default one, and no way to
 * another node's pods. */
static void check_routes(struct check_report *r, const struct range *ranges, size_t n)
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[256], device[17], a[IP_TEXT_MAX], b[IP_TEXT_MAX];
	struct ip_prefix route;
	bool gateway;

	for (int lines = 0; f && lines < ROUTES_MAX && fgets(line, sizeof(line), f); lines++) {
		if (!read_route(line, device, &route, &gateway) || !route.bits || is_ours(device))
			continue;
		for (size_t i = 0; i < n; i++) {
			const struct ip_prefix *p = &ranges[i].prefix;

			if (!ip_prefixes_overlap(p, &route) || (gateway && route.bits > p->bits))
				continue;
			check_wrong(r,
				"%s %s clashes with this machine's route to %s by %s: give another "
				"range",
				ranges[i].flag, ip_prefix_text(p, a), ip_prefix_text(&route, b),
				device);
		}
	}
	if (f)
		fclose(f);
}

void check_ranges(const struct check_opts *o, struct check_report *r)
{
	struct range all[4];
	size_t n = add_ranges(
		r, "--cluster-cidr", o->cluster_cidr ? o->cluster_cidr : "10.244.0.0/16", all);
	size_t pods = n;
	char a[IP_TEXT_MAX], b[IP_TEXT_MAX];

	n += add_ranges(r, "--service-cluster-ip-range",
		o->service_cidr ? o->service_cidr : "10.254.0.0/16", all + n);
	for (size_t i = 0; i < pods; i++)
		for (size_t k = pods; k < n; k++)
			if (ip_prefixes_overlap(&all[i].prefix, &all[k].prefix))
				check_wrong(r,
					"--cluster-cidr %s and --service-cluster-ip-range %s "
					"overlap: "
					"give pods and services ranges of their own",
					ip_prefix_text(&all[i].prefix, a),
					ip_prefix_text(&all[k].prefix, b));
	check_routes(r, all, n);
}

/* --- servers --- */

static int connect_to(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = {fd, POLLOUT, 0};
	int error = 0;
	socklen_t n = sizeof(error);

	if (fd < 0)
		return -errno;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS)
		error = errno;
	else if (poll(&p, 1, CONNECT_MS) <= 0)
		error = ETIMEDOUT;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
	close(fd);
	return -error;
}

/* "https://10.0.0.1:2379/x" */
static int reach(struct check_report *r, struct str url, const char *default_port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai;
	struct str scheme, rest, host, port;
	ssize_t at = str_find(url, S("://"));
	int rc;

	scheme = at < 0 ? S("") : str_sub(url, 0, at);
	rest = at < 0 ? url : str_sub(url, at + 3, url.n);
	str_cut(rest, '/', &host, &rest);
	at = str_rchr(host, ':');
	if (at >= 0 && !str_starts(str_sub(host, at, host.n), S(":]")) &&
		str_chr(str_sub(host, at, host.n), ']') < 0) {
		port = str_sub(host, at + 1, host.n);
		host = str_sub(host, 0, at);
	} else {
		port = str_eq(scheme, S("http")) && !strcmp(default_port, "443")
			       ? S("80")
			       : str_c(default_port);
	}
	if (str_starts(host, S("[")))
		host = str_sub(host, 1, host.n - 1);
	if (getaddrinfo(arena_cstr(&r->arena, host), arena_cstr(&r->arena, port), &hints, &ai))
		return -EHOSTUNREACH;
	rc = connect_to(ai);
	freeaddrinfo(ai);
	return rc;
}

void check_etcd(const struct check_opts *o, struct check_report *r)
{
	for (size_t i = 0; i < o->etcd_servers.n; i++) {
		struct str url = o->etcd_servers.v[i];
		int rc = reach(r, url, "2379");

		if (rc == 0)
			continue;
		if (o->etcd_servers.n > 1)
			check_doubt(r, STR_FMT " cannot be reached (%s): the others have to do",
				STR_ARG(url), strerror(-rc));
		else
			check_wrong(r,
				STR_FMT " cannot be reached (%s): start etcd there, or correct "
					"--etcd-servers",
				STR_ARG(url), strerror(-rc));
	}
}

void check_server(const struct check_opts *o, struct check_report *r)
{
	int rc = o->server ? reach(r, str_c(o->server), "443") : 0;

	if (rc < 0)
		check_wrong(r,
			"%s cannot be reached (%s): start it, open its port, or correct --server",
			o->server, strerror(-rc));
}

void check_node_name(const struct check_opts *o, struct check_report *r)
{
	struct addrinfo *ai;
	int rc = o->node_name ? getaddrinfo(o->node_name, NULL, NULL, &ai) : 0;

	if (rc)
		check_doubt(r,
			"%s is no name that this machine can resolve (%s): write it into "
			"/etc/hosts, for tools that use it",
			o->node_name, gai_strerror(rc));
	else if (o->node_name)
		freeaddrinfo(ai);
}
