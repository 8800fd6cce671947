#include "controllers/revisions.h"

#include <inttypes.h>

#include "json/value.h"

static uint32_t fnv32a(uint32_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 16777619U;
	return h;
}

/* FNV-1a of the canonical JSON. */
struct str template_hash(
	const struct v1_pod_template_spec *t, const int32_t *collisions, struct arena *a)
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
	uint32_t h = 2166136261U;
	struct buf json;

	buf_init(&json, OBJECT_JSON_MAX);
	schema_encode_json(&v1_pod_template_spec_schema, t, &json);
	h = fnv32a(h, json.p, json.n);
	buf_release(&json);
	if (collisions && *collisions) {
		uint64_t n = (uint32_t)*collisions;

		h = fnv32a(h, &n, sizeof(n));
	}
	struct str digits = arena_fmt(a, "%" PRIu32, h);
	char *out = arena_cstr(a, digits);
	for (size_t i = 0; i < digits.n; i++)
		out[i] = alphabet[(unsigned char)out[i] % (sizeof(alphabet) - 1)];
	return str_n(out, digits.n);
}

static int by_number(const void *va, const void *vb)
{
	const struct revision *a = va, *b = vb;

	if (a->rev->revision != b->rev->revision)
		return a->rev->revision < b->rev->revision ? -1 : 1;
	return str_cmp(a->rev->metadata.name, b->rev->metadata.name);
}

static void load(struct history *h)
{
	struct meta_v1_owner_reference ref = owner_ref(h->owner->resource, h->meta, h->v->arena);
	struct object_vec mine = claim(h->v, h->p, &apps_v1_controller_revision_resource, h->owner,
		&ref, h->selector, NULL);

	for (size_t i = 0; i < mine.n; i++) {
		const struct revision r = {mine.v[i], object_decode(mine.v[i], h->v->arena)};

		ARENA_PUSH(h->v->arena, &h->all, r);
	}
	if (h->all.n)
		qsort(h->all.v, h->all.n, sizeof(*h->all.v), by_number);
}

/* Go writes these as escapes, and revisions are compared as bytes. */
static void escape_html(struct str json, struct buf *out)
{
	for (size_t i = 0; i < json.n; i++)
		if (strchr("<>&", json.p[i]))
			buf_fmt(out, "\\u%04x", json.p[i]);
		else
			buf_add_char(out, json.p[i]);
}

/* What rollout undo applies to the owner: its template, as a strategic merge patch that replaces
 * it; byte for byte what upstream's controllers write, whose clients look for their template so. */
static struct str patch_of(struct history *h)
{
	struct arena *a = h->v->arena;
	struct buf text, out;
	struct json_value *t;
	struct str patch;

	buf_init(&text, OBJECT_JSON_MAX);
	buf_init(&out, OBJECT_JSON_MAX * 2);
	schema_encode_json(&v1_pod_template_spec_schema, h->tmpl, &text);
	buf_add_c(&out, "{\"spec\":{\"template\":");
	if (json_parse(buf_str(&text), a, &t, NULL) == 0) {
		struct buf sorted;

		json_set(a, t, S("$patch"), json_new_string(a, S("replace")));
		buf_init(&sorted, OBJECT_JSON_MAX);
		json_write_sorted(t, &sorted);
		escape_html(buf_str(&sorted), &out);
		buf_release(&sorted);
	}
	buf_add_c(&out, "}}");
	patch = arena_str(a, buf_str(&out));
	buf_release(&text);
	buf_release(&out);
	return patch;
}

static void create(struct history *h, struct str name, int64_t number)
{
	struct arena *a = h->v->arena;
	struct apps_v1_controller_revision *rev = ARENA_NEW(a, struct apps_v1_controller_revision);
	struct plan_write *w;

	rev->metadata.name = name;
	rev->metadata.namespace = h->owner->ns;
	rev->metadata.labels =
		str_map_with(h->tmpl->metadata.labels, S(LABEL_REVISION_HASH), h->hash, a);
	rev->metadata.annotations = h->meta->annotations;
	ARENA_PUSH(a, &rev->metadata.owner_references, owner_ref(h->owner->resource, h->meta, a));
	rev->data = patch_of(h);
	rev->revision = number;
	w = plan_add(h->p, PLAN_CREATE, &apps_v1_controller_revision_resource, h->owner->ns, name);
	w->object = rev;
	plan_next_wave(h->p);
	h->current = (struct revision){NULL, rev};
}

static bool is_taken(const struct history *h, struct str name)
{
	const struct plan_failure *f = h->v->failure;

	return f && f->op == PLAN_CREATE && f->resource == &apps_v1_controller_revision_resource &&
	       str_eq(f->reason, S("AlreadyExists")) && str_eq(f->name, name) &&
	       view_get(h->v, &apps_v1_controller_revision_resource, h->owner->ns, name);
}

bool history_sync(struct history *h, int32_t **ret_collisions)
{
	struct arena *a = h->v->arena;
	int64_t newest = 0;

	h->hash = template_hash(h->tmpl, h->collisions, a);
	load(h);
	struct str name = arena_fmt(a, "%.*s-" STR_FMT,
		(int)MIN(h->owner->name.n, (size_t)(253 - 1) - h->hash.n), h->owner->name.p,
		STR_ARG(h->hash));
	for (size_t i = 0; i < h->all.n; i++) {
		if (str_eq(h->all.v[i].rev->metadata.name, name))
			h->current = h->all.v[i];
		else
			newest = MAX(newest, h->all.v[i].rev->revision);
	}
	if (!h->current.rev) {
		if (is_taken(h, name)) {
			*ret_collisions = ARENA_NEW(a, int32_t);
			**ret_collisions = (h->collisions ? *h->collisions : 0) + 1;
			return false;
		}
		create(h, name, newest + 1);
	} else if (h->current.rev->revision <= newest) {
		h->current.rev->revision = newest + 1;
		plan_add(h->p, PLAN_UPDATE, &apps_v1_controller_revision_resource, h->owner->ns,
			name)
			->object = h->current.rev;
	}
	return true;
}

void history_trim(struct history *h, int32_t limit,
	bool (*is_live)(void *user_data, struct str hash), void *user_data)
{
	int64_t old = (int64_t)h->all.n - (h->current.object ? 1 : 0), to_drop = old - limit;

	for (size_t i = 0; i < h->all.n && to_drop > 0; i++) {
		const struct revision *r = &h->all.v[i];
		struct str hash = str_map_value(&r->rev->metadata.labels, S(LABEL_REVISION_HASH));

		if (r->object == h->current.object || is_live(user_data, hash))
			continue;
		plan_add(h->p, PLAN_DELETE, r->object->resource, r->object->ns, r->object->name)
			->ignore_not_found = true;
		to_drop--;
	}
}
