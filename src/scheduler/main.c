/* main.c: the program kube-scheduler. */
#include "base/flags.h"
#include "client/program.h"
#include "scheduler/scheduler.h"

static int start(
	struct client_program *p, struct loop *loop, struct client *client, struct err *err)
{
	const struct scheduler_opts opts = {.loop = loop, .client = client};

	return scheduler_start(&opts, (struct scheduler **)&p->user_data, err);
}

static void stop(struct client_program *p)
{
	scheduler_stop(p->user_data);
}

int kube_scheduler_main(int argc, char **argv)
{
	struct client_program p = {.name = "kube-scheduler", .start = start, .stop = stop};
	bool leader_elect = false;
	const struct flag flags[] = {
		{"kubeconfig", FLAG_STRING, &p.kubeconfig, "FILE", "how to reach the API server"},
		{"master", FLAG_STRING, &p.master, "URL",
			"the API server; overrides the kubeconfig's"},
		{"leader-elect", FLAG_BOOL, &leader_elect, "",
			"accepted: one scheduler runs beside the embedded store"},
		{"authentication-kubeconfig", FLAG_RETIRED, NULL, "", "nothing is served"},
		{"authorization-kubeconfig", FLAG_RETIRED, NULL, "", "nothing is served"},
		{"bind-address", FLAG_RETIRED, NULL, "", "nothing is served"},
		{"secure-port", FLAG_RETIRED, NULL, "", "nothing is served"},
		{NULL},
	};
	int r = flags_parse(flags, p.name, argc, argv, NULL);

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	return client_program_run(&p);
}
