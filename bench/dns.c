/*
 * dns.c: how many questions our DNS answers: the server on one thread, on loopback, with services
 * in its index; this thread asks as fast as it is answered.
 *
 *     build/dns_load [SECONDS [SERVICES]]
 *
 * Prints answers per second, and the server thread's processor time for each: on a core of its own
 * it would answer 1 / that.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dns/server.h"
#include "loop/thread.h"
#include "types.gen.h"

enum { PORT = 15353, BATCH = 64, IN_FLIGHT = 512, BYTES = 512 };

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void put_services(struct dns_index *x, int n)
{
	for (int i = 0; i < n; i++) {
		struct object *o;
		char *text =
			xasprintf("{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{"
				  "\"name\":\"service-%d\","
				  "\"namespace\":\"default\",\"resourceVersion\":\"1\"},\"spec\":{"
				  "\"clusterIP\":"
				  "\"10.96.%d.%d\",\"ports\":[{\"name\":\"http\",\"port\":80}]}}",
				i, i / 250, i % 250);

		if (object_parse(&v1_service_resource, str_c(text), &o, NULL) < 0)
			abort();
		dns_index_put_service(x, o, true);
		object_unref(o);
		free(text);
	}
}

static int client_socket(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct timeval patience = {.tv_usec = 200000};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("socket");
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

struct load {
	int fd, services;
	struct mmsghdr v[BATCH];
	struct iovec vec[BATCH];
	uint8_t bytes[BATCH][BYTES];
	uint64_t sent, got, wrong;
};

static void ask(struct load *l, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct dns_name name;
		char text[128];

		snprintf(text, sizeof(text), "service-%u.default.svc.cluster.local",
			(unsigned)(l->sent + i) % l->services);
		dns_name_from(str_c(text), &name);
		l->vec[i] = (struct iovec){
			l->bytes[i], dns_query_write(&name, DNS_A, l->sent + i,
					     DNS_RECURSION_DESIRED, false, l->bytes[i])};
	}
	for (size_t at = 0; at < n;) {
		int r = sendmmsg(l->fd, l->v + at, n - at, 0);

		if (r > 0)
			at += r;
	}
	l->sent += n;
}

static size_t take(struct load *l)
{
	int n;

	for (size_t i = 0; i < BATCH; i++)
		l->vec[i].iov_len = BYTES;
	n = recvmmsg(l->fd, l->v, BATCH, MSG_WAITFORONE, NULL);
	for (int i = 0; i < n; i++)
		l->wrong += (l->bytes[i][3] & 15) != DNS_NOERROR || l->bytes[i][7] != 1;
	return MAX(n, 0);
}

static void run(struct load *l, double how_long)
{
	double end = seconds(CLOCK_MONOTONIC) + how_long;
	size_t n;

	for (size_t i = 0; i < BATCH; i++)
		l->v[i].msg_hdr = (struct msghdr){.msg_iov = &l->vec[i], .msg_iovlen = 1};
	for (size_t i = 0; i < IN_FLIGHT; i += BATCH)
		ask(l, BATCH);
	while (seconds(CLOCK_MONOTONIC) < end) {
		n = take(l);
		l->got += n;
		ask(l, n ? n : BATCH); /* nothing in time: they are lost */
	}
}

int main(int argc, char **argv)
{
	double how_long = argc > 1 ? atof(argv[1]) : 5, cpu, wall;
	static struct load l;
	struct dns_server_opts o = {.index = dns_index_new()};
	struct err err CLEANUP(err_release) = {0};
	struct loop_thread thread;
	struct dns_server *server;
	struct dns_addr ip;
	clockid_t clock;

	l.services = argc > 2 ? atoi(argv[2]) : 1000;
	put_services(o.index, l.services);
	dns_name_from(S("cluster.local"), &o.origin);
	dns_addr_parse(S("127.0.0.1"), &ip);
	if (loop_thread_init(&thread, &err) < 0)
		return 1;
	o.loop = thread.loop;
	server = dns_server_new(&o);
	dns_server_set_synced(server);
	if (dns_server_listen(server, &ip, PORT, &err) < 0 ||
		loop_thread_start(&thread, "dns", &err) < 0) {
		fprintf(stderr, "%s\n", err_text(&err));
		return 1;
	}
	pthread_getcpuclockid(thread.id, &clock);
	l.fd = client_socket();
	cpu = seconds(clock);
	wall = seconds(CLOCK_MONOTONIC);
	run(&l, how_long);
	cpu = seconds(clock) - cpu;
	wall = seconds(CLOCK_MONOTONIC) - wall;
	printf("%d services: %.0f answers/s, %.2f us of the server's core each (%.0f/s on a whole "
	       "core), %llu of %llu lost, %llu wrong\n",
		l.services, l.got / wall, cpu / l.got * 1e6, l.got / cpu,
		(unsigned long long)(l.sent - l.got), (unsigned long long)l.sent,
		(unsigned long long)l.wrong);
	return l.wrong || !l.got;
}
