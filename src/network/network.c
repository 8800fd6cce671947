#include "network/network.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "network/leases.h"
#include "network/netlink.h"
#include "network/nft_run.h"
#include "network/rules.h"

enum { NFT_MAX = 16 << 20 };

struct network {
	pthread_mutex_t lock;
	char bridge[16];
	int mtu, bridge_index;
	struct ip_addr gateways[LEASE_IPS_MAX]; /* one of each range of the leases */
	struct arena cluster_arena;
	struct network_cluster cluster;
	struct leases leases;
	struct mnl_socket *route;
};

static void write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		log_warn("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static int run_nft(struct str commands, struct err *err)
{
	return commands.n ? nft_run(commands, err) : 0;
}

int network_new(const struct network_opts *opts, struct network **ret, struct err *err)
{
	struct network *n = xcalloc(1, sizeof(*n));
	int r;

	pthread_mutex_init(&n->lock, NULL);
	snprintf(n->bridge, sizeof(n->bridge), "%s", opts->bridge ? opts->bridge : NETWORK_BRIDGE);
	n->mtu = opts->mtu ? opts->mtu : 1500;
	if (mkdir(opts->state_dir, 0700) < 0 && errno != EEXIST)
		r = err_errno(err, errno, "cannot make %s", opts->state_dir);
	else
		r = leases_open(&n->leases, opts->state_dir, err);
	if (r == 0) {
		r = netlink_open(NULL, &n->route);
		if (r < 0)
			err_errno(err, -r, "cannot open a netlink socket");
	}
	if (r < 0) {
		network_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

void network_free(struct network *n)
{
	leases_release(&n->leases);
	if (n->route)
		netlink_close(n->route);
	arena_release(&n->cluster_arena);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

/* Forwarding would stop the kernel from listening to router advertisements. */
static void forward_ipv6(void)
{
	static const char dir_path[] = "/proc/sys/net/ipv6/conf";
	DIR *dir = opendir(dir_path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char *path CLEANUP(free_ptr) = xasprintf("%s/%s/accept_ra", dir_path, e->d_name);
		struct arena a CLEANUP(arena_release) = {0};
		struct str text;

		if (e->d_name[0] != '.' && file_read(path, 64, &a, &text, NULL) == 0 &&
			str_eqc(str_trim(text), "1"))
			write_sysctl(path, "2");
	}
	if (dir)
		closedir(dir);
	write_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1");
}

static void set_sysctls(struct network *n)
{
	char *path CLEANUP(free_ptr) =
		xasprintf("/proc/sys/net/ipv4/conf/%s/send_redirects", n->bridge);

	write_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
	write_sysctl(
		"/proc/sys/net/ipv4/conf/all/route_localnet", "1"); /* host ports on 127.0.0.1 */
	write_sysctl(path, "0"); /* pods of one node go through it on purpose */
	for (size_t i = 0; i < n->leases.n_ranges; i++)
		if (n->leases.ranges[i].addr.family == AF_INET6)
			forward_ipv6();
}

struct clash {
	const struct ip_prefix *range;
	bool found;
	struct ip_prefix with;
};

static void find_clash(void *user_data, const struct ip_addr *ip, int bits)
{
	struct clash *c = user_data;
	struct ip_prefix p = {*ip, bits};
	char text[IP_TEXT_MAX];

	if (ip_prefix_parse(str_c(ip_prefix_text(&p, text)), &p) == 0 &&
		ip_prefixes_overlap(&p, c->range)) {
		c->found = true;
		c->with = p;
	}
}

static bool is_own_bridge(const char *name)
{
	return !strcmp(name, NETWORK_BRIDGE) || !strcmp(name, NETWORK_BRIDGE_OVS);
}

/* A link of this machine that is in one of the ranges, and not a bridge of ours. */
static int check_clashes(
	struct network *n, const struct ip_prefix *ranges, size_t n_ranges, struct err *err)
{
	struct if_nameindex *links = if_nameindex();
	char range[IP_TEXT_MAX], with[IP_TEXT_MAX];
	int r = 0;

	for (struct if_nameindex *l = links; l && l->if_index && r == 0; l++)
		for (size_t i = 0; i < n_ranges && r == 0; i++) {
			struct clash c = {&ranges[i]};

			if (!strcmp(l->if_name, n->bridge) || is_own_bridge(l->if_name))
				continue;
			netlink_each_address(n->route, (int)l->if_index, find_clash, &c);
			if (c.found)
				r = err_fmt(err, 409, "Conflict",
					"the node's pod CIDR %s clashes with %s, which this "
					"machine "
					"has on %s: give the cluster other addresses with "
					"--cluster-cidr, or the machine another network",
					ip_prefix_text(c.range, range),
					ip_prefix_text(&c.with, with), l->if_name);
		}
	if_freenameindex(links);
	return r;
}

struct stale {
	struct network *n;
	struct ip_prefix v[16]; /* with all bits of the address */
	size_t count;
};

static void find_stale_address(void *user_data, const struct ip_addr *ip, int bits)
{
	struct stale *s = user_data;
	struct network *n = s->n;

	for (size_t i = 0; i < n->leases.n_ranges; i++)
		if (addr_eq(ip, &n->gateways[i]) && bits == n->leases.ranges[i].bits)
			return;
	if (ip->family == AF_INET6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80)
		return; /* link-local */
	if (s->count < ARRAY_SIZE(s->v))
		s->v[s->count++] = (struct ip_prefix){*ip, bits};
}

static void link_name(struct str id, char name[16])
{
	snprintf(name, 16, "pod%012llx", (unsigned long long)(str_hash(id) & 0xffffffffffffull));
}

/* Pods that were on another bridge (another network backend ran before) come to this one; the other
 * goes, if it was ours. */
static void join_pods(struct network *n)
{
	static const char *const names[] = {NETWORK_BRIDGE, NETWORK_BRIDGE_OVS};
	struct netlink_link l;
	char name[16];

	for (struct map_entry *e = map_first(&n->leases.by_id); e;
		e = map_next(&n->leases.by_id, e)) {
		link_name(str_c(e->key), name);
		if (netlink_get_link(n->route, name, &l) < 0)
			continue;
		if (l.master != n->bridge_index)
			netlink_set_master(n->route, l.index, n->bridge_index);
		netlink_set_hairpin(n->route, l.index);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], n->bridge) && is_own_bridge(n->bridge) &&
			netlink_link_of(n->route, &n->gateways[0], &l) == 0 &&
			!strcmp(l.name, names[i]))
			netlink_delete_link(n->route, names[i]);
}

static int set_up_bridge(struct network *n)
{
	struct stale stale = {.n = n};
	uint8_t mac[MAC_LEN];
	int r = 0;

	addr_mac(&n->gateways[0], mac);
	netlink_set_mac(n->route, n->bridge_index, mac);
	netlink_set_mtu(n->route, n->bridge_index, n->mtu);
	netlink_each_address(n->route, n->bridge_index, find_stale_address, &stale);
	for (size_t i = 0; i < stale.count; i++)
		netlink_delete_address(
			n->route, n->bridge_index, &stale.v[i].addr, stale.v[i].bits);
	for (size_t i = 0; i < n->leases.n_ranges && r == 0; i++)
		r = netlink_add_address(
			n->route, n->bridge_index, &n->gateways[i], n->leases.ranges[i].bits);
	return r == 0 ? netlink_link_up(n->route, n->bridge_index) : r;
}

static int make_bridge(struct network *n, struct err *err)
{
	uint8_t mac[MAC_LEN];
	int r;

	for (size_t i = 0; i < n->leases.n_ranges; i++)
		n->gateways[i] = ip_prefix_gateway(&n->leases.ranges[i]);
	addr_mac(&n->gateways[0], mac);
	r = netlink_add_bridge(n->route, n->bridge, n->mtu, mac);
	if (r < 0 && r != -EEXIST)
		return err_errno(err, -r, "cannot make the bridge %s", n->bridge);
	r = netlink_link_index(n->route, n->bridge);
	if (r < 0)
		return err_errno(err, -r, "cannot find the bridge %s", n->bridge);
	n->bridge_index = r;
	join_pods(n);
	r = set_up_bridge(n);
	if (r < 0)
		return err_errno(err, -r, "cannot set up the bridge %s", n->bridge);
	set_sysctls(n);
	return 0;
}

static int write_rules(struct network *n, struct err *err)
{
	struct buf nft;
	int r;

	buf_init(&nft, NFT_MAX);
	for (size_t i = 0; i < n->leases.n_ranges; i++)
		rules_base(n->bridge, &n->leases.ranges[i], &n->cluster, &nft);
	for (struct map_entry *e = map_first(&n->leases.by_id); e;
		e = map_next(&n->leases.by_id, e))
		rules_ports(e->value, "add", &nft);
	r = buf_failed(&nft) ? err_errno(err, E2BIG, "too many host ports")
			     : run_nft(buf_str(&nft), err);
	buf_release(&nft);
	return r;
}

static void write_guard(struct network *n)
{
	struct err err CLEANUP(err_release) = {0};
	struct buf nft;

	buf_init(&nft, NFT_MAX);
	rules_guard(n->bridge, &nft);
	if (run_nft(buf_str(&nft), &err) < 0)
		log_warn("pod network: pods of this machine may go round network policies: %s",
			err_text(&err));
	buf_release(&nft);
}

static int parse_cidrs(
	struct str text, struct ip_prefix ranges[LEASE_IPS_MAX], size_t *ret_n, struct err *err)
{
	struct str rest = text, one;
	size_t n = 0;

	while (rest.n) {
		str_cut(rest, ',', &one, &rest);
		if (n == LEASE_IPS_MAX || ip_prefix_parse(str_trim(one), &ranges[n++]) < 0)
			return err_bad_request(err,
				"\"" STR_FMT
				"\" is not a pod CIDR, or one of each family with a comma",
				STR_ARG(text));
	}
	*ret_n = n;
	return 0;
}

int network_set_pod_cidrs(struct network *n, struct str cidrs, struct err *err)
{
	struct ip_prefix ranges[LEASE_IPS_MAX];
	size_t n_ranges = 0;
	int r = parse_cidrs(cidrs, ranges, &n_ranges, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&n->lock);
	r = check_clashes(n, ranges, n_ranges, err);
	if (r == 0)
		r = leases_set_ranges(&n->leases, ranges, n_ranges, err);
	if (r == 0)
		r = make_bridge(n, err);
	if (r == 0)
		r = write_rules(n, err);
	if (r == 0)
		write_guard(n);
	pthread_mutex_unlock(&n->lock);
	return r;
}

static void set_pod_mtu(const char *netns_path, int mtu)
{
	struct mnl_socket *s;
	int eth0;

	if (!netns_path[0] || netlink_open(netns_path, &s) < 0)
		return; /* it goes away just now */
	eth0 = netlink_link_index(s, "eth0");
	if (eth0 > 0)
		netlink_set_mtu(s, eth0, mtu);
	netlink_close(s);
}

void network_set_mtu(struct network *n, int mtu)
{
	char name[16];
	int index;

	pthread_mutex_lock(&n->lock);
	if (n->mtu != mtu && n->bridge_index > 0) {
		log_info("pod network: the MTU is %d now", mtu);
		netlink_set_mtu(n->route, n->bridge_index, mtu);
		for (struct map_entry *e = map_first(&n->leases.by_id); e;
			e = map_next(&n->leases.by_id, e)) {
			link_name(str_c(e->key), name);
			index = netlink_link_index(n->route, name);
			if (index > 0)
				netlink_set_mtu(n->route, index, mtu);
			set_pod_mtu(((struct lease *)e->value)->netns, mtu);
		}
	}
	n->mtu = mtu;
	pthread_mutex_unlock(&n->lock);
}

static void copy_cluster(struct network *n, const struct network_cluster *c)
{
	arena_release(&n->cluster_arena);
	n->cluster = *c;
	n->cluster.pods = arena_memdup(&n->cluster_arena, c->pods, c->n_pods * sizeof(*c->pods));
	n->cluster.nodes =
		arena_memdup(&n->cluster_arena, c->nodes, c->n_nodes * sizeof(*c->nodes));
}

int network_set_cluster(struct network *n, const struct network_cluster *c, struct err *err)
{
	struct buf nft;
	int r = 0;

	buf_init(&nft, NFT_MAX);
	pthread_mutex_lock(&n->lock);
	copy_cluster(n, c);
	for (size_t i = 0; n->bridge_index > 0 && i < n->leases.n_ranges; i++)
		rules_cluster(n->leases.ranges[i].addr.family, c, &nft);
	if (nft.n)
		r = run_nft(buf_str(&nft), err);
	pthread_mutex_unlock(&n->lock);
	buf_release(&nft);
	return r;
}

bool network_ready(struct network *n)
{
	bool ready;

	pthread_mutex_lock(&n->lock);
	ready = n->bridge_index > 0;
	pthread_mutex_unlock(&n->lock);
	return ready;
}

/* Inside the pod: eth0's address, the way to the gateway, and by it to everywhere. */
static int set_up_address(
	struct mnl_socket *s, int eth0, const struct ip_addr *ip, const struct ip_addr *gateway)
{
	const struct netlink_route to_gateway = {
		.to = {*gateway, addr_bits(gateway)}, .index = eth0};
	const struct netlink_route out = {
		.to = {{.family = ip->family}, 0}, .via = *gateway, .index = eth0, .onlink = true};
	int r = netlink_add_address(s, eth0, ip, addr_bits(ip));

	if (r == 0)
		r = netlink_add_route(s, &to_gateway);
	return r == 0 ? netlink_add_route(s, &out) : r;
}

static int set_up_inside(struct network *n, const char *netns_path, const struct lease *lease)
{
	struct mnl_socket *s;
	int eth0, lo, r = netlink_open(netns_path, &s);

	if (r < 0)
		return r;
	eth0 = netlink_link_index(s, "eth0");
	lo = netlink_link_index(s, "lo");
	r = eth0 < 0 ? eth0 : lo < 0 ? lo : netlink_link_up(s, lo);
	if (r == 0)
		r = netlink_link_up(s, eth0);
	for (size_t i = 0; i < lease->n_ips && r == 0; i++)
		for (size_t k = 0; k < n->leases.n_ranges && r == 0; k++)
			if (n->gateways[k].family == lease->ips[i].family)
				r = set_up_address(s, eth0, &lease->ips[i], &n->gateways[k]);
	netlink_close(s);
	return r;
}

static int plug(struct network *n, const struct network_pod *pod, const struct lease *lease,
	struct err *err)
{
	char name[16];
	int fd = open(pod->netns_path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return err_errno(err, errno, "cannot open %s", pod->netns_path);
	link_name(pod->id, name);
	r = netlink_add_veth(n->route, name, n->bridge_index, "eth0", fd, n->mtu);
	close(fd);
	if (r == -EEXIST)
		r = 0; /* attached before */
	if (r == 0)
		r = netlink_set_hairpin(n->route, netlink_link_index(n->route, name));
	if (r == 0)
		r = set_up_inside(n, pod->netns_path, lease);
	return r < 0 ? err_errno(err, -r, "cannot set up the pod's interface") : 0;
}

static int open_ports(
	struct network *n, const struct lease *lease, const char *verb, struct err *err)
{
	struct buf nft;
	int r;

	buf_init(&nft, NFT_MAX);
	rules_ports(lease, verb, &nft);
	r = run_nft(buf_str(&nft), err);
	buf_release(&nft);
	return r;
}

static int detach_locked(struct network *n, struct str id, struct err *err)
{
	const struct lease *lease = leases_get(&n->leases, id);
	char name[16];
	int r;

	link_name(id, name);
	r = netlink_delete_link(n->route, name);
	if (r < 0 && r != -ENODEV)
		return err_errno(err, -r, "cannot remove the interface %s", name);
	if (!lease)
		return 0;
	if (lease->n_ports)
		open_ports(
			n, lease, "delete", NULL); /* the table may have been made anew meanwhile */
	leases_drop(&n->leases, id);
	return 0;
}

static int convert_ports(const struct network_pod *pod, struct lease_port *to, struct err *err)
{
	for (size_t i = 0; i < pod->n_ports; i++) {
		const struct network_port *p = &pod->ports[i];
		to[i] = (struct lease_port){
			.host_port = p->host_port, .container_port = p->container_port};
		snprintf(to[i].protocol, sizeof(to[i].protocol), "%s", p->protocol);
		if (!p->host_ip.n || str_eqc(p->host_ip, "0.0.0.0") || str_eqc(p->host_ip, "::"))
			continue;
		if (addr_parse(p->host_ip, &to[i].host_ip) < 0)
			return err_bad_request(err, "host IP \"" STR_FMT "\" is not an IP address",
				STR_ARG(p->host_ip));
	}
	return 0;
}

int network_attach(struct network *n, const struct network_pod *pod, struct arena *a,
	struct str_vec *ret_ips, struct err *err)
{
	struct lease_port ports[LEASE_PORTS_MAX];
	const struct lease *lease = NULL;
	bool known;
	int r;

	if (pod->n_ports > LEASE_PORTS_MAX)
		return err_bad_request(
			err, "a pod may have at most %d host ports", LEASE_PORTS_MAX);
	r = convert_ports(pod, ports, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&n->lock);
	known = leases_get(&n->leases, pod->id);
	r = leases_take(&n->leases, pod->id, pod->netns_path, ports, pod->n_ports, &lease, err);
	if (r == 0)
		r = plug(n, pod, lease, err);
	if (r == 0 && !known && lease->n_ports)
		r = open_ports(n, lease, "add", err);
	for (size_t i = 0; r == 0 && i < lease->n_ips; i++)
		ARENA_PUSH(a, ret_ips, addr_str(&lease->ips[i], a));
	if (r < 0 && lease)
		detach_locked(n, pod->id, NULL);
	pthread_mutex_unlock(&n->lock);
	return r;
}

int network_detach(struct network *n, struct str id, struct err *err)
{
	int r;

	pthread_mutex_lock(&n->lock);
	r = detach_locked(n, id, err);
	pthread_mutex_unlock(&n->lock);
	return r;
}

void network_collect(struct network *n, const struct str_vec *live)
{
	struct str_vec gone = {0};
	struct arena a = {0};

	pthread_mutex_lock(&n->lock);
	for (struct map_entry *e = map_first(&n->leases.by_id); e;
		e = map_next(&n->leases.by_id, e))
		if (!str_vec_has(live, str_c(e->key)))
			ARENA_PUSH(&a, &gone, arena_strc(&a, e->key));
	for (size_t i = 0; i < gone.n; i++)
		detach_locked(n, gone.v[i], NULL);
	pthread_mutex_unlock(&n->lock);
	arena_release(&a);
}
