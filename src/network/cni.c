#include "network/cni.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "json/value.h"
#include "base/fs.h"
#include "base/spawn.h"

enum {
	CONFIG_MAX = 1024 * 1024,
	RESULT_MAX = 1024 * 1024,
	PLUGINS_MAX = 16,
	PLUGIN_TIMEOUT_MS = 60000
};

void cni_config_release(struct cni_config *c)
{
	arena_release(&c->arena);
	*c = (struct cni_config){0};
}

static bool is_config(const char *name)
{
	struct str s = str_c(name);

	return name[0] != '.' &&
	       (str_ends(s, S(".conflist")) || str_ends(s, S(".conf")) || str_ends(s, S(".json")));
}

/* The first by name, as every CNI runtime takes it. */
static char *first_config(const char *dir_path)
{
	DIR *dir = opendir(dir_path);
	struct dirent *e;
	char *best = NULL;

	while (dir && (e = readdir(dir)))
		if (is_config(e->d_name) && (!best || strcmp(e->d_name, best) < 0)) {
			free(best);
			best = xstrdup(e->d_name);
		}
	if (dir)
		closedir(dir);
	return best;
}

bool cni_config_exists(const char *dir)
{
	char *name CLEANUP(free_ptr) = first_config(dir);

	return name != NULL;
}

static int read_config(const char *path, struct cni_config *ret, struct err *err)
{
	struct cni_config c = {0};
	struct json_value *root, *list = NULL;
	struct str text;
	int r = fs_read(path, CONFIG_MAX, &c.arena, &text);

	if (r == -ENOENT) {
		arena_release(&c.arena);
		return r;
	}
	if (r < 0)
		err_errno(err, -r, "cannot read %s", path);
	else if (json_parse(text, &c.arena, &root, NULL) < 0 || root->kind != JSON_OBJECT)
		r = err_fmt(err, 500, "InternalError", "CNI configuration %s is not a JSON object",
			path);
	else if ((list = json_getc(root, "plugins")) && !list->items.n)
		r = err_fmt(err, 500, "InternalError", "CNI configuration %s: no plugins in list",
			path);
	if (r < 0) {
		cni_config_release(&c);
		return r;
	}
	c.name = arena_cstr(&c.arena, json_get_str(root, "name"));
	c.version = arena_cstr(&c.arena, json_get_str(root, "cniVersion"));
	for (size_t i = 0; list && i < list->items.n && i < PLUGINS_MAX; i++)
		ARENA_PUSH(&c.arena, &c.plugins, json_text(list->items.v[i], &c.arena));
	if (!list)
		ARENA_PUSH(&c.arena, &c.plugins, json_text(root, &c.arena));
	*ret = c;
	return 0;
}

int cni_config_load(const char *dir, struct cni_config *ret, struct err *err)
{
	char *name CLEANUP(free_ptr) = first_config(dir);
	char *path CLEANUP(free_ptr) = name ? xasprintf("%s/%s", dir, name) : NULL;

	return name ? read_config(path, ret, err) : -ENOENT;
}

int cni_config_recall(const char *path, struct cni_config *ret, struct err *err)
{
	return read_config(path, ret, err);
}

int cni_config_keep(const struct cni_config *c, const char *path, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct json_value *root = json_new(&a, JSON_OBJECT), *list = json_new(&a, JSON_ARRAY), *one;
	int r;

	json_set(&a, root, S("cniVersion"), json_new_string(&a, str_c(c->version)));
	json_set(&a, root, S("name"), json_new_string(&a, str_c(c->name)));
	for (size_t i = 0; i < c->plugins.n; i++)
		if (json_parse(c->plugins.v[i], &a, &one, NULL) == 0)
			json_append(&a, list, one);
	json_set(&a, root, S("plugins"), list);
	r = fs_write(path, json_text(root, &a), 0600);
	return r < 0 ? err_errno(err, -r, "cannot write %s", path) : 0;
}

static char *find_plugin(const char *dirs, struct str type)
{
	struct str rest = str_c(dirs), head;
	bool more = true;

	while (more) {
		char *path;

		more = str_cut(rest, ':', &head, &rest);
		path = xasprintf(STR_FMT "/" STR_FMT, STR_ARG(head), STR_ARG(type));
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* runtimeConfig for the capabilities that the plugin has declared. */
static void add_runtime_config(
	struct json_value *conf, const struct pod_network_request *rq, struct arena *a)
{
	struct json_value *ports, *config,
		*wanted = json_getc(json_getc(conf, "capabilities"), "portMappings");

	if (!wanted || wanted->kind != JSON_BOOL || !wanted->boolean)
		return;
	ports = json_new(a, JSON_ARRAY);
	for (size_t i = 0; i < rq->n_ports; i++) {
		struct json_value *p = json_new(a, JSON_OBJECT);
		const char *protocol = rq->ports[i].protocol;

		if (rq->ports[i].host_port <= 0)
			continue;
		json_set(a, p, S("hostPort"), json_new_int(a, rq->ports[i].host_port));
		json_set(a, p, S("containerPort"), json_new_int(a, rq->ports[i].container_port));
		json_set(a, p, S("protocol"),
			json_new_string(a, !strcmp(protocol, "UDP")    ? S("udp")
					   : !strcmp(protocol, "SCTP") ? S("sctp")
								       : S("tcp")));
		if (rq->ports[i].host_ip.n)
			json_set(a, p, S("hostIP"), json_new_string(a, rq->ports[i].host_ip));
		json_append(a, ports, p);
	}
	config = json_new(a, JSON_OBJECT);
	json_set(a, config, S("portMappings"), ports);
	json_set(a, conf, S("runtimeConfig"), config);
}

/* What GC must leave alone. */
static void add_attachments(struct json_value *conf, const struct str_vec *live, struct arena *a)
{
	struct json_value *list = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < live->n; i++) {
		struct json_value *one = json_new(a, JSON_OBJECT);

		json_set(a, one, S("containerID"), json_new_string(a, live->v[i]));
		json_set(a, one, S("ifname"), json_new_string(a, S("eth0")));
		json_append(a, list, one);
	}
	json_set(a, conf, S("cni.dev/valid-attachments"), list);
}

static bool is_address(const char *text)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

int cni_result_ips(struct str json, struct arena *a, struct str_vec *ret, struct err *err)
{
	static const char *const old[] = {"ip4", "ip6"}; /* before 0.3.0 */
	struct json_value *root, *list;
	struct str_vec ips = {0};
	struct str head, rest;

	if (json_parse(json, a, &root, NULL) < 0 || root->kind != JSON_OBJECT)
		return err_fmt(
			err, 500, "InternalError", "the CNI plugin's result is not a JSON object");
	list = json_getc(root, "ips");
	for (size_t i = 0; list && i < list->items.n; i++) {
		struct str text = json_get_str(list->items.v[i], "address");

		str_cut(text, '/', &head, &rest);
		if (!is_address(arena_cstr(a, head)))
			return err_fmt(err, 500, "InternalError",
				"the CNI plugin's result has a broken address \"" STR_FMT "\"",
				STR_ARG(text));
		ARENA_PUSH(a, &ips, arena_str(a, head));
	}
	for (size_t i = 0; i < ARRAY_SIZE(old) && !ips.n; i++) {
		str_cut(json_get_str(json_getc(root, old[i]), "ip"), '/', &head, &rest);
		if (is_address(arena_cstr(a, head)))
			ARENA_PUSH(a, &ips, arena_str(a, head));
	}
	*ret = ips;
	return 0;
}

/* {"code":…, "msg":…, "details":…} on stdout of a plugin that failed. */
static int plugin_error(struct str type, const char *command, int code, struct str out,
	struct str errout, struct arena *a, struct err *err)
{
	struct json_value *root = NULL;
	struct str msg = {0}, details = {0};

	if (json_parse(out, a, &root, NULL) == 0) {
		msg = json_get_str(root, "msg");
		details = json_get_str(root, "details");
	}
	if (!msg.n)
		msg = errout.n ? str_trim(errout) : S("no reason given");
	return err_fmt(err, 500, "InternalError",
		"plugin type=\"" STR_FMT "\" failed (%s), exit code %d: " STR_FMT "%s" STR_FMT,
		STR_ARG(type), command, code, STR_ARG(msg), details.n ? "; " : "",
		STR_ARG(details));
}

/* live: the sandboxes that are there, for GC; NULL otherwise. */
static int run_plugin(const struct cni_config *c, size_t i, const char *bin_dirs,
	const char *command, const struct pod_network_request *rq, const struct str_vec *live,
	struct arena *a, struct str *result, struct err *err)
{
	struct buf out CLEANUP(buf_release) = {0}, errout CLEANUP(buf_release) = {0};
	char *path CLEANUP(free_ptr) = NULL;
	struct json_value *conf, *prev;
	struct str type;
	char *argv[2] = {NULL};
	int r = json_parse(c->plugins.v[i], a, &conf, err);

	if (r < 0)
		return r;
	type = json_get_str(conf, "type");
	path = type.n && str_chr(type, '/') < 0 ? find_plugin(bin_dirs, type) : NULL;
	if (!path)
		return err_fmt(err, 500, "InternalError",
			"failed to find plugin \"" STR_FMT "\" in path [%s]", STR_ARG(type),
			bin_dirs);
	json_set(a, conf, S("name"), json_new_string(a, str_c(c->name)));
	json_set(a, conf, S("cniVersion"), json_new_string(a, str_c(c->version)));
	add_runtime_config(conf, rq, a);
	if (live)
		add_attachments(conf, live, a);
	if (result->n && json_parse(*result, a, &prev, NULL) == 0)
		json_set(a, conf, S("prevResult"), prev);
	argv[0] = path;
	char *envp[] = {
		arena_cstr(a, arena_fmt(a, "CNI_COMMAND=%s", command)),
		arena_cstr(a, arena_fmt(a, "CNI_CONTAINERID=" STR_FMT, STR_ARG(rq->id))),
		arena_cstr(a, arena_fmt(a, "CNI_NETNS=" STR_FMT, STR_ARG(rq->netns_path))),
		"CNI_IFNAME=eth0",
		arena_cstr(a, arena_fmt(a, "CNI_PATH=%s", bin_dirs)),
		arena_cstr(
			a, arena_fmt(a,
				   "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=" STR_FMT
				   ";K8S_POD_NAME=" STR_FMT ";K8S_POD_INFRA_CONTAINER_ID=" STR_FMT
				   ";K8S_POD_UID=" STR_FMT,
				   STR_ARG(rq->ns), STR_ARG(rq->name), STR_ARG(rq->id),
				   STR_ARG(rq->uid))),
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		NULL,
	};
	struct spawn_opts opts = {.path = path, .argv = argv, .envp = envp};
	buf_init(&out, RESULT_MAX);
	buf_init(&errout, 16384);
	r = spawn_run(&opts, json_text(conf, a), &out, &errout, PLUGIN_TIMEOUT_MS);
	if (r < 0)
		return err_errno(err, -r, "CNI plugin %s", path);
	if (r > 0)
		return plugin_error(type, command, r, out.n ? buf_str(&out) : S(""),
			errout.n ? buf_str(&errout) : S(""), a, err);
	if (out.n)
		*result = arena_str(a, buf_str(&out));
	return 0;
}

/* ADD forwards, each with the result of the one before; DEL backwards, with the last ADD's result,
 * which was kept. */
int cni_run(const struct cni_config *c, const char *bin_dirs, const char *state_dir,
	const char *command, const struct pod_network_request *rq, struct arena *a,
	struct str_vec *ret_ips, struct err *err)
{
	const char *kept = arena_fmt(a, "%s/cni-" STR_FMT, state_dir, STR_ARG(rq->id)).p;
	bool add = !strcmp(command, "ADD");
	struct str result = {0};
	int r = 0;

	if (!add && fs_read(kept, RESULT_MAX, a, &result) < 0)
		result = (struct str){0};
	for (size_t k = 0; k < c->plugins.n && r == 0; k++) {
		size_t i = add ? k : c->plugins.n - 1 - k;
		struct str ignored = result;

		r = run_plugin(c, i, bin_dirs, command, rq, NULL, a, add ? &result : &ignored, err);
	}
	if (r < 0 || !add)
		return r;
	r = cni_result_ips(result, a, ret_ips, err);
	if (r == 0 && fs_write(kept, result, 0600) < 0)
		r = err_fmt(err, 500, "InternalError", "cannot write %s", kept);
	return r;
}

static bool at_least_1_1(const char *version)
{
	int major = 0, minor = 0;

	sscanf(version, "%d.%d", &major, &minor);
	return major > 1 || (major == 1 && minor >= 1);
}

static int ask_all(const struct cni_config *c, const char *bin_dirs, const char *command,
	const struct str_vec *live, struct arena *a, struct err *err)
{
	const struct pod_network_request none = {0};
	struct str ignored = {0};
	int r = 0;

	for (size_t i = 0; i < c->plugins.n && r == 0 && at_least_1_1(c->version); i++)
		r = run_plugin(c, i, bin_dirs, command, &none, live, a, &ignored, err);
	return r;
}

int cni_status(const struct cni_config *c, const char *bin_dirs, struct arena *a, struct err *err)
{
	return ask_all(c, bin_dirs, "STATUS", NULL, a, err);
}

int cni_gc(const struct cni_config *c, const char *bin_dirs, const struct str_vec *live,
	struct arena *a, struct err *err)
{
	return ask_all(c, bin_dirs, "GC", live, a, err);
}
