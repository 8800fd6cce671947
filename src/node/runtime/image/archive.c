/*
 * archive.c: `docker save` and OCI archives. The archive is read once, in whatever order its
 * members stand: each goes to a file of its own, then manifest.json (docker) or index.json (OCI
 * image layout) says what they are.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "json/value.h"
#include "base/fs.h"
#include "node/runtime/image/image.h"
#include "node/runtime/image/libraries.h"
#include "node/runtime/image/manifest.h"
#include "node/runtime/image/ref.h"

enum { MEMBERS_MAX = 16384, IMAGES_MAX = 256 };

struct member {
	struct str name;   /* in the archive */
	struct str target; /* of a symlink or hard link: another member's name */
	struct str path;   /* where its content is */
	uint64_t size;
	char digest[72];
};

struct import {
	const struct image_store *store;
	struct arena *arena;
	struct inflate *in;
	ssize_t in_error;
	struct archive *archive;
	char *spool;
	struct {
		struct member *v;
		size_t n;
	} members;
	struct str_vec *ret;
};

static la_ssize_t read_cb(struct archive *archive, void *user_data, const void **ret)
{
	struct import *im = user_data;
	ssize_t n = inflate_next(im->in, ret);

	if (n < 0)
		im->in_error = n;
	return n < 0 ? -1 : n;
}

/* Removes leading "./" and "/". */
static struct str member_name(struct str s)
{
	for (;;) {
		if (str_starts(s, S("./")))
			s = str_sub(s, 2, s.n);
		else if (s.n && s.p[0] == '/')
			s = str_sub(s, 1, s.n);
		else
			return s;
	}
}

/* A link's target relative to the directory of the link: "../x/layer.tar" as old `docker save`
 * writes. */
static struct str link_target(struct arena *a, struct str from, struct str to)
{
	ssize_t slash = str_rchr(from, '/');
	struct str dir = slash < 0 ? S("") : str_sub(from, 0, slash);

	while (str_starts(to, S("../"))) {
		to = str_sub(to, 3, to.n);
		slash = str_rchr(dir, '/');
		dir = slash < 0 ? S("") : str_sub(dir, 0, slash);
	}
	return dir.n ? arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(dir), STR_ARG(to))
		     : arena_str(a, to);
}

static struct member *find_member(struct import *im, struct str name, int depth)
{
	name = member_name(name);
	for (size_t i = im->members.n; i-- > 0;) {
		struct member *m = &im->members.v[i];

		if (!str_eq(m->name, name))
			continue;
		if (m->target.p)
			return depth < 8 ? find_member(im, m->target, depth + 1) : NULL;
		return m;
	}
	return NULL;
}

static int spool(struct import *im, struct member *m, struct err *err)
{
	int fd CLEANUP(fd_close) = -1;
	struct sha256 *hash;
	const void *p;
	la_int64_t at;
	size_t n;
	int r;

	m->path = arena_fmt(im->arena, "%s/%zu", im->spool, im->members.n);
	fd = open(m->path.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno, "cannot write %s", m->path.p);
	hash = sha256_new();
	while ((r = libarchive.read_data_block(im->archive, &p, &n, &at)) == ARCHIVE_OK ||
		r == ARCHIVE_WARN) {
		if ((uint64_t)at != m->size || pwrite(fd, p, n, at) != (ssize_t)n) {
			r = (uint64_t)at != m->size ? ARCHIVE_FATAL : -1000;
			break;
		}
		sha256_add(hash, p, n);
		m->size += n;
	}
	sha256_end(hash, m->digest);
	if (r == -1000)
		return err_errno(err, errno, "cannot write %s", m->path.p);
	return r == ARCHIVE_EOF ? 0
				: err_bad_request(err, "broken archive at \"" STR_FMT "\"",
					  STR_ARG(m->name));
}

static int read_member(struct import *im, struct archive_entry *e, struct err *err)
{
	const char *name = libarchive.entry_pathname(e);
	struct member m = {0};
	const char *link = libarchive.entry_hardlink(e);
	int r = 0;

	if (!name)
		return err_bad_request(err, "broken archive: a member has no name");
	m.name = arena_str(im->arena, member_name(str_c(name)));
	if (link)
		m.target = arena_strc(im->arena, link);
	else if (libarchive.entry_filetype(e) == AE_IFLNK)
		m.target = link_target(im->arena, m.name, str_c(libarchive.entry_symlink(e)));
	else if (libarchive.entry_filetype(e) == AE_IFREG)
		r = spool(im, &m, err);
	else
		return 0;
	if (r == 0)
		ARENA_PUSH(im->arena, &im->members, m);
	return r;
}

static int read_members(struct import *im, struct err *err)
{
	struct archive_entry *e;
	int r;

	libarchive.read_support_format_tar(im->archive);
	if (libarchive.read_open(im->archive, im, NULL, read_cb, NULL) != ARCHIVE_OK)
		return err_bad_request(err, "not an image archive: %s",
			libarchive.error_string(im->archive) ?: "no tar");
	while ((r = libarchive.read_next_header(im->archive, &e)) == ARCHIVE_OK ||
		r == ARCHIVE_WARN) {
		if (im->members.n >= MEMBERS_MAX)
			return err_bad_request(
				err, "the archive has more than %d members", MEMBERS_MAX);
		r = read_member(im, e, err);
		if (r < 0)
			return r;
	}
	if (r != ARCHIVE_EOF)
		return err_bad_request(err, "not an image archive: %s",
			im->in_error ? "the compressed data are broken" :
				       libarchive.error_string(im->archive) ?: "no tar");
	return 0;
}

static int read_document(
	struct import *im, const struct member *m, struct str *ret, struct err *err)
{
	int r = m->size > IMAGE_DOCUMENT_MAX
			? -EFBIG
			: fs_read(m->path.p, IMAGE_DOCUMENT_MAX, im->arena, ret);

	return r < 0 ? err_errno(err, -r, "archive member \"" STR_FMT "\"", STR_ARG(m->name)) : 0;
}

struct found { /* one image of the archive */
	struct member *config, *layers[IMAGE_LAYERS_MAX];
	size_t n_layers;
	struct str manifest; /* OCI: its text */
	struct str_vec tags, digests;
};

static int add_layers(struct import *im, struct image_add *add, const struct found *f,
	const struct str_vec *diff_ids, struct err *err)
{
	for (size_t i = 0; i < f->n_layers; i++) {
		int fd CLEANUP(fd_close) = -1, r;
		struct fd_source from;

		if (image_add_have(add, diff_ids->v[i]))
			continue;
		fd = open(f->layers[i]->path.p, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_errno(err, errno, "cannot read %s", f->layers[i]->path.p);
		from = fd_source(fd);
		r = image_add_layer(add, diff_ids->v[i], &from.source, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take(struct import *im, const struct found *f, struct err *err)
{
	struct str config, id;
	struct str_vec diff_ids;
	struct image_add add;
	int r = read_document(im, f->config, &config, err);

	if (r == 0)
		r = image_config_diff_ids(config, im->arena, &diff_ids, err);
	if (r < 0)
		return r;
	if (diff_ids.n != f->n_layers)
		return err_bad_request(err, "the image has %zu layers, its configuration names %zu",
			f->n_layers, diff_ids.n);
	r = image_add_begin(im->store, im->arena, &add, err);
	if (r == 0)
		r = add_layers(im, &add, f, &diff_ids, err);
	if (r == 0)
		r = image_add_commit(&add, config, f->manifest, &f->tags, &f->digests, &id, err);
	image_add_end(&add);
	if (r < 0)
		return r;
	for (size_t i = 0; i < f->tags.n; i++)
		ARENA_PUSH(im->arena, im->ret,
			arena_fmt(im->arena, STR_FMT " " STR_FMT, STR_ARG(id),
				STR_ARG(f->tags.v[i])));
	if (!f->tags.n)
		ARENA_PUSH(im->arena, im->ret, id);
	return 0;
}

/* --- docker save --- */

static int docker_image(
	struct import *im, const struct json_value *v, struct found *f, struct err *err)
{
	const struct json_value *layers = json_getc(v, "Layers"), *tags = json_getc(v, "RepoTags");
	struct str config = json_get_str(v, "Config");

	*f = (struct found){.config = find_member(im, config, 0)};
	if (!config.n || !f->config)
		return err_bad_request(err,
			"manifest.json names a configuration that is not in the archive: \"" STR_FMT
			"\"",
			STR_ARG(config));
	if (!layers || layers->kind != JSON_ARRAY || layers->items.n > IMAGE_LAYERS_MAX)
		return err_bad_request(err, "manifest.json has no proper list of layers");
	for (size_t i = 0; i < layers->items.n; i++) {
		f->layers[i] = find_member(im, layers->items.v[i]->text, 0);
		if (!f->layers[i])
			return err_bad_request(err,
				"manifest.json names a layer that is not in the archive: \"" STR_FMT
				"\"",
				STR_ARG(layers->items.v[i]->text));
	}
	f->n_layers = layers->items.n;
	for (size_t i = 0; tags && i < tags->items.n; i++) {
		struct image_ref ref;
		int r = image_ref_parse(tags->items.v[i]->text, im->arena, &ref, err);

		if (r < 0)
			return r;
		if (ref.tag.n)
			ARENA_PUSH(im->arena, &f->tags, image_ref_tagged(&ref, im->arena));
	}
	return 0;
}

static int import_docker(struct import *im, const struct member *m, struct err *err)
{
	struct json_value *root;
	struct str text;
	int r = read_document(im, m, &text, err);

	if (r < 0)
		return r;
	if (json_parse(text, im->arena, &root, NULL) < 0 || root->kind != JSON_ARRAY ||
		!root->items.n || root->items.n > IMAGES_MAX)
		return err_bad_request(err, "the archive's manifest.json is not a list of images");
	for (size_t i = 0; i < root->items.n && r == 0; i++) {
		struct found f;

		r = docker_image(im, root->items.v[i], &f, err);
		if (r == 0)
			r = take(im, &f, err);
	}
	return r;
}

/* --- OCI image layout --- */

static struct member *find_blob(struct import *im, struct str digest)
{
	struct member *m;

	if (!digest_valid(digest))
		return NULL;
	m = find_member(im,
		arena_fmt(
			im->arena, "blobs/sha256/" STR_FMT, STR_ARG(str_sub(digest, 7, digest.n))),
		0);
	return m && str_eqc(digest, m->digest) ? m : NULL;
}

static int missing_blob(struct str digest, struct err *err)
{
	return err_bad_request(err,
		"the archive does not hold blob " STR_FMT ", or not with this digest",
		STR_ARG(digest));
}

/* A descriptor may point at an index: then the entry for this machine. */
static int oci_resolve(
	struct import *im, struct str digest, struct found *f, int depth, struct err *err)
{
	struct member *m = find_blob(im, digest);
	struct manifest man;
	int r;

	if (!m)
		return missing_blob(digest, err);
	r = read_document(im, m, &f->manifest, err);
	if (r == 0)
		r = manifest_parse(f->manifest, im->arena, &man, err);
	if (r < 0)
		return r;
	if (man.is_index) {
		struct str chosen = manifest_choose(&man);

		if (!chosen.n || depth > 3)
			return err_bad_request(
				err, "no image for this machine's platform in the archive");
		return oci_resolve(im, chosen, f, depth + 1, err);
	}
	f->config = find_blob(im, man.config.digest);
	if (!f->config)
		return missing_blob(man.config.digest, err);
	for (size_t i = 0; i < man.layers.n; i++) {
		f->layers[i] = find_blob(im, man.layers.v[i].digest);
		if (!f->layers[i])
			return missing_blob(man.layers.v[i].digest, err);
	}
	f->n_layers = man.layers.n;
	return 0;
}

/* The name that whoever wrote the layout gave it. */
static void oci_names(struct import *im, const struct manifest_entry *e, struct found *f)
{
	struct image_ref ref;
	struct str name = e->image_name.n ? e->image_name : e->ref_name;

	if (!name.n || image_ref_parse(name, im->arena, &ref, NULL) < 0)
		return;
	if (!e->image_name.n && str_chr(name, '/') < 0 && str_chr(name, ':') < 0)
		return; /* only a tag: nobody knows of what */
	if (ref.tag.n)
		ARENA_PUSH(im->arena, &f->tags, image_ref_tagged(&ref, im->arena));
	ARENA_PUSH(im->arena, &f->digests, image_ref_digested(&ref, e->digest, im->arena));
}

static int import_oci(struct import *im, const struct member *m, struct err *err)
{
	struct manifest idx;
	struct str text;
	int r = read_document(im, m, &text, err);

	if (r == 0)
		r = manifest_parse(text, im->arena, &idx, err);
	if (r < 0)
		return r;
	if (!idx.is_index || !idx.entries.n || idx.entries.n > IMAGES_MAX)
		return err_bad_request(err, "the archive's index.json names no images");
	for (size_t i = 0; i < idx.entries.n && r == 0; i++) {
		struct found f = {0};

		r = oci_resolve(im, idx.entries.v[i].digest, &f, 0, err);
		oci_names(im, &idx.entries.v[i], &f);
		if (r == 0)
			r = take(im, &f, err);
	}
	return r;
}

static int import_found(struct import *im, struct err *err)
{
	const struct member *docker = find_member(im, S("manifest.json"), 0);
	const struct member *oci = find_member(im, S("index.json"), 0);

	if (docker)
		return import_docker(im, docker, err);
	if (oci)
		return import_oci(im, oci, err);
	return err_bad_request(
		err, "not an image archive: neither manifest.json nor index.json in it");
}

int image_import(
	const struct image_store *s, int fd, struct arena *a, struct str_vec *ret, struct err *err)
{
	struct fd_source from = fd_source(fd);
	struct import im = {.store = s, .arena = a, .ret = ret};
	struct image_add spool_dir; /* a locked directory in tmp, for the members */
	int r = libarchive_open(err);

	if (r < 0 || (r = image_add_begin(s, a, &spool_dir, err)) < 0)
		return r;
	im.spool = spool_dir.tmp;
	im.in = inflate_new(&from.source, 2 * IMAGE_LAYER_BYTES_MAX);
	im.archive = libarchive.read_new();
	r = read_members(&im, err);
	libarchive.read_free(im.archive);
	inflate_free(im.in);
	if (r == 0)
		r = import_found(&im, err);
	image_add_end(&spool_dir);
	return r;
}
