/* backend_faulty.c: another backend whose commits fail when a test says so. */
#include "store/backend.h"

struct faulty_backend {
	struct store_backend backend;
	struct store_backend *inner;
	int (*fn)(void *user_data);
	void *user_data;
};

static struct faulty_backend *faulty(struct store_backend *b)
{
	return container_of(b, struct faulty_backend, backend);
}

static int fault(struct faulty_backend *f, struct err *err)
{
	int r = f->fn(f->user_data);

	return r < 0 ? err_errno(err, -r, "injected fault") : 0;
}

static int faulty_load(
	struct store_backend *b, struct backend_loader *l, uint64_t *ret_reserved, struct err *err)
{
	struct store_backend *inner = faulty(b)->inner;

	return inner->ops->load(inner, l, ret_reserved, err);
}

static int faulty_commit(
	struct store_backend *b, const struct backend_write *w, size_t n, struct err *err)
{
	struct faulty_backend *f = faulty(b);
	int r = fault(f, err);

	return r < 0 ? r : f->inner->ops->commit(f->inner, w, n, err);
}

static int faulty_reserve(struct store_backend *b, uint64_t revision, struct err *err)
{
	struct faulty_backend *f = faulty(b);
	int r = fault(f, err);

	return r < 0 ? r : f->inner->ops->reserve(f->inner, revision, err);
}

static void faulty_close(struct store_backend *b)
{
	struct faulty_backend *f = faulty(b);

	f->inner->ops->close(f->inner);
	free(f);
}

static const struct store_backend_ops faulty_ops = {
	.name = "faulty",
	.load = faulty_load,
	.commit = faulty_commit,
	.reserve = faulty_reserve,
	.close = faulty_close,
};

struct store_backend *backend_faulty_new(
	struct store_backend *inner, int (*fn)(void *user_data), void *user_data)
{
	struct faulty_backend *f = xcalloc(1, sizeof(*f));

	*f = (struct faulty_backend){{&faulty_ops}, inner, fn, user_data};
	return &f->backend;
}
