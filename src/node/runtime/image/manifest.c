#include "node/runtime/image/manifest.h"

#include <sys/utsname.h>

#include "json/value.h"
#include "node/runtime/image/ref.h"
#include "node/runtime/image/store.h"

enum { ENTRIES_MAX = 1024 };

const char *manifest_architecture(void)
{
	static const struct {
		const char *machine, *arch;
	} table[] = {
		{"x86_64", "amd64"},
		{"aarch64", "arm64"},
		{"armv7l", "arm"},
		{"armv6l", "arm"},
		{"i686", "386"},
		{"riscv64", "riscv64"},
		{"ppc64le", "ppc64le"},
		{"s390x", "s390x"},
	};
	struct utsname u;

	uname(&u);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(u.machine, table[i].machine))
			return table[i].arch;
	return "unknown";
}

static int parse_blob(const struct json_value *v, struct manifest_blob *to, struct err *err)
{
	const struct json_value *size = json_getc(v, "size");

	to->digest = json_get_str(v, "digest");
	to->media_type = json_get_str(v, "mediaType");
	if (!digest_valid(to->digest))
		return err_bad_request(err,
			"the image's manifest has a broken digest \"" STR_FMT "\"",
			STR_ARG(to->digest));
	if (!size || size->kind != JSON_NUMBER || str_to_u64(size->text, &to->size) < 0 ||
		to->size > IMAGE_LAYER_BYTES_MAX)
		return err_bad_request(err, "the image's manifest has a broken size of " STR_FMT,
			STR_ARG(to->digest));
	return 0;
}

static int parse_index(
	const struct json_value *list, struct arena *a, struct manifest *m, struct err *err)
{
	if (list->kind != JSON_ARRAY || list->items.n > ENTRIES_MAX)
		return err_bad_request(err, "the image's index is broken");
	m->is_index = true;
	for (size_t i = 0; i < list->items.n; i++) {
		const struct json_value *v = list->items.v[i], *platform = json_getc(v, "platform");
		const struct json_value *notes = json_getc(v, "annotations");
		struct manifest_entry e = {
			.digest = json_get_str(v, "digest"),
			.media_type = json_get_str(v, "mediaType"),
			.os = json_get_str(platform, "os"),
			.architecture = json_get_str(platform, "architecture"),
			.variant = json_get_str(platform, "variant"),
			.ref_name = json_get_str(notes, "org.opencontainers.image.ref.name"),
			.image_name = json_get_str(notes, "io.containerd.image.name"),
		};

		if (!digest_valid(e.digest))
			return err_bad_request(err, "the image's index has a broken digest");
		ARENA_PUSH(a, &m->entries, e);
	}
	return 0;
}

int manifest_parse(struct str text, struct arena *a, struct manifest *ret, struct err *err)
{
	struct manifest m = {0};
	struct json_value *root, *list, *version;
	int r;

	if (json_parse(text, a, &root, NULL) < 0 || root->kind != JSON_OBJECT)
		return err_bad_request(err, "the image's manifest is not a JSON object");
	version = json_getc(root, "schemaVersion");
	if (version && str_eqc(version->text, "1"))
		return err_bad_request(err,
			"the image's manifest is of schema 1, which is not supported any more");
	list = json_getc(root, "manifests");
	if (list) {
		r = parse_index(list, a, &m, err);
		if (r == 0)
			*ret = m;
		return r;
	}
	list = json_getc(root, "layers");
	if (!list || list->kind != JSON_ARRAY || list->items.n > IMAGE_LAYERS_MAX)
		return err_bad_request(err, "the image's manifest has no proper list of layers");
	r = parse_blob(json_getc(root, "config"), &m.config, err);
	for (size_t i = 0; i < list->items.n && r == 0; i++) {
		struct manifest_blob b;

		r = parse_blob(list->items.v[i], &b, err);
		ARENA_PUSH(a, &m.layers, b);
	}
	if (r == 0)
		*ret = m;
	return r;
}

/* An exact match first; then an entry that says no platform. arm: the highest variant the table
 * lists first. */
struct str manifest_choose(const struct manifest *index)
{
	const char *arch = manifest_architecture();
	const struct manifest_entry *any = NULL;

	for (size_t i = 0; i < index->entries.n; i++) {
		const struct manifest_entry *e = &index->entries.v[i];

		if (str_eqc(e->architecture, arch) && (!e->os.n || str_eqc(e->os, "linux")))
			return e->digest;
		if (!e->architecture.n && !any)
			any = e;
	}
	return any ? any->digest : (struct str){0};
}
