/* add.c: a new image into the store: layers are unpacked aside, then moved into place under the
 * lock. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json/value.h"
#include "base/fs.h"
#include "node/runtime/image/ref.h"
#include "node/runtime/image/store_int.h"
#include "node/runtime/image/unpack.h"

int image_add_begin(
	const struct image_store *s, struct arena *a, struct image_add *add, struct err *err)
{
	uint64_t random;
	int r;

	*add = (struct image_add){.store = s, .arena = a, .lock_fd = -1};
	r = image_store_prepare(s, err);
	if (r < 0)
		return r;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_errno(err, errno, "random");
	add->tmp = xasprintf("%s/tmp/%016lx", s->dir, (unsigned long)random);
	if (mkdir(add->tmp, 0700) < 0)
		return err_errno(err, errno, "cannot make %s", add->tmp);
	add->lock_fd = open(add->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (add->lock_fd < 0 || flock(add->lock_fd, LOCK_EX) < 0)
		return err_errno(err, errno, "cannot lock %s", add->tmp);
	return 0;
}

void image_add_end(struct image_add *add)
{
	if (add->tmp)
		fs_remove_tree(add->tmp);
	fd_close(&add->lock_fd);
	free(add->tmp);
	add->tmp = NULL;
}

static struct str next_chain(const struct image_add *add, struct str diff_id)
{
	const struct str_vec *l = &add->image.layers;
	char digest[72];

	if (!l->n)
		return arena_str(add->arena, diff_id);
	sha256_of(arena_fmt(add->arena, STR_FMT " " STR_FMT, STR_ARG(l->v[l->n - 1]),
			  STR_ARG(diff_id)),
		digest);
	return arena_strc(add->arena, digest);
}

/* "<chain> <size>"; false when the layer is not there. */
static bool layer_read(const char *dir, struct str chain, uint64_t *ret_size, struct arena *a)
{
	struct str text, head, rest;

	if (fs_read(arena_fmt(a, "%s/chain", dir).p, 256, a, &text) < 0 ||
		!str_cut(text, ' ', &head, &rest))
		return false;
	return str_eq(head, chain) && str_to_u64(rest, ret_size) == 0;
}

static void take_layer(struct image_add *add, struct str chain, uint64_t size)
{
	ARENA_PUSH(add->arena, &add->image.layers, chain);
	add->size += size;
}

bool image_add_have(struct image_add *add, struct str diff_id)
{
	struct str chain = next_chain(add, diff_id);
	uint64_t size;

	if (!layer_read(image_layer_dir(add->store, chain, add->arena), chain, &size, add->arena))
		return false;
	take_layer(add, chain, size);
	return true;
}

static const char *fresh_dir(struct image_add *add, struct str chain)
{
	return arena_fmt(add->arena, "%s/" STR_FMT, add->tmp, STR_ARG(str_sub(chain, 7, 7 + 16))).p;
}

/* The layers below, uppermost first. */
static size_t open_lower(struct image_add *add, int fds[IMAGE_LAYERS_MAX])
{
	size_t n = 0;

	for (size_t i = add->image.layers.n; i-- > 0;) {
		struct str chain = add->image.layers.v[i];
		const char *dir = str_vec_has(&add->fresh, chain)
					  ? fresh_dir(add, chain)
					  : image_layer_dir(add->store, chain, add->arena);
		int fd = open(
			arena_fmt(add->arena, "%s/fs", dir).p, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			fds[n++] = fd;
	}
	return n;
}

static int unpack_checked(struct image_add *add, const char *dir, struct str diff_id,
	struct inflate *in, struct err *err)
{
	int lower[IMAGE_LAYERS_MAX], r;
	int root CLEANUP(fd_close) = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct unpack_opts o = {.root_fd = root, .lower_fds = lower};
	char digest[72];

	if (root < 0)
		return err_errno(err, errno, "cannot open %s", dir);
	o.n_lower = open_lower(add, lower);
	r = unpack_layer(in, &o, err);
	for (size_t i = 0; i < o.n_lower; i++)
		close(lower[i]);
	if (r < 0)
		return r;
	r = inflate_digest(in, digest);
	if (r < 0)
		return err_bad_request(err, "broken layer: %s", strerror(-r));
	if (!str_eqc(diff_id, digest))
		return err_bad_request(err, "layer has digest %s, its image says " STR_FMT, digest,
			STR_ARG(diff_id));
	return 0;
}

static uint64_t dir_bytes(const char *dir)
{
	uint64_t bytes, inodes;

	fs_usage(dir, UNPACK_ENTRIES_MAX, &bytes, &inodes);
	return bytes;
}

int image_add_layer(
	struct image_add *add, struct str diff_id, struct byte_source *from, struct err *err)
{
	struct str chain = next_chain(add, diff_id);
	const char *dir = fresh_dir(add, chain), *fs = arena_fmt(add->arena, "%s/fs", dir).p;
	struct inflate *in;
	struct str note;
	uint64_t size;
	int r;

	if (add->image.layers.n >= IMAGE_LAYERS_MAX)
		return err_bad_request(err, "the image has more than %d layers", IMAGE_LAYERS_MAX);
	if (mkdir(dir, 0700) < 0 || mkdir(fs, 0755) < 0)
		return err_errno(err, errno, "cannot make %s", fs);
	in = inflate_new(from, IMAGE_LAYER_BYTES_MAX);
	r = unpack_checked(add, fs, diff_id, in, err);
	inflate_free(in);
	if (r < 0)
		return r;
	size = dir_bytes(fs);
	note = arena_fmt(add->arena, STR_FMT " %lu", STR_ARG(chain), (unsigned long)size);
	r = fs_write(arena_fmt(add->arena, "%s/chain", dir).p, note, 0600);
	if (r < 0)
		return err_errno(err, -r, "cannot write %s", dir);
	ARENA_PUSH(add->arena, &add->fresh, chain);
	take_layer(add, chain, size);
	return 0;
}

/* Under the lock: our layers into place; the ones we found must still be there. */
static int place_layers(struct image_add *add, struct err *err)
{
	for (size_t i = 0; i < add->image.layers.n; i++) {
		struct str chain = add->image.layers.v[i];
		const char *dir = image_layer_dir(add->store, chain, add->arena);
		uint64_t size;

		if (layer_read(dir, chain, &size, add->arena))
			continue;
		if (fs_exists(dir))
			fs_remove_tree(dir); /* half of one, from a power cut */
		if (!str_vec_has(&add->fresh, chain))
			return err_fmt(err, 409, "Conflict",
				"a layer of the image was removed meanwhile; try again");
		if (rename(fresh_dir(add, chain), dir) < 0)
			return err_errno(err, errno, "cannot move a layer to %s", dir);
	}
	return 0;
}

static int put_blob(
	struct image_add *add, struct str content, struct str *ret_digest, struct err *err)
{
	char digest[72];
	int r;

	sha256_of(content, digest);
	*ret_digest = arena_strc(add->arena, digest);
	r = fs_write_durably(image_blob_path(add->store, *ret_digest, add->arena), content, 0600);
	return r < 0 ? err_errno(err, -r, "cannot write a blob") : 0;
}

/* A name points at one image: takes it off whoever had it. */
static void steal_name(struct image_index *idx, struct str name)
{
	for (size_t i = 0; i < idx->n; i++) {
		struct str_vec *v = &idx->v[i].tags;

		for (size_t k = 0; k < v->n; k++)
			if (str_eq(v->v[k], name)) {
				memmove(v->v + k, v->v + k + 1, (v->n - k - 1) * sizeof(*v->v));
				v->n--;
				break;
			}
	}
}

static void index_add(struct image_add *add, struct image_index *idx, const struct str_vec *tags,
	const struct str_vec *digests)
{
	struct image *m = image_find(idx, add->image.id, add->arena);

	for (size_t i = 0; i < tags->n; i++)
		steal_name(idx, tags->v[i]);
	if (!m) {
		ARENA_PUSH(add->arena, idx, add->image);
		m = &idx->v[idx->n - 1];
	}
	m->layers = add->image.layers;
	m->size = add->image.size;
	if (add->image.manifest.n)
		m->manifest = add->image.manifest;
	for (size_t i = 0; i < tags->n; i++)
		if (!str_vec_has(&m->tags, tags->v[i]))
			ARENA_PUSH(add->arena, &m->tags, tags->v[i]);
	for (size_t i = 0; i < digests->n; i++)
		if (!str_vec_has(&m->digests, digests->v[i]))
			ARENA_PUSH(add->arena, &m->digests, digests->v[i]);
}

int image_add_commit(struct image_add *add, struct str config, struct str manifest,
	const struct str_vec *tags, const struct str_vec *digests, struct str *ret_id,
	struct err *err)
{
	int lock CLEANUP(fd_close) = -1, r;
	struct json_value *root;
	struct image_index idx;

	syncfs(add->lock_fd); /* the index must never name layers that a power cut took */
	lock = image_store_lock(add->store, true);
	if (lock < 0)
		return err_errno(err, -lock, "cannot lock %s", add->store->dir);
	r = image_index_load(add->store, add->arena, &idx, err);
	if (r == 0)
		r = place_layers(add, err);
	if (r == 0)
		r = put_blob(add, config, &add->image.id, err);
	if (r == 0 && manifest.n)
		r = put_blob(add, manifest, &add->image.manifest, err);
	if (r < 0)
		return r;
	if (json_parse(config, add->arena, &root, NULL) == 0)
		add->image.user = json_get_str(json_getc(root, "config"), "User");
	add->image.size = add->size + config.n + manifest.n;
	index_add(add, &idx, tags, digests);
	r = image_index_save(add->store, &idx, add->arena, err);
	if (r == 0)
		*ret_id = add->image.id;
	return r;
}
