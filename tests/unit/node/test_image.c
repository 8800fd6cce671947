/* Image references, manifests, users, CNI results, and unpacking of hostile
 * layers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "json/value.h"
#include "network/cni.h"
#include "base/fs.h"
#include "node/runtime/image/manifest.h"
#include "node/runtime/image/ref.h"
#include "node/runtime/image/unpack.h"
#include "node/runtime/spec.h"

static void check_str(struct str got, const char *want)
{
	if (!str_eqc(got, want))
		print_error("got \"" STR_FMT "\", want \"%s\"\n", STR_ARG(got), want);
	assert_true(str_eqc(got, want));
}

static void references(void **state)
{
	static const struct {
		const char *text, *full;
	} good[] = {
		{"busybox", "docker.io/library/busybox:latest"},
		{"busybox:1.36", "docker.io/library/busybox:1.36"},
		{"a/b", "docker.io/a/b:latest"},
		{"index.docker.io/busybox", "docker.io/library/busybox:latest"},
		{"localhost/x", "localhost/x:latest"},
		{"localhost:5000/x/y:t", "localhost:5000/x/y:t"},
		{"registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"},
		{"[::1]:5000/x:t", "[::1]:5000/x:t"},
		{"a__b/c-d.e:T_.-x", "docker.io/a__b/c-d.e:T_.-x"},
	};
	static const char *const bad[] = {"", ":", "@", "a:", "UPPER", "a//b", "a/", "/a", "a b",
		"a:b c", "-a", "a..b", "a_.b", "a@sha256:12", "http://x/y", "a:t:u",
		"x.y:99999999/a", "sha256:"};
	struct arena a = {0};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct image_ref r;

		assert_int_equal(image_ref_parse(str_c(good[i].text), &a, &r, NULL), 0);
		check_str(image_ref_tagged(&r, &a), good[i].full);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct image_ref r;
		struct err err = {0};

		if (image_ref_parse(str_c(bad[i]), &a, &r, &err) == 0)
			fail_msg("\"%s\" was taken for a reference", bad[i]);
		assert_non_null(strstr(err_text(&err), "invalid"));
		err_release(&err);
	}
	arena_release(&a);
}

static void reference_with_digest(void **state)
{
	struct str text =
		S("x/y:t@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	struct arena a = {0};
	struct image_ref r;

	assert_int_equal(image_ref_parse(text, &a, &r, NULL), 0);
	check_str(r.tag, "t");
	check_str(image_ref_digested(&r, r.digest, &a),
		"docker.io/x/"
		"y@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	arena_release(&a);
}

#define D "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void manifests(void **state)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"schemaVersion\":1,\"layers\":[]}",
		"{\"layers\":[]}", "{\"layers\":{},\"config\":{\"digest\":\"" D "\",\"size\":1}}",
		"{\"layers\":[],\"config\":{\"digest\":\"sha256:../../etc\",\"size\":1}}",
		"{\"layers\":[],\"config\":{\"digest\":\"" D "\",\"size\":-1}}",
		"{\"manifests\":[{\"digest\":\"x\"}]}"};
	struct arena a = {0};
	struct manifest m;
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (manifest_parse(str_c(bad[i]), &a, &m, NULL) == 0)
			fail_msg("%s was taken", bad[i]);
	assert_int_equal(manifest_parse(S("{\"schemaVersion\":2,\"config\":{\"digest\":\"" D
					  "\",\"size\":7},\"layers\":"
					  "[{\"digest\":\"" D "\",\"size\":9}]}"),
				 &a, &m, NULL),
		0);
	assert_false(m.is_index);
	assert_int_equal(m.layers.n, 1);
	assert_int_equal(m.layers.v[0].size, 9);
	snprintf(text, sizeof(text),
		"{\"manifests\":[{\"digest\":\"sha256:%064d\",\"platform\":{\"os\":\"linux\","
		"\"architecture\":\"other\"}},"
		"{\"digest\":\"" D "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
		1, manifest_architecture());
	assert_int_equal(manifest_parse(str_c(text), &a, &m, NULL), 0);
	assert_true(m.is_index);
	check_str(manifest_choose(&m), D);
	arena_release(&a);
}

static const struct str passwd =
	S("root:x:0:0:root:/root:/bin/sh\napp:x:1234:55:app:/home/app:/bin/sh\nbroken\n");
static const struct str group =
	S("root:x:0:\nextra:x:77:other,app\nmore:x:88:app\nnot:x:99:apple\n");

static struct user_ids resolve(struct arena *a, struct cri_user u, const char *image_user)
{
	struct user_ids ids;

	assert_int_equal(user_resolve(&u, str_c(image_user), passwd, group, a, &ids, NULL), 0);
	return ids;
}

static void users(void **state)
{
	struct arena a = {0};
	int64_t uid = 1234, gid = 5, extra = 4000;
	struct user_ids u = resolve(&a, (struct cri_user){0}, "");

	assert_int_equal(u.uid, 0);
	check_str(u.home, "/root");
	u = resolve(&a, (struct cri_user){0}, "app");
	assert_int_equal(u.uid, 1234);
	assert_int_equal(u.gid, 55);
	assert_int_equal(u.n_groups, 3); /* 55 77 88, and not apple's */
	u = resolve(&a, (struct cri_user){0}, "app:extra");
	assert_int_equal(u.gid, 77);
	u = resolve(&a, (struct cri_user){0}, "4242");
	assert_int_equal(u.uid, 4242);
	assert_int_equal(u.gid, 0);
	u = resolve(&a,
		(struct cri_user){.run_as_user = &uid,
			.run_as_group = &gid,
			.supplemental_groups = &extra,
			.n_supplemental_groups = 1,
			.supplemental_groups_strict = true},
		"root");
	assert_int_equal(u.uid, 1234);
	assert_int_equal(u.gid, 5);
	assert_int_equal(u.n_groups, 2);
	assert_true(
		user_resolve(&(struct cri_user){0}, S("nobody"), passwd, group, &a, &u, NULL) < 0);
	assert_true(user_resolve(&(struct cri_user){0}, S("0:nogroup"), passwd, group, &a, &u,
			    NULL) < 0);
	arena_release(&a);
}

static void cni_results(void **state)
{
	struct str_vec ips = {0};
	struct arena a = {0};

	assert_int_equal(
		cni_result_ips(S("{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.1.2.3/24\"},"
				 "{\"address\":\"fd00::2/64\"}]}"),
			&a, &ips, NULL),
		0);
	assert_int_equal(ips.n, 2);
	check_str(ips.v[0], "10.1.2.3");
	check_str(ips.v[1], "fd00::2");
	ips = (struct str_vec){0};
	assert_int_equal(
		cni_result_ips(S("{\"ip4\":{\"ip\":\"10.1.2.4/24\"}}"), &a, &ips, NULL), 0);
	check_str(ips.v[0], "10.1.2.4");
	assert_true(cni_result_ips(S("nonsense"), &a, &ips, NULL) < 0);
	assert_true(cni_result_ips(S("{\"ips\":[{\"address\":\"10.1.2\"}]}"), &a, &ips, NULL) < 0);
	arena_release(&a);
}

/* --- layers --- */

struct entry {
	const char *name;
	mode_t type;
	const char *link; /* of a symlink; or of a hard link when type is 0 */
	const char *content;
	mode_t perm;
};

/* The tar of these entries, unpacked into dir. */
static int unpack(const struct entry *v, size_t n, const char *dir, int lower)
{
	struct archive *w = archive_write_new();
	char *tar = xmalloc(1 << 20);
	size_t used = 0;
	int fds[2], root = open(dir, O_RDONLY | O_DIRECTORY), r;
	struct fd_source from;
	struct inflate *in;
	struct unpack_opts o = {.root_fd = root, .lower_fds = &lower, .n_lower = lower >= 0};
	FILE *tmp = tmpfile();

	archive_write_set_format_pax(w);
	archive_write_open_memory(w, tar, 1 << 20, &used);
	for (size_t i = 0; i < n; i++) {
		struct archive_entry *e = archive_entry_new();

		archive_entry_set_pathname(e, v[i].name);
		if (v[i].type)
			archive_entry_set_filetype(e, v[i].type);
		else
			archive_entry_set_hardlink(e, v[i].link);
		if (v[i].type == AE_IFLNK)
			archive_entry_set_symlink(e, v[i].link);
		archive_entry_set_perm(e, v[i].perm ? v[i].perm : 0644);
		archive_entry_set_uid(e, getuid());
		archive_entry_set_gid(e, getgid());
		archive_entry_set_mtime(e, 1700000000, 0);
		archive_entry_set_size(e, v[i].content ? strlen(v[i].content) : 0);
		archive_write_header(w, e);
		if (v[i].content)
			archive_write_data(w, v[i].content, strlen(v[i].content));
		archive_entry_free(e);
	}
	archive_write_close(w);
	archive_write_free(w);
	assert_int_equal(fwrite(tar, 1, used, tmp), used);
	rewind(tmp);
	fds[0] = fileno(tmp);
	from = fd_source(fds[0]);
	in = inflate_new(&from.source, 1 << 24);
	r = unpack_layer(in, &o, NULL);
	inflate_free(in);
	fclose(tmp);
	close(root);
	free(tar);
	return r;
}

static char *scratch(void)
{
	char *dir = xstrdup("/tmp/sampan-unpack.XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static bool there(const char *dir, const char *name, struct stat *st)
{
	char *path = xasprintf("%s/%s", dir, name);
	bool found = lstat(path, st) == 0;

	free(path);
	return found;
}

static void layer_kept(void **state)
{
	static const struct entry v[] = {
		{"./bin/", AE_IFDIR, .perm = 0755},
		{"bin/tool", AE_IFREG, .content = "x", .perm = 0755},
		{"bin/again", 0, "bin/tool"},
		{"bin/link", AE_IFLNK, "/bin/tool"},
		{"tmp", AE_IFDIR, .perm = 01777},
		{"bin/tool2", AE_IFREG, .content = "old"},
		{"bin/tool2", AE_IFREG, .content = "newer"},
		{"deep/er/file", AE_IFREG, .content = "y"},
	};
	char *dir = scratch();
	struct stat a, b;

	assert_int_equal(unpack(v, ARRAY_SIZE(v), dir, -1), 0);
	assert_true(there(dir, "bin/tool", &a) && there(dir, "bin/again", &b));
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_mode & 07777, 0755);
	assert_int_equal(a.st_mtime, 1700000000);
	assert_true(there(dir, "tmp", &a));
	assert_int_equal(a.st_mode & 07777, 01777);
	assert_true(there(dir, "bin/tool2", &a));
	assert_int_equal(a.st_size, 5);
	assert_true(there(dir, "deep/er/file", &a));
	fs_remove_tree(dir);
	free(dir);
}

/* Whatever the archive says, nothing appears beside the directory. */
static void layer_stays_inside(void **state)
{
	static const struct entry dots[] = {{"../escaped", AE_IFREG, .content = "x"}};
	static const struct entry middle[] = {{"a/../../escaped", AE_IFREG, .content = "x"}};
	static const struct entry absolute[] = {{"/escaped", AE_IFREG, .content = "x"}};
	static const struct entry through_link[] = {
		{"out", AE_IFLNK, "../.."}, {"out/escaped", AE_IFREG, .content = "x"}};
	static const struct entry through_absolute[] = {
		{"out", AE_IFLNK, "/tmp"}, {"out/sampan-escaped", AE_IFREG, .content = "x"}};
	static const struct entry hard[] = {{"passwd", 0, "../../../../../../etc/passwd"}};
	static const struct entry hard_through[] = {
		{"out", AE_IFLNK, "/etc"}, {"passwd", 0, "out/passwd"}};
	char *base = scratch(), *dir = xasprintf("%s/root", base);
	struct stat st;

	assert_int_equal(mkdir(dir, 0700), 0);
	assert_true(unpack(dots, 1, dir, -1) < 0);
	assert_true(unpack(middle, 1, dir, -1) < 0);
	assert_int_equal(unpack(absolute, 1, dir, -1), 0);
	assert_true(there(dir, "escaped", &st));
	unpack(through_link, 2, dir, -1);
	assert_false(there(base, "escaped", &st));
	unpack(through_absolute, 2, dir, -1);
	assert_false(there("/tmp", "sampan-escaped", &st));
	assert_true(unpack(hard, 1, dir, -1) < 0);
	assert_true(unpack(hard_through, 2, dir, -1) < 0);
	assert_false(there(dir, "passwd", &st));
	fs_remove_tree(base);
	free(dir);
	free(base);
}

/* Needs CAP_MKNOD and trusted xattrs. */
static void layer_whiteouts(void **state)
{
	static const struct entry v[] = {{"dir", AE_IFDIR, .perm = 0755},
		{"dir/.wh.gone", AE_IFREG, .content = ""}, {"dir/kept", AE_IFREG, .content = "x"},
		{"dir/.wh.kept", AE_IFREG, .content = ""}};
	static const struct entry bad[] = {{"dir/.wh...", AE_IFREG, .content = ""}};
	char *dir = scratch();
	struct stat st;

	if (getuid() != 0)
		skip();
	assert_int_equal(unpack(v, ARRAY_SIZE(v), dir, -1), 0);
	assert_true(there(dir, "dir/gone", &st));
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
	assert_true(there(dir, "dir/kept", &st));
	assert_true(S_ISREG(st.st_mode));
	assert_true(unpack(bad, 1, dir, -1) < 0);
	fs_remove_tree(dir);
	free(dir);
}

/* A parent that the layer does not carry looks as it does below. */
static void layer_parents_from_below(void **state)
{
	static const struct entry below[] = {{"tmp", AE_IFDIR, .perm = 01777}};
	static const struct entry above[] = {{"tmp/file", AE_IFREG, .content = "x"}};
	char *low = scratch(), *high = scratch();
	struct stat st;
	int fd;

	assert_int_equal(unpack(below, 1, low, -1), 0);
	fd = open(low, O_PATH | O_DIRECTORY);
	assert_int_equal(unpack(above, 1, high, fd), 0);
	assert_true(there(high, "tmp", &st));
	assert_int_equal(st.st_mode & 07777, 01777);
	close(fd);
	fs_remove_tree(low);
	fs_remove_tree(high);
	free(low);
	free(high);
}

/* --- the OCI configuration --- */

static struct json_value *spec_of(
	struct arena *a, const struct cri_container_config *cfg, const char *image_text)
{
	struct image_defaults image;
	struct json_value *v;
	struct buf b = {0};
	struct spec_input in = {.cfg = cfg,
		.image = &image,
		.rootfs = "/r",
		.hostname = S("h"),
		.cgroups_path = S("/p/c"),
		.pid_private = true,
		.capabilities = ~0ULL,
		.oom_score_adj_min = 5,
		.seccomp = true};

	assert_int_equal(image_defaults_parse(str_c(image_text), a, &image, NULL), 0);
	buf_init(&b, SPEC_BYTES_MAX);
	assert_int_equal(spec_write(&in, a, &b, NULL), 0);
	assert_int_equal(json_parse(arena_str(a, buf_str(&b)), a, &v, NULL), 0);
	buf_release(&b);
	return v;
}

static const char image_text[] =
	"{\"config\":{\"Entrypoint\":[\"e\"],\"Cmd\":[\"c1\",\"c2\"],\"Env\":[\"A=1\",\"B=2\"]}}";

static void spec_command_and_environment(void **state)
{
	struct arena a = {0};
	struct str args[] = {S("x")};
	struct str_pair env[] = {{S("B"), S("3")}};
	struct cri_container_config cfg = {
		.seccomp.kind = CRI_PROFILE_UNCONFINED, .envs = {env, 1}};
	struct json_value *process = json_getc(spec_of(&a, &cfg, image_text), "process");

	check_str(json_text(json_getc(process, "args"), &a), "[\"e\",\"c1\",\"c2\"]");
	check_str(json_text(json_getc(process, "oomScoreAdj"), &a), "5");
	assert_true(str_find(json_text(json_getc(process, "env"), &a), S("\"A=1\",\"B=3\"")) >= 0);
	assert_true(str_find(json_text(json_getc(process, "env"), &a), S("B=2")) < 0);
	cfg.args = (struct str_vec){args, 1}; /* replaces Cmd, not Entrypoint */
	process = json_getc(spec_of(&a, &cfg, image_text), "process");
	check_str(json_text(json_getc(process, "args"), &a), "[\"e\",\"x\"]");
	cfg.command = (struct str_vec){args, 1}; /* replaces both */
	process = json_getc(spec_of(&a, &cfg, image_text), "process");
	check_str(json_text(json_getc(process, "args"), &a), "[\"x\",\"x\"]");
	arena_release(&a);
}

static size_t n_caps(struct json_value *spec)
{
	return json_getc(json_getc(json_getc(spec, "process"), "capabilities"), "bounding")
		->items.n;
}

static void spec_capabilities(void **state)
{
	struct arena a = {0};
	struct str all[] = {S("ALL")}, one[] = {S("NET_ADMIN")}, bad[] = {S("NOPE")};
	struct cri_container_config cfg = {.seccomp.kind = CRI_PROFILE_UNCONFINED};
	struct image_defaults none = {.entrypoint.n = 0};
	struct spec_input in = {.cfg = &cfg, .image = &none, .rootfs = "/"};
	struct buf b = {0};

	assert_int_equal(n_caps(spec_of(&a, &cfg, image_text)), 14);
	cfg.drop_capabilities = (struct str_vec){all, 1};
	assert_int_equal(n_caps(spec_of(&a, &cfg, image_text)), 0);
	cfg.add_capabilities = (struct str_vec){one, 1};
	assert_int_equal(n_caps(spec_of(&a, &cfg, image_text)), 1);
	cfg.add_capabilities = (struct str_vec){bad, 1};
	buf_init(&b, SPEC_BYTES_MAX);
	assert_true(spec_write(&in, &a, &b, NULL) < 0);
	buf_release(&b);
	arena_release(&a);
}

static void spec_seccomp_and_paths(void **state)
{
	struct arena a = {0};
	struct cri_container_config cfg = {0}; /* RuntimeDefault */
	struct json_value *lin = json_getc(spec_of(&a, &cfg, image_text), "linux");

	check_str(json_get_str(json_getc(lin, "seccomp"), "defaultAction"), "SCMP_ACT_ERRNO");
	assert_true(json_getc(lin, "maskedPaths")->items.n > 5);
	cfg.privileged = true;
	lin = json_getc(spec_of(&a, &cfg, image_text), "linux");
	assert_null(json_getc(lin, "seccomp"));
	assert_null(json_getc(lin, "maskedPaths"));
	arena_release(&a);
}

static struct json_value *exec_of(struct arena *a, const struct cri_stream_opts *o)
{
	struct cri_container_config cfg = {.seccomp.kind = CRI_PROFILE_UNCONFINED};
	struct json_value *v = spec_of(a, &cfg, image_text);
	struct buf b = {0};

	buf_init(&b, SPEC_BYTES_MAX);
	assert_int_equal(spec_write_exec(json_text(v, a), o, a, &b, NULL), 0);
	assert_int_equal(json_parse(arena_str(a, buf_str(&b)), a, &v, NULL), 0);
	buf_release(&b);
	return v;
}

static void spec_exec_and_its_terminal(void **state)
{
	struct arena a = {0};
	struct str words[] = {S("stty"), S("size")};
	struct cri_stream_opts o = {.command = {words, 2}};
	struct json_value *process = exec_of(&a, &o);

	check_str(json_text(json_getc(process, "args"), &a), "[\"stty\",\"size\"]");
	check_str(json_text(json_getc(process, "terminal"), &a), "false");
	assert_true(str_find(json_text(json_getc(process, "env"), &a), S("TERM=")) < 0);
	o.tty = true; /* its size not known */
	process = exec_of(&a, &o);
	check_str(json_text(json_getc(process, "terminal"), &a), "true");
	assert_true(str_find(json_text(json_getc(process, "env"), &a), S("TERM=xterm")) >= 0);
	assert_null(json_getc(process, "consoleSize"));
	o.width = 99;
	o.height = 33;
	check_str(json_text(json_getc(exec_of(&a, &o), "consoleSize"), &a),
		"{\"height\":33,\"width\":99}");
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references),
		cmocka_unit_test(reference_with_digest),
		cmocka_unit_test(manifests),
		cmocka_unit_test(users),
		cmocka_unit_test(cni_results),
		cmocka_unit_test(layer_kept),
		cmocka_unit_test(layer_stays_inside),
		cmocka_unit_test(layer_whiteouts),
		cmocka_unit_test(layer_parents_from_below),
		cmocka_unit_test(spec_command_and_environment),
		cmocka_unit_test(spec_capabilities),
		cmocka_unit_test(spec_seccomp_and_paths),
		cmocka_unit_test(spec_exec_and_its_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
