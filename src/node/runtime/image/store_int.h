/* store_int.h: what store.c and add.c share. */
#ifndef SAMPAN_IMAGE_STORE_INT_H
#define SAMPAN_IMAGE_STORE_INT_H

#include "node/runtime/image/store.h"

const char *image_blob_path(const struct image_store *s, struct str digest, struct arena *a);
/* Under the exclusive lock. */
int image_index_save(const struct image_store *s, const struct image_index *idx, struct arena *a,
	struct err *err);
/* Removes layers and blobs that no image and no container uses. Under the exclusive lock. */
void image_store_sweep(const struct image_store *s, const struct image_index *idx, struct arena *a);

#endif
