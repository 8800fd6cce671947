/* Requests, signing and pins; the pin against the openssl program's word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "pki/x509.h"

/* openssl req -x509 -newkey ec …; its pin: openssl x509 -pubkey -noout | openssl pkey -pubin
 * -outform der | sha256sum */
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
static const char ca_key[] = "-----BEGIN PRIVATE KEY-----\n"
			     "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZXjiZ35Xfdenwk2V\n"
			     "I5Vy2lym4EcrCpGf+juPWuq8qrehRANCAASzAaUNrnM/WFf39XrJiVWo13WaVByt\n"
			     "cMyisIBkimnHpWPANmiNMPGgsPESIPx6xt6llC/EshENnhAvUvuCmhF6\n"
			     "-----END PRIVATE KEY-----\n";
static const char ca_pin[] =
	"sha256:0ccffb066145db4f7464ef557f4ce3c46aefef1f2786a46c1843ac610e02601f";

enum { NOW = 1800000000 };

static struct str request(struct arena *a, struct str *ret_key)
{
	struct str orgs[] = {S("system:nodes")}, dns[] = {S("n1")},
		   ips[] = {S("10.0.0.1"), S("fd00::1")}, pem;
	const struct x509_names names = {.common_name = S("system:node:n1"),
		.organizations = {orgs, 1},
		.dns = {dns, 1},
		.ips = {ips, 2}};

	assert_int_equal(x509_key_new(a, ret_key, NULL), 0);
	assert_int_equal(x509_request_new(*ret_key, &names, a, &pem, NULL), 0);
	return pem;
}

static void check_names(const struct x509_names *n)
{
	assert_true(str_eqc(n->common_name, "system:node:n1"));
	assert_true(n->organizations.n == 1 && str_eqc(n->organizations.v[0], "system:nodes"));
	assert_true(n->dns.n == 1 && str_eqc(n->dns.v[0], "n1"));
	assert_true(n->ips.n == 2 && str_eqc(n->ips.v[0], "10.0.0.1"));
	assert_true(str_eqc(n->ips.v[1], "fd00::1"));
	assert_true(n->emails.n == 0 && n->uris.n == 0);
}

static void what_is_requested_is_signed(void **state)
{
	struct str usages[] = {S("digital signature"), S("client auth")}, key, pem, cert;
	const struct str_vec v = {usages, 2};
	struct arena a = {0};
	struct x509_names names;
	struct x509_info info;
	struct x509_ca ca;

	pem = request(&a, &key);
	assert_int_equal(x509_request_parse(pem, &a, &names, NULL), 0);
	check_names(&names);
	assert_int_equal(x509_ca_open(str_c(ca_pem), str_c(ca_key), &ca, NULL), 0);
	assert_int_equal(x509_sign(&ca, pem, &v, NOW - 300, NOW + 3600, &a, &cert, NULL), 0);
	assert_int_equal(x509_info_read(cert, &a, &info, NULL), 0);
	check_names(&info.names);
	assert_int_equal(info.not_before_s, NOW - 300);
	assert_int_equal(info.not_after_s, NOW + 3600);
	assert_true(x509_key_fits(cert, key));
	assert_false(x509_key_fits(cert, str_c(ca_key)));
	/* never longer than the CA itself, never after its end */
	assert_int_equal(x509_sign(&ca, pem, &v, NOW, ca.not_after_s + 1000, &a, &cert, NULL), 0);
	assert_int_equal(x509_info_read(cert, &a, &info, NULL), 0);
	assert_int_equal(info.not_after_s, ca.not_after_s);
	assert_true(
		x509_sign(&ca, pem, &v, ca.not_after_s, ca.not_after_s + 9, &a, &cert, NULL) < 0);
	usages[1] = S("something else");
	assert_true(x509_sign(&ca, pem, &v, NOW, NOW + 9, &a, &cert, NULL) < 0);
	x509_ca_release(&ca);
	arena_release(&a);
}

static void a_changed_request_is_refused(void **state)
{
	struct err err CLEANUP(err_release) = {0};
	struct arena a = {0};
	struct str key, pem = request(&a, &key);
	char *copy = arena_cstr(&a, pem);

	assert_true(x509_request_parse(S("hello"), &a, NULL, &err) < 0);
	assert_string_equal(err_text(&err), "PEM block type must be CERTIFICATE REQUEST");
	assert_true(x509_request_parse(str_c(ca_pem), &a, NULL, &err) < 0);
	assert_string_equal(err_text(&err), "PEM block type must be CERTIFICATE REQUEST");
	copy[100] = copy[100] == 'A' ? 'B' : 'A'; /* inside the subject or the key */
	assert_true(x509_request_parse(str_n(copy, pem.n), &a, NULL, &err) < 0);
	arena_release(&a);
}

static void pins_are_kubeadms(void **state)
{
	struct arena a = {0};
	struct err err CLEANUP(err_release) = {0};
	struct str one;

	assert_true(str_eqc(x509_public_key_pin(str_c(ca_pem), &a, NULL), ca_pin));
	assert_int_equal(x509_find_pinned(str_c(ca_pem), str_c(ca_pin), &a, &one, &err), 0);
	assert_true(x509_check_chain(one, NULL) == 0);
	assert_int_equal(x509_find_pinned(str_c(ca_pem),
				 S("sha256:00000000000000000000000000000000000000000000000000000000"
				   "00000000"),
				 &a, &one, &err),
		-ENOENT);
	assert_int_equal(x509_find_pinned(str_c(ca_pem), S("sha256:12"), &a, &one, &err), -EINVAL);
	assert_int_equal(x509_find_pinned(str_c(ca_pem), S("md5:12"), &a, &one, &err), -EINVAL);
	arena_release(&a);
}

static void a_chain_is_certificates_alone(void **state)
{
	struct err err CLEANUP(err_release) = {0};

	assert_int_equal(x509_check_chain(str_c(ca_pem), &err), 0);
	assert_true(x509_check_chain(S("AAAA"), &err) < 0);
	assert_string_equal(err_text(&err), "must contain at least one CERTIFICATE PEM block");
	assert_true(x509_check_chain(str_c(ca_key), &err) < 0);
	assert_non_null(strstr(err_text(&err), "only CERTIFICATE PEM blocks are allowed, found"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_requested_is_signed),
		cmocka_unit_test(a_changed_request_is_refused),
		cmocka_unit_test(pins_are_kubeadms),
		cmocka_unit_test(a_chain_is_certificates_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
