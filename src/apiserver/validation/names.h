/*
 * names.h: checkers of names and short values (apimachinery api/validate/content, util/validation).
 *
 * Each returns what is wrong, as upstream words it; n == 0: valid. The messages live in the arena.
 *
 *     field_invalid_each(errs, &path, name, is_dns1123_label(errs->arena, name));
 */
#ifndef SAMPAN_VALIDATION_NAMES_H
#define SAMPAN_VALIDATION_NAMES_H

#include "apiserver/field.h"

enum {
	DNS1123_LABEL_MAX = 63,
	DNS1123_SUBDOMAIN_MAX = 253,
	ANNOTATIONS_SIZE_MAX = 256 * 1024,
};

struct str_vec is_dns1123_label(struct arena *a, struct str v);
struct str_vec is_dns1123_subdomain(struct arena *a, struct str v);
struct str_vec is_dns1123_subdomain_underscore(struct arena *a, struct str v);
struct str_vec is_dns1123_subdomain_caseless(struct arena *a, struct str v);
struct str_vec is_dns1035_label(struct arena *a, struct str v);
struct str_vec is_wildcard_dns1123_subdomain(struct arena *a, struct str v);
struct str_vec is_qualified_name(struct arena *a, struct str v); /* label keys */
struct str_vec is_label_value(struct arena *a, struct str v);
struct str_vec is_c_identifier(struct arena *a, struct str v);
struct str_vec is_port_number(struct arena *a, int64_t port);
struct str_vec is_port_name(struct arena *a, struct str v);
struct str_vec is_in_range(struct arena *a, int64_t v, int64_t min, int64_t max);
struct str_vec is_user_id(struct arena *a, int64_t id); /* and group ids */
struct str_vec is_env_var_name(struct arena *a, struct str v);
struct str_vec is_relaxed_env_var_name(struct arena *a, struct str v);
struct str_vec is_config_map_key(struct arena *a, struct str v);
struct str_vec is_http_header_name(struct arena *a, struct str v);
struct str_vec is_percent(struct arena *a, struct str v);
struct str_vec is_path_segment_name(struct arena *a, struct str v);

struct str str_lower(struct arena *a, struct str s); /* ASCII */
/* Names of objects: with `prefix` a trailing dash is allowed, as in generateName. Fit
 * strategy.name_errors. */
struct str_vec name_is_dns_subdomain(struct arena *a, struct str name, bool prefix);
struct str_vec name_is_dns_label(struct arena *a, struct str name, bool prefix);
struct str_vec name_is_dns1035_label(struct arena *a, struct str name, bool prefix);
struct str_vec name_is_path_segment(struct arena *a, struct str name, bool prefix);
struct str_vec name_is_anything(struct arena *a, struct str name, bool prefix);

/* One FieldValueInvalid per message. */
void field_invalid_each(struct field_errors *e, const struct field_path *p, struct str value,
	struct str_vec messages);
void field_invalid_int_each(
	struct field_errors *e, const struct field_path *p, int64_t value, struct str_vec messages);

/* Whole maps and lists of ObjectMeta. */
void validate_labels(
	const struct str_map *labels, const struct field_path *p, struct field_errors *e);
void validate_annotations(
	const struct str_map *annotations, const struct field_path *p, struct field_errors *e);
void validate_nonnegative(int64_t v, const struct field_path *p, struct field_errors *e);
void validate_qualified_name(struct str v, const struct field_path *p, struct field_errors *e);
void validate_dns1123_label(struct str v, const struct field_path *p, struct field_errors *e);
void validate_dns1123_subdomain(struct str v, const struct field_path *p, struct field_errors *e);
/* "example.com/foo" and names of at least two or three labels. */
void validate_domain_prefixed_path(
	struct str v, const struct field_path *p, struct field_errors *e);
void validate_domain_prefixed_key(struct str v, const struct field_path *p, struct field_errors *e);
void validate_fully_qualified_name(
	struct str v, const struct field_path *p, struct field_errors *e);
void validate_fully_qualified_domain_name(
	struct str v, const struct field_path *p, struct field_errors *e);

#endif
