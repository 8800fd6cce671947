/* machine.c: what a node needs of its machine: rights, programs, the kernel. */
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "network/overlay.h"
#include "proxy/config.h"
#include "server/check/check.h"

void check_root(const struct check_opts *o, struct check_report *r)
{
	(void)o;
	if (geteuid())
		check_wrong(r, "a node needs root: use sudo, or --control-only for the control "
			       "plane alone");
}

/* --- programs --- */

static bool has_program(struct check_report *r, const char *name)
{
	static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
		"/usr/bin", "/sbin", "/bin", "/usr/libexec/podman", "/usr/lib/podman"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (access(arena_fmt(&r->arena, "%s/%s", dirs[i], name).p, X_OK) == 0)
			return true;
	return false;
}

void check_runtime(const struct check_opts *o, struct check_report *r)
{
	struct str path = str_c(o->runtime_endpoint);
	struct stat st;

	if (path.n) {
		if (str_starts(path, S("unix://")))
			path = str_sub(path, 7, path.n);
		if (stat(arena_cstr(&r->arena, path), &st) < 0 || !S_ISSOCK(st.st_mode))
			check_wrong(r,
				STR_FMT " is no socket: start the runtime, or correct "
					"--container-runtime-endpoint",
				STR_ARG(path));
		return;
	}
	if (!has_program(r, "crun") && !has_program(r, "runc"))
		check_wrong(r, "neither crun nor runc is there: apt-get install crun");
	if (!has_program(r, "conmon"))
		check_wrong(r, "conmon is not there: apt-get install conmon");
}

/* --- netlink, in a network namespace that is thrown away: nothing here changes --- */

/* Sends one message and reads what becomes of it: 0 or a negative errno. */
static int ask_kernel(int bus, struct nlmsghdr *h)
{
	struct mnl_socket *s = mnl_socket_open(bus);
	char buf[8192];
	ssize_t n;
	int rc = -ENOTSUP;

	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_sendto(s, h, h->nlmsg_len) < 0) {
		rc = -errno;
	} else if ((n = mnl_socket_recvfrom(s, buf, sizeof(buf))) >= (ssize_t)sizeof(*h)) {
		const struct nlmsghdr *answer = (const struct nlmsghdr *)buf;

		rc = answer->nlmsg_type == NLMSG_ERROR
			     ? ((const struct nlmsgerr *)mnl_nlmsg_get_payload(answer))->error
			     : 0;
	}
	if (s)
		mnl_socket_close(s);
	return rc;
}

static int ask_nftables(void)
{
	char buf[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
	h->nlmsg_flags = NLM_F_REQUEST;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	*g = (struct nfgenmsg){.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	return ask_kernel(NETLINK_NETFILTER, h);
}

static int make_link(const char *kind)
{
	char buf[512];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nlattr *info, *data;

	h->nlmsg_type = RTM_NEWLINK;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, "check0");
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, kind);
	if (!strcmp(kind, "vxlan")) {
		data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
		mnl_attr_put_u32(h, IFLA_VXLAN_ID, 1);
		mnl_attr_nest_end(h, data);
	}
	mnl_attr_nest_end(h, info);
	return ask_kernel(NETLINK_ROUTE, h);
}

/* In a child that has a network namespace of its own: what fn says of `arg`. */
static int in_own_network(int (*fn)(const char *arg), const char *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) < 0 ? errno : -fn(arg) & 0xff);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -EAGAIN;
	return -WEXITSTATUS(status);
}

void check_services(const struct check_opts *o, struct check_report *r)
{
	const char *mode = o->proxy_mode && o->proxy_mode[0] ? o->proxy_mode : "nftables";
	struct err err CLEANUP(err_release) = {0};
	struct proxy_config config;
	int rc;

	proxy_config_init(&config);
	rc = proxy_config_set_mode(&config, str_c(mode), &err);
	proxy_config_release(&config);
	if (rc < 0) {
		check_wrong(r, "%s", err_text(&err));
		return;
	}
	if (!strcmp(mode, "iptables")) {
		if (!has_program(r, "iptables-restore"))
			check_wrong(r, "iptables is not there: apt-get install iptables, or "
				       "--proxy-mode=nftables");
		return;
	}
	rc = geteuid() ? 0 : ask_nftables();
	if (rc < 0)
		check_wrong(r,
			"the kernel has no nftables (%s): load nf_tables, or --proxy-mode=iptables",
			strerror(-rc));
}

static void check_link(struct check_report *r, const char *kind, const char *instead)
{
	int rc = in_own_network(make_link, kind);

	if (rc < 0)
		check_wrong(r, "the kernel makes no %s devices (%s): load the module%s", kind,
			strerror(-rc), instead);
}

void check_pod_network(const struct check_opts *o, struct check_report *r)
{
	struct err err CLEANUP(err_release) = {0};
	const char *backend =
		o->network_backend && o->network_backend[0] ? o->network_backend : "vxlan";

	if (geteuid() || (o->runtime_endpoint && o->runtime_endpoint[0]))
		return;
	check_link(r, "bridge", "");
	check_link(r, "veth", "");
	if (!strcmp(backend, "vxlan"))
		check_link(r, "vxlan", ", or give --network-backend=host-gw");
	if (network_backend_check(backend, &err) < 0)
		check_wrong(r, "%s", err_text(&err));
}

/* --- control groups --- */

static bool is_writable_dir(struct check_report *r, const char *dir, const char *name)
{
	return access(arena_fmt(&r->arena, "%s%s%s", dir, name[0] ? "/" : "", name).p,
		       W_OK | X_OK) == 0;
}

static void check_unified(struct check_report *r, const char *const *wanted, size_t n)
{
	struct err err CLEANUP(err_release) = {0};
	struct str have, rest, one;

	if (file_read("/sys/fs/cgroup/cgroup.controllers", 4096, &r->arena, &have, &err) < 0) {
		check_wrong(r, "%s: mount cgroup2 on /sys/fs/cgroup", err_text(&err));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		bool found = false;

		for (rest = str_trim(have); rest.n && !found; found = str_eqc(one, wanted[i]))
			str_cut(rest, ' ', &one, &rest);
		if (!found)
			check_wrong(r,
				"the controller %s is not there: start the kernel with "
				"cgroup_enable=%s",
				wanted[i], wanted[i]);
	}
	if (!is_writable_dir(r, "/sys/fs/cgroup", ""))
		check_wrong(r, "/sys/fs/cgroup cannot be written to: run outside of a container, "
			       "or with its groups delegated");
}

void check_cgroups(const struct check_opts *o, struct check_report *r)
{
	static const char *const wanted[] = {"cpu", "memory", "pids"};
	struct statfs fs;

	if (geteuid())
		return;
	if (statfs("/sys/fs/cgroup", &fs) < 0) {
		check_wrong(r,
			"/sys/fs/cgroup is not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup");
		return;
	}
	if (fs.f_type == CGROUP2_SUPER_MAGIC) {
		check_unified(r, wanted, ARRAY_SIZE(wanted));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (!is_writable_dir(r, "/sys/fs/cgroup", wanted[i]))
			check_wrong(r,
				"the controller %s is not mounted or not writable: mount it on "
				"/sys/fs/cgroup/%s, or use cgroup2",
				wanted[i], wanted[i]);
}

/* --- the kernel --- */

void check_kernel(const struct check_opts *o, struct check_report *r)
{
	static const char *const namespaces[] = {"net", "mnt", "pid", "uts", "ipc"};
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		if (access(arena_fmt(&r->arena, "/proc/self/ns/%s", namespaces[i]).p, F_OK) < 0)
			check_wrong(r, "it has no %s namespaces: use one that has", namespaces[i]);
	fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (fd < 0)
		check_wrong(r, "it has no pidfd_open(2): use 5.10 or later");
	else
		close(fd);
	if (geteuid() || o->runtime_endpoint)
		return;
	fd = fsopen("overlay", FSOPEN_CLOEXEC); /* loads it, as mount(2) would */
	if (fd >= 0)
		close(fd);
	else if (errno == ENODEV)
		check_wrong(r, "it has no overlayfs: load the module overlay");
}
