/* Pods in network namespaces of their own, inside one that this test makes: addresses, ways, host
 * ports, what is left. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "network/leases.h"
#include "network/network.h"

static char dir[] = "/tmp/sampan-network-XXXXXX";

static void make_netns(const char *name, char path[128])
{
	int fd;

	snprintf(path, 128, "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	if (fork() == 0)
		_exit(unshare(CLONE_NEWNET) < 0 ||
			mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0);
	assert_true(wait(&fd) > 0 && fd == 0);
}

/* Runs a shell command inside a namespace; its exit code. */
static int run_in(const char *netns, const char *fmt, ...)
{
	char cmd[512], all[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	snprintf(all, sizeof(all), "exec >/dev/null 2>&1; %s%s -- sh -c '%s'",
		netns ? "nsenter --net=" : "env", netns ? netns : "", cmd);
	return system(all);
}

static void pods_talk_and_leave_nothing(void **state)
{
	char leases[128], ns1[128], ns2[128];
	struct err err CLEANUP(err_release) = {0};
	struct arena a = {0};
	struct network *n = NULL;
	struct str_vec ip1 = {0}, ip2 = {0}, again = {0};
	const struct network_port port = {"tcp", 18080, 8080, {0}};

	if (getuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) {
		fprintf(stderr, "SKIPPED: no right to make network namespaces\n");
		skip();
	}
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mount("proc", "/proc", "proc", 0, NULL); /* one that shows this namespace's /proc/sys/net */
	snprintf(leases, sizeof(leases), "%s/leases", dir);
	make_netns("one", ns1);
	make_netns("two", ns2);
	run_in(NULL, "ip link set lo up");
	if (network_new(&(struct network_opts){.state_dir = leases}, &n, &err) < 0)
		fail_msg("%s", err_text(&err));
	const struct network_pod one = {S("sandbox-1"), ns1, &port, 1},
				 two = {S("sandbox-2"), ns2, NULL, 0};

	assert_int_equal(network_attach(n, &one, &a, &ip1, &err), -EIO);
	assert_int_equal(err.code, 503);
	if (network_set_pod_cidrs(n, S("10.99.7.0/24,fd99::7:0/112"), &err) < 0)
		fail_msg("%s", err_text(&err));
	if (network_attach(n, &one, &a, &ip1, &err) < 0 ||
		network_attach(n, &two, &a, &ip2, &err) < 0)
		fail_msg("%s", err_text(&err));
	assert_string_equal(ip1.v[0].p, "10.99.7.2");
	assert_string_equal(ip1.v[1].p, "fd99::7:2");
	assert_string_equal(ip2.v[0].p, "10.99.7.3");
	assert_int_equal(
		run_in(ns1, "ping -c1 -W2 10.99.7.3 || busybox ping -c1 -W2 10.99.7.3"), 0);
	assert_int_equal(
		run_in(ns1, "ping -c1 -W2 10.99.7.1 || busybox ping -c1 -W2 10.99.7.1"), 0);
	assert_int_equal(run_in(ns1, "busybox ping -6 -c1 -W2 fd99::7:3 || ping -c1 -W2 fd99::7:3"), 0);
	/* a changed MTU reaches the pods */
	network_set_mtu(n, 1400);
	assert_int_equal(run_in(ns2, "ip link show eth0 | grep -q \"mtu 1400\""), 0);
	/* restart: the same answer, and what was given stays given */
	network_free(n);
	assert_int_equal(network_new(&(struct network_opts){.state_dir = leases}, &n, &err), 0);
	assert_int_equal(network_set_pod_cidrs(n, S("10.99.7.0/24,fd99::7:0/112"), &err), 0);
	assert_int_equal(network_attach(n, &one, &a, &again, &err), 0);
	assert_string_equal(again.v[0].p, ip1.v[0].p);
	assert_string_equal(again.v[1].p, ip1.v[1].p);
	assert_int_equal(network_detach(n, one.id, &err), 0);
	assert_int_equal(network_detach(n, one.id, &err), 0);
	assert_int_equal(network_detach(n, two.id, &err), 0);
	assert_int_equal(run_in(NULL, "test -z \"$(ls -A %s)\"", leases), 0);
	assert_int_equal(run_in(NULL, "! ip -o link | grep -q \"pod.*master\""), 0);
	/* addresses that the machine has elsewhere cannot be pods' */
	run_in(NULL, "ip link add elsewhere type bridge; ip addr add 10.98.3.7/16 dev elsewhere");
	assert_true(network_set_pod_cidrs(n, S("10.98.0.0/24"), &err) < 0);
	assert_non_null(strstr(err_text(&err), "clashes with 10.98.0.0/16"));
	network_free(n);
	arena_release(&a);
	umount(ns1);
	umount(ns2);
}

static void addresses_run_out_and_rest(void **state)
{
	char path[128];
	struct err err CLEANUP(err_release) = {0};
	struct ip_prefix range;
	const struct lease *lease;
	struct leases l;
	char id[16];

	snprintf(path, sizeof(path), "%s/small", dir);
	assert_int_equal(leases_open(&l, path, &err), 0);
	ip_prefix_parse(S("10.0.0.0/31"), &range);
	assert_int_equal(leases_set_ranges(&l, &range, 1, &err), -EINVAL);
	ip_prefix_parse(S("10.0.0.0/29"), &range);
	assert_int_equal(leases_set_ranges(&l, &range, 1, &err), 0);
	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "p%d", i);
		assert_int_equal(leases_take(&l, str_c(id), NULL, NULL, 0, &lease, &err), 0);
		assert_int_equal(lease->ips[0].b[3], 2 + i);
	}
	assert_int_equal(leases_take(&l, S("p5"), NULL, NULL, 0, &lease, &err), -EIO);
	assert_int_equal(leases_take(&l, S("../x"), NULL, NULL, 0, &lease, &err), -EINVAL);
	leases_drop(&l, S("p1"));
	leases_drop(&l, S("p3"));
	assert_int_equal(leases_take(&l, S("p6"), NULL, NULL, 0, &lease, &err), 0);
	assert_int_equal(lease->ips[0].b[3], 3);
	leases_release(&l);
	assert_int_equal(leases_open(&l, path, &err), 0);
	assert_int_equal(leases_set_ranges(&l, &range, 1, &err), 0);
	assert_int_equal(leases_take(&l, S("p7"), NULL, NULL, 0, &lease, &err), 0);
	assert_int_equal(lease->ips[0].b[3], 5);
	leases_release(&l);
}

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_run_out_and_rest),
		cmocka_unit_test(pods_talk_and_leave_nothing),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
