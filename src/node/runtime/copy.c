/* copy.c: deep copies of what the kubelet asks for, because calls return before the work is done.
 */
#include "node/runtime/copy.h"
#include "node/runtime/runtime.h"

static void copy_str(struct arena *a, struct str *s)
{
	*s = arena_str(a, *s);
}

static void copy_pairs_in(struct arena *a, struct cri_key_values *kv)
{
	struct cri_key_values from = *kv;

	copy_pairs(a, &from, kv);
}

static void copy_strs_in(struct arena *a, struct str_vec *v)
{
	struct str_vec from = *v;

	copy_strs(a, &from, v);
}

static int64_t *copy_i64(struct arena *a, const int64_t *v)
{
	return v ? arena_memdup(a, v, sizeof(*v)) : NULL;
}

static void copy_user(struct arena *a, struct cri_user *u)
{
	u->run_as_user = copy_i64(a, u->run_as_user);
	u->run_as_group = copy_i64(a, u->run_as_group);
	copy_str(a, &u->run_as_username);
	if (u->n_supplemental_groups)
		u->supplemental_groups = arena_memdup(a, u->supplemental_groups,
			u->n_supplemental_groups * sizeof(*u->supplemental_groups));
}

struct cri_port_mapping *copy_ports(struct arena *a, const struct cri_port_mapping *from, size_t n)
{
	struct cri_port_mapping *to = ARENA_ARRAY(a, struct cri_port_mapping, n);

	for (size_t i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].protocol = arena_strc(a, from[i].protocol ?: "TCP").p;
		copy_str(a, &to[i].host_ip);
	}
	return to;
}

struct cri_mount *copy_mounts(struct arena *a, const struct cri_mount *from, size_t n)
{
	struct cri_mount *to = ARENA_ARRAY(a, struct cri_mount, n);

	for (size_t i = 0; i < n; i++) {
		to[i] = from[i];
		copy_str(a, &to[i].container_path);
		copy_str(a, &to[i].host_path);
		copy_str(a, &to[i].image);
		copy_str(a, &to[i].image_sub_path);
	}
	return to;
}

void copy_resources(struct arena *a, const struct cri_resources *from, struct cri_resources *to)
{
	*to = *from;
	copy_str(a, &to->cpuset_cpus);
	copy_str(a, &to->cpuset_mems);
	copy_pairs_in(a, &to->unified);
}

void copy_sandbox_config(
	struct arena *a, const struct cri_sandbox_config *from, struct cri_sandbox_config *to)
{
	*to = *from;
	copy_str(a, &to->name);
	copy_str(a, &to->ns);
	copy_str(a, &to->uid);
	copy_str(a, &to->hostname);
	copy_str(a, &to->log_directory);
	copy_str(a, &to->cgroup_parent);
	copy_str(a, &to->runtime_handler);
	copy_strs_in(a, &to->dns_servers);
	copy_strs_in(a, &to->dns_searches);
	copy_strs_in(a, &to->dns_options);
	to->ports = copy_ports(a, from->ports, from->n_ports);
	copy_pairs_in(a, &to->labels);
	copy_pairs_in(a, &to->annotations);
	copy_pairs_in(a, &to->sysctls);
	copy_user(a, &to->user);
	copy_str(a, &to->seccomp.path);
}

void copy_container_config(
	struct arena *a, const struct cri_container_config *from, struct cri_container_config *to)
{
	*to = *from;
	copy_str(a, &to->name);
	copy_str(a, &to->image);
	copy_str(a, &to->user_image);
	copy_strs_in(a, &to->command);
	copy_strs_in(a, &to->args);
	copy_str(a, &to->working_dir);
	copy_pairs_in(a, &to->envs);
	to->mounts = copy_mounts(a, from->mounts, from->n_mounts);
	to->devices = ARENA_ARRAY(a, struct cri_device, from->n_devices);
	for (size_t i = 0; i < from->n_devices; i++) {
		to->devices[i].container_path = arena_str(a, from->devices[i].container_path);
		to->devices[i].host_path = arena_str(a, from->devices[i].host_path);
		to->devices[i].permissions = arena_str(a, from->devices[i].permissions);
	}
	copy_pairs_in(a, &to->labels);
	copy_pairs_in(a, &to->annotations);
	copy_str(a, &to->log_path);
	copy_resources(a, &from->resources, &to->resources);
	copy_strs_in(a, &to->add_capabilities);
	copy_strs_in(a, &to->drop_capabilities);
	copy_str(a, &to->target_id);
	copy_user(a, &to->user);
	copy_str(a, &to->seccomp.path);
	copy_str(a, &to->apparmor.path);
	copy_strs_in(a, &to->masked_paths);
	copy_strs_in(a, &to->readonly_paths);
	copy_str(a, &to->stop_signal);
}
