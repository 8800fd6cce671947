/* process.c: what every component tells of its process and its build. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/version.h"
#include "metrics/metrics.h"

enum { START_FIELD = 22, STAT_MAX = 4096 }; /* proc_pid_stat(5) */

static const struct metric cpu = {"process_cpu_seconds_total", METRIC_COUNTER,
	"Total user and system CPU time spent in seconds."};
static const struct metric max_fds = {
	"process_max_fds", METRIC_GAUGE, "Maximum number of open file descriptors."};
static const struct metric open_fds = {
	"process_open_fds", METRIC_GAUGE, "Number of open file descriptors."};
static const struct metric resident = {
	"process_resident_memory_bytes", METRIC_GAUGE, "Resident memory size in bytes."};
static const struct metric started = {"process_start_time_seconds", METRIC_GAUGE,
	"Start time of the process since unix epoch in seconds."};
static const struct metric virtual_size = {
	"process_virtual_memory_bytes", METRIC_GAUGE, "Virtual memory size in bytes."};
static const struct metric virtual_max = {"process_virtual_memory_max_bytes", METRIC_GAUGE,
	"Maximum amount of virtual memory available in bytes."};
static const struct metric build = {"kubernetes_build_info", METRIC_GAUGE,
	"[BETA] A metric with a constant '1' value labeled by major, minor, git version, git "
	"commit, git tree state, build date, Go version, and compiler from which Kubernetes was "
	"built, and platform on which it is running.",
	{"build_date", "compiler", "git_commit", "git_tree_state", "git_version", "go_version",
		"major", "minor", "platform"}};
static const struct metric version = {"version_info", METRIC_GAUGE,
	"[ALPHA] Provides the compatibility version info of the component. The component label is "
	"the name of the component, usually kube, but is relevant for aggregated-apiservers.",
	{"binary", "component", "emulation", "min_compat"}};

/* The text of a file of /proc in `text`; empty when it cannot be read. */
static void read_proc(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, size - 1, f) : 0;

	text[n] = 0;
	if (f)
		fclose(f);
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return MAX(n - 3, 0); /* without ".", ".." and the one that was opened to look */
}

static double boot_time_s(void)
{
	struct timespec wall, up;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return (double)(wall.tv_sec - up.tv_sec) + (double)(wall.tv_nsec - up.tv_nsec) / 1e9;
}

double metrics_process_start_s(void)
{
	char text[STAT_MAX], *p;
	double ticks;

	read_proc("/proc/self/stat", text, sizeof(text));
	p = strrchr(text, ')'); /* the name before may hold anything */
	for (int field = 2; p && field < START_FIELD; field++)
		p = strchr(p + 1, ' ');
	ticks = p ? strtod(p, NULL) : 0;
	return round((boot_time_s() + ticks / (double)sysconf(_SC_CLK_TCK)) * 100) / 100;
}

static void write_limit(struct buf *out, const struct metric *m, int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) == 0)
		metric_plain(out, m,
			limit.rlim_cur == RLIM_INFINITY ? 18446744073709551615.0
							: (double)limit.rlim_cur);
}

void metrics_write_process(struct buf *out)
{
	double page = (double)sysconf(_SC_PAGESIZE);
	char text[STAT_MAX];
	struct timespec used;
	long pages = 0, pages_resident = 0;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	read_proc("/proc/self/statm", text, sizeof(text));
	if (sscanf(text, "%ld %ld", &pages, &pages_resident) != 2)
		pages = pages_resident = 0;
	metric_begin(out, &build);
	METRIC_LINE(out, &build, 1, SAMPAN_BUILD_DATE, SAMPAN_COMPILER, "", "clean",
		SAMPAN_GIT_VERSION, "none", SAMPAN_KUBERNETES_MAJOR, SAMPAN_KUBERNETES_MINOR,
		"linux/" SAMPAN_ARCH);
	metric_plain(
		out, &cpu, round((double)used.tv_sec * 100 + (double)used.tv_nsec / 1e7) / 100);
	write_limit(out, &max_fds, RLIMIT_NOFILE);
	metric_plain(out, &open_fds, count_fds());
	metric_plain(out, &resident, (double)pages_resident * page);
	metric_plain(out, &started, metrics_process_start_s());
	metric_plain(out, &virtual_size, (double)pages * page);
	write_limit(out, &virtual_max, RLIMIT_AS);
	metric_begin(out, &version);
	METRIC_LINE(out, &version, 1, &SAMPAN_KUBERNETES_VERSION[1], "kube",
		SAMPAN_KUBERNETES_MAJOR "." SAMPAN_KUBERNETES_MINOR, SAMPAN_MIN_COMPATIBILITY);
}
