/* forward.c: see forward.h. */
#include "dns/forward.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/map.h"
#include "dns/engine.h"

enum { KEY_MAX = DNS_NAME_MAX + 3, QUERY_MAX = 2 + DNS_HEADER + DNS_NAME_MAX + 4 + DNS_EDNS_SIZE };

/* One socket to one server. */
struct attempt {
	uv_poll_t poll;
	int fd;
	bool tcp;
	struct question *question; /* NULL: given up, only closing */
	uint8_t *in;               /* TCP: what has come so far */
	size_t in_n, in_max;
};

/* What was asked and who waits for it. */
struct question {
	struct dns_forward *f;
	struct dns_name name;
	uint16_t type, id;
	bool dnssec_ok;
	struct dns_servers *servers;
	size_t server, attempts;
	struct attempt *attempt;
	struct loop_timer timer;
	struct dns_waiter *waiters;
};

struct dns_forward {
	struct loop *loop;
	struct map questions;
	size_t waiters;
	uint8_t in[DNS_MESSAGE_MAX];
};

static void try_next(struct question *q);

struct dns_forward *dns_forward_new(struct loop *loop)
{
	struct dns_forward *f = xcalloc(1, sizeof(*f));

	f->loop = loop;
	return f;
}

static struct str key_of(
	const struct dns_name *name, uint16_t type, bool dnssec_ok, char buf[static KEY_MAX])
{
	memcpy(buf, name->wire, name->n);
	buf[name->n] = type >> 8;
	buf[name->n + 1] = type;
	buf[name->n + 2] = dnssec_ok;
	return str_n(buf, name->n + 3);
}

/* --- sockets --- */

static void on_closed(uv_handle_t *h)
{
	struct attempt *t = container_of((uv_poll_t *)h, struct attempt, poll);

	close(t->fd);
	free(t->in);
	free(t);
}

static void end_attempt(struct question *q)
{
	if (!q->attempt)
		return;
	q->attempt->question = NULL;
	uv_close((uv_handle_t *)&q->attempt->poll, on_closed);
	q->attempt = NULL;
}

static void finish(struct question *q, struct str message)
{
	struct dns_waiter *w = q->waiters, *next;
	char buf[KEY_MAX];

	end_attempt(q);
	loop_timer_stop(&q->timer);
	map_remove(&q->f->questions, key_of(&q->name, q->type, q->dnssec_ok, buf));
	for (; w; w = next) {
		next = w->next;
		q->f->waiters--;
		w->done(w, message);
	}
	free(q);
}

static int open_socket(const struct sockaddr_in6 *to, bool tcp)
{
	int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(to->sin6_family, type, 0);
	socklen_t n = to->sin6_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(*to);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)to, n) < 0 && errno != EINPROGRESS) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static void on_event(uv_poll_t *h, int status, int events);

/* Negative errno when this server cannot be reached at all. */
static int start_attempt(struct question *q, bool tcp)
{
	uint8_t query[QUERY_MAX];
	struct attempt *t;
	size_t n;
	int fd = open_socket(&q->servers->v[q->server], tcp);

	if (fd < 0)
		return fd;
	n = dns_query_write(&q->name, q->type, q->id, DNS_RECURSION_DESIRED, q->dnssec_ok, query);
	if (!tcp && send(fd, query, n, MSG_NOSIGNAL) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	t = xcalloc(1, sizeof(*t));
	t->fd = fd;
	t->tcp = tcp;
	t->question = q;
	q->attempt = t;
	uv_poll_init(loop_uv(q->f->loop), &t->poll, fd);
	uv_poll_start(&t->poll, tcp ? UV_WRITABLE : UV_READABLE, on_event);
	return 0;
}

/* --- answers --- */

static void got_message(struct question *q, struct str m)
{
	uint16_t rcode;

	if (!dns_engine_is_answer(m, q->id, &q->name, q->type))
		return; /* not the one: the right one may still come */
	rcode = dns_message_u16(m, 2) & 15;
	if ((dns_message_u16(m, 2) & DNS_TRUNCATED) && !q->attempt->tcp) {
		end_attempt(q);
		if (start_attempt(q, true) < 0)
			try_next(q);
		return;
	}
	if ((rcode == DNS_SERVFAIL || rcode == DNS_REFUSED) &&
		q->attempts < MIN(q->servers->n, (size_t)DNS_FORWARD_ATTEMPTS)) {
		try_next(q);
		return;
	}
	q->servers->first = q->server;
	finish(q, m);
}

static void read_udp(struct attempt *t)
{
	struct dns_forward *f = t->question->f;
	ssize_t n = recv(t->fd, f->in, sizeof(f->in), 0);

	if (n >= 0)
		got_message(t->question, str_n((char *)f->in, n));
	else if (errno != EAGAIN && errno != EINTR)
		try_next(t->question); /* refused: nobody listens there */
}

static void write_tcp(struct attempt *t)
{
	struct question *q = t->question;
	uint8_t query[QUERY_MAX];
	size_t n = dns_query_write(
		&q->name, q->type, q->id, DNS_RECURSION_DESIRED, q->dnssec_ok, query + 2);

	query[0] = n >> 8;
	query[1] = n;
	/* a fresh connection has room for this; if not, this server is of no use */
	if (send(t->fd, query, n + 2, MSG_NOSIGNAL) != (ssize_t)n + 2) {
		try_next(q);
		return;
	}
	uv_poll_start(&t->poll, UV_READABLE, on_event);
}

static void read_tcp(struct attempt *t)
{
	ssize_t n;
	size_t size;

	if (!t->in)
		t->in = xmalloc(t->in_max = 2 + DNS_MESSAGE_MAX);
	n = recv(t->fd, t->in + t->in_n, t->in_max - t->in_n, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		try_next(t->question);
		return;
	}
	t->in_n += n;
	size = t->in_n >= 2 ? t->in[0] << 8 | t->in[1] : 0;
	if (t->in_n < 2 || t->in_n < size + 2)
		return;
	if (!dns_engine_is_answer(str_n((char *)t->in + 2, size), t->question->id,
		    &t->question->name, t->question->type))
		try_next(t->question);
	else
		got_message(t->question, str_n((char *)t->in + 2, size));
}

static void on_event(uv_poll_t *h, int status, int events)
{
	struct attempt *t = container_of(h, struct attempt, poll);

	if (!t->question)
		return;
	if (status < 0)
		try_next(t->question);
	else if (!t->tcp)
		read_udp(t);
	else if (events & UV_WRITABLE)
		write_tcp(t);
	else
		read_tcp(t);
}

/* --- servers, one after the other --- */

static void try_next(struct question *q)
{
	end_attempt(q);
	while (q->attempts < DNS_FORWARD_ATTEMPTS && q->servers->n) {
		q->server = (q->servers->first + q->attempts++) % q->servers->n;
		q->id = loop_random(q->f->loop);
		if (start_attempt(q, false) == 0) {
			loop_timer_start(&q->timer, DNS_FORWARD_TIMEOUT_MS);
			return;
		}
	}
	finish(q, (struct str){0});
}

static void on_timeout(struct loop_timer *t)
{
	try_next(container_of(t, struct question, timer));
}

static void on_begin(struct loop_timer *t)
{
	struct question *q = container_of(t, struct question, timer);

	loop_timer_init(&q->timer, q->f->loop, on_timeout);
	try_next(q);
}

int dns_forward_ask(struct dns_forward *f, struct dns_servers *servers, const struct dns_name *name,
	uint16_t type, bool dnssec_ok, struct dns_waiter *w)
{
	char buf[KEY_MAX];
	struct str key = key_of(name, type, dnssec_ok, buf);
	struct question *q = map_get(&f->questions, key);

	if (!servers->n)
		return -ENOENT;
	if (f->waiters >= DNS_FORWARD_WAITERS_MAX ||
		(!q && f->questions.n >= DNS_FORWARD_PENDING_MAX))
		return -EAGAIN;
	if (!q) {
		q = xcalloc(1, sizeof(*q));
		q->f = f;
		q->name = *name;
		q->type = type;
		q->dnssec_ok = dnssec_ok;
		q->servers = servers;
		map_set(&f->questions, key, q);
		/* on the next turn: what this finds out at once must not be told inside this call
		 */
		loop_timer_init(&q->timer, f->loop, on_begin);
		loop_timer_start(&q->timer, 0);
	}
	w->next = q->waiters;
	q->waiters = w;
	f->waiters++;
	return 0;
}

void dns_forward_free(struct dns_forward *f)
{
	for (struct map_entry *m = map_first(&f->questions); m; m = map_next(&f->questions, m)) {
		struct question *q = m->value;

		end_attempt(q);
		loop_timer_stop(&q->timer);
		free(q);
	}
	map_release(&f->questions);
	free(f);
}
