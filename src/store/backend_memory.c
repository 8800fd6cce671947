/* backend_memory.c: a disk made of memory, for tests and the simulator. */
#include "store/backend.h"

struct row {
	uint64_t created;
	const struct schema_resource *resource;
	const struct object *object;
};

/* Rows in the order of `created`, which is that of insertion but for lazy ones. */
struct memory_disk {
	struct row *rows;
	size_t n, cap;
	uint64_t reserved;
	uint64_t *deleted; /* newest deletion, by resource->index */
};

struct memory_backend {
	struct store_backend backend;
	struct memory_disk *disk;
	bool owns_disk;
};

struct memory_disk *memory_disk_new(void)
{
	struct memory_disk *d = xcalloc(1, sizeof(*d));

	d->deleted = xcalloc(schema_n_resources, sizeof(*d->deleted));
	return d;
}

void memory_disk_free(struct memory_disk *d)
{
	for (size_t i = 0; i < d->n; i++)
		object_unref((struct object *)d->rows[i].object);
	free(d->rows);
	free(d->deleted);
	free(d);
}

static struct memory_disk *disk_of(struct store_backend *b)
{
	return container_of(b, struct memory_backend, backend)->disk;
}

static size_t find_row(const struct memory_disk *d, uint64_t created)
{
	size_t lo = 0, hi = d->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (d->rows[mid].created < created)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void put_row(struct memory_disk *d, const struct backend_write *w)
{
	size_t i = find_row(d, w->created);

	if (i < d->n && d->rows[i].created == w->created) {
		object_unref((struct object *)d->rows[i].object);
	} else {
		if (d->n == d->cap) {
			d->cap = MAX(d->cap * 2, 64u);
			d->rows = xrealloc(d->rows, d->cap * sizeof(*d->rows));
		}
		memmove(d->rows + i + 1, d->rows + i, (d->n++ - i) * sizeof(*d->rows));
	}
	d->rows[i] = (struct row){w->created, w->resource, object_ref(w->object)};
}

static void delete_row(struct memory_disk *d, const struct backend_write *w)
{
	size_t i = find_row(d, w->created);

	if (w->revision)
		d->deleted[w->resource->index] = w->revision;
	if (i == d->n || d->rows[i].created != w->created)
		return;
	object_unref((struct object *)d->rows[i].object);
	memmove(d->rows + i, d->rows + i + 1, (--d->n - i) * sizeof(*d->rows));
}

static int memory_commit(
	struct store_backend *b, const struct backend_write *w, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (w[i].object)
			put_row(disk_of(b), &w[i]);
		else
			delete_row(disk_of(b), &w[i]);
	}
	return 0;
}

static int memory_reserve(struct store_backend *b, uint64_t revision, struct err *err)
{
	disk_of(b)->reserved = revision;
	return 0;
}

static int memory_load(
	struct store_backend *b, struct backend_loader *l, uint64_t *ret_reserved, struct err *err)
{
	struct memory_disk *d = disk_of(b);
	int r;

	for (size_t i = 0; i < d->n; i++) {
		const struct row *row = &d->rows[i];

		r = l->object(l, row->created, str_c(row->resource->group),
			str_c(row->resource->plural), row->object->json, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < schema_n_resources; i++)
		if (d->deleted[i])
			l->deleted(l, str_c(schema_resources[i]->group),
				str_c(schema_resources[i]->plural), d->deleted[i]);
	*ret_reserved = d->reserved;
	return 0;
}

static void memory_close(struct store_backend *b)
{
	struct memory_backend *m = container_of(b, struct memory_backend, backend);

	if (m->owns_disk)
		memory_disk_free(m->disk);
	free(m);
}

static const struct store_backend_ops memory_ops = {
	.name = "memory",
	.load = memory_load,
	.commit = memory_commit,
	.reserve = memory_reserve,
	.close = memory_close,
};

struct store_backend *backend_memory_on(struct memory_disk *d)
{
	struct memory_backend *m = xcalloc(1, sizeof(*m));

	m->backend.ops = &memory_ops;
	m->disk = d;
	return &m->backend;
}

struct store_backend *backend_memory_new(void)
{
	struct store_backend *b = backend_memory_on(memory_disk_new());

	container_of(b, struct memory_backend, backend)->owns_disk = true;
	return b;
}
