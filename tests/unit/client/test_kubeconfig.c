/* Kubeconfigs: what kubectl writes, files beside it, and what may be wrong with one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "client/kubeconfig.h"

static char dir[] = "/tmp/sampan-test-kubeconfig.XXXXXX";

static char *write_file(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static int setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = {"config", "ca.crt", "token"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *path = xasprintf("%s/%s", dir, names[i]);

		unlink(path);
		free(path);
	}
	return rmdir(dir);
}

static int read_text(const char *text, const char *context, struct kubeconfig *k, struct err *err)
{
	char *path = write_file("config", text);
	int r = kubeconfig_read(path, context, k, err);

	free(path);
	return r;
}

static const char two_contexts[] =
	"apiVersion: v1\nkind: Config\ncurrent-context: one\n"
	"clusters:\n"
	"- name: c1\n  cluster: {server: 'https://127.0.0.1:6443', certificate-authority-data: "
	"Y2EtcGVt}\n"
	"- name: c2\n  cluster: {server: 'http://[::1]:8080', certificate-authority: ca.crt,"
	" insecure-skip-tls-verify: true}\n"
	"contexts:\n"
	"- name: one\n  context: {cluster: c1, user: u1}\n"
	"- name: two\n  context: {cluster: c2, user: u2, namespace: apps}\n"
	"- name: broken\n  context: {cluster: c3}\n"
	"users:\n"
	"- name: u1\n  user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}\n"
	"- name: u2\n  user: {tokenFile: token}\n";

static void test_contexts(void **state)
{
	struct kubeconfig k;

	free(write_file("ca.crt", "from a file"));
	free(write_file("token", "secret\n"));
	assert_int_equal(read_text(two_contexts, NULL, &k, NULL), 0);
	assert_true(str_eqc(k.server, "https://127.0.0.1:6443"));
	assert_true(str_eqc(k.ca_pem, "ca-pem"));
	assert_true(str_eqc(k.cert_pem, "cert"));
	assert_true(str_eqc(k.key_pem, "key"));
	assert_true(str_empty(k.token));
	assert_false(k.insecure);
	kubeconfig_release(&k);

	assert_int_equal(read_text(two_contexts, "two", &k, NULL), 0);
	assert_true(str_eqc(k.server, "http://[::1]:8080"));
	assert_true(str_eqc(k.ca_pem, "from a file"));
	assert_true(str_eqc(k.token, "secret"));
	assert_true(str_eqc(k.ns, "apps"));
	assert_true(k.insecure);
	kubeconfig_release(&k);
}

static void assert_wrong(const char *text, const char *context, const char *says)
{
	struct err err CLEANUP(err_release) = {0};
	struct kubeconfig k;

	assert_true(read_text(text, context, &k, &err) < 0);
	if (!strstr(err_text(&err), says))
		fail_msg("\"%s\" does not say \"%s\"", err_text(&err), says);
	kubeconfig_release(&k);
}

static void test_wrong(void **state)
{
	struct err err CLEANUP(err_release) = {0};
	struct kubeconfig k;

	assert_int_equal(kubeconfig_read("/nonexistent/config", NULL, &k, &err), -ENOENT);
	kubeconfig_release(&k);
	assert_wrong("{", NULL, "/config: yaml: ");
	assert_wrong("[]", NULL, "no context");
	assert_wrong(two_contexts, "three", "no context \"three\"");
	assert_wrong(two_contexts, "broken", "the cluster of context \"broken\"");
	assert_wrong("{current-context: a, contexts: [{name: a, context: {cluster: b}}],"
		     " clusters: [{name: b, cluster: {}}]}",
		NULL, "no server");
	assert_wrong("{current-context: a, contexts: [{name: a, context: {cluster: b}}],"
		     " clusters: [{name: b, cluster: {server: 'http://x', "
		     "certificate-authority-data: '*'}}]}",
		NULL, "certificate-authority-data is not base64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
