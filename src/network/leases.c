#include "network/leases.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum {
	RESERVED = 2, /* the network's own address and the gateway's */
	SIZE_MAX_ADDRESSES = 65536,
	FILE_MAX_BYTES = 64 * 1024,
};

static void mark(struct leases *l, const struct lease *lease, bool used)
{
	for (size_t i = 0; i < lease->n_ips; i++)
		for (size_t k = 0; k < l->n_ranges; k++) {
			uint32_t at = ip_prefix_offset(&l->ranges[k], &lease->ips[i]);

			if (at >= l->size)
				continue;
			if (used)
				l->used[at / 8] |= 1 << at % 8;
			else
				l->used[at / 8] &= ~(1 << at % 8);
		}
}

static bool parse_ips(struct str line, struct lease *head)
{
	struct str one;

	while (line.n && head->n_ips < LEASE_IPS_MAX) {
		str_cut(line, ' ', &one, &line);
		if (addr_parse(one, &head->ips[head->n_ips++]) < 0)
			return false;
	}
	return head->n_ips > 0;
}

/* "10.244.0.5 fd00::5\nnetns /run/…\ntcp 8080 80 0.0.0.0\n…" */
static struct lease *parse(struct str text)
{
	struct lease_port ports[LEASE_PORTS_MAX];
	struct lease head = {0}, *out;
	struct arena a = {0};
	struct str line;

	str_cut(text, '\n', &line, &text);
	if (!parse_ips(line, &head)) {
		arena_release(&a);
		return NULL;
	}
	while (text.n && head.n_ports < LEASE_PORTS_MAX) {
		struct lease_port *p = &ports[head.n_ports];
		char ip[IP_TEXT_MAX] = "";

		str_cut(text, '\n', &line, &text);
		if (str_starts(line, S("netns ")) && line.n - 6 < sizeof(head.netns)) {
			memcpy(head.netns, line.p + 6, line.n - 6);
			continue;
		}
		*p = (struct lease_port){0};
		if (sscanf(arena_cstr(&a, line), "%4s %d %d %49s", p->protocol, &p->host_port,
			    &p->container_port, ip) != 4 ||
			addr_parse(str_c(ip), &p->host_ip) < 0)
			continue;
		if (!strcmp(ip, "0.0.0.0"))
			p->host_ip = (struct ip_addr){0};
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
	char ip[IP_TEXT_MAX],
		*path CLEANUP(free_ptr) = xasprintf("%s/" STR_FMT, l->dir, STR_ARG(id));
	struct buf b;
	int r;

	buf_init(&b, FILE_MAX_BYTES);
	for (size_t i = 0; i < lease->n_ips; i++)
		buf_fmt(&b, "%s%s", i ? " " : "", addr_text(&lease->ips[i], ip));
	buf_add_c(&b, "\n");
	if (lease->netns[0])
		buf_fmt(&b, "netns %s\n", lease->netns);
	for (size_t i = 0; i < lease->n_ports; i++)
		buf_fmt(&b, "%s %d %d %s\n", lease->ports[i].protocol, lease->ports[i].host_port,
			lease->ports[i].container_port,
			lease->ports[i].host_ip.family ? addr_text(&lease->ports[i].host_ip, ip)
						       : "0.0.0.0");
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

int leases_set_ranges(
	struct leases *l, const struct ip_prefix *ranges, size_t n_ranges, struct err *err)
{
	uint32_t size = SIZE_MAX_ADDRESSES;

	if (!n_ranges || n_ranges > LEASE_IPS_MAX ||
		(n_ranges == 2 && ranges[0].addr.family == ranges[1].addr.family))
		return err_bad_request(err, "a node has one pod CIDR, or one of each family");
	for (size_t i = 0; i < n_ranges; i++) {
		int host_bits = addr_bits(&ranges[i].addr) - ranges[i].bits;

		if (host_bits < 2 || ranges[i].bits < 8)
			return err_bad_request(err,
				"a pod CIDR of /%d cannot be used: /8 to /%d can", ranges[i].bits,
				addr_bits(&ranges[i].addr) - 2);
		size = MIN(size, ip_prefix_size(&ranges[i]));
	}
	memcpy(l->ranges, ranges, n_ranges * sizeof(*ranges));
	l->n_ranges = n_ranges;
	l->size = size;
	l->next = RESERVED;
	free(l->used);
	l->used = xcalloc(1, size / 8 + 1);
	for (struct map_entry *e = map_first(&l->by_id); e; e = map_next(&l->by_id, e))
		mark(l, e->value, true);
	return 0;
}

/* The search goes round, so that an address rests as long as possible before it is given again. */
static bool find_free(struct leases *l, struct lease *to)
{
	uint32_t usable = l->size - RESERVED - 1; /* the last one is the broadcast address */

	for (uint32_t i = 0; i < usable; i++) {
		uint32_t at = RESERVED + (l->next - RESERVED + i) % usable;

		if (l->used[at / 8] & 1 << at % 8)
			continue;
		l->next = at + 1 < l->size - 1 ? at + 1 : RESERVED;
		for (size_t k = 0; k < l->n_ranges; k++)
			to->ips[k] = ip_prefix_at(&l->ranges[k], at);
		to->n_ips = l->n_ranges;
		return true;
	}
	return false;
}

int leases_take(struct leases *l, struct str id, const char *netns, const struct lease_port *ports,
	size_t n_ports, const struct lease **ret, struct err *err)
{
	struct lease *lease = map_get(&l->by_id, id);
	int r;

	if (lease) {
		*ret = lease;
		return 0;
	}
	if (!l->n_ranges)
		return err_fmt(err, 503, "ServiceUnavailable", "the node has no pod CIDR yet");
	if (n_ports > LEASE_PORTS_MAX || !id.n || str_chr(id, '/') >= 0 || id.p[0] == '.')
		return err_bad_request(err, "not a sandbox that can have a network");
	lease = xcalloc(1, sizeof(*lease) + n_ports * sizeof(*ports));
	if (netns && strlen(netns) < sizeof(lease->netns))
		strcpy(lease->netns, netns);
	lease->n_ports = n_ports;
	if (n_ports)
		memcpy(lease->ports, ports, n_ports * sizeof(*ports));
	r = find_free(l, lease) ? write_lease(l, id, lease, err)
				: err_fmt(err, 503, "ServiceUnavailable",
					  "no free address left in the node's pod CIDR");
	if (r < 0) {
		free(lease);
		return r;
	}
	map_set(&l->by_id, id, lease);
	mark(l, lease, true);
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
	mark(l, lease, false);
	free(lease);
}
