#include "network/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <nftables/libnftables.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "network/leases.h"
#include "network/netlink.h"
#include "network/rules.h"

enum { NFT_MAX = 16 << 20 };

struct network {
	pthread_mutex_t lock;
	char bridge[16];
	int mtu, bridge_index;
	struct in_addr gateway;
	struct leases leases;
	struct mnl_socket *route;
	struct nft_ctx *nft;
};

static void write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		log_warn("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static int run_nft(struct network *n, struct str commands, struct err *err)
{
	int r;

	if (!commands.n)
		return 0;
	nft_ctx_buffer_error(n->nft);
	r = nft_run_cmd_from_buffer(n->nft, commands.p);
	if (r < 0)
		r = err_fmt(err, 500, "InternalError", "nftables: %.500s",
			nft_ctx_get_error_buffer(n->nft));
	nft_ctx_unbuffer_error(n->nft);
	return r;
}

int network_new(const struct network_opts *opts, struct network **ret, struct err *err)
{
	struct network *n = xcalloc(1, sizeof(*n));
	int r;

	pthread_mutex_init(&n->lock, NULL);
	snprintf(n->bridge, sizeof(n->bridge), "%s", opts->bridge ? opts->bridge : "sampan0");
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
	if (r == 0 && !(n->nft = nft_ctx_new(NFT_CTX_DEFAULT)))
		r = err_errno(err, ENOMEM, "cannot open nftables");
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
	if (n->nft)
		nft_ctx_free(n->nft);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

static int make_bridge(struct network *n, struct err *err)
{
	char *path CLEANUP(free_ptr) =
		xasprintf("/proc/sys/net/ipv4/conf/%s/send_redirects", n->bridge);
	int r = netlink_add_bridge(n->route, n->bridge, n->mtu);

	if (r < 0 && r != -EEXIST)
		return err_errno(err, -r, "cannot make the bridge %s", n->bridge);
	n->bridge_index = netlink_link_index(n->route, n->bridge);
	if (n->bridge_index < 0)
		return err_errno(err, -n->bridge_index, "cannot find the bridge %s", n->bridge);
	r = netlink_add_address(n->route, n->bridge_index, n->gateway, n->leases.prefix);
	if (r == 0)
		r = netlink_link_up(n->route, n->bridge_index);
	if (r < 0)
		return err_errno(err, -r, "cannot set up the bridge %s", n->bridge);
	write_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
	write_sysctl(
		"/proc/sys/net/ipv4/conf/all/route_localnet", "1"); /* host ports on 127.0.0.1 */
	write_sysctl(path, "0"); /* pods of one node go through it on purpose */
	return 0;
}

static int write_rules(struct network *n, struct err *err)
{
	struct buf nft;
	int r;

	buf_init(&nft, NFT_MAX);
	rules_base(n->bridge, n->leases.first, n->leases.prefix, &nft);
	for (struct map_entry *e = map_first(&n->leases.by_id); e;
		e = map_next(&n->leases.by_id, e))
		rules_ports(e->value, "add", &nft);
	r = buf_failed(&nft) ? err_errno(err, E2BIG, "too many host ports")
			     : run_nft(n, buf_str(&nft), err);
	buf_release(&nft);
	return r;
}

int network_set_pod_cidr(struct network *n, struct str cidr, struct err *err)
{
	char ip[64];
	struct in_addr first;
	int prefix, r;

	if (cidr.n >= sizeof(ip) || sscanf(cidr.p, "%63[0-9.]/%d", ip, &prefix) != 2 ||
		inet_pton(AF_INET, ip, &first) != 1)
		return err_bad_request(
			err, "\"" STR_FMT "\" is not an IPv4 pod CIDR", STR_ARG(cidr));
	pthread_mutex_lock(&n->lock);
	r = leases_set_range(&n->leases, first, prefix, err);
	if (r == 0) {
		n->gateway.s_addr = htonl(ntohl(n->leases.first.s_addr) + 1);
		r = make_bridge(n, err);
	}
	if (r == 0)
		r = write_rules(n, err);
	pthread_mutex_unlock(&n->lock);
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

static void link_name(struct str id, char name[16])
{
	snprintf(name, 16, "pod%012llx", (unsigned long long)(str_hash(id) & 0xffffffffffffull));
}

/* Inside the pod: lo and eth0 up, the address, the way out. */
static int set_up_inside(struct network *n, const char *netns_path, struct in_addr ip)
{
	const struct in_addr none = {0};
	struct mnl_socket *s;
	int eth0, lo, r = netlink_open(netns_path, &s);

	if (r < 0)
		return r;
	eth0 = netlink_link_index(s, "eth0");
	lo = netlink_link_index(s, "lo");
	r = eth0 < 0 ? eth0 : lo < 0 ? lo : netlink_link_up(s, lo);
	if (r == 0)
		r = netlink_add_address(s, eth0, ip, 32);
	if (r == 0)
		r = netlink_link_up(s, eth0);
	if (r == 0)
		r = netlink_add_route(s, eth0, n->gateway, 32, none);
	if (r == 0)
		r = netlink_add_route(s, eth0, none, 0, n->gateway);
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
		r = set_up_inside(n, pod->netns_path, lease->ip);
	return r < 0 ? err_errno(err, -r, "cannot set up the pod's interface") : 0;
}

static int open_ports(
	struct network *n, const struct lease *lease, const char *verb, struct err *err)
{
	struct buf nft;
	int r;

	buf_init(&nft, NFT_MAX);
	rules_ports(lease, verb, &nft);
	r = run_nft(n, buf_str(&nft), err);
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
		struct arena a = {0};
		bool any = !p->host_ip.n, ok;

		to[i] = (struct lease_port){
			.host_port = p->host_port, .container_port = p->container_port};
		snprintf(to[i].protocol, sizeof(to[i].protocol), "%s", p->protocol);
		ok = any || inet_pton(AF_INET, arena_cstr(&a, p->host_ip), &to[i].host_ip) == 1;
		arena_release(&a);
		if (!ok)
			return err_bad_request(err,
				"host IP \"" STR_FMT "\" is not an IPv4 address",
				STR_ARG(p->host_ip));
	}
	return 0;
}

int network_attach(struct network *n, const struct network_pod *pod, struct arena *a,
	struct str *ret_ip, struct err *err)
{
	struct lease_port ports[LEASE_PORTS_MAX];
	const struct lease *lease = NULL;
	char text[INET_ADDRSTRLEN];
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
	r = leases_take(&n->leases, pod->id, ports, pod->n_ports, &lease, err);
	if (r == 0)
		r = plug(n, pod, lease, err);
	if (r == 0 && !known && lease->n_ports)
		r = open_ports(n, lease, "add", err);
	if (r == 0)
		*ret_ip = arena_strc(a, inet_ntop(AF_INET, &lease->ip, text, sizeof(text)));
	else if (lease)
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
