/* volumes.c: a pod's volumes, and how containers mount them. The kinds of volumes are in
 * volume_sources.c. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"

enum { FILE_MODE_MAX = 0777, DRIVER_NAME_MAX = 63 };

void validate_path_no_backsteps(struct str path, const struct field_path *p, struct field_errors *e)
{
	struct str part, rest = path;

	for (bool more = true; more;) {
		more = str_cut(rest, '/', &part, &rest);
		if (str_eqc(part, "..")) {
			field_invalid(e, p, path, "must not contain '..'");
			return;
		}
	}
}

void validate_local_descending_path(
	struct str path, const struct field_path *p, struct field_errors *e)
{
	if (str_starts(path, S("/")))
		field_invalid(e, p, path, "must be a relative path");
	validate_path_no_backsteps(path, p, e);
}

void validate_local_non_reserved_path(
	struct str path, const struct field_path *p, struct field_errors *e)
{
	validate_local_descending_path(path, p, e);
	if (str_starts(path, S("..")) && !str_starts(path, S("../")))
		field_invalid(e, p, path, "must not start with '..'");
}

void validate_file_mode(const int32_t *mode, const struct field_path *p, struct field_errors *e)
{
	if (mode && (*mode > FILE_MODE_MAX || *mode < 0))
		field_invalid_int(
			e, p, *mode, "must be a number between 0 and 0777 (octal), both inclusive");
}

void validate_key_to_path(
	const struct v1_key_to_path *kp, const struct field_path *p, struct field_errors *e)
{
	if (kp->key.n == 0)
		field_required(e, AT(p, "key"), "");
	if (kp->path.n == 0)
		field_required(e, AT(p, "path"), "");
	validate_local_non_reserved_path(kp->path, AT(p, "path"), e);
	validate_file_mode(kp->mode, AT(p, "mode"), e);
}

void validate_csi_driver_name(struct str name, const struct field_path *p, struct field_errors *e)
{
	char *lower;

	if (name.n == 0) {
		field_required(e, p, "");
		return;
	}
	if (name.n > DRIVER_NAME_MAX)
		field_too_long(e, p, DRIVER_NAME_MAX);
	lower = arena_cstr(e->arena, name);
	for (size_t i = 0; i < name.n; i++)
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] += 'a' - 'A';
	field_invalid_each(e, p, name, is_dns1123_subdomain(e->arena, str_n(lower, name.n)));
}

/* Claims that the ephemeral volumes of this pod will make: "<pod>-<volume>". */
static bool claim_of_ephemeral(const struct pod_check *c, struct str claim)
{
	if (!c->meta || c->meta->name.n == 0)
		return false;
	for (size_t i = 0; i < c->spec->volumes.n; i++) {
		const struct v1_volume *v = &c->spec->volumes.v[i];
		if (v->ephemeral &&
			str_eq(claim, arena_fmt(c->errs->arena, STR_FMT "-" STR_FMT,
					      STR_ARG(c->meta->name), STR_ARG(v->name))))
			return true;
	}
	return false;
}

void validate_volumes(struct pod_check *c, const struct field_path *p)
{
	struct field_errors *e = c->errs;

	for (size_t i = 0; i < c->spec->volumes.n; i++) {
		const struct v1_volume *v = &c->spec->volumes.v[i];
		struct field_path item = FIELD_INDEX(p, i), name = FIELD(&item, "name");
		size_t before = e->n;

		validate_volume_source(v, c, &item);
		if (v->name.n == 0)
			field_required(e, &name, "");
		else
			validate_dns1123_label(v->name, &name, e);
		if (str_vec_has(&c->volumes, v->name))
			field_duplicate(e, &name, v->name);
		if (e->n == before) {
			ARENA_PUSH(e->arena, &c->volumes, v->name);
			if (v->persistent_volume_claim || v->ephemeral)
				ARENA_PUSH(e->arena, &c->claim_volumes, v->name);
		}
		if (v->persistent_volume_claim &&
			claim_of_ephemeral(c, v->persistent_volume_claim->claim_name)) {
			struct field_path claim = FIELD(&item, "persistentVolumeClaim");
			field_invalid(e, AT(&claim, "claimName"),
				v->persistent_volume_claim->claim_name,
				"must not reference a PVC that gets created for an ephemeral "
				"volume");
		}
	}
}

/* Upstream compares with a map from name to path, in which the last entry of a name stands. */
static bool device_named(const struct v1_container *ctr, struct str name)
{
	for (size_t i = 0; i < ctr->volume_devices.n; i++)
		if (str_eq(ctr->volume_devices.v[i].name, name))
			return true;
	return false;
}

static bool device_at(const struct v1_container *ctr, struct str path)
{
	for (size_t i = 0; i < ctr->volume_devices.n; i++)
		if (str_eq(ctr->volume_devices.v[i].device_path, path))
			return true;
	return false;
}

static bool mount_named(const struct v1_container *ctr, struct str name)
{
	for (size_t i = 0; i < ctr->volume_mounts.n; i++)
		if (str_eq(ctr->volume_mounts.v[i].name, name))
			return true;
	return false;
}

static bool mount_at(const struct v1_container *ctr, struct str path)
{
	for (size_t i = 0; i < ctr->volume_mounts.n; i++)
		if (str_eq(ctr->volume_mounts.v[i].mount_path, path))
			return true;
	return false;
}

static void validate_propagation(struct str mode, const struct v1_container *ctr,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const modes[] = {"Bidirectional", "HostToContainer", "None", NULL};
	const struct v1_security_context *sc = ctr->security_context;

	field_one_of(e, p, mode, modes);
	if (str_eqc(mode, "Bidirectional") && !(sc && sc->privileged && *sc->privileged))
		field_forbidden(e, p,
			"Bidirectional mount propagation is available only to privileged "
			"containers");
}

static void validate_recursive_read_only(
	const struct v1_volume_mount *mnt, const struct field_path *p, struct field_errors *e)
{
	static const char *const modes[] = {"Disabled", "Enabled", "IfPossible", NULL};

	if (!mnt->recursive_read_only.p || str_eqc(mnt->recursive_read_only, "Disabled"))
		return;
	if (!field_one_of(e, p, mnt->recursive_read_only, modes))
		return;
	if (!mnt->read_only)
		field_forbidden(e, p, "may only be specified when readOnly is true");
	if (mnt->mount_propagation.p && !str_eqc(mnt->mount_propagation, "None"))
		field_forbidden(e, p,
			"may only be specified when mountPropagation is None or not specified");
}

static void validate_sub_path(const struct v1_volume_mount *mnt, const struct field_path *p,
	const struct field_path *item, struct field_errors *e)
{
	if (mnt->sub_path.n)
		validate_local_descending_path(mnt->sub_path, AT(p, "subPath"), e);
	if (mnt->sub_path_expr.n == 0)
		return;
	if (mnt->sub_path.n)
		field_invalid(e, AT(item, "subPathExpr"), mnt->sub_path_expr,
			"subPathExpr and subPath are mutually exclusive");
	validate_local_descending_path(mnt->sub_path_expr, AT(p, "subPathExpr"), e);
}

void validate_volume_mounts(
	const struct v1_container *ctr, const struct pod_check *c, const struct field_path *p)
{
	struct field_errors *e = c->errs;
	struct str_vec paths = {0};

	for (size_t i = 0; i < ctr->volume_mounts.n; i++) {
		const struct v1_volume_mount *mnt = &ctr->volume_mounts.v[i];
		struct field_path item = FIELD_INDEX(p, i), name = FIELD(&item, "name");
		struct field_path path = FIELD(&item, "mountPath");

		if (mnt->name.n == 0)
			field_required(e, &name, "");
		if (!str_vec_has(&c->volumes, mnt->name))
			field_not_found(e, &name, mnt->name);
		if (mnt->mount_path.n == 0)
			field_required(e, &path, "");
		if (str_vec_has(&paths, mnt->mount_path))
			field_invalid(e, &path, mnt->mount_path, "must be unique");
		ARENA_PUSH(e->arena, &paths, mnt->mount_path);
		if (device_named(ctr, mnt->name))
			field_invalid(
				e, &name, mnt->name, "must not already exist in volumeDevices");
		if (device_at(ctr, mnt->mount_path))
			field_invalid(e, &path, mnt->mount_path,
				"must not already exist as a path in volumeDevices");
		validate_sub_path(mnt, p, &item, e);
		if (mnt->mount_propagation.p)
			validate_propagation(
				mnt->mount_propagation, ctr, AT(p, "mountPropagation"), e);
		validate_recursive_read_only(mnt, AT(p, "recursiveReadOnly"), e);
	}
}

static bool has_backsteps(struct str path)
{
	struct str part, rest = path;

	for (bool more = true; more;) {
		more = str_cut(rest, '/', &part, &rest);
		if (str_eqc(part, ".."))
			return true;
	}
	return false;
}

void validate_volume_devices(
	const struct v1_container *ctr, const struct pod_check *c, const struct field_path *p)
{
	struct field_errors *e = c->errs;
	struct str_vec paths = {0}, names = {0};

	for (size_t i = 0; i < ctr->volume_devices.n; i++) {
		struct str dev = ctr->volume_devices.v[i].name;
		struct str path = ctr->volume_devices.v[i].device_path;
		struct field_path item = FIELD_INDEX(p, i), at = FIELD(&item, "devicePath");
		struct field_path name = FIELD(&item, "name");

		if (dev.n == 0)
			field_required(e, &name, "");
		if (str_vec_has(&names, dev))
			field_invalid(e, &name, dev, "must be unique");
		if (str_vec_has(&c->volumes, dev) && !str_vec_has(&c->claim_volumes, dev))
			field_invalid(e, &name, dev,
				"can only use volume source type of PersistentVolumeClaim or "
				"Ephemeral "
				"for block mode");
		if (!str_vec_has(&c->volumes, dev))
			field_not_found(e, &name, dev);
		if (path.n == 0)
			field_required(e, &at, "");
		if (str_vec_has(&paths, path))
			field_invalid(e, &at, path, "must be unique");
		if (path.n && has_backsteps(path))
			field_invalid(e, &at, path, "can not contain backsteps ('..')");
		else
			ARENA_PUSH(e->arena, &paths, path);
		if (mount_named(ctr, dev))
			field_invalid(e, &name, dev, "must not already exist in volumeMounts");
		if (mount_at(ctr, path))
			field_invalid(
				e, &at, path, "must not already exist as a path in volumeMounts");
		if (dev.n)
			ARENA_PUSH(e->arena, &names, dev);
	}
}
