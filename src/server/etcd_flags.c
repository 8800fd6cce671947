#include "server/etcd_flags.h"

#include "apiserver/stored.h"
#include "base/file.h"

enum { FILE_MAX = 1 << 20 };

static int read_file(
	const char *flag, const char *path, struct arena *a, struct str *ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	int r;

	if (!path)
		return 0;
	r = file_read(path, FILE_MAX, a, ret, &why);
	return r < 0 ? err_bad_request(err, "--%s: %s", flag, err_text(&why)) : 0;
}

int etcd_flags_opts(
	const struct etcd_flags *f, struct arena *a, struct etcd_opts *ret, struct err *err)
{
	int r;

	*ret = (struct etcd_opts){
		.prefix = str_c(f->prefix),
		.compaction_interval_ms = f->compaction_interval_ms,
		.event_ttl_s = f->event_ttl_ms / 1000,
		.reader = &stored_reader,
	};
	if (!f->cert_file != !f->key_file)
		return err_bad_request(err, "--etcd-certfile and --etcd-keyfile come together");
	for (size_t i = 0; i < f->servers.n; i++)
		ARENA_PUSH(a, &ret->servers, f->servers.v[i]);
	r = read_file("etcd-cafile", f->ca_file, a, &ret->ca_pem, err);
	if (r == 0)
		r = read_file("etcd-certfile", f->cert_file, a, &ret->cert_pem, err);
	return r < 0 ? r : read_file("etcd-keyfile", f->key_file, a, &ret->key_pem, err);
}
