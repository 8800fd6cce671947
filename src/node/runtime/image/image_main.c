/* image_main.c: `sampan image`. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/flags.h"
#include "json/value.h"
#include "base/fs.h"
#include "node/runtime/image/image.h"

struct command {
	struct image_store store;
	struct registry_opts registry;
	struct arena *arena;
	char **args;
	int n_args;
};

static int fail(const char *what, const struct err *err)
{
	fprintf(stderr, "%s%s%s\n", what, *what ? ": " : "", err_text(err));
	return 1;
}

static int do_import(struct command *c)
{
	int code = c->n_args ? 0 : 2;

	if (!c->n_args)
		fprintf(stderr, "usage: sampan image import FILE…   (\"-\": standard input)\n");
	for (int i = 0; i < c->n_args && code == 0; i++) {
		struct err err CLEANUP(err_release) = {0};
		struct str_vec got = {0};
		int fd CLEANUP(fd_close) =
			strcmp(c->args[i], "-") ? open(c->args[i], O_RDONLY | O_CLOEXEC) : dup(0);

		if (fd < 0) {
			err_errno(&err, errno, "cannot read %s", c->args[i]);
			return fail("", &err);
		}
		if (image_import(&c->store, fd, c->arena, &got, &err) < 0)
			return fail(c->args[i], &err);
		for (size_t k = 0; k < got.n; k++)
			printf("imported " STR_FMT "\n", STR_ARG(got.v[k]));
	}
	return code;
}

static int do_pull(struct command *c)
{
	struct err err CLEANUP(err_release) = {0};
	struct str id;

	if (c->n_args != 1) {
		fprintf(stderr, "usage: sampan image pull REF\n");
		return 2;
	}
	if (image_pull(&c->store, str_c(c->args[0]), &c->registry, c->arena, &id, &err) < 0)
		return fail("", &err);
	printf(STR_FMT "\n", STR_ARG(id));
	return 0;
}

static void print_size(uint64_t bytes)
{
	if (bytes >= 1000000000)
		printf("%.1fGB\n", bytes / 1e9);
	else if (bytes >= 1000000)
		printf("%.1fMB\n", bytes / 1e6);
	else
		printf("%.1fkB\n", bytes / 1e3);
}

static int do_ls(struct command *c)
{
	struct err err CLEANUP(err_release) = {0};
	struct image_index idx;

	if (image_index_load(&c->store, c->arena, &idx, &err) < 0)
		return fail("", &err);
	printf("%-64s %-13s %s\n", "IMAGE", "ID", "SIZE");
	for (size_t i = 0; i < idx.n; i++) {
		const struct image *m = &idx.v[i];
		struct str id = str_sub(m->id, 7, 19);

		for (size_t k = 0; k < m->tags.n || k == 0; k++) {
			struct str name = m->tags.n      ? m->tags.v[k]
					  : m->digests.n ? m->digests.v[0]
							 : S("<none>");

			printf("%-64.*s %-13.*s ", STR_ARG(name), STR_ARG(id));
			print_size(m->size);
		}
	}
	return 0;
}

static int do_rm(struct command *c)
{
	int code = c->n_args ? 0 : 2;

	if (!c->n_args)
		fprintf(stderr, "usage: sampan image rm REF…\n");
	for (int i = 0; i < c->n_args; i++) {
		struct err err CLEANUP(err_release) = {0};

		if (image_remove(&c->store, str_c(c->args[i]), &err) < 0)
			code = fail("", &err);
	}
	return code;
}

static const struct {
	const char *name;
	int (*run)(struct command *c);
} commands[] = {
	{"import", do_import},
	{"pull", do_pull},
	{"ls", do_ls},
	{"rm", do_rm},
};

/* The pull secret comes on standard input, so that it is in no command line: {"username":…,
 * "password":…, …}. */
static int read_secret(struct command *c)
{
	char text[65536];
	size_t n = fread(text, 1, sizeof(text), stdin);
	struct json_value *v;

	if (json_parse(arena_str(c->arena, str_n(text, n)), c->arena, &v, NULL) < 0) {
		fprintf(stderr, "sampan image: standard input holds no JSON\n");
		return -EINVAL;
	}
	c->registry.username = json_get_str(v, "username");
	c->registry.password = json_get_str(v, "password");
	c->registry.auth = json_get_str(v, "auth");
	c->registry.identity_token = json_get_str(v, "identityToken");
	c->registry.registry_token = json_get_str(v, "registryToken");
	return 0;
}

static int add_mirrors(struct command *c, const struct flag_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct registry_mirror *v =
			ARENA_ARRAY(c->arena, struct registry_mirror, c->registry.n_mirrors + 1);

		if (c->registry.n_mirrors)
			memcpy(v, c->registry.mirrors, c->registry.n_mirrors * sizeof(*v));
		if (!str_cut(list->v[i], '=', &v[c->registry.n_mirrors].host,
			    &v[c->registry.n_mirrors].url)) {
			fprintf(stderr, "sampan image: --registry-mirror wants HOST=URL\n");
			return -EINVAL;
		}
		c->registry.mirrors = v;
		c->registry.n_mirrors++;
	}
	return 0;
}

/* `sampan up` keeps its node's data in <data-dir>/node, `sampan node` in <data-dir> itself. */
static const char *node_dir(const char *data_dir, struct arena *a)
{
	const char *own = arena_fmt(a, "%s/runtime", data_dir).p;
	const char *server = arena_fmt(a, "%s/node", data_dir).p;

	return !fs_exists(own) && fs_exists(server) ? server : data_dir;
}

int image_main(int argc, char **argv)
{
	const char *data_dir = "/var/lib/sampan", *ca_file = NULL;
	struct arena arena CLEANUP(arena_release);
	struct err err CLEANUP(err_release) = {0};
	struct command c = {.arena = &arena};
	struct flag_list mirrors = {0};
	struct flag_args rest = {0};
	bool secret = false;
	const struct flag flags[] = {
		{"data-dir", FLAG_STRING, &data_dir, "DIR", "where the node keeps its data"},
		{"registry-mirror", FLAG_LIST, &mirrors, "HOST=URL",
			"ask this registry first for images of HOST"},
		{"ca-file", FLAG_STRING, &ca_file, "FILE",
			"more certificate authorities for registries"},
		{"auth-stdin", FLAG_BOOL, &secret, NULL,
			"read credentials as JSON from standard input"},
		{NULL},
	};
	int r;

	arena_init(&arena);
	r = flags_parse(
		flags, "sampan image (import FILE… | pull REF | ls | rm REF…)", argc, argv, &rest);
	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	data_dir = node_dir(data_dir, &arena);
	c.store.dir = arena_fmt(&arena, "%s/runtime/images", data_dir).p;
	c.store.containers_dir = arena_fmt(&arena, "%s/runtime/containers", data_dir).p;
	c.registry.ca_file = ca_file;
	c.args = rest.v + 1;
	c.n_args = rest.n - 1;
	if (registries_conf_read(arena_fmt(&arena, "%s/registries.conf", data_dir).p, &arena,
		    &c.registry, &err) < 0 ||
		image_store_prepare(&c.store, &err) < 0)
		return fail("", &err);
	if (add_mirrors(&c, &mirrors) < 0 || (secret && read_secret(&c) < 0))
		return 2;
	for (size_t i = 0; rest.n && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, rest.v[0]))
			return commands[i].run(&c);
	fprintf(stderr,
		"usage: sampan image (import FILE… | pull REF | ls | rm REF…) [--data-dir DIR]\n");
	return 2;
}
