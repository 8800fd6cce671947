/* messages.c: where each field lies. Numbers are those of CRI's api.proto (runtime.v1). */
#include "node/cri_grpc/messages.h"

#define FIELD(number, kind, T, member)                                                             \
	{                                                                                          \
		number, kind, false, offsetof(T, member), NULL                                     \
	}
#define NESTED(number, kind, T, member, type)                                                      \
	{                                                                                          \
		number, kind, false, offsetof(T, member), &(type)                                  \
	}
#define INLINE(number, type)                                                                       \
	{                                                                                          \
		number, WIRE_INLINE, false, 0, &(type)                                             \
	}
#define PRESENT(number, type)                                                                      \
	{                                                                                          \
		number, WIRE_INLINE, true, 0, &(type)                                              \
	}
#define PRESENT_AT(number, T, member, type)                                                        \
	{                                                                                          \
		number, WIRE_INLINE, true, offsetof(T, member), &(type)                            \
	}
/* clang-format off */
#define TYPE(name, T, ...) \
	static const struct wire_field name##_fields[] = {__VA_ARGS__}; \
	const struct wire_type name = {sizeof(T), name##_fields, ARRAY_SIZE(name##_fields)}
#define PART(name, T, ...) \
	static const struct wire_field name##_fields[] = {__VA_ARGS__}; \
	static const struct wire_type name = {sizeof(T), name##_fields, ARRAY_SIZE(name##_fields)}

TYPE(text_message, struct text_message,
	FIELD(1, WIRE_STRING, struct text_message, text));

TYPE(version_reply, struct version_reply,
	FIELD(2, WIRE_STRING, struct version_reply, name),
	FIELD(3, WIRE_STRING, struct version_reply, version));

PART(condition, struct runtime_condition,
	FIELD(1, WIRE_STRING, struct runtime_condition, type),
	FIELD(2, WIRE_BOOL, struct runtime_condition, status),
	FIELD(3, WIRE_STRING, struct runtime_condition, reason),
	FIELD(4, WIRE_STRING, struct runtime_condition, message));
PART(runtime_status, struct status_reply,
	NESTED(1, WIRE_LIST, struct status_reply, conditions, condition));
TYPE(status_reply, struct status_reply,
	INLINE(1, runtime_status));

/* --- what several have --- */

PART(resources, struct cri_resources,
	FIELD(1, WIRE_INT64, struct cri_resources, cpu_period),
	FIELD(2, WIRE_INT64, struct cri_resources, cpu_quota),
	FIELD(3, WIRE_INT64, struct cri_resources, cpu_shares),
	FIELD(4, WIRE_INT64, struct cri_resources, memory_limit),
	FIELD(5, WIRE_INT64, struct cri_resources, oom_score_adj),
	FIELD(6, WIRE_STRING, struct cri_resources, cpuset_cpus),
	FIELD(7, WIRE_STRING, struct cri_resources, cpuset_mems),
	FIELD(9, WIRE_PAIRS, struct cri_resources, unified),
	FIELD(10, WIRE_INT64, struct cri_resources, memory_swap_limit));

PART(profile, struct cri_seccomp,
	FIELD(1, WIRE_INT, struct cri_seccomp, kind),
	FIELD(2, WIRE_STRING, struct cri_seccomp, path));

/* --- sandboxes --- */

PART(dns_config, struct sandbox_message,
	FIELD(1, WIRE_STRINGS, struct sandbox_message, c.dns_servers),
	FIELD(2, WIRE_STRINGS, struct sandbox_message, c.dns_searches),
	FIELD(3, WIRE_STRINGS, struct sandbox_message, c.dns_options));
PART(port_mapping, struct port_message,
	FIELD(1, WIRE_INT, struct port_message, protocol),
	FIELD(2, WIRE_INT, struct port_message, container_port),
	FIELD(3, WIRE_INT, struct port_message, host_port),
	FIELD(4, WIRE_STRING, struct port_message, host_ip));
PART(sandbox_metadata, struct sandbox_message,
	FIELD(1, WIRE_STRING, struct sandbox_message, c.name),
	FIELD(2, WIRE_STRING, struct sandbox_message, c.uid),
	FIELD(3, WIRE_STRING, struct sandbox_message, c.ns),
	FIELD(4, WIRE_UINT32, struct sandbox_message, c.attempt));
PART(sandbox_namespaces, struct sandbox_message,
	FIELD(1, WIRE_INT, struct sandbox_message, c.network),
	FIELD(2, WIRE_INT, struct sandbox_message, c.pid),
	FIELD(3, WIRE_INT, struct sandbox_message, c.ipc));
PART(sandbox_security, struct sandbox_message,
	PRESENT(1, sandbox_namespaces),
	FIELD(3, WIRE_BOXED, struct sandbox_message, c.user.run_as_user),
	FIELD(5, WIRE_INT64S, struct sandbox_message, c.user.supplemental_groups),
	FIELD(6, WIRE_BOOL, struct sandbox_message, c.privileged),
	FIELD(8, WIRE_BOXED, struct sandbox_message, c.user.run_as_group),
	PRESENT_AT(9, struct sandbox_message, c.seccomp, profile),
	FIELD(11, WIRE_BOOL, struct sandbox_message, c.user.supplemental_groups_strict));
PART(sandbox_linux, struct sandbox_message,
	FIELD(1, WIRE_STRING, struct sandbox_message, c.cgroup_parent),
	PRESENT(2, sandbox_security),
	FIELD(3, WIRE_PAIRS, struct sandbox_message, c.sysctls));
PART(sandbox_config, struct sandbox_message,
	PRESENT(1, sandbox_metadata),
	FIELD(2, WIRE_STRING, struct sandbox_message, c.hostname),
	FIELD(3, WIRE_STRING, struct sandbox_message, c.log_directory),
	PRESENT(4, dns_config),
	NESTED(5, WIRE_LIST, struct sandbox_message, ports, port_mapping),
	FIELD(6, WIRE_PAIRS, struct sandbox_message, c.labels),
	FIELD(7, WIRE_PAIRS, struct sandbox_message, c.annotations),
	PRESENT(8, sandbox_linux));
TYPE(run_sandbox_request, struct run_sandbox_request,
	NESTED(1, WIRE_POINTER, struct run_sandbox_request, config, sandbox_config),
	FIELD(2, WIRE_STRING, struct run_sandbox_request, runtime_handler));

PART(sandbox_item, struct list_item,
	FIELD(1, WIRE_STRING, struct list_item, id),
	FIELD(3, WIRE_INT, struct list_item, state));
TYPE(list_sandboxes_reply, struct list_reply,
	NESTED(1, WIRE_LIST, struct list_reply, v, sandbox_item));

PART(status_metadata, struct sandbox_reply,
	FIELD(1, WIRE_STRING, struct sandbox_reply, s.name),
	FIELD(2, WIRE_STRING, struct sandbox_reply, s.uid),
	FIELD(3, WIRE_STRING, struct sandbox_reply, s.ns),
	FIELD(4, WIRE_UINT32, struct sandbox_reply, s.attempt));
PART(status_network, struct sandbox_reply,
	FIELD(1, WIRE_STRING, struct sandbox_reply, ip),
	NESTED(2, WIRE_LIST, struct sandbox_reply, more_ips, text_message));
PART(sandbox_status, struct sandbox_reply,
	FIELD(1, WIRE_STRING, struct sandbox_reply, s.id),
	INLINE(2, status_metadata),
	FIELD(3, WIRE_INT, struct sandbox_reply, state),
	FIELD(4, WIRE_INT64, struct sandbox_reply, s.created_ns),
	INLINE(5, status_network),
	FIELD(7, WIRE_PAIRS, struct sandbox_reply, s.labels),
	FIELD(8, WIRE_PAIRS, struct sandbox_reply, s.annotations));
TYPE(sandbox_reply, struct sandbox_reply,
	INLINE(1, sandbox_status));

/* --- containers: what is asked for --- */

PART(create_metadata, struct create_container_request,
	FIELD(1, WIRE_STRING, struct create_container_request, c.name),
	FIELD(2, WIRE_UINT32, struct create_container_request, c.attempt));
PART(create_image, struct create_container_request,
	FIELD(1, WIRE_STRING, struct create_container_request, c.image),
	FIELD(18, WIRE_STRING, struct create_container_request, c.user_image));
PART(mount_image, struct cri_mount,
	FIELD(1, WIRE_STRING, struct cri_mount, image));
PART(mount, struct cri_mount,
	FIELD(1, WIRE_STRING, struct cri_mount, container_path),
	FIELD(2, WIRE_STRING, struct cri_mount, host_path),
	FIELD(3, WIRE_BOOL, struct cri_mount, readonly),
	FIELD(5, WIRE_INT, struct cri_mount, propagation),
	FIELD(8, WIRE_BOOL, struct cri_mount, recursive_readonly),
	INLINE(9, mount_image),
	FIELD(10, WIRE_STRING, struct cri_mount, image_sub_path));
PART(device, struct cri_device,
	FIELD(1, WIRE_STRING, struct cri_device, container_path),
	FIELD(2, WIRE_STRING, struct cri_device, host_path),
	FIELD(3, WIRE_STRING, struct cri_device, permissions));
PART(capabilities, struct create_container_request,
	FIELD(1, WIRE_STRINGS, struct create_container_request, c.add_capabilities),
	FIELD(2, WIRE_STRINGS, struct create_container_request, c.drop_capabilities));
PART(create_namespaces, struct create_container_request,
	FIELD(1, WIRE_INT, struct create_container_request, network),
	FIELD(2, WIRE_INT, struct create_container_request, c.pid),
	FIELD(3, WIRE_INT, struct create_container_request, ipc),
	FIELD(4, WIRE_STRING, struct create_container_request, c.target_id));
PART(create_security, struct create_container_request,
	INLINE(1, capabilities),
	FIELD(2, WIRE_BOOL, struct create_container_request, c.privileged),
	PRESENT(3, create_namespaces),
	FIELD(5, WIRE_BOXED, struct create_container_request, c.user.run_as_user),
	FIELD(6, WIRE_STRING, struct create_container_request, c.user.run_as_username),
	FIELD(7, WIRE_BOOL, struct create_container_request, c.readonly_rootfs),
	FIELD(8, WIRE_INT64S, struct create_container_request, c.user.supplemental_groups),
	FIELD(11, WIRE_BOOL, struct create_container_request, c.no_new_privs),
	FIELD(12, WIRE_BOXED, struct create_container_request, c.user.run_as_group),
	FIELD(13, WIRE_STRINGS, struct create_container_request, c.masked_paths),
	FIELD(14, WIRE_STRINGS, struct create_container_request, c.readonly_paths),
	PRESENT_AT(15, struct create_container_request, c.seccomp, profile),
	/* absent: the runtime's default, if the host has AppArmor at all */
	NESTED(16, WIRE_INLINE, struct create_container_request, c.apparmor, profile),
	FIELD(17, WIRE_BOOL, struct create_container_request, c.user.supplemental_groups_strict));
PART(create_linux, struct create_container_request,
	PRESENT_AT(1, struct create_container_request, c.resources, resources),
	PRESENT(2, create_security));
PART(container_config, struct create_container_request,
	PRESENT(1, create_metadata),
	PRESENT(2, create_image),
	FIELD(3, WIRE_STRINGS, struct create_container_request, c.command),
	FIELD(4, WIRE_STRINGS, struct create_container_request, c.args),
	FIELD(5, WIRE_STRING, struct create_container_request, c.working_dir),
	FIELD(6, WIRE_PAIRS, struct create_container_request, c.envs),
	NESTED(7, WIRE_LIST, struct create_container_request, c.mounts, mount),
	NESTED(8, WIRE_LIST, struct create_container_request, c.devices, device),
	FIELD(9, WIRE_PAIRS, struct create_container_request, c.labels),
	FIELD(10, WIRE_PAIRS, struct create_container_request, c.annotations),
	FIELD(11, WIRE_STRING, struct create_container_request, c.log_path),
	FIELD(12, WIRE_BOOL, struct create_container_request, c.stdin_),
	FIELD(13, WIRE_BOOL, struct create_container_request, c.stdin_once),
	FIELD(14, WIRE_BOOL, struct create_container_request, c.tty),
	PRESENT(15, create_linux),
	FIELD(18, WIRE_INT, struct create_container_request, stop_signal));
TYPE(create_container_request, struct create_container_request,
	FIELD(1, WIRE_STRING, struct create_container_request, sandbox_id),
	PRESENT(2, container_config),
	NESTED(3, WIRE_POINTER, struct create_container_request, sandbox, sandbox_config));

TYPE(stop_container_request, struct stop_container_request,
	FIELD(1, WIRE_STRING, struct stop_container_request, id),
	FIELD(2, WIRE_INT64, struct stop_container_request, timeout_s));

PART(container_filter, struct list_containers_request,
	FIELD(3, WIRE_STRING, struct list_containers_request, sandbox_id));
TYPE(list_containers_request, struct list_containers_request,
	INLINE(1, container_filter));

TYPE(update_resources_request, struct update_resources_request,
	FIELD(1, WIRE_STRING, struct update_resources_request, id),
	NESTED(2, WIRE_INLINE, struct update_resources_request, r, resources));

TYPE(exec_sync_request, struct exec_sync_request,
	FIELD(1, WIRE_STRING, struct exec_sync_request, id),
	FIELD(2, WIRE_STRINGS, struct exec_sync_request, command),
	FIELD(3, WIRE_INT64, struct exec_sync_request, timeout_s));
TYPE(exec_sync_reply, struct exec_sync_reply,
	FIELD(1, WIRE_STRING, struct exec_sync_reply, out),
	FIELD(2, WIRE_STRING, struct exec_sync_reply, err),
	FIELD(3, WIRE_INT, struct exec_sync_reply, exit_code));
TYPE(exec_request, struct stream_request,
	FIELD(1, WIRE_STRING, struct stream_request, id),
	FIELD(2, WIRE_STRINGS, struct stream_request, command),
	FIELD(3, WIRE_BOOL, struct stream_request, tty),
	FIELD(4, WIRE_BOOL, struct stream_request, stdin_),
	FIELD(5, WIRE_BOOL, struct stream_request, stdout_),
	FIELD(6, WIRE_BOOL, struct stream_request, stderr_));
TYPE(attach_request, struct stream_request,
	FIELD(1, WIRE_STRING, struct stream_request, id),
	FIELD(2, WIRE_BOOL, struct stream_request, stdin_),
	FIELD(3, WIRE_BOOL, struct stream_request, tty),
	FIELD(4, WIRE_BOOL, struct stream_request, stdout_),
	FIELD(5, WIRE_BOOL, struct stream_request, stderr_));
TYPE(forward_request, struct forward_request,
	FIELD(1, WIRE_STRING, struct forward_request, sandbox_id),
	FIELD(2, WIRE_INT64S, struct forward_request, ports));

/* --- containers: what comes back --- */

PART(container_item, struct list_item,
	FIELD(1, WIRE_STRING, struct list_item, id),
	FIELD(2, WIRE_STRING, struct list_item, sandbox_id),
	FIELD(6, WIRE_INT, struct list_item, state));
TYPE(list_containers_reply, struct list_reply,
	NESTED(1, WIRE_LIST, struct list_reply, v, container_item));

PART(reply_metadata, struct container_reply,
	FIELD(1, WIRE_STRING, struct container_reply, s.name),
	FIELD(2, WIRE_UINT32, struct container_reply, s.attempt));
PART(reply_image, struct container_reply,
	FIELD(1, WIRE_STRING, struct container_reply, s.image));
PART(reply_resources, struct container_reply,
	NESTED(1, WIRE_INLINE, struct container_reply, s.resources, resources));
PART(linux_user, struct linux_user,
	FIELD(1, WIRE_INT64, struct linux_user, uid),
	FIELD(2, WIRE_INT64, struct linux_user, gid),
	FIELD(3, WIRE_INT64S, struct linux_user, groups));
PART(reply_user, struct container_reply,
	NESTED(1, WIRE_POINTER, struct container_reply, user, linux_user));
PART(container_status, struct container_reply,
	FIELD(1, WIRE_STRING, struct container_reply, s.id),
	INLINE(2, reply_metadata),
	FIELD(3, WIRE_INT, struct container_reply, s.state),
	FIELD(4, WIRE_INT64, struct container_reply, s.created_ns),
	FIELD(5, WIRE_INT64, struct container_reply, s.started_ns),
	FIELD(6, WIRE_INT64, struct container_reply, s.finished_ns),
	FIELD(7, WIRE_INT, struct container_reply, s.exit_code),
	INLINE(8, reply_image),
	FIELD(9, WIRE_STRING, struct container_reply, s.image_ref),
	FIELD(10, WIRE_STRING, struct container_reply, s.reason),
	FIELD(11, WIRE_STRING, struct container_reply, s.message),
	FIELD(12, WIRE_PAIRS, struct container_reply, s.labels),
	FIELD(13, WIRE_PAIRS, struct container_reply, s.annotations),
	NESTED(14, WIRE_LIST, struct container_reply, s.mounts, mount),
	FIELD(15, WIRE_STRING, struct container_reply, s.log_path),
	INLINE(16, reply_resources),
	FIELD(17, WIRE_STRING, struct container_reply, s.image_id),
	INLINE(18, reply_user));
TYPE(container_reply, struct container_reply,
	INLINE(1, container_status));

PART(event_metadata, struct event_message,
	FIELD(2, WIRE_STRING, struct event_message, pod_uid));
PART(event_sandbox, struct event_message,
	INLINE(2, event_metadata));
TYPE(event_message, struct event_message,
	FIELD(1, WIRE_STRING, struct event_message, container_id),
	INLINE(4, event_sandbox));

PART(stats_metadata, struct cri_container_stats,
	FIELD(1, WIRE_STRING, struct cri_container_stats, name));
PART(stats_attributes, struct cri_container_stats,
	FIELD(1, WIRE_STRING, struct cri_container_stats, id),
	INLINE(2, stats_metadata));
PART(stats_cpu, struct cri_container_stats,
	FIELD(1, WIRE_INT64, struct cri_container_stats, time_ns),
	FIELD(2, WIRE_VALUE, struct cri_container_stats, cpu_usage_ns));
PART(stats_memory, struct cri_container_stats,
	FIELD(2, WIRE_VALUE, struct cri_container_stats, memory_working_set),
	FIELD(4, WIRE_VALUE, struct cri_container_stats, memory_usage),
	FIELD(5, WIRE_VALUE, struct cri_container_stats, memory_rss),
	FIELD(6, WIRE_VALUE, struct cri_container_stats, page_faults),
	FIELD(7, WIRE_VALUE, struct cri_container_stats, major_page_faults));
PART(stats_layer, struct cri_container_stats,
	FIELD(3, WIRE_VALUE, struct cri_container_stats, fs_used_bytes),
	FIELD(4, WIRE_VALUE, struct cri_container_stats, fs_inodes_used));
PART(container_stats, struct cri_container_stats,
	INLINE(1, stats_attributes),
	INLINE(2, stats_cpu),
	INLINE(3, stats_memory),
	INLINE(4, stats_layer));
TYPE(stats_reply, struct stats_reply,
	NESTED(1, WIRE_LIST, struct stats_reply, v, container_stats));

/* --- images --- */

PART(image_spec, struct image_request,
	FIELD(1, WIRE_STRING, struct image_request, image));
PART(auth_config, struct cri_auth,
	FIELD(1, WIRE_STRING, struct cri_auth, username),
	FIELD(2, WIRE_STRING, struct cri_auth, password),
	FIELD(3, WIRE_STRING, struct cri_auth, auth),
	FIELD(4, WIRE_STRING, struct cri_auth, server),
	FIELD(5, WIRE_STRING, struct cri_auth, identity_token),
	FIELD(6, WIRE_STRING, struct cri_auth, registry_token));
TYPE(image_request, struct image_request,
	PRESENT(1, image_spec),
	NESTED(2, WIRE_POINTER, struct image_request, auth, auth_config),
	NESTED(3, WIRE_POINTER, struct image_request, sandbox, sandbox_config));

PART(image, struct image_message,
	FIELD(1, WIRE_STRING, struct image_message, i.id),
	FIELD(2, WIRE_STRINGS, struct image_message, i.tags),
	FIELD(3, WIRE_STRINGS, struct image_message, i.digests),
	FIELD(4, WIRE_INT64, struct image_message, i.size),
	FIELD(5, WIRE_BOXED, struct image_message, uid),
	FIELD(6, WIRE_STRING, struct image_message, i.username));
TYPE(images_reply, struct images_reply,
	NESTED(1, WIRE_LIST, struct images_reply, v, image));
/* clang-format on */

int signal_number(struct str name)
{
	/* in the order of enum Signal; SIGRTMIN+1 is its SIGRTMINPLUS1 */
	static const char *const names[] = {"RUNTIME_DEFAULT", "SIGABRT", "SIGALRM", "SIGBUS",
		"SIGCHLD", "SIGCLD", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGIO",
		"SIGIOT", "SIGKILL", "SIGPIPE", "SIGPOLL", "SIGPROF", "SIGPWR", "SIGQUIT",
		"SIGSEGV", "SIGSTKFLT", "SIGSTOP", "SIGSYS", "SIGTERM", "SIGTRAP", "SIGTSTP",
		"SIGTTIN", "SIGTTOU", "SIGURG", "SIGUSR1", "SIGUSR2", "SIGVTALRM", "SIGWINCH",
		"SIGXCPU", "SIGXFSZ", "SIGRTMIN"};
	enum { RTMIN = ARRAY_SIZE(names) - 1, RTMAX = 65 };
	int64_t n;

	for (size_t i = 1; i < ARRAY_SIZE(names); i++)
		if (str_eqc(name, names[i]))
			return (int)i;
	if (str_eq(name, S("SIGRTMAX")))
		return RTMAX;
	if (name.n <= 9 || str_to_i64(str_sub(name, 9, name.n), &n) < 0)
		return 0;
	if (str_starts(name, S("SIGRTMIN+")) && n >= 1 && n <= 15)
		return RTMIN + (int)n;
	if (str_starts(name, S("SIGRTMAX-")) && n >= 1 && n <= 14)
		return RTMAX - (int)n;
	return 0;
}
