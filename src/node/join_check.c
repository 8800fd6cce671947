/* join_check.c: what can be said about this machine before anything is asked or changed. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "node/join.h"

/* The nearest part of a path that is there must be a directory that can be written. */
static int check_directory(const char *path, struct err *err)
{
	char *p CLEANUP(free_ptr) = xstrdup(path);
	struct stat st;
	char *slash;

	while (stat(p, &st) < 0 && errno == ENOENT && (slash = strrchr(p, '/')) && slash != p)
		*slash = 0;
	if (stat(p, &st) < 0 && errno != ENOENT)
		return err_errno(err, errno, "%s cannot be used: give another --data-dir", path);
	if (!S_ISDIR(st.st_mode))
		return err_bad_request(err,
			"%s is not a directory, so %s cannot be made: give another --data-dir", p,
			path);
	if (access(p, W_OK | X_OK) < 0)
		return err_bad_request(err,
			"%s cannot be written (%s): run as root, or give another --data-dir", p,
			strerror(errno));
	return 0;
}

static int check_port(const struct join_opts *o, struct err *err)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE,
				.ai_socktype = SOCK_STREAM},
			*ai;
	char port[16];
	int fd, on = 1, r = 0;

	if (o->port <= 0)
		return 0;
	snprintf(port, sizeof(port), "%d", o->port);
	if (getaddrinfo(o->bind_address, port, &hints, &ai))
		return err_bad_request(
			err, "--address: \"%s\" is not an IP address", o->bind_address);
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, ai->ai_addr, ai->ai_addrlen) < 0)
		r = err_bad_request(err,
			"port %d of %s, which the node agent serves on, is not free (%s): stop "
			"what "
			"uses it, or give another --port",
			o->port, o->bind_address, strerror(errno));
	if (fd >= 0)
		close(fd);
	freeaddrinfo(ai);
	return r;
}

int join_check_machine(const struct join_opts *o, struct err *err)
{
	const char *const dirs[] = {o->data_dir, o->cert_dir};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int r = check_directory(dirs[i], err);

		if (r < 0)
			return r;
	}
	return check_port(o, err);
}

/* --- addresses --- */

struct range {
	int family, bits;
	unsigned char net[16];
};

static bool parse_range(struct str text, struct range *ret)
{
	char s[INET6_ADDRSTRLEN + 8];
	struct str net, bits;
	int64_t n;

	if (!str_cut(str_trim(text), '/', &net, &bits) || net.n >= sizeof(s) ||
		str_to_i64(bits, &n) < 0)
		return false;
	snprintf(s, sizeof(s), STR_FMT, STR_ARG(net));
	ret->family = strchr(s, ':') ? AF_INET6 : AF_INET;
	ret->bits = (int)n;
	return n >= 0 && n <= (ret->family == AF_INET ? 32 : 128) &&
	       inet_pton(ret->family, s, ret->net) == 1;
}

static bool in_range(const struct range *r, int family, const unsigned char *address)
{
	int whole = r->bits / 8, rest = r->bits % 8;

	if (family != r->family || memcmp(address, r->net, (size_t)whole))
		return false;
	return !rest || (address[whole] ^ r->net[whole]) >> (8 - rest) == 0;
}

static const unsigned char *bytes_of(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return (const unsigned char *)&((const struct sockaddr_in *)sa)->sin_addr;
	return (const unsigned char *)&((const struct sockaddr_in6 *)sa)->sin6_addr;
}

/* Interfaces that the pod network makes itself, maybe left over from before. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {
		"sampan", "veth", "cni", "kbr", "obr", "vxlan", "flannel", "kube-", "lo"};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (str_starts(str_c(name), str_c(ours[i])))
			return true;
	return false;
}

static int check_range(
	struct ifaddrs *list, struct str text, const char *what, const char *flag, struct err *err)
{
	char shown[INET6_ADDRSTRLEN];
	struct range range;

	if (!parse_range(text, &range))
		return 0;
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : 0;

		if ((family != AF_INET && family != AF_INET6) || is_ours(i->ifa_name) ||
			!in_range(&range, family, bytes_of(i->ifa_addr)))
			continue;
		inet_ntop(family, bytes_of(i->ifa_addr), shown, sizeof(shown));
		return err_bad_request(err,
			"this machine's address %s (%s) lies in the addresses of the cluster's "
			"%s, " STR_FMT
			": give the machine another address, or the control plane another %s",
			shown, i->ifa_name, what, STR_ARG(text), flag);
	}
	return 0;
}

int join_check_addresses(struct str pods, struct str services, struct err *err)
{
	const struct {
		struct str list;
		const char *what, *flag;
	} all[] = {{pods, "pods", "--cluster-cidr"},
		{services, "services", "--service-cluster-ip-range"}};
	struct ifaddrs *list;
	struct str one, rest;
	int r = 0;

	if (getifaddrs(&list) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (rest = all[i].list; r == 0 && rest.n;) {
			str_cut(rest, ',', &one, &rest);
			r = check_range(list, one, all[i].what, all[i].flag, err);
		}
	freeifaddrs(list);
	return r;
}
