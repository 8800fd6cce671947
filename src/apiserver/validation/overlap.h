/* overlap.h: warnings about volumes: files that hide one another, odd claims, odd label values. */
#ifndef SAMPAN_VALIDATION_OVERLAP_H
#define SAMPAN_VALIDATION_OVERLAP_H

#include "apiserver/field.h"
#include "types.gen.h"

void overlap_warnings(struct arena *a, const struct v1_volume_vec *volumes, struct str_vec *out);
void claim_warnings(struct arena *a, const struct field_path *spec_path,
	const struct v1_persistent_volume_claim_spec *spec, struct str_vec *out);
void label_value_warning(
	struct arena *a, const struct field_path *p, struct str value, struct str_vec *out);

#endif
