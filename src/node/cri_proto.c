#include "node/cri_proto.h"

#include "node/pb.h"

static void write_wrapped(struct buf *b, int field, const int64_t *v) /* Int64Value */
{
	size_t at;

	if (!v)
		return;
	at = pb_open(b, field);
	pb_int(b, 1, *v);
	pb_close(b, at);
}

static void write_groups(struct buf *b, int field, const int64_t *v, size_t n)
{
	size_t at;

	if (!n)
		return;
	at = pb_open(b, field); /* packed */
	for (size_t i = 0; i < n; i++)
		pb_varint(b, v[i]);
	pb_close(b, at);
}

static void write_profile(struct buf *b, int field, const struct cri_seccomp *s)
{
	size_t at = pb_open(b, field);

	pb_int(b, 1, s->kind);
	if (s->kind == CRI_PROFILE_LOCALHOST)
		pb_str(b, 2, s->path);
	pb_close(b, at);
}

static void write_sandbox_security(struct buf *b, const struct cri_sandbox_config *cfg)
{
	size_t at = pb_open(b, 2), ns = pb_open(b, 1);

	pb_int(b, 1, cfg->network);
	pb_int(b, 2, cfg->pid);
	pb_int(b, 3, cfg->ipc);
	pb_close(b, ns);
	write_wrapped(b, 3, cfg->user.run_as_user);
	write_wrapped(b, 8, cfg->user.run_as_group);
	write_groups(b, 5, cfg->user.supplemental_groups, cfg->user.n_supplemental_groups);
	pb_int(b, 11, cfg->user.supplemental_groups_strict);
	pb_int(b, 6, cfg->privileged);
	write_profile(b, 9, &cfg->seccomp);
	pb_close(b, at);
}

static int protocol(const char *name)
{
	return !strcmp(name, "UDP") ? 1 : !strcmp(name, "SCTP") ? 2 : 0;
}

void cri_write_sandbox_config(struct buf *b, const struct cri_sandbox_config *cfg)
{
	size_t at = pb_open(b, 1);

	pb_str(b, 1, cfg->name);
	pb_str(b, 2, cfg->uid);
	pb_str(b, 3, cfg->ns);
	pb_int(b, 4, cfg->attempt);
	pb_close(b, at);
	if (cfg->network == CRI_NS_POD)
		pb_str(b, 2, cfg->hostname);
	pb_str(b, 3, cfg->log_directory);
	at = pb_open(b, 4);
	pb_strs(b, 1, &cfg->dns_servers);
	pb_strs(b, 2, &cfg->dns_searches);
	pb_strs(b, 3, &cfg->dns_options);
	pb_close(b, at);
	for (size_t i = 0; i < cfg->n_ports; i++) {
		at = pb_open(b, 5);
		pb_int(b, 1, protocol(cfg->ports[i].protocol));
		pb_int(b, 2, cfg->ports[i].container_port);
		pb_int(b, 3, cfg->ports[i].host_port);
		pb_str(b, 4, cfg->ports[i].host_ip);
		pb_close(b, at);
	}
	pb_pairs(b, 6, cfg->labels.v, cfg->labels.n);
	pb_pairs(b, 7, cfg->annotations.v, cfg->annotations.n);
	at = pb_open(b, 8);
	pb_str(b, 1, cfg->cgroup_parent);
	write_sandbox_security(b, cfg);
	pb_pairs(b, 3, cfg->sysctls.v, cfg->sysctls.n);
	pb_close(b, at);
}

void cri_write_resources(struct buf *b, const struct cri_resources *r)
{
	pb_int(b, 1, r->cpu_period);
	pb_int(b, 2, r->cpu_quota);
	pb_int(b, 3, r->cpu_shares);
	pb_int(b, 4, r->memory_limit);
	pb_int(b, 5, r->oom_score_adj);
	pb_str(b, 6, r->cpuset_cpus);
	pb_str(b, 7, r->cpuset_mems);
	pb_pairs(b, 9, r->unified.v, r->unified.n);
	pb_int(b, 10, r->memory_swap_limit);
}

static void write_container_security(struct buf *b, const struct cri_container_config *cfg)
{
	size_t at = pb_open(b, 2), in = pb_open(b, 1);

	pb_strs(b, 1, &cfg->add_capabilities);
	pb_strs(b, 2, &cfg->drop_capabilities);
	pb_close(b, in);
	pb_int(b, 2, cfg->privileged);
	in = pb_open(b, 3);
	pb_int(b, 2, cfg->pid);
	pb_str(b, 4, cfg->target_id);
	pb_close(b, in);
	write_wrapped(b, 5, cfg->user.run_as_user);
	write_wrapped(b, 12, cfg->user.run_as_group);
	if (!cfg->user.run_as_user)
		pb_str(b, 6, cfg->user.run_as_username);
	pb_int(b, 7, cfg->readonly_rootfs);
	write_groups(b, 8, cfg->user.supplemental_groups, cfg->user.n_supplemental_groups);
	pb_int(b, 17, cfg->user.supplemental_groups_strict);
	pb_int(b, 11, cfg->no_new_privs);
	pb_strs(b, 13, &cfg->masked_paths);
	pb_strs(b, 14, &cfg->readonly_paths);
	write_profile(b, 15, &cfg->seccomp);
	if (cfg->apparmor.kind !=
		CRI_PROFILE_RUNTIME_DEFAULT) /* the default; refused where AppArmor is not */
		write_profile(b, 16, &cfg->apparmor);
	pb_close(b, at);
}

static void write_mount(struct buf *b, const struct cri_mount *m)
{
	size_t at = pb_open(b, 7);

	pb_str(b, 1, m->container_path);
	pb_str(b, 2, m->host_path);
	pb_int(b, 3, m->readonly);
	pb_int(b, 5, m->propagation);
	pb_int(b, 8, m->recursive_readonly);
	if (m->image.n) {
		size_t image = pb_open(b, 9);

		pb_str(b, 1, m->image);
		pb_close(b, image);
		pb_str(b, 10, m->image_sub_path);
	}
	pb_close(b, at);
}

void cri_write_container_config(struct buf *b, const struct cri_container_config *cfg)
{
	size_t at = pb_open(b, 1);

	pb_str(b, 1, cfg->name);
	pb_int(b, 2, cfg->attempt);
	pb_close(b, at);
	at = pb_open(b, 2);
	pb_str(b, 1, cfg->image);
	pb_str(b, 18, cfg->user_image);
	pb_close(b, at);
	pb_strs(b, 3, &cfg->command);
	pb_strs(b, 4, &cfg->args);
	pb_str(b, 5, cfg->working_dir);
	pb_pairs(b, 6, cfg->envs.v, cfg->envs.n); /* KeyValue has a map entry's shape */
	for (size_t i = 0; i < cfg->n_mounts; i++)
		write_mount(b, &cfg->mounts[i]);
	for (size_t i = 0; i < cfg->n_devices; i++) {
		at = pb_open(b, 8);
		pb_str(b, 1, cfg->devices[i].container_path);
		pb_str(b, 2, cfg->devices[i].host_path);
		pb_str(b, 3, cfg->devices[i].permissions);
		pb_close(b, at);
	}
	pb_pairs(b, 9, cfg->labels.v, cfg->labels.n);
	pb_pairs(b, 10, cfg->annotations.v, cfg->annotations.n);
	pb_str(b, 11, cfg->log_path);
	pb_int(b, 12, cfg->stdin_);
	pb_int(b, 13, cfg->stdin_once);
	pb_int(b, 14, cfg->tty);
	at = pb_open(b, 15);
	{
		size_t in = pb_open(b, 1);

		cri_write_resources(b, &cfg->resources);
		pb_close(b, in);
	}
	write_container_security(b, cfg);
	pb_close(b, at);
}

/* --- reading --- */

static void push_pair(struct arena *a, struct cri_key_values *to, struct str entry)
{
	struct str_pair p = {pb_get(entry, 1), pb_get(entry, 2)};

	ARENA_PUSH(a, to, p);
}

static void read_ips(struct str network, struct arena *a, struct str_vec *to)
{
	struct pb_field f;

	while (pb_next(&network, &f)) {
		struct str ip = f.number == 1   ? f.bytes
				: f.number == 2 ? pb_get(f.bytes, 1)
						: (struct str){0};

		if (ip.n)
			ARENA_PUSH(a, to, ip);
	}
}

void cri_read_sandbox_status(struct str message, struct arena *a, struct cri_sandbox_status *ret)
{
	struct pb_field f;

	*ret = (struct cri_sandbox_status){.ready = true}; /* READY is 0 and so not on the wire */
	while (pb_next(&message, &f)) {
		switch (f.number) {
		case 1:
			ret->id = f.bytes;
			break;
		case 2:
			ret->name = pb_get(f.bytes, 1);
			ret->uid = pb_get(f.bytes, 2);
			ret->ns = pb_get(f.bytes, 3);
			ret->attempt = pb_get_int(f.bytes, 4);
			break;
		case 3:
			ret->ready = f.value == 0;
			break;
		case 4:
			ret->created_ns = f.value;
			break;
		case 5:
			read_ips(f.bytes, a, &ret->ips);
			break;
		case 7:
			push_pair(a, &ret->labels, f.bytes);
			break;
		case 8:
			push_pair(a, &ret->annotations, f.bytes);
			break;
		}
	}
}

static void read_mount(struct str message, struct arena *a, struct cri_container_status *to)
{
	struct {
		struct cri_mount *v;
		size_t n;
	} mounts = {to->mounts, to->n_mounts};
	struct cri_mount m = {
		.container_path = pb_get(message, 1),
		.host_path = pb_get(message, 2),
		.readonly = pb_get_int(message, 3),
		.propagation = pb_get_int(message, 5),
		.recursive_readonly = pb_get_int(message, 8),
	};

	ARENA_PUSH(a, &mounts, m);
	to->mounts = mounts.v;
	to->n_mounts = mounts.n;
}

static void read_resources(struct str message, struct arena *a, struct cri_resources *r)
{
	struct pb_field f;

	r->cpu_period = pb_get_int(message, 1);
	r->cpu_quota = pb_get_int(message, 2);
	r->cpu_shares = pb_get_int(message, 3);
	r->memory_limit = pb_get_int(message, 4);
	r->oom_score_adj = pb_get_int(message, 5);
	r->cpuset_cpus = pb_get(message, 6);
	r->cpuset_mems = pb_get(message, 7);
	r->memory_swap_limit = pb_get_int(message, 10);
	while (pb_next(&message, &f))
		if (f.number == 9)
			push_pair(a, &r->unified, f.bytes);
}

static void read_user(struct str message, struct arena *a, struct cri_container_status *to)
{
	struct str groups = pb_get(message, 3); /* packed varints */
	struct {
		int64_t *v;
		size_t n;
	} list = {0};

	to->uid = pb_get_int(message, 1);
	to->gid = pb_get_int(message, 2);
	while (groups.n) {
		int64_t v = 0;

		for (int shift = 0; groups.n && shift < 64; shift += 7) {
			unsigned char c = *groups.p;

			groups = str_sub(groups, 1, groups.n);
			v |= (int64_t)(c & 0x7f) << shift;
			if (!(c & 0x80))
				break;
		}
		ARENA_PUSH(a, &list, v);
	}
	to->supplemental_groups = list.v;
	to->n_supplemental_groups = list.n;
}

static void read_container_field(
	const struct pb_field *f, struct arena *a, struct cri_container_status *to)
{
	switch (f->number) {
	case 1:
		to->id = f->bytes;
		break;
	case 2:
		to->name = pb_get(f->bytes, 1);
		to->attempt = pb_get_int(f->bytes, 2);
		break;
	case 3:
		to->state = f->value;
		break;
	case 4:
		to->created_ns = f->value;
		break;
	case 5:
		to->started_ns = f->value;
		break;
	case 6:
		to->finished_ns = f->value;
		break;
	case 7:
		to->exit_code = f->value;
		break;
	case 8:
		to->image = pb_get(f->bytes, 18);
		if (!to->image.n)
			to->image = pb_get(f->bytes, 1);
		break;
	case 9:
		to->image_ref = f->bytes;
		break;
	case 10:
		to->reason = f->bytes;
		break;
	case 11:
		to->message = f->bytes;
		break;
	case 12:
		push_pair(a, &to->labels, f->bytes);
		break;
	case 13:
		push_pair(a, &to->annotations, f->bytes);
		break;
	case 14:
		read_mount(f->bytes, a, to);
		break;
	case 15:
		to->log_path = f->bytes;
		break;
	case 16:
		read_resources(pb_get(f->bytes, 1), a, &to->resources);
		break;
	case 17:
		to->image_id = f->bytes;
		break;
	case 18:
		read_user(pb_get(f->bytes, 1), a, to);
		break;
	}
}

void cri_read_container_status(
	struct str message, struct arena *a, struct cri_container_status *ret)
{
	struct pb_field f;

	*ret = (struct cri_container_status){.uid = -1, .gid = -1};
	while (pb_next(&message, &f))
		read_container_field(&f, a, ret);
	if (!ret->image_id.n)
		ret->image_id = ret->image_ref;
}

void cri_read_image(struct str message, struct arena *a, struct cri_image *ret)
{
	struct pb_field f;

	*ret = (struct cri_image){.uid = -1};
	while (pb_next(&message, &f)) {
		if (f.number == 1)
			ret->id = f.bytes;
		else if (f.number == 2)
			ARENA_PUSH(a, &ret->tags, f.bytes);
		else if (f.number == 3)
			ARENA_PUSH(a, &ret->digests, f.bytes);
		else if (f.number == 4)
			ret->size = f.value;
		else if (f.number == 5)
			ret->uid = pb_get_int(f.bytes, 1);
		else if (f.number == 6)
			ret->username = f.bytes;
	}
}

static uint64_t wrapped(struct str message, int field)
{
	return pb_get_int(pb_get(message, field), 1);
}

void cri_read_stats(struct str message, struct arena *a, struct cri_container_stats *ret)
{
	struct str attributes = pb_get(message, 1), cpu = pb_get(message, 2),
		   memory = pb_get(message, 3);
	struct str layer = pb_get(message, 4);

	*ret = (struct cri_container_stats){
		.id = pb_get(attributes, 1),
		.name = pb_get(pb_get(attributes, 2), 1),
		.time_ns = pb_get_int(cpu, 1),
		.cpu_usage_ns = wrapped(cpu, 2),
		.memory_working_set = wrapped(memory, 2),
		.memory_usage = wrapped(memory, 4),
		.memory_rss = wrapped(memory, 5),
		.page_faults = wrapped(memory, 6),
		.major_page_faults = wrapped(memory, 7),
		.fs_used_bytes = wrapped(layer, 3),
		.fs_inodes_used = wrapped(layer, 4),
	};
}
