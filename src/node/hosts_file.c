/* hosts_file.c: a pod's /etc/hosts. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "node/container_config.h"

enum { HOSTS_MAX = 1 << 20 };

static void add_aliases(struct buf *b, const struct v1_pod *spec)
{
	if (spec->spec.host_aliases.n)
		buf_add_c(b, "\n# Entries added by HostAliases.\n");
	for (size_t i = 0; i < spec->spec.host_aliases.n; i++) {
		const struct v1_host_alias *h = &spec->spec.host_aliases.v[i];

		buf_add_str(b, h->ip);
		for (size_t j = 0; j < h->hostnames.n; j++)
			buf_fmt(b, "\t" STR_FMT, STR_ARG(h->hostnames.v[j]));
		buf_add_char(b, '\n');
	}
}

static void add_own(struct buf *b, struct pod *p, const struct v1_pod *spec, struct arena *a)
{
	struct pod_facts f = pod_facts(p, spec, a);
	struct str host, domain;

	pod_hostname(p, spec, a, &host, &domain);
	buf_add_c(b, "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"
		     "::1\tlocalhost ip6-localhost "
		     "ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n"
		     "fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
	for (size_t i = 0; i < f.pod_ips.n; i++) {
		buf_add_str(b, f.pod_ips.v[i]);
		if (!str_empty(domain))
			buf_fmt(b, "\t" STR_FMT "." STR_FMT, STR_ARG(host), STR_ARG(domain));
		buf_fmt(b, "\t" STR_FMT "\n", STR_ARG(host));
	}
}

int hosts_file_write(
	struct pod *p, const struct v1_pod *spec, struct arena *a, struct str *ret_path)
{
	struct str path = arena_fmt(a, "%s/pods/" STR_FMT "/etc-hosts", p->k->opts.root_dir,
			   STR_ARG(p->uid)),
		   node;
	struct buf b CLEANUP(buf_release) = {0};
	ssize_t n;
	int fd;

	buf_init(&b, HOSTS_MAX);
	if (spec->spec.host_network) {
		buf_add_c(&b, "# Kubernetes-managed hosts file (host network).\n");
		if (file_read("/etc/hosts", HOSTS_MAX / 2, a, &node, NULL) == 0)
			buf_add_str(&b, node);
	} else {
		add_own(&b, p, spec, a);
	}
	add_aliases(&b, spec);
	if (buf_failed(&b))
		return -E2BIG;
	/* Written in place: running containers have this very file mounted. */
	fd = open(path.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	n = write(fd, b.p, b.n);
	fchmod(fd, 0644);
	close(fd);
	if (n != (ssize_t)b.n)
		return -EIO;
	*ret_path = path;
	return 0;
}
