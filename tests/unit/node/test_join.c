/* What a joining machine believes: signatures and hashes of cluster-info. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "json/write.h"
#include "node/join.h"
#include "pki/bootstrap_token.h"
#include "pki/cluster_info.h"

static const char ca_pem[] = "-----BEGIN CERTIFICATE-----\n"
			     "MIIBgTCCASegAwIBAgIUOTInaX9ZSl5zQnx41jEvXk4AXvIwCgYIKoZIzj0EAwIw\n"
			     "FTETMBEGA1UEAwwKa3ViZXJuZXRlczAgFw0yNjExMjMxMzQxMDdaGA8yMTI2MTAz\n"
			     "MDEzNDEwN1owFTETMBEGA1UEAwwKa3ViZXJuZXRlczBZMBMGByqGSM49AgEGCCqG\n"
			     "SM49AwEHA0IABLMBpQ2ucz9YV/f1esmJVajXdZpUHK1wzKKwgGSKacelY8A2aI0w\n"
			     "8aCw8RIg/HrG3qWUL8SyEQ2eEC9S+4KaEXqjUzBRMB0GA1UdDgQWBBR4/Xe5rm1e\n"
			     "0er7k9vrViLFfKSbSjAfBgNVHSMEGDAWgBR4/Xe5rm1e0er7k9vrViLFfKSbSjAP\n"
			     "BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCLtdc2JZnDofatIXMZ\n"
			     "/5Z/R/nua4xA3Iv9oOURBsK/uwIgBTcM6+mqRH8xQKAYkoTgExWA2Z2ESh13SS/7\n"
			     "K3EGDCc=\n"
			     "-----END CERTIFICATE-----\n";
#define PIN "sha256:0ccffb066145db4f7464ef557f4ce3c46aefef1f2786a46c1843ac610e02601f"
#define TOKEN "abcdef.0123456789abcdef"

static struct str cluster(struct arena *a)
{
	return cluster_info_kubeconfig(
		a, &(struct cluster_info){S("192.0.2.1"), 6443, str_c(ca_pem), S("10.244.0.0/16"),
			   S("10.254.0.0/16")});
}

/* The config map with this kubeconfig, and the signature of another, maybe. */
static struct str config_map(
	struct arena *a, struct str kubeconfig, struct str signed_, const char *by)
{
	struct bootstrap_token t;
	struct str out;
	struct buf b;

	assert_true(bootstrap_token_parse(str_c(by), &t));
	buf_init(&b, 1 << 16);
	buf_add_c(&b, "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{},\"data\":{");
	buf_fmt(&b, "\"jws-kubeconfig-" STR_FMT "\":\"" STR_FMT "\",\"kubeconfig\":", STR_ARG(t.id),
		STR_ARG(bootstrap_jws(signed_, t, a)));
	json_write_string(&b, kubeconfig);
	buf_add_c(&b, "}}");
	out = arena_str(a, buf_str(&b));
	buf_release(&b);
	return out;
}

static void refuse(
	struct arena *a, struct str map, const char *token, const char *hash, const char *why)
{
	struct err err CLEANUP(err_release) = {0};
	struct join_discovered d;

	assert_true(join_verify(map, str_c(token), str_c(hash), a, &d, &err) < 0);
	if (!strstr(err_text(&err), why))
		fail_msg("wanted \"%s\", got \"%s\"", why, err_text(&err));
	assert_null(strchr(err_text(&err), '\n'));
}

static void what_is_signed_is_believed(void **state)
{
	struct arena a = {0};
	struct str c = cluster(&a), map = config_map(&a, c, c, TOKEN);
	struct join_discovered d;

	assert_int_equal(join_verify(map, S(TOKEN), S(""), &a, &d, NULL), 0);
	assert_true(str_eqc(d.ca_pem, ca_pem));
	assert_true(str_eqc(d.pods, "10.244.0.0/16") && str_eqc(d.services, "10.254.0.0/16"));
	assert_int_equal(join_verify(map, S(TOKEN), S(PIN), &a, &d, NULL), 0);
	assert_true(str_eqc(d.ca_pem, ca_pem));
	arena_release(&a);
}

static void what_is_not_signed_is_refused(void **state)
{
	struct arena a = {0};
	struct str c = cluster(&a), map = config_map(&a, c, c, TOKEN);

	refuse(&a, map, "abcdef.0123456789abcdeg", "", "the secret of the token abcdef is wrong");
	refuse(&a, map, "fedcba.0123456789abcdef", "", "does not know the token fedcba");
	refuse(&a, map, "abcdef", "", "has not the form");
	refuse(&a, map, TOKEN,
		"sha256:0000000000000000000000000000000000000000000000000000000000000000",
		"has not the hash");
	refuse(&a, map, TOKEN, "sha1:00", "is not a CA hash");
	/* the content was changed after it was signed */
	refuse(&a, config_map(&a, arena_fmt(&a, STR_FMT " ", STR_ARG(c)), c, TOKEN), TOKEN, "",
		"is wrong");
	refuse(&a, config_map(&a, S("clusters: []"), S("clusters: []"), TOKEN), TOKEN, "",
		"names no CA");
	refuse(&a, config_map(&a, S("{"), S("{"), TOKEN), TOKEN, "", "is no kubeconfig");
	refuse(&a, S("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\"}"), TOKEN, "",
		"has no kubeconfig");
	arena_release(&a);
}

static void kubeadms_own_is_read(void **state)
{
	struct arena a = {0};
	struct cluster_info info;
	/* as kubeadm writes it: other keys, no extensions */
	struct str text = S("apiVersion: v1\nclusters:\n- cluster:\n    "
			    "certificate-authority-data: aGVsbG8=\n    server: "
			    "https://192.0.2.1:6443\n  name: \"\"\ncontexts: null\n"
			    "current-context: \"\"\nkind: Config\npreferences: {}\nusers: null\n");

	assert_int_equal(cluster_info_read(text, &a, &info, NULL), 0);
	assert_true(str_eqc(info.ca_pem, "hello") && !info.pods.n && !info.services.n);
	arena_release(&a);
}

static void tokens_may_carry_the_hash(void **state)
{
	struct str token, hash;

	assert_true(join_token_split(S(TOKEN "@" PIN), &token, &hash));
	assert_true(str_eqc(token, TOKEN) && str_eqc(hash, PIN));
	assert_true(join_token_split(S(TOKEN), &token, &hash));
	assert_true(str_eqc(token, TOKEN) && hash.n == 0);
	assert_false(join_token_split(S("token@" PIN), &token, &hash));
}

static void names_are_a_nodes(void **state)
{
	struct x509_names names;
	struct arena a = {0};

	join_node_names(&a, S("n1"), &names);
	assert_true(str_eqc(names.common_name, "system:node:n1"));
	assert_true(
		names.organizations.n == 1 && str_eqc(names.organizations.v[0], "system:nodes"));
	arena_release(&a);
}

static void clashing_addresses_are_told(void **state)
{
	struct err err CLEANUP(err_release) = {0};

	assert_int_equal(join_check_addresses(S(""), S(""), &err), 0);
	assert_int_equal(
		join_check_addresses(S("203.0.113.0/32"), S("2001:db8:ffff::/128"), &err), 0);
	assert_int_equal(join_check_addresses(S("nonsense"), S("1.2.3.4/77"), &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_signed_is_believed),
		cmocka_unit_test(what_is_not_signed_is_refused),
		cmocka_unit_test(kubeadms_own_is_read),
		cmocka_unit_test(tokens_may_carry_the_hash),
		cmocka_unit_test(names_are_a_nodes),
		cmocka_unit_test(clashing_addresses_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
