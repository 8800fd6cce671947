/* config_file.h: files of apiserver.config.k8s.io that configure authentication and authorization: reading them strictly,
 * with upstream's errors, and looking whether they have changed. */
#ifndef SAMPAN_AUTH_CONFIG_FILE_H
#define SAMPAN_AUTH_CONFIG_FILE_H

#include <sys/stat.h>

#include "apiserver/field.h"
#include "schema/schema.h"

struct config_kind {
	const char *kind;
	const struct schema_type *type; /* v1; v1beta1 and v1alpha1 are read alike */
	const char *scheme;             /* as Go's errors name it */
};

int config_decode(const struct config_kind *k, struct str text, struct arena *a, void **ret, struct err *err);
/* Errors that stand in a list, as Go's Aggregate shows them: "a", "[a, b]", none twice. 0 when there is none. */
int config_errors(const struct field_errors *e, struct err *err);
/* "[a, b]" as above, of messages. */
struct str auth_aggregate(struct arena *a, const struct str_vec *v);
/* "open x: no such file or directory" */
int config_read(const char *path, struct arena *a, struct str *ret, struct err *err);

/* A file that is followed; zeroed at first. */
struct followed_file {
	const char *path;
	struct stat seen;
	struct str text; /* what was read last; owned */
};
void followed_file_init(struct followed_file *f, const char *path, struct str text);
/* True when the file has another text now, which is then in f->text. */
bool followed_file_changed(struct followed_file *f);
void followed_file_release(struct followed_file *f);

#endif
