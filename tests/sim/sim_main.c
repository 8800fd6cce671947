/*
 * sim_main.c: runs seeds.
 *
 *     build/sim --seed 42 [--trace]   one, in this process; --trace shows everything that happens
 *     build/sim --seeds 300         1 to 300, each in a child of its own, one per processor at a
 * time build/sim --seeds 300 --first 1000
 *
 * A seed that fails, crashes or hangs is named with the command that replays it.
 */
#include "sim.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/flags.h"

enum { JOBS_MAX = 16, SEED_TIMEOUT_S = 120 };

struct job {
	pid_t pid; /* 0: none */
	uint64_t seed;
};

struct runs {
	struct sim_opts opts;
	struct job jobs[JOBS_MAX];
	int n_jobs, running, failed, passed;
};

static void print_result(const struct sim_opts *opts, const struct sim_result *r)
{
	printf("seed %ju: %s%s%ju events, %d crashes, %d nodes died, %d store errors, %d resyncs, "
	       "%d takeovers, trace %016jx\n",
		(uintmax_t)opts->seed, r->failure, r->failure[0] ? "; " : "", (uintmax_t)r->events,
		r->crashes, r->kills, r->store_errors, r->resyncs, r->takeovers,
		(uintmax_t)r->trace);
}

/* Twice, when the seed ends in 7: the second run must go exactly as the first did. */
static int run_one(const struct sim_opts *opts)
{
	struct sim_result r, again;

	sim_run(opts, &r);
	if (!r.failure[0] && opts->seed % 10 == 7) {
		sim_run(opts, &again);
		if (again.trace != r.trace)
			snprintf(r.failure, sizeof(r.failure), "a second run went another way");
	}
	if (r.failure[0] || opts->verbose)
		print_result(opts, &r);
	fflush(stdout);
	return r.failure[0] ? 1 : 0;
}

static void start(struct runs *runs, struct job *job, uint64_t seed)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0) {
		runs->opts.seed = seed;
		alarm(SEED_TIMEOUT_S);
		exit(run_one(&runs->opts));
	}
	*job = (struct job){pid, seed};
	runs->running++;
}

static void wait_one(struct runs *runs)
{
	int status;
	pid_t pid = wait(&status);

	for (int i = 0; i < runs->n_jobs; i++) {
		struct job *job = &runs->jobs[i];

		if (job->pid != pid)
			continue;
		job->pid = 0;
		runs->running--;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
			runs->passed++;
			return;
		}
		runs->failed++;
		if (WIFSIGNALED(status))
			printf("seed %ju: %s\n", (uintmax_t)job->seed, strsignal(WTERMSIG(status)));
		printf("  replay: build/sim --seed %ju --trace\n", (uintmax_t)job->seed);
	}
}

static int run_many(struct runs *runs, uint64_t first, uint64_t n)
{
	for (uint64_t seed = first; seed < first + n; seed++) {
		int free_job = 0;

		if (runs->running == runs->n_jobs)
			wait_one(runs);
		while (runs->jobs[free_job].pid)
			free_job++;
		start(runs, &runs->jobs[free_job], seed);
	}
	while (runs->running)
		wait_one(runs);
	printf("%d seeds passed, %d failed\n", runs->passed, runs->failed);
	return runs->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct runs runs = {.opts = {.chaos_ms = 4 * 60 * 1000}};
	int seed = 0, seeds = 0, first = 1, jobs = (int)sysconf(_SC_NPROCESSORS_ONLN);
	const struct flag flags[] = {
		{"seed", FLAG_INT, &seed, "N", "run this one, here"},
		{"seeds", FLAG_INT, &seeds, "N", "run that many, each in a child"},
		{"first", FLAG_INT, &first, "N", "of --seeds (1)"},
		{"jobs", FLAG_INT, &jobs, "N", "children at once (one per processor)"},
		{"chaos", FLAG_DURATION, &runs.opts.chaos_ms, "TIME",
			"virtual time in which things go wrong (4m)"},
		{"trace", FLAG_BOOL, &runs.opts.verbose, "", "show everything that happens"},
		{NULL},
	};
	int r = flags_parse(flags, "sim", argc, argv, NULL);

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	log_level = LOG_SILENT; /* errors that were injected are no news */
	if (seed) {
		runs.opts.seed = (uint64_t)seed;
		return run_one(&runs.opts);
	}
	runs.n_jobs = MAX(1, MIN(jobs, JOBS_MAX));
	return run_many(&runs, (uint64_t)first, (uint64_t)(seeds ? seeds : 300));
}
