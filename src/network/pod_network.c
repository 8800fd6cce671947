#include "network/pod_network.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "network/cni.h"
#include "network/netlink.h"
#include "network/network.h"
#include "base/fs.h"

struct pod_network {
	char *state_dir, *cni_conf_dir, *cni_bin_dir;
	struct network *bridge;
	pod_network_guard_fn *guard;
	void *guard_data;
	pthread_mutex_t lock; /* of the guard */
};

int pod_network_new(const struct pod_network_opts *o, struct pod_network **ret, struct err *err)
{
	struct pod_network *n = xcalloc(1, sizeof(*n));
	char *leases CLEANUP(free_ptr) = xasprintf("%s/leases", o->state_dir);
	const struct network_opts opts = {.state_dir = leases, .bridge = o->bridge, .mtu = o->mtu};
	int r = fs_mkdirs(o->state_dir, 0700);

	pthread_mutex_init(&n->lock, NULL);
	n->state_dir = xstrdup(o->state_dir);
	n->cni_conf_dir = xstrdup(o->cni_conf_dir ?: "/etc/cni/net.d");
	n->cni_bin_dir = xstrdup(o->cni_bin_dir ?: "/opt/cni/bin:/usr/lib/cni");
	if (r < 0)
		err_errno(err, -r, "cannot make %s", o->state_dir);
	else
		r = network_new(&opts, &n->bridge, err);
	if (r < 0)
		pod_network_free(n);
	else
		*ret = n;
	return r;
}

void pod_network_free(struct pod_network *n)
{
	if (!n)
		return;
	if (n->bridge)
		network_free(n->bridge);
	free(n->state_dir);
	free(n->cni_conf_dir);
	free(n->cni_bin_dir);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

int pod_network_set_cidr(struct pod_network *n, struct str cidr, struct err *err)
{
	if (!cidr.n || pod_network_is_cni(n)) /* the bridge is made when it is wanted */
		return 0;
	return network_set_pod_cidrs(n->bridge, cidr, err);
}

void pod_network_set_mtu(struct pod_network *n, int mtu)
{
	network_set_mtu(n->bridge, mtu);
}

int pod_network_set_cluster(struct pod_network *n, const struct network_cluster *c, struct err *err)
{
	return network_set_cluster(n->bridge, c, err);
}

void pod_network_set_guard(struct pod_network *n, pod_network_guard_fn *fn, void *user_data)
{
	pthread_mutex_lock(&n->lock);
	n->guard = fn;
	n->guard_data = user_data;
	pthread_mutex_unlock(&n->lock);
}

static int ask_guard(struct pod_network *n, const struct pod_network_request *rq,
	const struct str_vec *ips, struct err *err)
{
	pod_network_guard_fn *fn;
	void *user_data;

	pthread_mutex_lock(&n->lock);
	fn = n->guard;
	user_data = n->guard_data;
	pthread_mutex_unlock(&n->lock);
	return fn ? fn(user_data, rq, ips, err) : 0;
}

bool pod_network_is_cni(struct pod_network *n)
{
	return cni_config_exists(n->cni_conf_dir);
}

static bool cni_ready(struct pod_network *n, const char **ret_why)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct err err CLEANUP(err_release) = {0};
	struct cni_config cni = {0};
	int r = cni_config_load(n->cni_conf_dir, &cni, &err);

	if (r == 0)
		r = cni_status(&cni, n->cni_bin_dir, &a, &err);
	if (r < 0) {
		*ret_why =
			"Network plugin returns error: cni plugin not initialized: its "
			"configuration "
			"cannot be read, or it says that it is not ready; the node's log says more";
		log_warn("CNI: %s", err_text(&err));
	}
	cni_config_release(&cni);
	return r == 0;
}

bool pod_network_ready(struct pod_network *n, const char **ret_why)
{
	if (pod_network_is_cni(n))
		return cni_ready(n, ret_why);
	if (network_ready(n->bridge))
		return true;
	*ret_why = "Network plugin returns error: cni plugin not initialized: the node has no pod "
		   "CIDR yet";
	return false;
}

/* A file that holds the result of CNI; its being there says that CNI has to take the pod out again,
 * whatever is configured by then. */
static char *cni_mark(const struct pod_network *n, struct str id)
{
	return xasprintf("%s/cni-" STR_FMT, n->state_dir, STR_ARG(id));
}

/* The configuration that it was made with. */
static char *cni_kept_config(const struct pod_network *n, struct str id)
{
	return xasprintf("%s/config-" STR_FMT, n->state_dir, STR_ARG(id));
}

static int add_to_bridge(struct pod_network *n, const struct pod_network_request *rq,
	struct arena *a, struct str_vec *ret_ips, struct err *err)
{
	struct network_port *ports = ARENA_ARRAY(a, struct network_port, rq->n_ports);
	struct network_pod pod = {
		.id = rq->id, .netns_path = arena_cstr(a, rq->netns_path), .ports = ports};
	int r;

	for (size_t i = 0; i < rq->n_ports; i++) {
		const struct pod_port *p = &rq->ports[i];

		if (p->host_port <= 0)
			continue;
		ports[pod.n_ports++] = (struct network_port){
			.protocol = !strcmp(p->protocol, "UDP")    ? "udp"
				    : !strcmp(p->protocol, "SCTP") ? "sctp"
								   : "tcp",
			.host_port = p->host_port,
			.container_port = p->container_port,
			.host_ip = p->host_ip,
		};
	}
	r = network_attach(n->bridge, &pod, a, ret_ips, err);
	if (r < 0)
		return r;
	r = ask_guard(n, rq, ret_ips, err);
	if (r < 0)
		network_detach(n->bridge, rq->id, NULL);
	return r;
}

int pod_network_add(struct pod_network *n, const struct pod_network_request *rq, struct arena *a,
	struct str_vec *ret_ips, struct err *err)
{
	char *mark CLEANUP(free_ptr) = cni_mark(n, rq->id);
	char *kept CLEANUP(free_ptr) = cni_kept_config(n, rq->id);
	struct cni_config cni = {0};
	int r = cni_config_load(n->cni_conf_dir, &cni, err);

	if (r == -ENOENT)
		return add_to_bridge(n, rq, a, ret_ips, err);
	if (r == 0) {
		fs_touch(mark, 0600);
		r = cni_config_keep(&cni, kept, err);
		if (r == 0)
			r = cni_run(&cni, n->cni_bin_dir, n->state_dir, "ADD", rq, a, ret_ips, err);
		if (r < 0) {
			cni_run(&cni, n->cni_bin_dir, n->state_dir, "DEL", rq, a, NULL, NULL);
			unlink(mark);
			unlink(kept);
		}
	}
	cni_config_release(&cni);
	return r;
}

int pod_network_del(struct pod_network *n, const struct pod_network_request *rq, struct err *err)
{
	char *mark CLEANUP(free_ptr) = cni_mark(n, rq->id);
	char *kept CLEANUP(free_ptr) = cni_kept_config(n, rq->id);
	struct arena a CLEANUP(arena_release) = {0};
	struct cni_config cni = {0};
	int r;

	if (!fs_exists(mark))
		return network_detach(n->bridge, rq->id, err);
	r = cni_config_recall(kept, &cni, err);
	if (r == -ENOENT)
		r = cni_config_load(n->cni_conf_dir, &cni, err);
	if (r == -ENOENT) /* CNI was taken off this machine: nobody is left to ask */
		r = 0;
	else if (r == 0)
		r = cni_run(&cni, n->cni_bin_dir, n->state_dir, "DEL", rq, &a, NULL, err);
	if (r == 0) {
		unlink(mark);
		unlink(kept);
	}
	cni_config_release(&cni);
	return r;
}

/* Sandboxes that CNI had connected and that are gone: their addresses come back. */
static void collect_cni(struct pod_network *n, const struct str_vec *live)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str_vec gone = {0};
	struct dirent *e;
	DIR *dir = opendir(n->state_dir);

	while (dir && (e = readdir(dir))) {
		struct str id = str_c(e->d_name);

		if (!str_starts(id, S("cni-")) || strstr(e->d_name, ".tmp."))
			continue;
		id = str_sub(id, 4, id.n);
		if (!str_vec_has(live, id))
			ARENA_PUSH(&a, &gone, arena_str(&a, id));
	}
	if (dir)
		closedir(dir);
	for (size_t i = 0; i < gone.n; i++) {
		struct err err CLEANUP(err_release) = {0};
		const struct pod_network_request rq = {.id = gone.v[i]};

		if (pod_network_del(n, &rq, &err) < 0)
			log_warn(
				"CNI: sandbox " STR_FMT ": %s", STR_ARG(gone.v[i]), err_text(&err));
	}
}

void pod_network_gc(struct pod_network *n, const struct str_vec *live)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct err err CLEANUP(err_release) = {0};
	struct cni_config cni = {0};

	network_collect(n->bridge, live);
	collect_cni(n, live);
	if (cni_config_load(n->cni_conf_dir, &cni, NULL) == 0 &&
		cni_gc(&cni, n->cni_bin_dir, live, &a, &err) < 0)
		log_warn("CNI: %s", err_text(&err));
	cni_config_release(&cni);
}

int pod_network_loopback_up(struct err *err)
{
	struct mnl_socket *s;
	int r = netlink_open(NULL, &s), index;

	if (r == 0) {
		index = netlink_link_index(s, "lo");
		r = index < 0 ? index : netlink_link_up(s, index);
		netlink_close(s);
	}
	return r < 0 ? err_errno(err, -r, "cannot bring the loopback device up") : 0;
}
