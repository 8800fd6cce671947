/*
 * test_api_golden.c: conversations with the API server, as files in tests/golden/api.
 *
 * A file is a list of steps, each a request and its answer:
 *
 *     POST /api/v1/namespaces          method and path, then headers, then an empty line and the
 * body
 *
 *     {"metadata":{"name":"a"}}
 *     ---
 *     201 application/json             status and type, then Warning headers, then an empty line
 * and the body
 *
 *     {"kind":"Namespace",…}
 *     ====
 *
 * Each file has a server of its own; a first line "# plugins: A B" turns on admission plugins. UPDATE_GOLDEN=1 writes the answers instead of comparing them:
 * read the difference before you commit it.
 */
#include "fake_exchange.h"

#include <dirent.h>

#define DIR_NAME "tests/golden/api"
#define PLUGINS "# plugins: "

enum { FILE_MAX = 4 * 1024 * 1024 };

static void read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "re");
	char chunk[4096];
	size_t n;

	if (!f)
		fail_msg("%s: cannot read", path);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	fclose(f);
}

static struct str line(struct str *rest)
{
	struct str l;

	str_cut(*rest, '\n', &l, rest);
	return l;
}

/* Up to a line that is `end` alone. */
static struct str block(struct arena *a, struct str *rest, const char *end)
{
	struct str text = S("");

	while (rest->n) {
		struct str l = line(rest);

		if (str_eqc(l, end))
			break;
		text = arena_fmt(a, STR_FMT STR_FMT "\n", STR_ARG(text), STR_ARG(l));
	}
	return text;
}

static void write_answer(const struct fake *f, struct buf *out)
{
	struct str type = S("");

	for (size_t i = 0; i < f->x.n_out_headers; i++)
		if (str_ieq(f->x.out_headers[i].name, S("Content-Type")))
			type = f->x.out_headers[i].value;
	buf_fmt(out, "%d " STR_FMT "\n", f->x.status, STR_ARG(type));
	for (size_t i = 0; i < f->x.n_out_headers; i++)
		if (str_ieq(f->x.out_headers[i].name, S("Warning")))
			buf_fmt(out, "Warning: " STR_FMT "\n", STR_ARG(f->x.out_headers[i].value));
	buf_add_char(out, '\n');
	buf_add_str(out, buf_str(&f->body));
	if (f->body.n && f->body.p[f->body.n - 1] != '\n')
		buf_add_char(out, '\n');
}

static void step(struct fake_server *s, struct arena *a, struct str request, struct buf *out)
{
	struct str head = line(&request), method, path, name, value;
	struct fake *f;

	str_cut(head, ' ', &method, &path);
	f = fake_new(s, arena_cstr(a, method), arena_cstr(a, path));
	while (request.n) {
		struct str l = line(&request);

		if (!l.n)
			break;
		str_cut(l, ':', &name, &value);
		fake_header(f, arena_cstr(a, name), arena_cstr(a, str_trim(value)));
	}
	fake_send(s, f, arena_cstr(a, str_trim(request)));
	fake_run(s, 50);
	write_answer(f, out);
	fake_free(f);
}

static const char *const *plugins_of(struct arena *a, struct str *rest, struct buf *got)
{
	struct {
		const char **v;
		size_t n;
	} names = {0};
	struct str l, name;

	if (!str_starts(*rest, S(PLUGINS)))
		return NULL;
	l = line(rest);
	buf_fmt(got, STR_FMT "\n", STR_ARG(l));
	for (l = str_sub(l, sizeof(PLUGINS) - 1, l.n); l.n;) {
		str_cut(l, ' ', &name, &l);
		ARENA_PUSH(a, &names, arena_cstr(a, name));
	}
	ARENA_PUSH(a, &names, NULL);
	return names.v;
}

static void run_file(const char *path)
{
	struct buf want CLEANUP(buf_release) = {0}, got CLEANUP(buf_release) = {0};
	struct fake_server s;
	struct arena a = {0};
	struct str rest;
	FILE *out;

	buf_init(&want, FILE_MAX);
	buf_init(&got, FILE_MAX);
	read_file(path, &want);
	rest = buf_str(&want);
	fake_server_open_with(&s, plugins_of(&a, &rest, &got));
	while (rest.n) {
		struct str request = block(&a, &rest, "---");

		block(&a, &rest, "====");
		buf_add_str(&got, request);
		buf_add_c(&got, "---\n");
		step(&s, &a, request, &got);
		buf_add_c(&got, "====\n");
	}
	fake_server_close(&s);
	if (getenv("UPDATE_GOLDEN")) {
		out = fopen(path, "we");
		assert_non_null(out);
		fwrite(got.p, 1, got.n, out);
		fclose(out);
	} else if (!str_eq(buf_str(&got), buf_str(&want))) {
		print_error("%s: the answers differ; got:\n%s\n", path, got.p);
		fail();
	}
	arena_release(&a);
}

static void test_all(void **state)
{
	DIR *dir = opendir(DIR_NAME);
	struct dirent *e;
	int n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		char path[512];

		if (!str_ends(str_c(e->d_name), S(".txt")))
			continue;
		snprintf(path, sizeof(path), DIR_NAME "/%s", e->d_name);
		run_file(path);
		n++;
	}
	closedir(dir);
	assert_true(n > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
