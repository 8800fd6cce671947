/* kubelet.c: puts the parts together. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"

#include "network/overlay.h"
#include "node/certificates.h"
#include "node/kubelet_private.h"
#include "node/machine.h"
#include "node/pod.h"
#include "node/stats.h"
#include "node/volumes/files.h"

static const char *or_default(const char *given, const char *dflt)
{
	return given && given[0] ? given : dflt;
}

static void fill_in(struct kubelet *k)
{
	struct kubelet_opts *o = &k->opts;

	o->data_dir = or_default(o->data_dir, "/var/lib/sampan");
	if (!o->root_dir || !o->root_dir[0])
		o->root_dir = arena_fmt(&k->arena, "%s/kubelet", o->data_dir).p;
	if (!o->cert_dir || !o->cert_dir[0])
		o->cert_dir = arena_fmt(&k->arena, "%s/pki", o->root_dir).p;
	o->run_dir = or_default(o->run_dir, "/run/sampan");
	o->pod_log_dir = or_default(o->pod_log_dir, "/var/log/pods");
	o->cni_conf_dir = or_default(o->cni_conf_dir, "/etc/cni/net.d");
	o->cni_bin_dir = or_default(o->cni_bin_dir, "/opt/cni/bin");
	o->cgroup_root = or_default(o->cgroup_root, "/");
	o->cluster_domain = or_default(o->cluster_domain, "cluster.local");
	o->resolv_conf = o->resolv_conf ? o->resolv_conf : "/etc/resolv.conf";
	o->bind_address = or_default(o->bind_address, "0.0.0.0");
	o->port = o->port ? o->port : 10250;
	o->healthz_bind_address = or_default(o->healthz_bind_address, "127.0.0.1");
	o->healthz_port = o->healthz_port ? o->healthz_port : 10248;
	o->max_pods = o->max_pods ? o->max_pods : 110;
	o->image_gc_high_percent = o->image_gc_high_percent ? o->image_gc_high_percent : 85;
	o->image_gc_low_percent = o->image_gc_low_percent ? o->image_gc_low_percent : 80;
	o->log_size_max = o->log_size_max ? o->log_size_max : 10 << 20;
	o->log_files_max = o->log_files_max ? o->log_files_max : 5;
}

static void split(struct kubelet *k, const char *list, struct str_vec *to)
{
	struct str rest = str_c(list), one;
	bool more = rest.n > 0;

	while (more) {
		more = str_cut(rest, ',', &one, &rest);
		one = str_trim(one);
		if (one.n)
			ARENA_PUSH(&k->arena, to, arena_str(&k->arena, one));
	}
}

static int find_address(struct kubelet *k, struct err *err)
{
	struct str ip;
	int r;

	split(k, k->opts.node_ip, &k->node_ips);
	if (k->node_ips.n)
		return 0;
	r = machine_address(&k->arena, &ip);
	if (r < 0)
		return err_internal(
			err, "this machine has no address but loopback: give one with --node-ip");
	ARENA_PUSH(&k->arena, &k->node_ips, ip);
	return 0;
}

/* --- the runtime --- */

static void got_version(void *user_data, struct str version, struct err *err)
{
	struct kubelet *k = user_data;
	struct str name, rest;

	if (err) {
		log_warn("container runtime: %s", err_text(err));
		return;
	}
	k->runtime_version = arena_str(&k->arena, version);
	str_cut(k->runtime_version, ':', &name, &rest);
	k->runtime_name = arena_str(&k->arena, name);
}

static int start_runtime(struct kubelet *k, struct err *err)
{
	const struct kubelet_opts *o = &k->opts;
	const struct overlay_opts overlay = {o->network_backend, o->ovs_tunnel};
	const struct overlay_backend *backend = overlay_backend_find(o->network_backend);
	int r;

	k->builtin_runtime = !o->runtime_endpoint || !o->runtime_endpoint[0];
	k->runtime_name = k->builtin_runtime ? S("sampan") : S("containerd");
	if (k->builtin_runtime)
		r = cri_runtime_new(k->loop,
			&(struct cri_runtime_opts){.data_dir = o->data_dir,
				.run_dir = o->run_dir,
				.pod_cidr = str_c(o->pod_cidr),
				.cni_conf_dir = o->cni_conf_dir,
				.cni_bin_dir = o->cni_bin_dir,
				.oci_runtime = o->oci_runtime,
				.conmon = o->conmon,
				.registry_mirrors = o->registry_mirrors,
				.bridge = backend ? backend->bridge : NULL,
				.mtu = overlay_mtu(&overlay, kubelet_node_ip(k))},
			&k->cri, err);
	else
		r = cri_grpc_new(k->loop, o->runtime_endpoint, &k->cri, err);
	if (r == 0)
		r = cri_endpoint_record(
			o->data_dir, k->builtin_runtime ? S("") : str_c(o->runtime_endpoint), err);
	if (r == 0) {
		k->cri = cri_metered_new(k->cri, k->meter.all);
		k->cri->ops->version(k->cri, got_version, k);
	}
	return r;
}

/* --- the API --- */

static void object_changed(
	void *user_data, const struct schema_resource *res, struct str ns, struct str name)
{
	pods_object_changed(user_data, res, ns, name);
}

static void synced(void *user_data)
{
	struct kubelet *k = user_data;

	node_agent_start(k->node);
	pods_on_synced(k);
}

static void ignore_event(void *user_data, const struct store_event *ev)
{
	(void)user_data, (void)ev;
}

static int start_client(struct kubelet *k, struct err *err)
{
	struct client_http_opts o = {
		.kubeconfig = k->opts.kubeconfig,
		.server = str_c(k->opts.server),
		.token = str_c(k->opts.token),
		.user_agent = "kubelet/" KUBELET_VERSION " (linux) sampan/" SAMPAN_VERSION,
		.metrics = k->meter.all,
	};
	struct str ca;
	int r = 0;

	if (k->opts.ca_file) {
		r = file_read(k->opts.ca_file, 1 << 20, &k->arena, &ca, err);
		if (r < 0)
			return r;
		o.ca_pem = ca;
	}
	r = client_http_new(k->loop, &o, &k->client, err);
	if (r < 0)
		return r;
	k->recorder = recorder_new(k->client, "kubelet", k->node_name.p);
	k->objects = objects_new(k->client, object_changed, k);
	return 0;
}

static void subscribe(struct kubelet *k)
{
	client_subscribe(k->client, &v1_pod_resource,
		arena_fmt(&k->arena, "spec.nodeName=" STR_FMT, STR_ARG(k->node_name)).p,
		pods_on_event, k);
	client_subscribe(k->client, &v1_node_resource,
		arena_fmt(&k->arena, "metadata.name=" STR_FMT, STR_ARG(k->node_name)).p,
		node_on_event, k);
	client_subscribe(k->client, &v1_service_resource, NULL, ignore_event, k);
	client_start(k->client, synced, k);
}

/* --- life --- */

static int make_dirs(struct kubelet *k, struct err *err)
{
	const char *const dirs[] = {
		k->opts.data_dir, k->opts.root_dir, k->opts.run_dir, k->opts.pod_log_dir};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int r = files_make_dir(dirs[i], i == 3 ? 0755 : 0750);

		if (r < 0)
			return err_errno(err, -r, "making %s", dirs[i]);
	}
	return 0;
}

int kubelet_start(
	struct loop *loop, const struct kubelet_opts *opts, struct kubelet **ret, struct err *err)
{
	struct kubelet *k = xcalloc(1, sizeof(*k));
	int r;

	k->loop = loop;
	k->opts = *opts;
	arena_init(&k->arena);
	arena_init(&k->images_arena);
	kubelet_meter_init(&k->meter);
	fill_in(k);
	k->node_name = opts->node_name && opts->node_name[0]
			       ? arena_strc(&k->arena, opts->node_name)
			       : machine_hostname(&k->arena);
	split(k, k->opts.cluster_dns, &k->cluster_dns);
	r = find_address(k, err);
	if (r == 0)
		r = make_dirs(k, err);
	if (r == 0)
		r = cgroups_init(&k->cgroups, k->opts.cgroup_root, err);
	if (r == 0)
		r = start_client(k, err);
	if (r == 0)
		r = start_runtime(k, err);
	if (r == 0) {
		k->certificates = certificates_new(k);
		k->relist = relist_new(k);
		k->node = node_agent_new(k);
		k->housekeeping = housekeeping_new(k);
		k->eviction = eviction_new(k);
		k->stats = stats_new(k);
		r = static_pods_start(k, err);
	}
	if (r == 0 && k->opts.port > 0)
		r = kubelet_server_start(k, err);
	if (r == 0 && k->opts.healthz_port > 0)
		k->healthz = healthz_start(k);
	if (r < 0) {
		kubelet_stop(k);
		return r;
	}
	relist_request(k->relist);
	subscribe(k);
	*ret = k;
	return 0;
}

/* Operations that are under way belong to the client and the runtime, whose end drops them. */
void kubelet_stop(struct kubelet *k)
{
	if (!k)
		return;
	k->stopping = true;
	kubelet_server_free(k->server);
	certificates_free(k->certificates);
	healthz_free(k->healthz);
	static_pods_free(k->static_pods);
	housekeeping_free(k->housekeeping);
	eviction_free(k->eviction);
	stats_free(k->stats);
	node_agent_free(k->node);
	relist_free(k->relist);
	if (k->objects)
		objects_free(k->objects);
	if (k->recorder)
		recorder_free(k->recorder);
	if (k->cri)
		k->cri->ops->free(k->cri);
	if (k->client)
		client_free(k->client);
	/* Pods with operations under way cannot be taken apart; the process ends here. */
	kubelet_meter_release(&k->meter);
	arena_release(&k->images_arena);
	free(k->node_images);
	free(k->runtime_message);
	arena_release(&k->arena);
	free(k);
}

struct pod_network *kubelet_pod_network(const struct kubelet *k)
{
	return k->builtin_runtime ? cri_runtime_network(cri_metered_inner(k->cri)) : NULL;
}

struct str kubelet_node_name(const struct kubelet *k)
{
	return k->node_name;
}

struct str kubelet_node_ip(const struct kubelet *k)
{
	return k->node_ips.n ? k->node_ips.v[0] : S("");
}
