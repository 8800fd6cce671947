#include "node/hollow_int.h"

#include <stdio.h>

#include "base/flags.h"
#include "serving/program.h"
#include "schema/time.h"

struct client_call *hollow_call(struct hollow *h, const char *verb,
	const struct schema_resource *res, struct str ns, struct str name,
	void (*done)(struct client_call *call), void *user_data)
{
	struct client_call *call = client_call_new(h->o.client);

	call->verb = verb;
	call->resource = res;
	call->ns = ns;
	call->name = name;
	call->done = done;
	call->user_data = user_data;
	return call;
}

struct k8s_time hollow_now(struct hollow *h)
{
	return k8s_time_from_ms(loop_wall_ns(h->loop) / 1000000);
}

int64_t hollow_delay(struct hollow *h, int64_t max_ms)
{
	return 1 + (int64_t)(loop_random(h->loop) % (uint64_t)max_ms);
}

struct hollow *hollow_start(const struct hollow_opts *opts)
{
	struct hollow *h = xcalloc(1, sizeof(*h));

	h->o = *opts;
	h->o.name_prefix = opts->name_prefix ? opts->name_prefix : "hollow-";
	h->o.cpu = opts->cpu ? opts->cpu : "8";
	h->o.memory = opts->memory ? opts->memory : "32Gi";
	h->o.pods = opts->pods ? opts->pods : "110";
	h->o.pod_start_max_ms = opts->pod_start_max_ms ? opts->pod_start_max_ms : 1000;
	h->o.pod_stop_max_ms = opts->pod_stop_max_ms ? opts->pod_stop_max_ms : 500;
	h->loop = client_loop(opts->client);
	h->nodes = xcalloc((size_t)opts->nodes, sizeof(*h->nodes));
	for (int i = 0; i < opts->nodes; i++)
		hollow_node_init(&h->nodes[i], h, i);
	client_subscribe(opts->client, &v1_node_resource, NULL, hollow_node_event, h);
	client_subscribe(opts->client, &v1_pod_resource, NULL, hollow_pod_event, h);
	client_start(opts->client, NULL, NULL);
	return h;
}

void hollow_stop(struct hollow *h)
{
	client_free(h->o.client);
	for (struct map_entry *e = map_first(&h->pods); e; e = map_next(&h->pods, e))
		hollow_pod_free(e->value);
	while (h->gone) {
		struct hollow_pod *p = h->gone;

		h->gone = p->next_gone;
		hollow_pod_free(p);
	}
	map_release(&h->pods);
	map_release(&h->by_name);
	for (int i = 0; i < h->o.nodes; i++)
		hollow_node_release(&h->nodes[i]);
	free(h->nodes);
	free(h);
}

void hollow_set_alive(struct hollow *h, int node, bool alive)
{
	struct hollow_node *n = &h->nodes[node];

	if (n->alive == alive)
		return;
	n->alive = alive;
	if (!alive)
		return;
	n->status_due = true;
	loop_timer_start(&n->tick, hollow_delay(h, 1000));
	hollow_pods_of(h, n);
}

/* --- the program --- */

struct hollow_program {
	struct client_program program;
	struct hollow_opts opts;
	struct hollow *hollow;
};

static int program_start(
	struct client_program *p, struct loop *loop, struct client *client, struct err *err)
{
	struct hollow_program *hp = container_of(p, struct hollow_program, program);

	hp->opts.client = client;
	hp->hollow = hollow_start(&hp->opts);
	return 0;
}

static void program_stop(struct client_program *p)
{
	hollow_stop(container_of(p, struct hollow_program, program)->hollow);
}

int hollow_main(int argc, char **argv)
{
	struct hollow_program hp = {
		.program = {.name = "hollow", .start = program_start, .stop = program_stop},
		.opts = {.nodes = 1},
	};
	const struct flag flags[] = {
		{"kubeconfig", FLAG_STRING, &hp.program.kubeconfig, "FILE",
			"how to reach the API server"},
		{"nodes", FLAG_INT, &hp.opts.nodes, "N", "how many nodes to simulate"},
		{"name-prefix", FLAG_STRING, &hp.opts.name_prefix, "TEXT",
			"names are TEXT0, TEXT1 … (hollow-)"},
		{"cpu", FLAG_STRING, &hp.opts.cpu, "QUANTITY", "of each node (8)"},
		{"memory", FLAG_STRING, &hp.opts.memory, "QUANTITY", "of each node (32Gi)"},
		{"max-pods", FLAG_STRING, &hp.opts.pods, "N", "of each node (110)"},
		{"pod-start-max-ms", FLAG_INT, &hp.opts.pod_start_max_ms, "MS",
			"a pod takes up to this to run (1000)"},
		{NULL},
	};
	int r = flags_parse(flags, "hollow", argc, argv, NULL);

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	if (hp.opts.nodes < 1 || hp.opts.nodes > 100000) {
		fprintf(stderr, "hollow: --nodes must be between 1 and 100000\n");
		return 2;
	}
	return client_program_run(&hp.program);
}
