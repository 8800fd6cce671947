/* machine.c: reads /proc, /sys and the interfaces. */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "node/machine.h"

/* Files of /proc and /sys do not say how long they are. */
static int read_text(struct arena *a, const char *path, struct str *ret)
{
	enum { TEXT_MAX = 65536 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;
	ssize_t n, all = 0;

	if (fd < 0)
		return -errno;
	text = arena_alloc(a, TEXT_MAX);
	while (all < TEXT_MAX - 1 && (n = read(fd, text + all, (size_t)(TEXT_MAX - 1 - all))) > 0)
		all += n;
	close(fd);
	*ret = str_n(text, (size_t)all);
	return 0;
}

/* --- addresses --- */

/* The interface of the default route with the smallest metric; "" when there is none. */
static void default_interface(char out[IF_NAMESIZE])
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[256], name[IF_NAMESIZE];
	unsigned dest, mask, flags, metric, best = UINT32_MAX;

	out[0] = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%15s %x %*x %x %*d %*d %u %x", name, &dest, &flags, &metric,
			    &mask) != 5)
			continue;
		if (dest != 0 || mask != 0 || !(flags & 1) || metric >= best)
			continue;
		best = metric;
		snprintf(out, IF_NAMESIZE, "%s", name);
	}
	if (f)
		fclose(f);
}

static int rank(const struct ifaddrs *i, const char *preferred)
{
	const struct sockaddr_in6 *v6 = (const void *)i->ifa_addr;
	int r;

	if (!i->ifa_addr || (i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP))
		return 0;
	if (i->ifa_addr->sa_family == AF_INET)
		r = 4;
	else if (i->ifa_addr->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
		r = 2;
	else
		return 0;
	/* The pods' own bridge is not the machine. */
	if (strncmp(i->ifa_name, "cni", 3) == 0 || strncmp(i->ifa_name, "kbr", 3) == 0 ||
		strncmp(i->ifa_name, "sampan", 6) == 0 || strncmp(i->ifa_name, "veth", 4) == 0)
		r = 1;
	return strcmp(i->ifa_name, preferred) == 0 ? r + 10 : r;
}

int machine_address(struct arena *a, struct str *ret)
{
	char name[IF_NAMESIZE], text[INET6_ADDRSTRLEN];
	struct ifaddrs *all;
	int best = 0;

	default_interface(name);
	if (getifaddrs(&all) < 0)
		return -errno;
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		int r = rank(i, name);
		const void *addr;

		if (r <= best)
			continue;
		best = r;
		addr = i->ifa_addr->sa_family == AF_INET
			       ? (const void *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr
			       : &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
		inet_ntop(i->ifa_addr->sa_family, addr, text, sizeof(text));
		*ret = arena_strc(a, text);
	}
	freeifaddrs(all);
	return best ? 0 : -ENOENT;
}

void machine_main_interface(char out[IF_NAMESIZE])
{
	struct ifaddrs *all;
	int best = 0;

	default_interface(out);
	if (out[0] || getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		int r = rank(i, "");

		if (r <= best)
			continue;
		best = r;
		snprintf(out, IF_NAMESIZE, "%s", i->ifa_name);
	}
	freeifaddrs(all);
}

/* --- sizes --- */

int machine_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return CPU_COUNT(&set);
	return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

bool machine_processes(uint64_t *ret_max, uint64_t *ret_now)
{
	FILE *max = fopen("/proc/sys/kernel/pid_max", "re"), *load = fopen("/proc/loadavg", "re");
	unsigned long long m = 0, n = 0;
	bool ok = max && load && fscanf(max, "%llu", &m) == 1 &&
		  fscanf(load, "%*s %*s %*s %*u/%llu", &n) == 1;

	if (max)
		fclose(max);
	if (load)
		fclose(load);
	if (ok) {
		*ret_max = m;
		*ret_now = n;
	}
	return ok;
}

static uint64_t meminfo(const char *key)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kb = 0;
	char line[128];
	size_t n = strlen(key);

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, n) == 0 && sscanf(line + n, ": %llu", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024;
}

uint64_t machine_memory(void)
{
	return meminfo("MemTotal");
}

uint64_t machine_memory_available(void)
{
	return meminfo("MemAvailable");
}

uint64_t machine_disk(
	const char *path, uint64_t *ret_free, uint64_t *ret_inodes, uint64_t *ret_inodes_free)
{
	struct statvfs s;

	if (statvfs(path, &s) < 0)
		return 0;
	if (ret_free)
		*ret_free = (uint64_t)s.f_bavail * s.f_frsize;
	if (ret_inodes)
		*ret_inodes = s.f_files;
	if (ret_inodes_free)
		*ret_inodes_free = s.f_favail;
	return (uint64_t)s.f_blocks * s.f_frsize;
}

struct str_map machine_hugepages(struct arena *a)
{
	DIR *d = opendir("/sys/kernel/mm/hugepages");
	struct str_map m = {0};
	struct dirent *e;
	unsigned long long kb;

	while (d && (e = readdir(d))) {
		struct str count;
		struct str_pair p;
		int64_t n = 0;

		if (sscanf(e->d_name, "hugepages-%llukB", &kb) != 1)
			continue;
		if (read_text(a,
			    arena_fmt(a, "/sys/kernel/mm/hugepages/%s/nr_hugepages", e->d_name).p,
			    &count) == 0)
			str_to_i64(str_trim(count), &n);
		p.key = kb >= 1048576 ? arena_fmt(a, "hugepages-%lluGi", kb / 1048576)
				      : arena_fmt(a, "hugepages-%lluMi", kb / 1024);
		p.value =
			n ? arena_fmt(a, "%lldMi", (long long)(n * (int64_t)(kb / 1024))) : S("0");
		ARENA_PUSH(a, &m, p);
	}
	if (d)
		closedir(d);
	return m;
}

/* --- identity --- */

struct str machine_hostname(struct arena *a)
{
	char name[256] = "localhost";

	gethostname(name, sizeof(name) - 1);
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return arena_strc(a, name);
}

static struct str one_line(struct arena *a, const char *path)
{
	struct str s;

	return read_text(a, path, &s) == 0 ? arena_str(a, str_trim(s)) : S("");
}

static struct str os_image(struct arena *a)
{
	struct str text, line;
	bool more;

	if (read_text(a, "/etc/os-release", &text) < 0)
		return S("Linux");
	for (more = true; more;) {
		more = str_cut(text, '\n', &line, &text);
		if (!str_starts(line, S("PRETTY_NAME=")))
			continue;
		line = str_sub(line, 12, line.n);
		if (line.n >= 2 && line.p[0] == '"')
			line = str_sub(line, 1, line.n - 1);
		return arena_str(a, line);
	}
	return S("Linux");
}

void machine_info(struct arena *a, struct machine_info *ret)
{
	static const struct {
		const char *uname, *go;
	} archs[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"},
		{"armv6l", "arm"}, {"i686", "386"}, {"riscv64", "riscv64"}, {"ppc64le", "ppc64le"},
		{"s390x", "s390x"}};
	struct utsname u;

	uname(&u);
	ret->architecture = arena_strc(a, u.machine).p;
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++)
		if (strcmp(u.machine, archs[i].uname) == 0)
			ret->architecture = archs[i].go;
	ret->kernel_version = arena_strc(a, u.release);
	ret->machine_id = one_line(a, "/etc/machine-id");
	ret->system_uuid = one_line(a, "/sys/class/dmi/id/product_uuid");
	if (str_empty(ret->system_uuid))
		ret->system_uuid = ret->machine_id;
	ret->boot_id = one_line(a, "/proc/sys/kernel/random/boot_id");
	ret->os_image = os_image(a);
}
