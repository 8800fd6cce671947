/*
 * storage.h: validation of volumes and claims: what pods, PersistentVolumes and
 * PersistentVolumeClaims share.
 */
#ifndef SAMPAN_VALIDATION_STORAGE_H
#define SAMPAN_VALIDATION_STORAGE_H

#include "apiserver/field.h"
#include "types.gen.h"

/* volume_claims.c */
void validate_claim_spec(const struct v1_persistent_volume_claim_spec *spec,
	bool allow_invalid_api_group, const struct field_path *p, struct field_errors *e);
void validate_claim_template(const struct v1_persistent_volume_claim_template *t,
	const struct field_path *p, struct field_errors *e);
void validate_access_modes(
	const struct str_vec *modes, const struct field_path *p, struct field_errors *e);

/* volume_sources.c: the kinds that look alike in a pod and in a PersistentVolume */
void validate_host_path(const struct v1_host_path_volume_source *v, const struct field_path *p,
	struct field_errors *e);
void validate_disk(struct str id, int32_t partition, const struct field_path *id_path,
	const struct field_path *p, struct field_errors *e);
void validate_nfs(
	const struct v1_nfs_volume_source *v, const struct field_path *p, struct field_errors *e);
void validate_quobyte(const struct v1_quobyte_volume_source *v, const struct field_path *p,
	struct field_errors *e);
void validate_flocker(const struct v1_flocker_volume_source *v, const struct field_path *p,
	struct field_errors *e);
void validate_fc(
	const struct v1_fc_volume_source *v, const struct field_path *p, struct field_errors *e);
void validate_flex_options(struct str driver, const struct str_map *options,
	const struct field_path *p, struct field_errors *e);
void validate_azure_disk(const struct v1_azure_disk_volume_source *v, const struct field_path *p,
	struct field_errors *e);
void validate_scale_io(struct str gateway, struct str system, struct str volume,
	const struct field_path *p, struct field_errors *e);
void validate_monitors(
	const struct str_vec *monitors, const struct field_path *p, struct field_errors *e);
bool iscsi_name_known(struct str s);
bool iscsi_name_matches(struct str s);
/* Counts kinds of volumes: true for the first that is present; a second one is forbidden. */
bool volume_first_of(size_t *n, bool present, const struct field_path *p, struct field_errors *e);

#endif
