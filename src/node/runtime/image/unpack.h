/*
 * unpack.h: a layer's tar stream into a directory that overlayfs takes as a lower layer.
 *
 * Nothing is ever written outside the directory: every parent is opened with
 * openat2(RESOLVE_IN_ROOT), so symlinks in the archive lead nowhere else. `.wh.x` becomes
 * overlayfs' whiteout, `.wh..wh..opq` its opaque mark. Modes with setuid, owners, times, hard
 * links, devices, fifos and xattrs (user.*, security.capability) are kept. A parent that the layer
 * does not carry gets owner and mode of the same directory in the layers below.
 */
#ifndef SAMPAN_IMAGE_UNPACK_H
#define SAMPAN_IMAGE_UNPACK_H

#include "base/base.h"
#include "node/runtime/image/inflate.h"

enum { UNPACK_ENTRIES_MAX = 4 * 1000 * 1000 };

struct unpack_opts {
	int root_fd;          /* the directory to fill */
	const int *lower_fds; /* the layers below, uppermost first */
	size_t n_lower;
};

/* Reads the whole stream. 400-like errors name the entry; the directory is then half filled: remove
 * it. */
int unpack_layer(struct inflate *in, const struct unpack_opts *o, struct err *err);

#endif
