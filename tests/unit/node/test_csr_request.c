/*
 * A machine asks for its certificates: the request against an API server with RBAC and the
 * controllers that approve, sign and clean, all on a virtual clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "apiserver/apiserver.h"
#include "base/file.h"
#include "controllers/controllers.h"
#include "node/csr_request.h"
#include "node/join.h"
#include "pki/bootstrap_token.h"
#include "store/backend.h"
#include "types.gen.h"
#include "../apiserver/signing_key.h"

#define CA "tests/golden/controllers/ca"
enum { NOW_S = 1767225600, PEM_MAX = 1 << 16, MINUTE_MS = 60 * 1000 };

struct cluster {
	struct sim_clock *clock;
	struct loop *loop;
	struct store *store;
	struct apiserver *api;
	struct client *admin;
	struct controllers *controllers;
	struct arena arena;
	/* the last answer */
	bool done;
	int code;
	struct str pem, message;
};

static struct client *client_as(struct cluster *c, const char *user, const char *group)
{
	struct str groups[] = {str_c(group), S("system:authenticated")};
	const struct user_info info = {.name = str_c(user), .groups = {groups, 2}};

	return client_local_new(c->loop, c->store, apiserver_handler(c->api), &info);
}

static struct client *controllers_client(void *user_data, const char *user)
{
	bool manager = !strcmp(user, "system:kube-controller-manager");

	return client_as(
		user_data, user, manager ? "system:masters" : "system:serviceaccounts:kube-system");
}

static void run(struct cluster *c, int64_t ms)
{
	int64_t until = sim_clock_now_ms(c->clock) + ms;

	while (sim_clock_step(c->clock, until))
		;
}

static void read_pem(struct cluster *c, const char *path, struct str *ret)
{
	assert_int_equal(file_read(path, PEM_MAX, &c->arena, ret, NULL), 0);
}

static int setup(void **state)
{
	struct cluster *c = xcalloc(1, sizeof(*c));
	struct controllers_opts controllers = {
		.client_for = controllers_client, .user_data = c, .cluster_cidr = "10.244.0.0/16"};
	struct apiserver_opts api = {
		.service_account_key_pem = TEST_SIGNING_KEY,
		.service_cluster_ip_range = "10.254.0.0/16",
		.advertise_address = "192.0.2.1",
		.advertise_port = 6443,
		.enable_bootstrap_token_auth = true,
		.node_agents = true,
	};
	struct str cert, key;

	read_pem(c, CA ".crt", &cert);
	read_pem(c, CA ".key", &key);
	c->clock = sim_clock_new(1, (int64_t)NOW_S * 1000000000);
	c->loop = loop_new_sim(c->clock);
	const struct store_opts store = {.backend = backend_memory_new(), .sim_loop = c->loop};
	assert_int_equal(store_open(&store, &c->store, NULL), 0);
	api.store = c->store;
	api.clock = controllers.loop = c->loop;
	api.ca_pem = cert;
	assert_int_equal(apiserver_new(&api, &c->api, NULL), 0);
	apiserver_bootstrap(c->api, c->loop, NULL, NULL);
	c->admin = client_as(c, "admin", "system:masters");
	for (int i = 0; i < SIGNERS; i++) {
		controllers.signing[i].cert_pem = cert;
		controllers.signing[i].key_pem = key;
	}
	assert_int_equal(controllers_start(&controllers, &c->controllers, NULL), 0);
	run(c, MINUTE_MS);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct cluster *c = *state;

	controllers_stop(c->controllers);
	client_free(c->admin);
	run(c, 1000);
	apiserver_free(c->api);
	store_close(c->store);
	loop_free(c->loop);
	sim_clock_free(c->clock);
	arena_release(&c->arena);
	free(c);
	return 0;
}

/* --- asking as an administrator --- */

static void on_answer(struct client_call *call)
{
	struct cluster *c = call->user_data;

	c->done = true;
	c->code = call->status;
	c->message = arena_str(&c->arena, call->result < 0 ? call->err.message : call->answer);
}

static struct str admin(struct cluster *c, const char *verb, const struct schema_resource *res,
	const char *ns, const char *name, const char *subresource, const char *body)
{
	struct client_call *call = client_call_new(c->admin);

	call->verb = verb;
	call->resource = res;
	call->ns = str_c(ns);
	call->name = str_c(name);
	call->subresource = str_c(subresource);
	call->body = str_c(body);
	if (!strcmp(verb, "patch"))
		call->content_type = "application/merge-patch+json";
	call->done = on_answer;
	call->user_data = c;
	c->done = false;
	client_do(c->admin, call);
	while (!c->done && sim_clock_step(c->clock, INT64_MAX))
		;
	if (c->code >= 300)
		fail_msg("%s %s %s: " STR_FMT, verb, res->plural, name, STR_ARG(c->message));
	return c->message;
}

static void add_node(struct cluster *c, const char *name, const char *ip)
{
	struct str body = arena_fmt(&c->arena,
		"{\"metadata\":{\"name\":\"%s\"},\"status\":{\"addresses\":[{\"type\":"
		"\"InternalIP\",\"address\":\"%s\"},{\"type\":\"Hostname\",\"address\":\"%s\"}]}}",
		name, ip, name);

	admin(c, "create", &v1_node_resource, "", "", "", body.p);
}

/* --- asking for a certificate --- */

static void got(void *user_data, struct str pem, struct err *err)
{
	struct cluster *c = user_data;

	c->done = true;
	c->pem = arena_str(&c->arena, pem);
	c->code = err ? err->code : 0;
	c->message = err ? arena_str(&c->arena, err->message) : S("");
}

struct asker {
	struct client *client;
	struct csr_request *request;
};

static struct asker ask(struct cluster *c, const char *user, const char *group, const char *signer,
	const char *node, const char *ip)
{
	struct asker a = {.client = client_as(c, user, group)};
	struct str ips[] = {str_c(ip)};
	struct x509_names names;

	join_node_names(&c->arena, str_c(node), &names);
	if (ip) {
		ARENA_PUSH(&c->arena, &names.dns, str_c(node));
		names.ips = (struct str_vec){ips, 1};
	}
	c->done = false;
	assert_int_equal(csr_request_start(
				 &(struct csr_request_opts){
					 .client = a.client,
					 .signer = signer,
					 .names = &names,
					 .done = got,
					 .user_data = c,
				 },
				 &a.request, NULL),
		0);
	return a;
}

static void forget(struct cluster *c, struct asker a)
{
	if (!c->done)
		csr_request_cancel(a.request);
	run(c, 0);
	client_free(a.client);
}

static void expect_certificate(struct cluster *c, const char *node)
{
	struct x509_info info;

	if (!c->done || c->code)
		fail_msg("no certificate: %d " STR_FMT, c->code, STR_ARG(c->message));
	assert_true(x509_key_fits(c->pem, c->pem));
	assert_int_equal(x509_info_read(c->pem, &c->arena, &info, NULL), 0);
	assert_true(str_starts(info.names.common_name, S("system:node:")) &&
		    str_ends(info.names.common_name, str_c(node)));
	assert_in_range(info.not_after_s, NOW_S + 300 * 86400, NOW_S + 366 * 86400);
}

#define BOOTSTRAP "system:bootstrap:abcdef"

static void a_joining_machine_gets_one(void **state)
{
	struct cluster *c = *state;
	struct asker a = ask(c, BOOTSTRAP, BOOTSTRAP_NODE_GROUP, SIGNER_KUBELET_CLIENT, "n1", NULL);

	run(c, 1000); /* at once, not when somebody polls */
	expect_certificate(c, "n1");
	forget(c, a);
}

static void another_tokens_group_gets_none(void **state)
{
	struct cluster *c = *state;
	struct asker a =
		ask(c, BOOTSTRAP, "system:bootstrappers:other", SIGNER_KUBELET_CLIENT, "n1", NULL);

	run(c, 1000);
	assert_true(c->done && c->code == 403);
	forget(c, a);
}

static void a_node_renews_its_own(void **state)
{
	struct cluster *c = *state;
	struct asker a =
		ask(c, "system:node:n1", "system:nodes", SIGNER_KUBELET_CLIENT, "n1", NULL);

	run(c, 1000);
	expect_certificate(c, "n1");
	forget(c, a);
}

static void a_node_gets_no_others(void **state)
{
	struct cluster *c = *state;
	struct asker a =
		ask(c, "system:node:n2", "system:nodes", SIGNER_KUBELET_CLIENT, "n1", NULL);

	run(c, 14 * MINUTE_MS);
	assert_false(c->done); /* it waits for a person */
	run(c, 2 * MINUTE_MS);
	assert_true(c->done && c->code == 504);
	forget(c, a);
}

static void serving_waits_for_the_node(void **state)
{
	struct cluster *c = *state;
	struct asker a =
		ask(c, "system:node:n1", "system:nodes", SIGNER_KUBELET_SERVING, "n1", "10.1.1.1");

	run(c, MINUTE_MS);
	assert_false(c->done);
	add_node(c, "n1", "10.1.1.1");
	run(c, 10 * 1000);
	expect_certificate(c, "n1");
	forget(c, a);
}

static void serving_of_the_api_servers_address_is_left_to_a_person(void **state)
{
	struct cluster *c = *state;
	struct asker a;

	add_node(c, "n1", "192.0.2.1");
	a = ask(c, "system:node:n1", "system:nodes", SIGNER_KUBELET_SERVING, "n1", "192.0.2.1");
	run(c, MINUTE_MS);
	assert_false(c->done);
	forget(c, a);
}

static void what_is_denied_ends(void **state)
{
	struct cluster *c = *state;
	struct asker a =
		ask(c, "system:node:n2", "system:nodes", SIGNER_KUBELET_CLIENT, "n1", NULL);
	struct str list, name;
	ssize_t at;

	run(c, 1000);
	list = admin(
		c, "list", &certificates_v1_certificate_signing_request_resource, "", "", "", "");
	c->done = false;
	at = str_find(list, S("\"name\":\"csr-"));
	assert_true(at > 0);
	str_cut(str_sub(list, (size_t)at + 8, list.n), '"', &name, &list);
	admin(c, "patch", &certificates_v1_certificate_signing_request_resource, "",
		arena_cstr(&c->arena, name), "approval",
		"{\"status\":{\"conditions\":[{\"type\":\"Denied\",\"status\":\"True\",\"message\":"
		"\"who are you?\"}]}}");
	c->done = false;
	run(c, 10 * 1000);
	assert_true(c->done && c->code == 403);
	assert_true(str_find(c->message, S("who are you?")) > 0);
	forget(c, a);
}

static void requests_and_tokens_do_not_stay(void **state)
{
	struct cluster *c = *state;
	struct asker a = ask(c, BOOTSTRAP, BOOTSTRAP_NODE_GROUP, SIGNER_KUBELET_CLIENT, "n1", NULL);
	const char *secret =
		"{\"metadata\":{\"name\":\"bootstrap-token-abcdef\"},\"type\":"
		"\"bootstrap.kubernetes.io/token\",\"stringData\":{\"token-id\":\"abcdef\","
		"\"token-secret\":\"0123456789abcdef\",\"usage-bootstrap-signing\":\"true\","
		"\"expiration\":\"2026-01-01T00:30:00Z\"}}";
	struct str map;

	admin(c, "create", &v1_secret_resource, "kube-system", "", "", secret);
	run(c, 1000);
	map = admin(c, "get", &v1_config_map_resource, "kube-public", "cluster-info", "", "");
	assert_true(str_find(map, S("jws-kubeconfig-abcdef")) > 0);
	run(c, 40 * MINUTE_MS);
	map = admin(c, "get", &v1_config_map_resource, "kube-public", "cluster-info", "", "");
	assert_true(str_find(map, S("jws-kubeconfig-abcdef")) < 0);
	map = admin(c, "list", &v1_secret_resource, "kube-system", "", "", "");
	assert_true(str_find(map, S("bootstrap-token-abcdef")) < 0);
	run(c, 30 * MINUTE_MS);
	map = admin(
		c, "list", &certificates_v1_certificate_signing_request_resource, "", "", "", "");
	assert_true(str_find(map, S("\"items\":[]")) > 0);
	c->done = true;
	forget(c, a);
}

#define WITH_CLUSTER(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CLUSTER(a_joining_machine_gets_one),
		WITH_CLUSTER(another_tokens_group_gets_none),
		WITH_CLUSTER(a_node_renews_its_own),
		WITH_CLUSTER(a_node_gets_no_others),
		WITH_CLUSTER(serving_waits_for_the_node),
		WITH_CLUSTER(serving_of_the_api_servers_address_is_left_to_a_person),
		WITH_CLUSTER(what_is_denied_ends),
		WITH_CLUSTER(requests_and_tokens_do_not_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
