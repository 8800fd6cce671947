/* print_rbac.c: the cells of roles and bindings. */
#include "apiserver/resources/printers.h"
#include "apiserver/server.h"
#include "types.gen.h"

static void print_named(struct arena *a, const struct meta_v1_object_meta *m, struct buf *cells)
{
	struct row r = {.a = a, .out = cells};

	row_str(&r, m->name);
	row_str(&r, time_text(a, m->creation_timestamp.sec));
}

void print_role(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	print_named(a, &((const struct rbac_v1_role *)obj)->metadata, cells);
}

void print_cluster_role(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	print_named(a, &((const struct rbac_v1_cluster_role *)obj)->metadata, cells);
}

static struct str names_of(
	struct arena *a, const struct rbac_v1_subject_vec *subjects, const char *kind)
{
	struct str_vec out = {0};

	for (size_t i = 0; i < subjects->n; i++) {
		const struct rbac_v1_subject *s = &subjects->v[i];

		if (!str_eqc(s->kind, kind))
			continue;
		if (!strcmp(kind, "ServiceAccount"))
			ARENA_PUSH(a, &out,
				arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(s->namespace),
					STR_ARG(s->name)));
		else
			ARENA_PUSH(a, &out, s->name);
	}
	return out.n ? join_list(a, &out, ", ") : S("");
}

static void print_binding(struct row *r, const struct meta_v1_object_meta *m,
	const struct rbac_v1_role_ref *ref, const struct rbac_v1_subject_vec *subjects)
{
	row_str(r, m->name);
	row_fmt(r, STR_FMT "/" STR_FMT, STR_ARG(ref->kind), STR_ARG(ref->name));
	row_age(r, &m->creation_timestamp);
	row_str(r, names_of(r->a, subjects, "User"));
	row_str(r, names_of(r->a, subjects, "Group"));
	row_str(r, names_of(r->a, subjects, "ServiceAccount"));
}

void print_role_binding(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct rbac_v1_role_binding *b = obj;
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	print_binding(&r, &b->metadata, &b->role_ref, &b->subjects);
}

void print_cluster_role_binding(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct rbac_v1_cluster_role_binding *b = obj;
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	print_binding(&r, &b->metadata, &b->role_ref, &b->subjects);
}
