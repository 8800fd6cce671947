/*
 * manifest.h: image manifests and indexes (OCI image spec 1.1; docker's schema 2 and manifest
 * list).
 */
#ifndef SAMPAN_IMAGE_MANIFEST_H
#define SAMPAN_IMAGE_MANIFEST_H

#include "base/base.h"

struct manifest_blob {
	struct str digest; /* checked for its form */
	struct str media_type;
	uint64_t size;
};

struct manifest_entry { /* of an index */
	struct str digest, media_type;
	struct str os, architecture, variant;
	struct str ref_name;   /* annotation org.opencontainers.image.ref.name */
	struct str image_name; /* annotation io.containerd.image.name */
};

struct manifest {
	bool is_index;
	struct {
		struct manifest_entry *v;
		size_t n;
	} entries;
	struct manifest_blob config;
	struct {
		struct manifest_blob *v;
		size_t n;
	} layers;
};

/* 400 on anything else (schema 1 is named as such). Strings live in the arena or in text. */
int manifest_parse(struct str text, struct arena *a, struct manifest *ret, struct err *err);
struct str manifest_choose(
	const struct manifest *index);   /* the digest for this machine, or {NULL,0} */
const char *manifest_architecture(void); /* amd64, arm64, arm … */

#endif
