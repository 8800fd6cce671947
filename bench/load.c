/*
 * load: a bounded load on an API server over keep-alive TLS, and what it cost the server.
 *
 *     load --host 127.0.0.1 --port 6443 {--cert F --key F | --token T} [--pid N …] [-c CONNECTIONS] [-n REQUESTS] get PATH
 *     … create NAMESPACE     configmaps of 1 kB
 *     … fanout NAMESPACE     -c watchers on configmaps; -n patches, each waits until the last watcher has the event
 *
 * Prints one line: requests a second, CPU-ms of the named processes per request, median and 99th percentile in ms.
 * Blocking sockets, a thread per connection: the load is not what is measured, the server's CPU time is.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIDS_MAX = 8, CONNECTIONS_MAX = 1024, BUF = 1 << 20 };

static struct {
	const char *host, *cert, *key, *token, *op, *arg;
	int port, connections, requests, pids[PIDS_MAX], n_pids;
	SSL_CTX *ssl;
	double *ms; /* of each request */
	atomic_int next, failed, ready, seen;
	char run[16];
} g = {.host = "127.0.0.1", .port = 6443, .connections = 1, .requests = 1000};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* User and system time of the processes, from /proc/PID/stat. */
static double cpu_ms(void)
{
	double sum = 0;

	for (int i = 0; i < g.n_pids; i++) {
		char path[64], line[1024], *p;
		unsigned long user, sys;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", g.pids[i]);
		f = fopen(path, "r");
		if (!f || !fgets(line, sizeof(line), f) || !(p = strrchr(line, ')')))
			die(path);
		fclose(f);
		if (sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
			die(path);
		sum += (user + sys) * 1000.0 / sysconf(_SC_CLK_TCK);
	}
	return sum;
}

struct link {
	int fd;
	SSL *ssl;
	char *buf;
	size_t have;
};

static void link_open(struct link *l)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(g.port)};
	int on = 1;

	inet_pton(AF_INET, g.host, &to.sin_addr);
	l->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	l->ssl = SSL_new(g.ssl);
	SSL_set_fd(l->ssl, l->fd);
	if (SSL_connect(l->ssl) != 1)
		die("TLS");
	l->buf = malloc(BUF);
	l->have = 0;
}

static void link_send(struct link *l, const char *method, const char *path, const char *type, const char *body)
{
	char head[4096];
	int n = snprintf(head, sizeof(head),
		"%s %s HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n%s%s%sContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
		method, path, g.token ? "Authorization: Bearer " : "", g.token ? g.token : "", g.token ? "\r\n" : "", type ? type : "application/json", body ? strlen(body) : 0, body ? body : "");

	if (n >= (int)sizeof(head) || SSL_write(l->ssl, head, n) != n)
		die("send");
}

static void more(struct link *l)
{
	int n = SSL_read(l->ssl, l->buf + l->have, BUF - l->have - 1);

	if (n <= 0)
		die("the server closed the connection");
	l->have += n;
	l->buf[l->have] = 0;
}

static void drop(struct link *l, size_t n)
{
	memmove(l->buf, l->buf + n, l->have - n + 1);
	l->have -= n;
}

/* Reads a head; the status. *ret_length: the body's, -1 when chunked. */
static int read_head(struct link *l, long *ret_length)
{
	char *end, *p;
	int status;

	l->buf[l->have] = 0;
	while (!(end = strstr(l->buf, "\r\n\r\n")))
		more(l);
	status = atoi(l->buf + 9);
	*end = 0;
	p = strcasestr(l->buf, "\r\ncontent-length:");
	*ret_length = p ? atol(p + 17) : -1;
	drop(l, end + 4 - l->buf);
	return status;
}

static void skip_bytes(struct link *l, long n)
{
	while (n > 0) {
		long take;

		if (!l->have)
			more(l);
		take = n < (long)l->have ? n : (long)l->have;
		drop(l, take);
		n -= take;
	}
}

static void skip_chunks(struct link *l)
{
	for (long n = 1; n;) {
		char *eol;

		l->buf[l->have] = 0;
		while (!(eol = strstr(l->buf, "\r\n")))
			more(l);
		n = strtol(l->buf, NULL, 16);
		drop(l, eol + 2 - l->buf);
		skip_bytes(l, n + 2);
	}
}

static int ask(struct link *l, const char *method, const char *path, const char *type, const char *body)
{
	long length;
	int status;

	link_send(l, method, path, type, body);
	status = read_head(l, &length);
	if (length >= 0)
		skip_bytes(l, length);
	else
		skip_chunks(l);
	return status;
}

static void one_request(struct link *l, int i)
{
	char path[512], body[2048], fill[901];
	int status;

	if (!strcmp(g.op, "get")) {
		status = ask(l, "GET", g.arg, NULL, NULL);
	} else {
		memset(fill, 'x', sizeof(fill) - 1);
		fill[sizeof(fill) - 1] = 0;
		snprintf(path, sizeof(path), "/api/v1/namespaces/%s/configmaps", g.arg);
		snprintf(body, sizeof(body),
			"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"load-%s-%d\"},\"data\":{\"k\":\"%s\"}}",
			g.run, i, fill);
		status = ask(l, "POST", path, NULL, body);
	}
	if (status / 100 != 2)
		g.failed++;
}

static void *worker(void *arg)
{
	struct link l;
	int i;

	link_open(&l);
	g.ready++;
	while (g.ready < g.connections)
		usleep(100);
	while ((i = g.next++) < g.requests) {
		double start = now_ms();

		one_request(&l, i);
		g.ms[i] = now_ms() - start;
	}
	return NULL;
}

static void *watcher(void *arg)
{
	char path[512];
	struct link l;
	long length;

	link_open(&l);
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/configmaps?watch=1&fieldSelector=metadata.name%%3Dfanout", g.arg);
	link_send(&l, "GET", path, NULL, NULL);
	if (read_head(&l, &length) != 200)
		die("watch");
	g.ready++;
	for (;;) {
		char *at;

		l.buf[l.have] = 0;
		while ((at = strstr(l.buf, "\"type\":\"MODIFIED\""))) {
			g.seen++;
			drop(&l, at + 10 - l.buf);
		}
		if (l.have > BUF / 2)
			l.have = 0;
		more(&l);
	}
	return NULL;
}

static void fanout(void)
{
	char path[512], body[256];
	struct link l;
	pthread_t id;

	link_open(&l);
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/configmaps", g.arg);
	ask(&l, "POST", path, NULL, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"fanout\"}}");
	for (int i = 0; i < g.connections; i++)
		pthread_create(&id, NULL, watcher, NULL);
	while (g.ready < g.connections)
		usleep(1000);
	usleep(300000);
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/configmaps/fanout", g.arg);
	for (int i = 0; i < g.requests; i++) {
		double replied;

		g.seen = 0;
		snprintf(body, sizeof(body), "{\"data\":{\"n\":\"%s-%d\"}}", g.run, i);
		if (ask(&l, "PATCH", path, "application/merge-patch+json", body) != 200)
			g.failed++;
		replied = now_ms();
		while (g.seen < g.connections)
			sched_yield();
		g.ms[i] = now_ms() - replied;
	}
}

static int compare(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

static void run(void)
{
	pthread_t ids[CONNECTIONS_MAX];
	double start, cpu, wall;

	cpu = cpu_ms();
	start = now_ms();
	if (!strcmp(g.op, "fanout")) {
		fanout();
	} else {
		for (int i = 0; i < g.connections; i++)
			pthread_create(&ids[i], NULL, worker, NULL);
		for (int i = 0; i < g.connections; i++)
			pthread_join(ids[i], NULL);
	}
	wall = now_ms() - start;
	cpu = cpu_ms() - cpu;
	qsort(g.ms, g.requests, sizeof(*g.ms), compare);
	printf("%.0f/s %.4f CPU-ms p50 %.3f p99 %.3f ms failed %d\n", g.requests / wall * 1000, cpu / g.requests,
		g.ms[g.requests / 2], g.ms[g.requests * 99 / 100], g.failed);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"host", 1, 0, 'h'}, {"port", 1, 0, 'p'}, {"cert", 1, 0, 'C'},
		{"key", 1, 0, 'K'}, {"pid", 1, 0, 'P'}, {"token", 1, 0, 'T'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "c:n:", options, NULL)) != -1) {
		switch (c) {
		case 'h': g.host = optarg; break;
		case 'p': g.port = atoi(optarg); break;
		case 'C': g.cert = optarg; break;
		case 'K': g.key = optarg; break;
		case 'T': g.token = optarg; break;
		case 'P': g.pids[g.n_pids++ % PIDS_MAX] = atoi(optarg); break;
		case 'c': g.connections = atoi(optarg); break;
		case 'n': g.requests = atoi(optarg); break;
		default: return 2;
		}
	}
	if (optind + 2 != argc || g.connections < 1 || g.connections > CONNECTIONS_MAX || g.requests < 1)
		return fprintf(stderr, "usage: load [flags] get PATH | create NAMESPACE | fanout NAMESPACE\n"), 2;
	g.op = argv[optind];
	g.arg = argv[optind + 1];
	snprintf(g.run, sizeof(g.run), "%d", getpid());
	g.ms = calloc(g.requests, sizeof(*g.ms));
	g.ssl = SSL_CTX_new(TLS_client_method());
	if (g.cert && (SSL_CTX_use_certificate_file(g.ssl, g.cert, SSL_FILETYPE_PEM) != 1 ||
			      SSL_CTX_use_PrivateKey_file(g.ssl, g.key, SSL_FILETYPE_PEM) != 1))
		return fprintf(stderr, "load: cannot read %s, %s\n", g.cert, g.key), 1;
	run();
	return g.failed ? 1 : 0;
}
