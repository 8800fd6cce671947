/*
 * sctp.c: asks and answers over SCTP, for a Service with that protocol; busybox knows none of it.
 *
 *     sctp serve PORT NAME      sends NAME to whoever connects
 *     sctp ask IP PORT          prints what comes
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void serve(int s, const struct sockaddr_in *at, const char *name)
{
	if (bind(s, (const struct sockaddr *)at, sizeof(*at)) < 0 || listen(s, 16) < 0)
		die("sctp: bind");
	for (;;) {
		int c = accept(s, NULL, NULL);

		if (c < 0)
			die("sctp: accept");
		if (write(c, name, strlen(name)) < 0)
			perror("sctp: write");
		close(c);
	}
}

static void ask(int s, const struct sockaddr_in *to)
{
	char text[256];
	ssize_t n;

	alarm(20);
	if (connect(s, (const struct sockaddr *)to, sizeof(*to)) < 0)
		die("sctp: connect");
	n = read(s, text, sizeof(text));
	if (n <= 0)
		die("sctp: read");
	printf("%.*s\n", (int)n, text);
}

int main(int argc, char **argv)
{
	int s = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	struct sockaddr_in a = {.sin_family = AF_INET};

	if (argc != 4) {
		fprintf(stderr, "usage: sctp serve PORT NAME | sctp ask IP PORT\n");
		return 2;
	}
	if (s < 0)
		die("sctp: socket");
	if (!strcmp(argv[1], "serve")) {
		a.sin_port = htons(atoi(argv[2]));
		serve(s, &a, argv[3]);
	}
	a.sin_port = htons(atoi(argv[3]));
	if (inet_pton(AF_INET, argv[2], &a.sin_addr) != 1)
		die("sctp: address");
	ask(s, &a);
	return 0;
}
