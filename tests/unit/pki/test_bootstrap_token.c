/* The form of bootstrap tokens, what their Secrets say, and the JWS against values of another
 * implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "pki/bootstrap_token.h"
#include "types.gen.h"

static void tokens_have_one_form(void **state)
{
	static const char *const bad[] = {"", ".", "abcdef", "abcdef.", "abcdef.0123456789abcde",
		"abcdef.0123456789abcdef0", "abcdeF.0123456789abcdef", "abcde.0123456789abcdef",
		"abcdef.0123456789abcde-", "abcdef.0123456789abcdef\n", "abcdef 0123456789abcdef",
		"abcdef.0123456789.bcdef"};
	struct bootstrap_token t;

	assert_true(bootstrap_token_parse(S("abcdef.0123456789abcdef"), &t));
	assert_true(str_eqc(t.id, "abcdef") && str_eqc(t.secret, "0123456789abcdef"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(bootstrap_token_parse(str_c(bad[i]), &t));
}

static void new_tokens_differ(void **state)
{
	struct arena a = {0};
	struct bootstrap_token t;
	struct str one = bootstrap_token_new(&a), two = bootstrap_token_new(&a);

	assert_true(bootstrap_token_parse(one, &t) && bootstrap_token_parse(two, &t));
	assert_false(str_eq(one, two));
	arena_release(&a);
}

static void groups_have_one_form(void **state)
{
	assert_true(bootstrap_group_valid(S("system:bootstrappers:a")));
	assert_true(bootstrap_group_valid(S(BOOTSTRAP_NODE_GROUP)));
	assert_false(bootstrap_group_valid(S("system:bootstrappers")));
	assert_false(bootstrap_group_valid(S("system:bootstrappers:")));
	assert_false(bootstrap_group_valid(S("system:bootstrappers:a-")));
	assert_false(bootstrap_group_valid(S("system:bootstrappers:A")));
	assert_false(bootstrap_group_valid(S("system:masters")));
}

/* The values are those of kubernetes' cluster-bootstrap (token/jws/jws_test.go). */
static void jws_is_kubeadms(void **state)
{
	const struct bootstrap_token t = {S("joshua"), S("my voice is my passcode")},
				     other = {S("joshua"), S("my voice is my passcodd")};
	struct str content = S("Hello from the other side. I must have called a thousand times.");
	struct str want = S("eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-"
			    "YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8");
	struct arena a = {0};

	assert_true(str_eq(bootstrap_jws(content, t, &a), want));
	assert_true(bootstrap_jws_valid(want, content, t));
	assert_false(bootstrap_jws_valid(want, content, other));
	assert_false(bootstrap_jws_valid(want, str_sub(content, 0, content.n - 1), t));
	assert_false(bootstrap_jws_valid(str_sub(want, 0, want.n - 1), content, t));
	assert_false(bootstrap_jws_valid(S(""), content, t));
	arena_release(&a);
}

static struct str_map data_of(struct arena *a, const char *const (*pairs)[2], size_t n)
{
	struct str_map m = {0};

	for (size_t i = 0; i < n; i++)
		ARENA_PUSH(a, &m, ((struct str_pair){str_c(pairs[i][0]), str_c(pairs[i][1])}));
	return m;
}

static void secrets_say_what_a_token_is_for(void **state)
{
	static const char *const pairs[][2] = {
		{"auth-extra-groups", "system:bootstrappers:z,system:bootstrappers:a"},
		{"expiration", "2026-01-01T00:00:00Z"}, {"token-id", "abcdef"},
		{"token-secret", "0123456789abcdef"}, {"usage-bootstrap-authentication", "true"},
		{"usage-bootstrap-signing", "yes"}};
	const int64_t end_ms = 1767225600000;
	struct arena a = {0};
	struct v1_secret s = {.type = S(BOOTSTRAP_SECRET_TYPE),
		.metadata.name = S("bootstrap-token-abcdef"),
		.data = data_of(&a, pairs, ARRAY_SIZE(pairs))};
	struct bootstrap_secret b;
	struct str_vec groups;

	assert_true(bootstrap_secret_read(&s, end_ms - 1, &b));
	assert_true(b.expires && !b.expired && b.expiration_ms == end_ms);
	assert_true(b.for_authentication && !b.for_signing);
	assert_true(bootstrap_secret_groups(&b, &a, &groups));
	assert_int_equal(groups.n, 3);
	assert_true(str_eqc(groups.v[0], "system:bootstrappers"));
	assert_true(str_eqc(groups.v[1], "system:bootstrappers:a"));
	assert_true(bootstrap_secret_read(&s, end_ms, &b) && b.expired);
	s.data.v[1].value = S("tomorrow"); /* what cannot be read has passed */
	assert_true(bootstrap_secret_read(&s, 0, &b) && b.expired);
	b.groups = S("system:masters");
	assert_false(bootstrap_secret_groups(&b, &a, &groups));
	s.metadata.name = S("bootstrap-token-abcdeg");
	assert_false(bootstrap_secret_read(&s, 0, &b));
	s.metadata.name = S("bootstrap-token-abcdef");
	s.type = S("Opaque");
	assert_false(bootstrap_secret_read(&s, 0, &b));
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_have_one_form),
		cmocka_unit_test(new_tokens_differ),
		cmocka_unit_test(groups_have_one_form),
		cmocka_unit_test(jws_is_kubeadms),
		cmocka_unit_test(secrets_say_what_a_token_is_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
