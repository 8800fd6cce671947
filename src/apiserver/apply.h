/*
 * apply.h: the body of a server-side apply, for the object itself and for its Scale.
 */
#ifndef SAMPAN_APISERVER_APPLY_H
#define SAMPAN_APISERVER_APPLY_H

#include "apiserver/options.h"
#include "json/value.h"

struct apply_body {
	struct json_value *config; /* an object */
	enum field_validation validation;
	struct str_vec twice; /* keys that the YAML has twice */
	bool warned;
};

bool is_apply_patch(const struct request *r);
/* 400 */
int apply_body_parse(
	struct request *r, enum field_validation v, struct apply_body *ret, struct err *err);
/* What is only looked at when the rest is right: keys that stand twice. 400, or warnings. */
int apply_body_check(struct request *r, struct apply_body *b, struct err *err);

void handle_apply(struct request *r, const struct write_options *opts);

#endif
