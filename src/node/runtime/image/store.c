#include "node/runtime/image/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "json/value.h"
#include "base/fs.h"
#include "node/runtime/image/ref.h"
#include "node/runtime/image/store_int.h"
#include "node/runtime/jsonout.h"

enum { INDEX_MAX = 64 * 1024 * 1024, SHORT_ID_MIN = 12, LAYER_NAME_LEN = 16 };

static const char *sub(const struct image_store *s, const char *name, struct arena *a)
{
	return arena_fmt(a, "%s/%s", s->dir, name).p;
}

const char *image_blob_path(const struct image_store *s, struct str digest, struct arena *a)
{
	return arena_fmt(
		a, "%s/blobs/sha256/" STR_FMT, s->dir, STR_ARG(str_sub(digest, 7, digest.n)))
		.p;
}

const char *image_layer_dir(const struct image_store *s, struct str chain, struct arena *a)
{
	return arena_fmt(
		a, "%s/layers/" STR_FMT, s->dir, STR_ARG(str_sub(chain, 7, 7 + LAYER_NAME_LEN)))
		.p;
}

int image_store_lock(const struct image_store *s, bool exclusive)
{
	char *path CLEANUP(free_ptr) = xasprintf("%s/lock", s->dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	while (flock(fd, exclusive ? LOCK_EX : LOCK_SH) < 0) {
		if (errno == EINTR)
			continue;
		close(fd);
		return -errno;
	}
	return fd;
}

/* A directory in tmp whose lock can be had belongs to a process that is gone. */
static void sweep_tmp(const char *tmp)
{
	DIR *dir = opendir(tmp);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		int fd CLEANUP(fd_close) = -1;

		if (e->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			fs_remove_tree_at(dirfd(dir), e->d_name);
	}
	if (dir)
		closedir(dir);
}

int image_store_prepare(const struct image_store *s, struct err *err)
{
	static const char *const dirs[] = {"blobs/sha256", "layers", "tmp", "ingest"};
	struct arena a CLEANUP(arena_release);

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int r = fs_mkdirs(sub(s, dirs[i], &a), 0700);

		if (r < 0)
			return err_errno(err, -r, "cannot make %s/%s", s->dir, dirs[i]);
	}
	sweep_tmp(sub(s, "tmp", &a));
	return 0;
}

static void read_strs(const struct json_value *v, struct arena *a, struct str_vec *to)
{
	for (size_t i = 0; v && v->kind == JSON_ARRAY && i < v->items.n; i++)
		if (v->items.v[i]->kind == JSON_STRING)
			ARENA_PUSH(a, to, arena_str(a, v->items.v[i]->text));
}

static void read_image(const struct json_value *v, struct arena *a, struct image *to)
{
	const struct json_value *size = json_getc(v, "size");

	to->id = arena_str(a, json_get_str(v, "id"));
	to->manifest = arena_str(a, json_get_str(v, "manifest"));
	to->user = arena_str(a, json_get_str(v, "user"));
	read_strs(json_getc(v, "tags"), a, &to->tags);
	read_strs(json_getc(v, "digests"), a, &to->digests);
	read_strs(json_getc(v, "layers"), a, &to->layers);
	if (size)
		str_to_u64(size->text, &to->size);
}

int image_index_load(
	const struct image_store *s, struct arena *a, struct image_index *ret, struct err *err)
{
	struct image_index idx = {0};
	struct json_value *root, *list;
	struct str text;
	int r = fs_read(sub(s, "index.json", a), INDEX_MAX, a, &text);

	if (r == -ENOENT) {
		*ret = idx;
		return 0;
	}
	if (r < 0)
		return err_errno(err, -r, "cannot read %s/index.json", s->dir);
	r = json_parse(text, a, &root, err);
	if (r < 0)
		return r;
	list = json_getc(root, "images");
	for (size_t i = 0; list && i < list->items.n; i++) {
		struct image img = {0};

		read_image(list->items.v[i], a, &img);
		if (digest_valid(img.id))
			ARENA_PUSH(a, &idx, img);
	}
	*ret = idx;
	return 0;
}

int image_index_save(const struct image_store *s, const struct image_index *idx, struct arena *a,
	struct err *err)
{
	struct buf b CLEANUP(buf_release) = {0};
	struct jout j = {&b};
	int r;

	buf_init(&b, INDEX_MAX);
	jout_open(&j, NULL, '{');
	jout_open(&j, "images", '[');
	for (size_t i = 0; i < idx->n; i++) {
		const struct image *m = &idx->v[i];

		jout_open(&j, NULL, '{');
		jout_str(&j, "id", m->id);
		jout_strs(&j, "tags", &m->tags);
		jout_strs(&j, "digests", &m->digests);
		jout_strs(&j, "layers", &m->layers);
		jout_str(&j, "manifest", m->manifest);
		jout_str(&j, "user", m->user);
		jout_int(&j, "size", m->size);
		jout_close(&j, '}');
	}
	jout_close(&j, ']');
	jout_close(&j, '}');
	if (buf_failed(&b))
		return err_fmt(err, 500, "InternalError", "too many images");
	r = fs_write_durably(sub(s, "index.json", a), buf_str(&b), 0600);
	return r < 0 ? err_errno(err, -r, "cannot write %s/index.json", s->dir) : 0;
}

static struct image *find_id(const struct image_index *idx, struct str hex)
{
	for (size_t i = 0; i < idx->n; i++)
		if (str_starts(str_sub(idx->v[i].id, 7, idx->v[i].id.n), hex))
			return &idx->v[i];
	return NULL;
}

struct image *image_find(const struct image_index *idx, struct str name, struct arena *a)
{
	struct image_ref ref;

	if (str_starts(name, S("sha256:")))
		return find_id(idx, str_sub(name, 7, name.n));
	if (image_ref_parse(name, a, &ref, NULL) == 0) {
		struct str full = ref.digest.n ? image_ref_digested(&ref, ref.digest, a)
					       : image_ref_tagged(&ref, a);

		for (size_t i = 0; i < idx->n; i++)
			if (str_vec_has(ref.digest.n ? &idx->v[i].digests : &idx->v[i].tags, full))
				return &idx->v[i];
	}
	if (name.n >= SHORT_ID_MIN && strspn(arena_cstr(a, name), "0123456789abcdef") == name.n)
		return find_id(idx, name);
	return NULL;
}

int image_config(const struct image_store *s, struct str id, struct arena *a, struct str *ret,
	struct err *err)
{
	int r = digest_valid(id) ? fs_read(image_blob_path(s, id, a), IMAGE_DOCUMENT_MAX, a, ret)
				 : -ENOENT;

	return r < 0 ? err_errno(err, -r, "image " STR_FMT, STR_ARG(id)) : 0;
}

int image_config_diff_ids(struct str config, struct arena *a, struct str_vec *ret, struct err *err)
{
	struct json_value *root, *list;
	struct str_vec ids = {0};
	struct str os;
	int r = json_parse(config, a, &root, NULL);

	if (r < 0 || root->kind != JSON_OBJECT)
		return err_bad_request(err, "the image's configuration is not a JSON object");
	os = json_get_str(root, "os");
	if (os.n && !str_eqc(os, "linux"))
		return err_bad_request(
			err, "the image is for \"" STR_FMT "\", not linux", STR_ARG(os));
	list = json_getc(json_getc(root, "rootfs"), "diff_ids");
	read_strs(list, a, &ids);
	if (!list || list->kind != JSON_ARRAY || ids.n != list->items.n || ids.n > IMAGE_LAYERS_MAX)
		return err_bad_request(
			err, "the image's configuration has no proper rootfs.diff_ids");
	for (size_t i = 0; i < ids.n; i++)
		if (!digest_valid(ids.v[i]))
			return err_bad_request(
				err, "the image's configuration has a broken diff id");
	*ret = ids;
	return 0;
}

/* --- removing --- */

static void remove_at(struct str_vec *v, size_t at)
{
	memmove(v->v + at, v->v + at + 1, (v->n - at - 1) * sizeof(*v->v));
	v->n--;
}

/* Takes one name off; false when the image has no such name. */
static bool drop_name(struct image *m, struct str name, struct arena *a)
{
	struct image_ref ref;
	struct str full;
	struct str_vec *names;

	if (image_ref_parse(name, a, &ref, NULL) < 0)
		return false;
	full = ref.digest.n ? image_ref_digested(&ref, ref.digest, a) : image_ref_tagged(&ref, a);
	names = ref.digest.n ? &m->digests : &m->tags;
	for (size_t i = 0; i < names->n; i++)
		if (str_eq(names->v[i], full)) {
			remove_at(names, i);
			return true;
		}
	return false;
}

/* The layers that containers stand on, from their records. */
static void layers_in_use(const struct image_store *s, struct arena *a, struct str_vec *to)
{
	DIR *dir = s->containers_dir ? opendir(s->containers_dir) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		const char *path =
			arena_fmt(a, "%s/%s/container.json", s->containers_dir, e->d_name).p;
		struct json_value *v;
		struct str text;

		if (e->d_name[0] == '.' || fs_read(path, FS_SMALL_MAX, a, &text) < 0 ||
			json_parse(text, a, &v, NULL) < 0)
			continue;
		read_strs(json_getc(v, "layers"), a, to);
	}
	if (dir)
		closedir(dir);
}

static void sweep_layers(const struct image_store *s, const struct str_vec *used, struct arena *a)
{
	const char *path = sub(s, "layers", a);
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		bool keep = e->d_name[0] == '.';

		for (size_t i = 0; i < used->n && !keep; i++)
			keep = used->v[i].n > 7 &&
			       str_starts(str_sub(used->v[i], 7, used->v[i].n), str_c(e->d_name));
		if (!keep)
			fs_remove_tree_at(dirfd(dir), e->d_name);
	}
	if (dir)
		closedir(dir);
}

static void sweep_blobs(const struct image_store *s, const struct image_index *idx, struct arena *a)
{
	DIR *dir = opendir(sub(s, "blobs/sha256", a));
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		bool keep = e->d_name[0] == '.';

		for (size_t i = 0; i < idx->n && !keep; i++)
			keep = str_ends(idx->v[i].id, str_c(e->d_name)) ||
			       (idx->v[i].manifest.n &&
				       str_ends(idx->v[i].manifest, str_c(e->d_name)));
		if (!keep)
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

void image_store_sweep(const struct image_store *s, const struct image_index *idx, struct arena *a)
{
	struct str_vec used = {0};

	for (size_t i = 0; i < idx->n; i++)
		for (size_t k = 0; k < idx->v[i].layers.n; k++)
			ARENA_PUSH(a, &used, idx->v[i].layers.v[k]);
	layers_in_use(s, a, &used);
	sweep_layers(s, &used, a);
	sweep_blobs(s, idx, a);
}

int image_remove(const struct image_store *s, struct str name, struct err *err)
{
	int lock CLEANUP(fd_close) = image_store_lock(s, true);
	struct arena a CLEANUP(arena_release);
	struct image_index idx;
	struct image *m;
	int r;

	arena_init(&a);
	if (lock < 0)
		return err_errno(err, -lock, "cannot lock %s", s->dir);
	r = image_index_load(s, &a, &idx, err);
	if (r < 0)
		return r;
	m = image_find(&idx, name, &a);
	if (!m)
		return err_fmt(
			err, 404, "NotFound", "image \"" STR_FMT "\" not found", STR_ARG(name));
	if (!drop_name(m, name, &a) || (m->tags.n == 0 && m->digests.n == 0)) {
		memmove(m, m + 1, (idx.v + idx.n - m - 1) * sizeof(*m));
		idx.n--;
	}
	r = image_index_save(s, &idx, &a, err);
	if (r == 0)
		image_store_sweep(s, &idx, &a);
	return r;
}
