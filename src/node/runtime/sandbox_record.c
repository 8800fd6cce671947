/* sandbox_record.c: a sandbox on disk: <data-dir>/runtime/sandboxes/<id>/sandbox.json. */
#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

#include "json/value.h"
#include "base/fs.h"
#include "node/runtime/jsonout.h"
#include "node/runtime/record.h"

int sandbox_save(struct runtime *rt, const struct sandbox *s)
{
	char *path CLEANUP(free_ptr) = xasprintf("%s/%s/sandbox.json", rt->sandboxes_dir, s->id);
	struct buf b CLEANUP(buf_release) = {0};
	struct jout j = {&b};

	buf_init(&b, FS_SMALL_MAX);
	jout_open(&j, NULL, '{');
	jout_str(&j, "name", s->st.name);
	jout_str(&j, "namespace", s->st.ns);
	jout_str(&j, "uid", s->st.uid);
	jout_int(&j, "attempt", s->st.attempt);
	jout_bool(&j, "ready", s->st.ready);
	jout_int(&j, "created", s->st.created_ns);
	jout_strs(&j, "ips", &s->st.ips);
	jout_pairs(&j, "labels", s->st.labels.v, s->st.labels.n);
	jout_pairs(&j, "annotations", s->st.annotations.v, s->st.annotations.n);
	jout_int(&j, "network", s->network);
	jout_int(&j, "pid", s->pid);
	jout_int(&j, "ipc", s->ipc);
	jout_bool(&j, "privileged", s->privileged);
	jout_str(&j, "hostname", s->hostname);
	jout_str(&j, "cgroupParent", s->cgroup_parent);
	jout_str(&j, "logDirectory", s->log_directory);
	jout_int(&j, "pausePid", s->pause_pid);
	jout_int(&j, "pauseStart", s->pause_start);
	jout_open(&j, "ports", '[');
	for (size_t i = 0; i < s->n_ports; i++) {
		jout_open(&j, NULL, '{');
		jout_c(&j, "protocol", s->ports[i].protocol);
		jout_int(&j, "container", s->ports[i].container_port);
		jout_int(&j, "host", s->ports[i].host_port);
		jout_str(&j, "hostIP", s->ports[i].host_ip);
		jout_close(&j, '}');
	}
	jout_close(&j, ']');
	jout_close(&j, '}');
	return buf_failed(&b) ? -EFBIG : fs_write(path, buf_str(&b), 0600);
}

int64_t record_int(const struct json_value *v, const char *key)
{
	const struct json_value *n = json_getc(v, key);
	int64_t i = 0;

	if (n && n->kind == JSON_NUMBER)
		str_to_i64(n->text, &i);
	return i;
}

bool record_bool(const struct json_value *v, const char *key)
{
	const struct json_value *b = json_getc(v, key);

	return b && b->kind == JSON_BOOL && b->boolean;
}

struct str record_str(const struct json_value *v, const char *key, struct arena *a)
{
	return arena_str(a, json_get_str(v, key));
}

void record_strs(const struct json_value *v, const char *key, struct arena *a, struct str_vec *to)
{
	const struct json_value *list = json_getc(v, key);

	for (size_t i = 0; list && i < list->items.n; i++)
		ARENA_PUSH(a, to, arena_str(a, list->items.v[i]->text));
}

void record_pairs(
	const struct json_value *v, const char *key, struct arena *a, struct cri_key_values *to)
{
	const struct json_value *o = json_getc(v, key);

	for (size_t i = 0; o && i < o->members.n; i++) {
		struct str_pair p = {arena_str(a, o->members.v[i].key),
			arena_str(a, o->members.v[i].value->text)};

		ARENA_PUSH(a, to, p);
	}
}

static void read_ports(const struct json_value *list, struct sandbox *s)
{
	struct {
		struct cri_port_mapping *v;
		size_t n;
	} ports = {0};

	for (size_t i = 0; list && i < list->items.n; i++) {
		const struct json_value *v = list->items.v[i];
		struct cri_port_mapping p = {
			.protocol = record_str(v, "protocol", &s->arena).p,
			.container_port = record_int(v, "container"),
			.host_port = record_int(v, "host"),
			.host_ip = record_str(v, "hostIP", &s->arena),
		};

		ARENA_PUSH(&s->arena, &ports, p);
	}
	s->ports = ports.v;
	s->n_ports = ports.n;
}

struct sandbox *sandbox_read(struct runtime *rt, const char *id)
{
	char *path CLEANUP(free_ptr) = xasprintf("%s/%s/sandbox.json", rt->sandboxes_dir, id);
	struct arena a CLEANUP(arena_release);
	struct json_value *v;
	struct sandbox *s;
	struct str text;

	arena_init(&a);
	if (strlen(id) != ID_LEN || fs_read(path, FS_SMALL_MAX, &a, &text) < 0 ||
		json_parse(text, &a, &v, NULL) < 0)
		return NULL;
	s = sandbox_new(id);
	s->st.name = record_str(v, "name", &s->arena);
	s->st.ns = record_str(v, "namespace", &s->arena);
	s->st.uid = record_str(v, "uid", &s->arena);
	s->st.attempt = record_int(v, "attempt");
	s->st.ready = record_bool(v, "ready");
	s->st.created_ns = record_int(v, "created");
	record_strs(v, "ips", &s->arena, &s->st.ips);
	record_pairs(v, "labels", &s->arena, &s->st.labels);
	record_pairs(v, "annotations", &s->arena, &s->st.annotations);
	s->network = record_int(v, "network");
	s->pid = record_int(v, "pid");
	s->ipc = record_int(v, "ipc");
	s->privileged = record_bool(v, "privileged");
	s->hostname = record_str(v, "hostname", &s->arena);
	s->cgroup_parent = record_str(v, "cgroupParent", &s->arena);
	s->log_directory = record_str(v, "logDirectory", &s->arena);
	s->pause_pid = record_int(v, "pausePid");
	s->pause_start = record_int(v, "pauseStart");
	read_ports(json_getc(v, "ports"), s);
	return s;
}

static bool is_namespace(const char *path)
{
	struct statfs st;

	return statfs(path, &st) == 0 && st.f_type == NSFS_MAGIC;
}

/* After a reboot the record is there and what it speaks of is not. */
bool sandbox_still_up(struct runtime *rt, const struct sandbox *s)
{
	char *dir CLEANUP(free_ptr) = xasprintf("%s/%s", rt->run_sandboxes_dir, s->id);
	char *net CLEANUP(free_ptr) = xasprintf("%s/net", dir);

	if (!fs_exists(dir) || (s->network == CRI_NS_POD && !is_namespace(net)))
		return false;
	return !s->pause_pid ||
	       (s->pause_start && process_start_time(s->pause_pid) == s->pause_start);
}
