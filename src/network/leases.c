#include "network/leases.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { RESERVED = 2, FILE_MAX_BYTES = 64 * 1024 }; /* the network's own address and the gateway's */

static uint32_t range_size(const struct leases *l)
{
	return l->prefix ? 1u << (32 - l->prefix) : 0;
}

/* Offset in the range, or UINT32_MAX when it is not in it. */
static uint32_t offset_of(const struct leases *l, struct in_addr ip)
{
	uint32_t at = ntohl(ip.s_addr) - ntohl(l->first.s_addr);

	return at < range_size(l) ? at : UINT32_MAX;
}

static void mark(struct leases *l, struct in_addr ip, bool used)
{
	uint32_t at = offset_of(l, ip);

	if (at == UINT32_MAX)
		return;
	if (used)
		l->used[at / 8] |= 1 << at % 8;
	else
		l->used[at / 8] &= ~(1 << at % 8);
}

/* "10.244.0.5\ntcp 8080 80 0.0.0.0\n…" */
static struct lease *parse(struct str text)
{
	struct lease_port ports[LEASE_PORTS_MAX];
	struct lease head = {0}, *out;
	struct arena a = {0};
	struct str line;

	str_cut(text, '\n', &line, &text);
	if (inet_pton(AF_INET, arena_cstr(&a, line), &head.ip) != 1) {
		arena_release(&a);
		return NULL;
	}
	while (text.n && head.n_ports < LEASE_PORTS_MAX) {
		struct lease_port *p = &ports[head.n_ports];
		char ip[32] = "";

		str_cut(text, '\n', &line, &text);
		*p = (struct lease_port){0};
		if (sscanf(arena_cstr(&a, line), "%4s %d %d %31s", p->protocol, &p->host_port,
			    &p->container_port, ip) != 4 ||
			inet_pton(AF_INET, ip, &p->host_ip) != 1)
			continue;
		head.n_ports++;
	}
	arena_release(&a);
	out = xmalloc(sizeof(*out) + head.n_ports * sizeof(*ports));
	*out = head;
	memcpy(out->ports, ports, head.n_ports * sizeof(*ports));
	return out;
}

static int write_lease(struct leases *l, struct str id, const struct lease *lease, struct err *err)
{
	char ip[INET_ADDRSTRLEN],
		*path CLEANUP(free_ptr) = xasprintf("%s/" STR_FMT, l->dir, STR_ARG(id));
	struct buf b;
	int r;

	buf_init(&b, FILE_MAX_BYTES);
	buf_fmt(&b, "%s\n", inet_ntop(AF_INET, &lease->ip, ip, sizeof(ip)));
	for (size_t i = 0; i < lease->n_ports; i++)
		buf_fmt(&b, "%s %d %d %s\n", lease->ports[i].protocol, lease->ports[i].host_port,
			lease->ports[i].container_port,
			inet_ntop(AF_INET, &lease->ports[i].host_ip, ip, sizeof(ip)));
	r = buf_failed(&b) ? err_errno(err, E2BIG, "%s", path)
			   : file_write(path, buf_str(&b), 0600, err);
	buf_release(&b);
	return r;
}

static void read_one(struct leases *l, const char *name)
{
	char *path CLEANUP(free_ptr) = xasprintf("%s/%s", l->dir, name);
	struct arena a = {0};
	struct lease *lease = NULL;
	struct str text;

	if (file_read(path, FILE_MAX_BYTES, &a, &text, NULL) == 0)
		lease = parse(text);
	if (lease)
		map_set(&l->by_id, str_c(name), lease);
	else
		log_warn("%s: not an address lease, left out", path);
	arena_release(&a);
}

int leases_open(struct leases *l, const char *dir, struct err *err)
{
	struct dirent *e;
	DIR *d;

	*l = (struct leases){0};
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make %s", dir);
	d = opendir(dir);
	if (!d)
		return err_errno(err, errno, "cannot read %s", dir);
	l->dir = xstrdup(dir);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && !strstr(e->d_name, ".tmp."))
			read_one(l, e->d_name);
	closedir(d);
	return 0;
}

void leases_release(struct leases *l)
{
	for (struct map_entry *e = map_first(&l->by_id); e; e = map_next(&l->by_id, e))
		free(e->value);
	map_release(&l->by_id);
	free(l->used);
	free(l->dir);
	*l = (struct leases){0};
}

int leases_set_range(struct leases *l, struct in_addr first, int prefix, struct err *err)
{
	if (prefix < 8 || prefix > 30)
		return err_bad_request(
			err, "a pod CIDR of /%d cannot be used: /8 to /30 can", prefix);
	l->first.s_addr = htonl(ntohl(first.s_addr) & ~((1u << (32 - prefix)) - 1));
	l->prefix = prefix;
	l->next = RESERVED;
	free(l->used);
	l->used = xcalloc(1, range_size(l) / 8 + 1);
	for (struct map_entry *e = map_first(&l->by_id); e; e = map_next(&l->by_id, e))
		mark(l, ((struct lease *)e->value)->ip, true);
	return 0;
}

/* The search goes round, so that an address rests as long as possible before it is given again. */
static bool find_free(struct leases *l, struct in_addr *ret)
{
	uint32_t size = range_size(l),
		 usable =
			 size ? size - RESERVED - 1 : 0; /* the last one is the broadcast address */

	for (uint32_t i = 0; i < usable; i++) {
		uint32_t at = RESERVED + (l->next - RESERVED + i) % usable;

		if (l->used[at / 8] & 1 << at % 8)
			continue;
		l->next = at + 1 < size - 1 ? at + 1 : RESERVED;
		ret->s_addr = htonl(ntohl(l->first.s_addr) + at);
		return true;
	}
	return false;
}

int leases_take(struct leases *l, struct str id, const struct lease_port *ports, size_t n_ports,
	const struct lease **ret, struct err *err)
{
	struct lease *lease = map_get(&l->by_id, id);
	int r;

	if (lease) {
		*ret = lease;
		return 0;
	}
	if (!l->prefix)
		return err_fmt(err, 503, "ServiceUnavailable", "the node has no pod CIDR yet");
	if (n_ports > LEASE_PORTS_MAX || !id.n || str_chr(id, '/') >= 0 || id.p[0] == '.')
		return err_bad_request(err, "not a sandbox that can have a network");
	lease = xmalloc(sizeof(*lease) + n_ports * sizeof(*ports));
	lease->n_ports = n_ports;
	if (n_ports)
		memcpy(lease->ports, ports, n_ports * sizeof(*ports));
	r = find_free(l, &lease->ip) ? write_lease(l, id, lease, err)
				     : err_fmt(err, 503, "ServiceUnavailable",
					       "no free address left in the node's pod CIDR");
	if (r < 0) {
		free(lease);
		return r;
	}
	map_set(&l->by_id, id, lease);
	mark(l, lease->ip, true);
	*ret = lease;
	return 0;
}

const struct lease *leases_get(struct leases *l, struct str id)
{
	return map_get(&l->by_id, id);
}

void leases_drop(struct leases *l, struct str id)
{
	char *path CLEANUP(free_ptr) = xasprintf("%s/" STR_FMT, l->dir, STR_ARG(id));
	struct lease *lease = map_remove(&l->by_id, id);

	if (!lease)
		return;
	if (unlink(path) < 0)
		log_warn("%s: %s", path, strerror(errno));
	mark(l, lease->ip, false);
	free(lease);
}
