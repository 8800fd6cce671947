/* record.h: sandboxes and containers on disk, so that they are found again after a restart. */
#ifndef SAMPAN_RUNTIME_RECORD_H
#define SAMPAN_RUNTIME_RECORD_H

#include "node/runtime/runtime.h"

struct sandbox *sandbox_new(const char *id);
int sandbox_save(struct runtime *rt, const struct sandbox *s);
struct sandbox *sandbox_read(struct runtime *rt, const char *id); /* NULL: no proper record */
bool sandbox_still_up(struct runtime *rt, const struct sandbox *s);

struct container *container_new(const char *id);
int container_save(struct runtime *rt, const struct container *c); /* what does not change */
int container_save_mutable(struct runtime *rt, const struct container *c);
struct container *container_read(struct runtime *rt, const char *id);

struct json_value;
int64_t record_int(const struct json_value *v, const char *key);
bool record_bool(const struct json_value *v, const char *key);
struct str record_str(const struct json_value *v, const char *key, struct arena *a);
void record_strs(const struct json_value *v, const char *key, struct arena *a, struct str_vec *to);
void record_pairs(
	const struct json_value *v, const char *key, struct arena *a, struct cri_key_values *to);

#endif
