/* test_volumes.c: the atomic writer, and paths that may not lead out of a volume. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "node/volumes/atomic_writer.h"
#include "node/volumes/files.h"

struct fixture {
	struct arena a;
	char dir[64];
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	arena_init(&f->a);
	strcpy(f->dir, "/tmp/sampan-volumes-XXXXXX");
	*state = f;
	return mkdtemp(f->dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	files_remove_tree(f->dir);
	arena_release(&f->a);
	free(f);
	return 0;
}

static const char *path_of(struct fixture *f, const char *name)
{
	return arena_fmt(&f->a, "%s/%s", f->dir, name).p;
}

static void put(struct fixture *f, struct payload *p, const char *path, const char *text, int mode)
{
	struct payload_file file = {str_c(path), str_c(text), mode, -1};

	ARENA_PUSH(&f->a, p, file);
}

static struct str content(struct fixture *f, const char *name)
{
	struct str s = {0};

	file_read(path_of(f, name), 1000, &f->a, &s, NULL);
	return s;
}

static void files_appear_change_and_go_together(void **state)
{
	struct fixture *f = *state;
	struct payload p = {.fs_group = -1}, q = {.fs_group = -1};
	char first[256] = "", second[256] = "", third[256] = "";
	struct stat st;

	put(f, &p, "a", "1", 0644);
	put(f, &p, "dir/b", "2", 0400);
	assert_int_equal(atomic_write(f->dir, &p, 1000000001, NULL), 0);
	assert_true(str_eq(content(f, "a"), S("1")));
	assert_true(str_eq(content(f, "dir/b"), S("2")));
	assert_int_equal(stat(path_of(f, "dir/b"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	assert_true(readlink(path_of(f, "..data"), first, sizeof(first) - 1) > 0);

	assert_int_equal(atomic_write(f->dir, &p, 2000000002, NULL), 0);
	assert_true(readlink(path_of(f, "..data"), second, sizeof(second) - 1) > 0);
	assert_string_equal(first, second); /* nothing has changed */

	put(f, &q, "a", "one", 0644);
	assert_int_equal(atomic_write(f->dir, &q, 3000000003, NULL), 0);
	assert_true(str_eq(content(f, "a"), S("one")));
	assert_int_equal(access(path_of(f, "dir"), F_OK), -1);
	assert_true(readlink(path_of(f, "..data"), third, sizeof(third) - 1) > 0);
	assert_string_not_equal(first, third);
	assert_int_equal(access(path_of(f, first), F_OK), -1); /* the old ones are gone */
}

static void paths_that_lead_out_are_refused(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(payload_path_check(S("a/b..c"), &err), 0);
	assert_true(payload_path_check(S("/a"), &err) < 0);
	assert_true(payload_path_check(S("a/../b"), &err) < 0);
	assert_true(payload_path_check(S(".."), &err) < 0);
	assert_true(payload_path_check(S(""), &err) < 0);
	err_release(&err);
}

static void a_sub_path_stays_below_its_volume(void **state)
{
	struct fixture *f = *state;
	int fd;

	assert_int_equal(mkdir(path_of(f, "vol"), 0755), 0);
	assert_int_equal(mkdir(path_of(f, "secret"), 0755), 0);
	assert_int_equal(symlink("../secret", path_of(f, "vol/out")), 0);
	assert_int_equal(symlink("/etc", path_of(f, "vol/abs")), 0);
	assert_int_equal(symlink("in", path_of(f, "vol/alias")), 0);
	fd = files_open_beneath(path_of(f, "vol"), S("in/deep"), true);
	assert_true(fd >= 0);
	close(fd);
	fd = files_open_beneath(path_of(f, "vol"), S("alias/deep"), false);
	assert_true(fd >= 0);
	close(fd);
	assert_true(files_open_beneath(path_of(f, "vol"), S("out"), true) < 0);
	assert_true(files_open_beneath(path_of(f, "vol"), S("abs/passwd"), false) < 0);
	assert_true(files_open_beneath(path_of(f, "vol"), S("out/new"), true) < 0);
	assert_int_equal(access(path_of(f, "secret/new"), F_OK), -1);
	assert_int_equal(files_open_beneath(path_of(f, "vol"), S("none"), false), -ENOENT);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(files_appear_change_and_go_together),
		T(paths_that_lead_out_are_refused),
		T(a_sub_path_stays_below_its_volume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
