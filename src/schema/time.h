/* time.h: struct k8s_time and RFC 3339 text, with Go's strictness and words. */
#ifndef SAMPAN_SCHEMA_TIME_H
#define SAMPAN_SCHEMA_TIME_H

#include "schema/schema.h"

enum { K8S_TIME_TEXT_MAX = 40 };

/* "2006-01-02T15:04:05Z07:00", a fraction is allowed (and must have six digits when micro). 400
 * with Go's words: 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'.
 */
int k8s_time_parse(struct str text, bool micro, struct k8s_time *ret, struct err *err);
/* UTC, whole seconds, or six digits more when micro; returns the length. t->set must be true. */
size_t k8s_time_format(const struct k8s_time *t, bool micro, char out[K8S_TIME_TEXT_MAX]);

struct k8s_time k8s_time_from_ms(
	int64_t unix_ms); /* whole seconds: what metadata and conditions hold */
struct k8s_time k8s_time_from_us(int64_t unix_us); /* for micro times */
static inline int64_t k8s_time_ms(const struct k8s_time *t)
{
	return t->set ? t->sec * 1000 + t->nsec / 1000000 : 0;
}

#endif
