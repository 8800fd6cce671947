/*
 * ref.h: image references as docker reads them: busybox -> docker.io/library/busybox:latest.
 *
 * Grammar: github.com/distribution/reference. [domain[:port]/]path[:tag][@digest]; the first part
 * of the path is a domain when it holds '.' or ':', or is "localhost".
 */
#ifndef SAMPAN_IMAGE_REF_H
#define SAMPAN_IMAGE_REF_H

#include "base/base.h"

struct image_ref {
	struct str domain; /* docker.io */
	struct str path;   /* library/busybox */
	struct str tag;    /* latest; empty when only a digest was given */
	struct str digest; /* sha256:… or empty */
};

/* 400 with the runtime's words: couldn't parse image name "…": invalid reference format. Strings
 * live in the arena. */
int image_ref_parse(struct str text, struct arena *a, struct image_ref *ret, struct err *err);
struct str image_ref_tagged(
	const struct image_ref *r, struct arena *a); /* docker.io/library/busybox:latest */
struct str image_ref_digested(
	const struct image_ref *r, struct str digest, struct arena *a); /* …/busybox@sha256:… */
bool digest_valid(struct str digest); /* sha256: and 64 lower-case hexadecimal digits */

#endif
