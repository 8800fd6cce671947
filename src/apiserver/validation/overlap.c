/* overlap.c: files of a volume that lie on or in one another. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/overlap.h"
#include "schema/quantity.h"

struct file {
	struct str path, source;
};

struct files {
	struct file *v;
	size_t n;
};

static struct str file_text(struct arena *a, const struct file *f)
{
	struct str path = go_quote(a, f->path);

	return f->source.n
		       ? arena_fmt(a, STR_FMT " (" STR_FMT ")", STR_ARG(path), STR_ARG(f->source))
		       : path;
}

static bool lies_in(struct arena *a, struct str inner, struct str outer)
{
	return str_starts(arena_fmt(a, STR_FMT "/", STR_ARG(inner)),
		arena_fmt(a, STR_FMT "/", STR_ARG(outer)));
}

/* Adds a file; tells of each earlier one that it meets. */
static void add_file(struct arena *a, struct files *all, struct str path, struct str source,
	struct str name, struct str what, struct str_vec *out)
{
	struct file f = {.path = path, .source = source};
	struct str mine, volume = go_quote(a, name);

	while (f.path.n && f.path.p[f.path.n - 1] == '/')
		f.path.n--;
	mine = file_text(a, &f);
	for (size_t i = 0; f.path.n && i < all->n; i++) {
		struct str other = file_text(a, &all->v[i]);

		if (all->v[i].path.n &&
			(lies_in(a, all->v[i].path, f.path) || lies_in(a, f.path, all->v[i].path)))
			ARENA_PUSH(a, out,
				arena_fmt(a,
					"volume " STR_FMT " (" STR_FMT
					"): overlapping paths: " STR_FMT " with " STR_FMT,
					STR_ARG(volume), STR_ARG(what), STR_ARG(mine),
					STR_ARG(other)));
	}
	ARENA_PUSH(a, all, f);
}

static struct str source_text(struct arena *a, const char *kind, struct str name)
{
	struct str quoted = go_quote(a, name);

	return arena_fmt(a, "%s " STR_FMT, kind, STR_ARG(quoted));
}

static void add_items(struct arena *a, struct files *all, const struct v1_key_to_path_vec *items,
	struct str source, struct str name, struct str what, struct str_vec *out)
{
	for (size_t i = 0; i < items->n; i++)
		add_file(a, all, items->v[i].path, source, name, what, out);
}

static void add_downward(struct arena *a, struct files *all,
	const struct v1_downward_api_volume_file_vec *items, struct str source, struct str name,
	struct str what, struct str_vec *out)
{
	for (size_t i = 0; i < items->n; i++)
		add_file(a, all, items->v[i].path, source, name, what, out);
}

static void add_source(struct arena *a, struct files *all, const struct v1_volume_projection *s,
	struct str name, struct str_vec *out)
{
	struct str what = S("Projected"), quoted = go_quote(a, name);

	if (s->config_map && s->config_map->items.n)
		add_items(a, all, &s->config_map->items,
			source_text(a, "ConfigMap", s->config_map->name), name, what, out);
	else if (s->secret && s->secret->items.n)
		add_items(a, all, &s->secret->items, source_text(a, "Secret", s->secret->name),
			name, what, out);
	else if (s->downward_api && s->downward_api->items.n)
		add_downward(a, all, &s->downward_api->items, S("DownwardAPI"), name, what, out);
	else if (s->service_account_token)
		add_file(a, all, s->service_account_token->path, S("ServiceAccountToken"), name,
			what, out);
	else if (!s->config_map && !s->secret && !s->downward_api && !s->cluster_trust_bundle &&
		 !s->pod_certificate)
		ARENA_PUSH(a, out,
			arena_fmt(a, "volume " STR_FMT " (Projected) has no sources provided",
				STR_ARG(quoted)));
}

void overlap_warnings(struct arena *a, const struct v1_volume_vec *volumes, struct str_vec *out)
{
	for (size_t i = 0; i < volumes->n; i++) {
		const struct v1_volume *v = &volumes->v[i];
		struct files maps = {0}, secrets = {0}, downward = {0}, projected = {0};

		if (v->config_map)
			add_items(a, &maps, &v->config_map->items, S(""), v->name,
				source_text(a, "ConfigMap", v->config_map->name), out);
		if (v->secret)
			add_items(a, &secrets, &v->secret->items, S(""), v->name,
				source_text(a, "Secret", v->secret->secret_name), out);
		if (v->downward_api)
			add_downward(a, &downward, &v->downward_api->items, S(""), v->name,
				S("DownwardAPI"), out);
		for (size_t k = 0; v->projected && k < v->projected->sources.n; k++)
			add_source(a, &projected, &v->projected->sources.v[k], v->name, out);
	}
}

void claim_warnings(struct arena *a, const struct field_path *spec_path,
	const struct v1_persistent_volume_claim_spec *spec, struct str_vec *out)
{
	const struct {
		const char *what;
		const struct str_map *m;
	} lists[] = {{"requests", &spec->resources.requests}, {"limits", &spec->resources.limits}};
	struct field_path r = FIELD(spec_path, "resources");

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const struct str *v = str_map_get(lists[i].m, S("storage"));
		struct quantity q = quantity_of(v ? *v : S("0"));
		struct field_path list = {.parent = &r, .name = str_c(lists[i].what)};
		struct str path = field_path_text(a, AT_KEY(&list, S("storage")));
		struct str text = quantity_text(&q, a);

		if (quantity_milli(&q) % 1000 != 0)
			ARENA_PUSH(a, out,
				arena_fmt(a,
					STR_FMT ": fractional byte value \"" STR_FMT
						"\" is invalid, must be an integer",
					STR_ARG(path), STR_ARG(text)));
	}
}

void label_value_warning(
	struct arena *a, const struct field_path *p, struct str value, struct str_vec *out)
{
	struct str_vec msgs = is_label_value(a, value);
	struct str path = field_path_text(a, p);

	for (size_t i = 0; i < msgs.n; i++)
		ARENA_PUSH(a, out,
			arena_fmt(a, STR_FMT ": " STR_FMT " is invalid, " STR_FMT, STR_ARG(path),
				STR_ARG(value), STR_ARG(msgs.v[i])));
}
