/* crd_v1beta1.c: what v1beta1 said once for all versions, v1 says for each. */
#include "apiserver/stored.h"
#include "json/value.h"

/* Moves spec.<from> into every version, as <to>, where the version has none of its own. */
static void spread(struct arena *a, struct json_value *spec, struct json_value *versions,
	const char *from, const char *to)
{
	struct json_value *v = json_getc(spec, from);

	for (size_t i = 0; v && i < versions->items.n; i++)
		if (!json_getc(versions->items.v[i], to))
			json_set(a, versions->items.v[i], str_c(to), json_copy(v, a));
	json_remove(spec, str_c(from));
}

/* Their paths were called JSONPath. */
static void rename_column_paths(struct arena *a, struct json_value *version)
{
	struct json_value *columns = json_getc(version, "additionalPrinterColumns"), *path;

	for (size_t i = 0; columns && i < columns->items.n; i++) {
		path = json_getc(columns->items.v[i], "JSONPath");
		if (!path)
			continue;
		json_remove(columns->items.v[i], S("JSONPath"));
		json_set(a, columns->items.v[i], S("jsonPath"), path);
	}
}

static struct json_value *only_version(struct arena *a, struct json_value *name)
{
	struct json_value *list = json_new(a, JSON_ARRAY), *one = json_new(a, JSON_OBJECT);

	json_set(a, one, S("name"), name);
	json_set(a, one, S("served"), json_new_bool(a, true));
	json_set(a, one, S("storage"), json_new_bool(a, true));
	json_append(a, list, one);
	return list;
}

static void convert_conversion(struct arena *a, struct json_value *spec)
{
	struct json_value *c = json_getc(spec, "conversion"), *config, *reviewed, *hook;

	if (!c)
		return;
	config = json_getc(c, "webhookClientConfig");
	reviewed = json_getc(c, "conversionReviewVersions");
	json_remove(c, S("webhookClientConfig"));
	json_remove(c, S("conversionReviewVersions"));
	if (!config && !reviewed)
		return;
	hook = json_new(a, JSON_OBJECT);
	if (config)
		json_set(a, hook, S("clientConfig"), config);
	if (reviewed)
		json_set(a, hook, S("conversionReviewVersions"), reviewed);
	json_set(a, c, S("webhook"), hook);
}

/* Fields that are not named prune, unless the definition says otherwise: in v1beta1 the default was
 * to keep them. */
static void convert_pruning(struct json_value *spec)
{
	struct json_value *keep = json_getc(spec, "preserveUnknownFields");

	if (keep && keep->kind == JSON_BOOL && !keep->boolean)
		json_remove(spec, S("preserveUnknownFields"));
}

int crd_from_v1beta1(struct str json, struct arena *a, struct str *ret, struct err *err)
{
	struct json_value *o, *spec, *versions, *name;
	int r = json_parse(json, a, &o, err);

	if (r < 0)
		return r;
	spec = json_getc(o, "spec");
	if (!spec || spec->kind != JSON_OBJECT)
		return err_bad_request(err, "a CustomResourceDefinition without spec");
	versions = json_getc(spec, "versions");
	name = json_getc(spec, "version");
	if (name && (!versions || versions->kind != JSON_ARRAY || versions->items.n == 0)) {
		versions = only_version(a, name);
		json_set(a, spec, S("versions"), versions);
	}
	if (!versions || versions->kind != JSON_ARRAY)
		return err_bad_request(err, "a CustomResourceDefinition without versions");
	json_remove(spec, S("version"));
	spread(a, spec, versions, "validation", "schema");
	spread(a, spec, versions, "subresources", "subresources");
	spread(a, spec, versions, "additionalPrinterColumns", "additionalPrinterColumns");
	spread(a, spec, versions, "selectableFields", "selectableFields");
	for (size_t i = 0; i < versions->items.n; i++)
		rename_column_paths(a, versions->items.v[i]);
	convert_conversion(a, spec);
	convert_pruning(spec);
	*ret = json_text(o, a);
	return 0;
}
