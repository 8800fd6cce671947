#include "server/token.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/flags.h"
#include "client/client.h"
#include "client/kubeconfig.h"
#include "json/value.h"
#include "pki/bootstrap_token.h"
#include "pki/x509.h"
#include "schema/time.h"
#include "types.gen.h"

enum { DAY_MS = 24 * 3600 * 1000, COLUMNS = 6, COLUMN_MIN = 10, COLUMN_PAD = 3 };

struct command {
	const char *kubeconfig, *data_dir, *description;
	struct flag_list usages, groups;
	int64_t ttl_ms;
	bool print_join_command;

	struct arena arena;
	struct loop *loop;
	struct client *client;
	struct kubeconfig cluster;
	/* the call that was waited for */
	int status;
	struct str answer;
};

/* --- asking the API, one call after another --- */

static void answered(struct client_call *call)
{
	struct command *c = call->user_data;

	c->status = call->status;
	c->answer =
		arena_str(&c->arena, call->result < 0 ? str_c(err_text(&call->err)) : call->answer);
	loop_stop(c->loop);
}

static struct client_call *new_call(struct command *c, const char *verb,
	const struct schema_resource *resource, const char *ns, struct str name)
{
	struct client_call *call = client_call_new(c->client);

	call->verb = verb;
	call->resource = resource;
	call->ns = str_c(ns);
	call->name = name;
	call->done = answered;
	call->user_data = c;
	return call;
}

/* The HTTP status; the answer, or why there is none, is in c->answer. */
static int wait_for(struct command *c, struct client_call *call)
{
	client_do(c->client, call);
	loop_run(c->loop);
	return c->status;
}

static bool succeeded(int status)
{
	return status >= 200 && status < 300;
}

static int open_client(struct command *c, struct err *err)
{
	struct client_http_opts opts = {.user_agent = "sampan-token/" SAMPAN_VERSION};
	const char *env = getenv("KUBECONFIG");
	int r;

	if (!c->kubeconfig)
		c->kubeconfig =
			env && *env ? env
				    : arena_fmt(&c->arena, "%s/admin.kubeconfig", c->data_dir).p;
	signal(SIGPIPE, SIG_IGN);
	opts.kubeconfig = c->kubeconfig;
	r = kubeconfig_read(c->kubeconfig, NULL, &c->cluster, err);
	if (r < 0)
		return r;
	c->loop = loop_new_uv();
	return client_http_new(c->loop, &opts, &c->client, err);
}

/* --- create --- */

static void put(struct command *c, struct str_map *m, const char *key, struct str value)
{
	ARENA_PUSH(&c->arena, m, ((struct str_pair){str_c(key), value}));
}

static int add_usages(struct command *c, struct str_map *data, struct err *err)
{
	static const char *const known[] = {"authentication", "signing"};

	for (size_t i = 0; i < c->usages.n; i++)
		if (!str_eqc(c->usages.v[i], known[0]) && !str_eqc(c->usages.v[i], known[1]))
			return err_bad_request(err,
				"--usages: \"" STR_FMT
				"\" is none: there are signing and authentication",
				STR_ARG(c->usages.v[i]));
	for (size_t k = 0; k < ARRAY_SIZE(known); k++) {
		bool wanted = c->usages.n == 0;

		for (size_t i = 0; i < c->usages.n; i++)
			wanted = wanted || str_eqc(c->usages.v[i], known[k]);
		if (wanted)
			put(c, data, arena_fmt(&c->arena, "usage-bootstrap-%s", known[k]).p,
				S("true"));
	}
	return 0;
}

static int add_groups(struct command *c, struct str_map *data, struct err *err)
{
	struct str all = S(BOOTSTRAP_NODE_GROUP);

	for (size_t i = 0; i < c->groups.n; i++) {
		if (!bootstrap_group_valid(c->groups.v[i]))
			return err_bad_request(err,
				"--groups: bootstrap group \"" STR_FMT "\" is invalid (must match "
				"\\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\\z)",
				STR_ARG(c->groups.v[i]));
		all = i ? arena_fmt(&c->arena, STR_FMT "," STR_FMT, STR_ARG(all),
				  STR_ARG(c->groups.v[i]))
			: c->groups.v[i];
	}
	put(c, data, "auth-extra-groups", all);
	return 0;
}

static int make_secret(
	struct command *c, struct bootstrap_token t, struct v1_secret *s, struct err *err)
{
	char expiration[K8S_TIME_TEXT_MAX];
	int r;

	s->metadata.name = arena_fmt(&c->arena, BOOTSTRAP_SECRET_PREFIX STR_FMT, STR_ARG(t.id));
	s->metadata.namespace = S("kube-system");
	s->type = S(BOOTSTRAP_SECRET_TYPE);
	r = add_groups(c, &s->data, err); /* in the order of the keys, as maps are kept */
	if (r < 0)
		return r;
	if (c->description && *c->description)
		put(c, &s->data, "description", str_c(c->description));
	if (c->ttl_ms > 0) {
		struct k8s_time end = k8s_time_from_ms(loop_wall_ns(c->loop) / 1000000 + c->ttl_ms);
		size_t n = k8s_time_format(&end, false, expiration);

		put(c, &s->data, "expiration", arena_str(&c->arena, str_n(expiration, n)));
	}
	put(c, &s->data, "token-id", t.id);
	put(c, &s->data, "token-secret", t.secret);
	return add_usages(c, &s->data, err);
}

/* Where other machines reach the API server: what cluster-info says, else this kubeconfig. */
static struct str server_url(struct command *c)
{
	struct client_call *call =
		new_call(c, "get", &v1_config_map_resource, "kube-public", S(CLUSTER_INFO));
	struct v1_config_map *cm;
	const struct str *text;
	struct str rest, line;

	if (!succeeded(wait_for(c, call)) || schema_decode_json(&v1_config_map_schema, c->answer,
						     &c->arena, NULL, (void **)&cm, NULL) < 0)
		return c->cluster.server;
	text = str_map_get(&cm->data, S("kubeconfig"));
	rest = text ? *text : S("");
	while (rest.n) {
		str_cut(rest, '\n', &line, &rest);
		line = str_trim(line);
		if (str_starts(line, S("server: https://")))
			return str_sub(line, 8, line.n);
	}
	return c->cluster.server;
}

static int print_token(struct command *c, struct str token, struct err *err)
{
	struct str server, pin;

	if (!c->print_join_command) {
		printf(STR_FMT "\n", STR_ARG(token));
		return 0;
	}
	server = server_url(c);
	pin = x509_public_key_pin(c->cluster.ca_pem, &c->arena, err);
	if (!pin.n)
		return -EINVAL;
	printf("sampan node --server " STR_FMT " --token " STR_FMT "@" STR_FMT "\n",
		STR_ARG(server), STR_ARG(token), STR_ARG(pin));
	return 0;
}

static int create(struct command *c, int n, char **args, struct err *err)
{
	struct str token = n ? str_c(args[0]) : bootstrap_token_new(&c->arena);
	struct v1_secret *s = ARENA_NEW(&c->arena, struct v1_secret);
	struct client_call *call;
	struct bootstrap_token t;
	int r;

	if (n > 1 || !bootstrap_token_parse(token, &t))
		return err_bad_request(err,
			"the bootstrap token \"" STR_FMT
			"\" was not of the form \"\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z\"",
			STR_ARG(token));
	r = open_client(c, err);
	if (r == 0)
		r = make_secret(c, t, s, err);
	if (r < 0)
		return r;
	call = new_call(c, "create", &v1_secret_resource, "kube-system", S(""));
	call->object = s;
	if (wait_for(c, call) == 409)
		return err_bad_request(
			err, "a token with id \"" STR_FMT "\" already exists", STR_ARG(t.id));
	if (!succeeded(c->status))
		return err_bad_request(err, STR_FMT, STR_ARG(c->answer));
	return print_token(c, token, err);
}

/* --- list --- */

static struct str ttl_text(struct arena *a, int64_t left_ms)
{
	int64_t s = left_ms / 1000;

	if (s < 0)
		return s < -1 ? S("<invalid>") : S("0s");
	if (s < 60)
		return arena_fmt(a, "%llds", (long long)s);
	if (s < 3600)
		return arena_fmt(a, "%lldm", (long long)s / 60);
	if (s < 86400)
		return arena_fmt(a, "%lldh", (long long)s / 3600);
	if (s < 365 * 86400)
		return arena_fmt(a, "%lldd", (long long)s / 86400);
	return arena_fmt(a, "%lldy", (long long)s / (365 * 86400));
}

static struct str pad(struct arena *a, struct str s, int width)
{
	return arena_fmt(a, "%-*s", width, arena_cstr(a, s));
}

static void make_row(struct command *c, const struct bootstrap_secret *b, struct str row[COLUMNS])
{
	struct arena *a = &c->arena;
	int64_t now_ms = loop_wall_ns(c->loop) / 1000000;
	struct k8s_time end = k8s_time_from_ms(b->expiration_ms);
	char text[K8S_TIME_TEXT_MAX];
	struct str usages = b->for_authentication && b->for_signing ? S("authentication,signing")
			    : b->for_authentication                 ? S("authentication")
			    : b->for_signing                        ? S("signing")
								    : S("<none>");

	row[0] = arena_fmt(a, STR_FMT "." STR_FMT, STR_ARG(b->token.id), STR_ARG(b->token.secret));
	row[1] = pad(a, b->expires ? ttl_text(a, b->expiration_ms - now_ms) : S("<forever>"), 9);
	row[2] = b->expires ? arena_str(a, str_n(text, k8s_time_format(&end, false, text)))
			    : S("<never>");
	row[3] = pad(a, usages, 22);
	row[4] = pad(a, b->description.n ? b->description : S("<none>"), 56);
	row[5] = b->groups.n ? b->groups : S("<none>");
}

static void print_row(const struct str row[COLUMNS], const struct str *beside)
{
	for (int i = 0; i < COLUMNS; i++) {
		size_t n = row[i].n;

		if (beside)
			n = MAX(n, beside[i].n);
		if (i + 1 == COLUMNS)
			printf(STR_FMT "\n", STR_ARG(row[i]));
		else
			printf("%-*.*s", (int)MAX(n + COLUMN_PAD, (size_t)COLUMN_MIN),
				(int)row[i].n, row[i].p);
	}
}

static int list(struct command *c, int n, char **args, struct err *err)
{
	static const struct str head[COLUMNS] = {{"TOKEN", 5}, {"TTL", 3}, {"EXPIRES", 7},
		{"USAGES", 6}, {"DESCRIPTION", 11}, {"EXTRA GROUPS", 12}};
	struct client_call *call;
	struct v1_secret_list *secrets;
	bool headed = false;
	int r = n ? err_bad_request(err, "list takes no arguments") : open_client(c, err);

	if (r < 0)
		return r;
	call = new_call(c, "list", &v1_secret_resource, "kube-system", S(""));
	call->query = S("fieldSelector=type%3Dbootstrap.kubernetes.io/token");
	if (!succeeded(wait_for(c, call)))
		return err_bad_request(err, STR_FMT, STR_ARG(c->answer));
	r = schema_decode_json(
		&v1_secret_list_schema, c->answer, &c->arena, NULL, (void **)&secrets, err);
	for (size_t i = 0; r == 0 && i < secrets->items.n; i++) {
		struct bootstrap_secret b;
		struct str row[COLUMNS];

		if (!bootstrap_secret_read(
			    &secrets->items.v[i], loop_wall_ns(c->loop) / 1000000, &b))
			continue;
		make_row(c, &b, row);
		if (!headed)
			print_row(head, row);
		print_row(row, headed ? NULL : head);
		headed = true;
	}
	return r;
}

/* --- delete, generate --- */

static int delete (struct command *c, int n, char **args, struct err *err)
{
	int r = n ? open_client(c, err)
		  : err_bad_request(err, "missing argument; 'token delete' is missing token of "
					 "form [\"\\A([a-z0-9]{6})\\z\"]");

	for (int i = 0; r == 0 && i < n; i++) {
		struct str id = str_c(args[i]);
		struct bootstrap_token t;

		if (bootstrap_token_parse(id, &t))
			id = t.id;
		if (!bootstrap_token_id_valid(id))
			return err_bad_request(err, "given token didn't match pattern "
						    "\"\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z\" or "
						    "\"\\A([a-z0-9]{6})\\z\"");
		if (!succeeded(wait_for(
			    c, new_call(c, "delete", &v1_secret_resource, "kube-system",
				       arena_fmt(&c->arena, BOOTSTRAP_SECRET_PREFIX STR_FMT,
					       STR_ARG(id))))))
			return err_bad_request(err,
				"failed to delete bootstrap token \"" STR_FMT "\": " STR_FMT,
				STR_ARG(id), STR_ARG(c->answer));
		printf("bootstrap token \"" STR_FMT "\" deleted\n", STR_ARG(id));
	}
	return r;
}

static int generate(struct command *c, int n, char **args, struct err *err)
{
	if (n)
		return err_bad_request(err, "generate takes no arguments");
	printf(STR_FMT "\n", STR_ARG(bootstrap_token_new(&c->arena)));
	return 0;
}

static const struct verb {
	const char *name;
	int (*run)(struct command *c, int n, char **args, struct err *err);
	const char *help;
} verbs[] = {
	{"create", create, "make a token and store it in the cluster"},
	{"list", list, "show the tokens of the cluster"},
	{"delete", delete, "remove tokens: ids or whole tokens"},
	{"generate", generate, "print a token, and store nothing"},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int usage(void)
{
	fprintf(stderr, "usage: sampan token COMMAND [flags]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(stderr, "  %-10s %s\n", verbs[i].name, verbs[i].help);
	return 2;
}

int token_main(int argc, char **argv)
{
	struct command c = {.data_dir = "/var/lib/sampan", .ttl_ms = DAY_MS};
	const struct flag flags[] = {
		{"kubeconfig", FLAG_STRING, &c.kubeconfig, "FILE",
			"of an administrator [$KUBECONFIG, else DATA-DIR/admin.kubeconfig]"},
		{"data-dir", FLAG_STRING, &c.data_dir, "DIR",
			"of the control plane [/var/lib/sampan]"},
		{"ttl", FLAG_DURATION, &c.ttl_ms, "T",
			"create: how long the token is good [24h]; 0: for ever"},
		{"usages", FLAG_LIST, &c.usages, "USAGE,…",
			"create: what for [signing,authentication]"},
		{"groups", FLAG_LIST, &c.groups, "GROUP,…",
			"create: what its bearer is in [" BOOTSTRAP_NODE_GROUP "]"},
		{"description", FLAG_STRING, &c.description, "TEXT", "create: for people"},
		{"print-join-command", FLAG_BOOL, &c.print_join_command, NULL,
			"create: print the whole command for the new machine"},
		{NULL},
	};
	const struct verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;
	struct err err CLEANUP(err_release) = {0};
	struct flag_args rest;
	int r;

	if (!verb)
		return usage();
	r = flags_parse(flags, "token", argc - 1, argv + 1, &rest);
	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	arena_init(&c.arena);
	r = verb->run(&c, rest.n, rest.v, &err);
	if (r < 0)
		fprintf(stderr, "token: %s\n", err_text(&err));
	if (c.client)
		client_free(c.client);
	kubeconfig_release(&c.cluster);
	arena_release(&c.arena);
	return r < 0;
}
