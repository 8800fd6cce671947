/* test_html_links.c: links of pages that come through the API server's proxy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apiserver/html_links.h"

enum { OUT_MAX = 1024 * 1024 };

#define P "/api/v1/namespaces/n/pods/p/proxy"

static const struct link_base base = {
	.prefix = {P, sizeof(P) - 1},
	.host = {"10.0.0.1:80", 11},
	.request_host = {"api:6443", 8},
};

static void test_links(void **state)
{
	static const char *const cases[][2] = {
		{"/a", P "/a"},
		{"/", P "/"},
		{"/a?b=/c#d", P "/a?b=/c#d"},
		{"a/b", "a/b"},
		{"#x", "#x"},
		{"", ""},
		{"?q=1", "?q=1"},
		{P "/a", P "/a"},
		{"mailto:a@b", "mailto:a@b"},
		{"data:text/plain,/x", "data:text/plain,/x"},
		{"http://10.0.0.1:80/a", P "/a"},
		{"//10.0.0.1:80/a", P "/a"},
		{"http://10.0.0.1:80" P "/a", P "/a"},
		{"http://10.0.0.1:80", "http://10.0.0.1:80"},
		{"http://10.0.0.2:80/a", "http://10.0.0.2:80/a"},
		{"//elsewhere/a", "//elsewhere/a"},
		{"https://api:6443/a", "https://api:6443" P "/a"},
		{"https://api:6443" P "/a", "https://api:6443" P "/a"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a CLEANUP(arena_release) = {0};
		struct str got = link_rewrite(&a, &base, str_c(cases[i][0]));

		assert_string_equal(arena_cstr(&a, got), cases[i][1]);
	}
}

/* `piece` bytes at a time. */
static void check_page(const char *page, const char *want, size_t piece)
{
	struct str rest = str_c(page);
	struct html_links h;
	struct buf out;

	buf_init(&out, OUT_MAX);
	html_links_init(&h, &base);
	while (rest.n) {
		size_t n = MIN(piece, rest.n);

		html_links_feed(&h, str_sub(rest, 0, n), false, &out);
		rest = str_sub(rest, n, rest.n);
	}
	html_links_feed(&h, S(""), true, &out);
	html_links_release(&h);
	assert_false(buf_failed(&out));
	assert_string_equal(out.n ? out.p : "", want);
	buf_release(&out);
}

static void test_pages(void **state)
{
	static const char *const cases[][2] = {
		{"<a href=\"/rewriteme\">test</a>", "<a href=\"" P "/rewriteme\">test</a>"},
		{"<A HREF='/a' class=x>", "<A HREF='" P "/a' class=x>"},
		{"<img src=/a/b.png>", "<img src=" P "/a/b.png>"},
		{"<img alt=\"a>b\" src = '/a'/>", "<img alt=\"a>b\" src = '" P "/a'/>"},
		{"<input disabled src=/a formaction=/b>",
			"<input disabled src=" P "/a formaction=" P "/b>"},
		{"<p title=/a href=/b>x</p>", "<p title=/a href=/b>x</p>"},
		{"a < b <a href=/c>", "a < b <a href=" P "/c>"},
		{"<!-- <a href='/a'> --><a href='/a'>", "<!-- <a href='/a'> --><a href='" P "/a'>"},
		{"<!DOCTYPE html><link href=\"/s.css\">",
			"<!DOCTYPE html><link href=\"" P "/s.css\">"},
		{"<script src=/s.js>'<a href=\"/x\">'</script><a href=/y>",
			"<script src=" P "/s.js>'<a href=\"/x\">'</script><a href=" P "/y>"},
		{"<a href=\"http://10.0.0.1:80/x?a=1&amp;b=2\">",
			"<a href=\"" P "/x?a=1&amp;b=2\">"},
		{"<a href=\"/cut off", "<a href=\"/cut off"},
		{"<", "<"},
		{"<a", "<a"},
		{"<!", "<!"},
		{"</a", "</a"},
		{"<script>x</scr", "<script>x</scr"},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t piece = 1; piece < 100; piece = piece < 5 ? piece + 1 : piece * 3)
			check_page(cases[i][0], cases[i][1], piece);
}

/* What never ends is not kept: a tag of 100 kB passes as it is, and links behind it are rewritten.
 */
static void test_limit(void **state)
{
	struct buf page, want;

	buf_init(&page, OUT_MAX);
	buf_add_c(&page, "<a title=\"");
	for (size_t i = 0; i < 100 * 1000; i++)
		buf_add_char(&page, 'x');
	buf_add_c(&page, "\" href=/a>");
	buf_init(&want, OUT_MAX);
	buf_add_str(&want, buf_str(&page));
	buf_add_c(&page, "<a href=/b>");
	buf_add_c(&want, "<a href=" P "/b>");
	check_page(page.p, want.p, 1000);
	buf_release(&page);
	buf_release(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
