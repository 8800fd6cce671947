#include "apiserver/fieldmanager/managed.h"

#include "apiserver/field.h"
#include "json/write.h"

enum { FIELDS_MAX = 4 * 1024 * 1024 };

const struct field_set *managed_set(struct managed_entry *e, struct arena *a)
{
	if (e->is_text && field_set_parse(e->text, a, &e->set) < 0)
		e->set = (struct field_set){0};
	e->is_text = false;
	return &e->set;
}

void managed_set_to(struct managed_entry *e, struct field_set set)
{
	e->set = set;
	e->is_text = false;
}

static bool same(const struct managed_entry *x, const struct managed_entry *y)
{
	return x->applied == y->applied && str_eq(x->manager, y->manager) &&
	       str_eq(x->subresource, y->subresource) &&
	       (x->applied || str_eq(x->api_version, y->api_version));
}

struct managed_entry *managed_find(const struct managed *m, const struct managed_entry *like)
{
	for (size_t i = 0; i < m->n; i++)
		if (same(&m->v[i], like))
			return &m->v[i];
	return NULL;
}

void managed_remove(struct managed *m, struct managed_entry *e)
{
	size_t at = e - m->v;

	memmove(e, e + 1, (m->n - at - 1) * sizeof(*e));
	m->n--;
}

void managed_drop_empty(struct managed *m, struct arena *a)
{
	for (size_t i = 0; i < m->n;) {
		if (managed_set(&m->v[i], a)->n)
			i++;
		else
			managed_remove(m, &m->v[i]);
	}
}

struct managed managed_copy(const struct managed *m, struct arena *a)
{
	struct managed ret = {0};

	for (size_t i = 0; i < m->n; i++)
		ARENA_PUSH(a, &ret, m->v[i]);
	return ret;
}

/* --- from and to metadata --- */

static int check_entry(
	const struct meta_v1_managed_fields_entry *e, size_t at, struct arena *a, struct str *why)
{
	if (!str_eqc(e->operation, "Apply") && !str_eqc(e->operation, "Update"))
		*why = S("operation must be `Apply` or `Update`");
	else if (!e->api_version.n)
		*why = S("apiVersion must not be empty");
	else if (!e->fields_type.n)
		*why = arena_fmt(a, "missing fieldsType in managed fields entry %zu", at);
	else if (!str_eqc(e->fields_type, "FieldsV1"))
		*why = arena_fmt(a, "invalid fieldsType " STR_FMT " in managed fields entry %zu",
			STR_ARG(go_quote(a, e->fields_type)), at);
	else
		return 0;
	return -EINVAL;
}

int managed_decode(const struct meta_v1_managed_fields_entry_vec *from, bool trusted,
	struct arena *a, struct managed *ret, struct str *why)
{
	struct str ignored;

	if (!why)
		why = &ignored;
	*ret = (struct managed){0};
	for (size_t i = 0; i < from->n; i++) {
		const struct meta_v1_managed_fields_entry *f = &from->v[i];
		struct managed_entry e = {.manager = f->manager,
			.api_version = f->api_version,
			.subresource = f->subresource,
			.applied = str_eqc(f->operation, "Apply"),
			.time = f->time,
			.is_text = true,
			.text = f->fields_v1.n ? f->fields_v1 : S("{}")};
		struct managed_entry *there;

		if (check_entry(f, i, a, why) < 0)
			return -EINVAL;
		if (!trusted && field_set_parse(e.text, a, &e.set) < 0) {
			*why = S("error decoding set");
			return -EINVAL;
		}
		e.is_text = trusted;
		there = managed_find(ret, &e);
		if (there)
			*there = e;
		else
			ARENA_PUSH(a, ret, e);
	}
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct managed_entry *x = a, *y = b;
	int64_t s = x->time.set ? x->time.sec : 0, t = y->time.set ? y->time.sec : 0;
	int order;

	if (x->applied != y->applied)
		return x->applied ? -1 : 1;
	if (s != t)
		return s < t ? -1 : 1;
	order = str_cmp(x->manager, y->manager);
	if (!order)
		order = str_cmp(x->api_version, y->api_version);
	return order ? order : str_cmp(x->subresource, y->subresource);
}

static struct str text_of(const struct managed_entry *e, struct buf *scratch, struct arena *a)
{
	if (e->is_text)
		return e->text;
	buf_reset(scratch);
	field_set_write(&e->set, scratch);
	return arena_str(a, buf_str(scratch));
}

void managed_encode(
	const struct managed *m, struct arena *a, struct meta_v1_managed_fields_entry_vec *ret)
{
	struct buf scratch CLEANUP(buf_release) = {0};
	struct managed sorted = managed_copy(m, a);

	*ret = (struct meta_v1_managed_fields_entry_vec){0};
	buf_init(&scratch, FIELDS_MAX);
	if (sorted.n > 1)
		qsort(sorted.v, sorted.n, sizeof(*sorted.v), by_age);
	for (size_t i = 0; i < sorted.n; i++) {
		const struct managed_entry *e = &sorted.v[i];
		struct meta_v1_managed_fields_entry to = {.manager = e->manager,
			.operation = e->applied ? S("Apply") : S("Update"),
			.api_version = e->api_version,
			.time = e->time,
			.fields_type = S("FieldsV1"),
			.fields_v1 = text_of(e, &scratch, a),
			.subresource = e->subresource};

		ARENA_PUSH(a, ret, to);
	}
}

/* --- names --- */

struct str managed_identity(const struct managed_entry *e, struct arena *a)
{
	struct meta_v1_managed_fields_entry m = {.manager = e->manager,
		.operation = e->applied ? S("Apply") : S("Update"),
		.api_version = e->applied ? S("") : e->api_version,
		.subresource = e->subresource};
	struct buf b;
	struct str s;

	buf_init(&b, FIELDS_MAX);
	schema_encode_json(&meta_v1_managed_fields_entry_schema, &m, &b);
	s = arena_str(a, buf_str(&b));
	buf_release(&b);
	return s;
}

struct str managed_title(const struct managed_entry *e, struct arena *a)
{
	struct str s = go_quote(a, e->manager);

	if (e->subresource.n)
		s = arena_fmt(a, STR_FMT " with subresource " STR_FMT, STR_ARG(s),
			STR_ARG(go_quote(a, e->subresource)));
	if (!e->applied)
		s = arena_fmt(a, STR_FMT " using " STR_FMT, STR_ARG(s), STR_ARG(e->api_version));
	return s;
}
