/* env.c: environment variables, and the references to fields and resources that volumes share with
 * them. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"
#include "schema/quantity.h"

static const char *const volume_fields[] = {"metadata.annotations", "metadata.labels",
	"metadata.name", "metadata.namespace", "metadata.uid", NULL};
static const char *const env_fields[] = {"metadata.name", "metadata.namespace", "metadata.uid",
	"spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs",
	"status.podIP", "status.podIPs", NULL};
static const char *const resource_fields[] = {"limits.cpu", "limits.ephemeral-storage",
	"limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory", NULL};

static bool one_of(struct str s, const char *const *list)
{
	for (size_t i = 0; list[i]; i++)
		if (str_eqc(s, list[i]))
			return true;
	return false;
}

/* "metadata.labels['key']" -> path and key; false when it has no subscript. */
static bool split_subscript(struct str s, struct str *path, struct str *key)
{
	ssize_t at = str_find(s, S("['"));

	*path = s;
	if (!str_ends(s, S("']")) || at <= 0 || (size_t)at + 4 > s.n)
		return false;
	*path = str_sub(s, 0, (size_t)at);
	*key = str_sub(s, (size_t)at + 2, s.n - 2);
	return true;
}

/* Whether the API has this field label for pods at all. */
static bool known_label(struct str label)
{
	static const char *const more[] = {
		"spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host", NULL};

	return one_of(label, volume_fields) || one_of(label, env_fields) || one_of(label, more);
}

static void validate_subscript(struct str path, struct str key, struct str whole,
	const struct field_path *p, struct field_errors *e)
{
	if (str_eqc(path, "metadata.annotations"))
		validate_qualified_name(str_lower(e->arena, key), p, e);
	else if (str_eqc(path, "metadata.labels"))
		validate_qualified_name(key, p, e);
	else
		field_invalid(e, AT(p, "fieldPath"), whole,
			"error converting fieldPath: field label does not support "
			"subscript: " STR_FMT,
			STR_ARG(whole));
}

void validate_field_ref(const struct v1_object_field_selector *ref, bool volume,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path at = FIELD(p, "fieldPath");
	struct str path, key, label = ref->field_path;

	if (ref->api_version.n == 0) {
		field_required(e, AT(p, "apiVersion"), "");
		return;
	}
	if (label.n == 0) {
		field_required(e, &at, "");
		return;
	}
	if (!str_eqc(ref->api_version, "v1")) {
		field_invalid(e, &at, label,
			"error converting fieldPath: unsupported pod version: " STR_FMT,
			STR_ARG(ref->api_version));
		return;
	}
	if (split_subscript(label, &path, &key)) {
		validate_subscript(path, key, label, p, e);
		return;
	}
	if (!known_label(label)) {
		field_invalid(e, &at, label,
			"error converting fieldPath: field label not supported: " STR_FMT,
			STR_ARG(label));
		return;
	}
	field_one_of(e, &at, str_eqc(label, "spec.host") ? S("spec.nodeName") : label,
		volume ? volume_fields : env_fields);
}

static void validate_divisor(const struct v1_resource_field_selector *ref,
	const struct field_path *p, struct field_errors *e)
{
#define SIZES "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"
	static const char *const cpu[] = {"1m", "1", NULL};
	static const char *const sizes[] = {"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi",
		"1Gi", "1Ti", "1Pi", "1Ei", NULL};
	struct quantity q = quantity_of(ref->divisor);
	struct str text = quantity_text(&q, e->arena), what, name = ref->resource;

	if (q.nano == 0)
		return;
	if (!str_cut(name, '.', &what, &name))
		return;
	if (!str_eqc(what, "limits") && !str_eqc(what, "requests"))
		return;
	if (str_eqc(name, "cpu") && !one_of(text, cpu))
		field_invalid(e, AT(p, "divisor"), ref->resource,
			"only divisor's values 1m and 1 are supported with the cpu resource");
	else if (str_eqc(name, "memory") && !one_of(text, sizes))
		field_invalid(e, AT(p, "divisor"), ref->resource,
			"only divisor's values " SIZES " are supported with the memory resource");
	else if (str_eqc(name, "ephemeral-storage") && !one_of(text, sizes))
		field_invalid(e, AT(p, "divisor"), ref->resource,
			"only divisor's values " SIZES
			" are supported with the local ephemeral storage resource");
	else if (str_starts(name, S("hugepages-")) && !one_of(text, sizes))
		field_invalid(e, AT(p, "divisor"), ref->resource,
			"only divisor's values " SIZES
			" are supported with the hugepages resource");
#undef SIZES
}

void validate_resource_field_ref(const struct v1_resource_field_selector *ref, bool volume,
	const struct field_path *p, struct field_errors *e)
{
	if (volume && ref->container_name.n == 0)
		field_required(e, AT(p, "containerName"), "");
	else if (ref->resource.n == 0)
		field_required(e, AT(p, "resource"), "");
	else if (!str_starts(ref->resource, S("requests.hugepages-")) &&
		 !str_starts(ref->resource, S("limits.hugepages-")))
		field_one_of(e, AT(p, "resource"), ref->resource, resource_fields);
	validate_divisor(ref, p, e);
}

static void validate_key_ref(
	struct str name, struct str key, const struct field_path *p, struct field_errors *e)
{
	validate_dns1123_subdomain(name, AT(p, "name"), e);
	if (key.n == 0)
		field_required(e, AT(p, "key"), "");
	else
		field_invalid_each(e, AT(p, "key"), key, is_config_map_key(e->arena, key));
}

static void validate_file_key_ref(
	const struct v1_file_key_selector *ref, const struct field_path *p, struct field_errors *e)
{
	if (ref->key.n == 0)
		field_required(e, AT(p, "key"), "");
	else
		field_invalid_each(
			e, AT(p, "key"), ref->key, is_relaxed_env_var_name(e->arena, ref->key));
	if (ref->volume_name.n == 0)
		field_required(e, AT(p, "volumeName"), "");
	else
		validate_dns1123_label(ref->volume_name, AT(p, "volumeName"), e);
	if (ref->path.n == 0)
		field_required(e, AT(p, "path"), "");
	else
		validate_path_no_backsteps(ref->path, AT(p, "path"), e);
}

static void validate_value_from(
	const struct v1_env_var *var, const struct field_path *p, struct field_errors *e)
{
	const struct v1_env_var_source *from = var->value_from;
	size_t n = 0;

	if (from->field_ref && ++n)
		validate_field_ref(from->field_ref, false, AT(p, "fieldRef"), e);
	if (from->resource_field_ref && ++n)
		validate_resource_field_ref(
			from->resource_field_ref, false, AT(p, "resourceFieldRef"), e);
	if (from->config_map_key_ref && ++n)
		validate_key_ref(from->config_map_key_ref->name, from->config_map_key_ref->key,
			AT(p, "configMapKeyRef"), e);
	if (from->secret_key_ref && ++n)
		validate_key_ref(from->secret_key_ref->name, from->secret_key_ref->key,
			AT(p, "secretKeyRef"), e);
	if (from->file_key_ref && ++n)
		validate_file_key_ref(from->file_key_ref, AT(p, "fileKeyRef"), e);
	if (n == 0)
		field_invalid(e, p, S(""),
			"must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
			"`secretKeyRef` or `fileKeyRef`");
	else if (var->value.n)
		field_invalid(e, p, S(""), "may not be specified when `value` is not empty");
	else if (n > 1)
		field_invalid(e, p, S(""), "may not have more than one field specified at a time");
}

void validate_env(
	const struct v1_env_var_vec *env, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < env->n; i++) {
		const struct v1_env_var *var = &env->v[i];
		struct field_path item = FIELD_INDEX(p, i);

		if (var->name.n == 0)
			field_required(e, AT(&item, "name"), "");
		else
			field_invalid_each(e, AT(&item, "name"), var->name,
				is_relaxed_env_var_name(e->arena, var->name));
		if (var->value_from)
			validate_value_from(var, AT(&item, "valueFrom"), e);
	}
}

static void validate_from_name(struct str name, const struct field_path *p, struct field_errors *e)
{
	if (name.n == 0)
		field_required(e, AT(p, "name"), "");
	else
		field_invalid_each(
			e, AT(p, "name"), name, name_is_dns_subdomain(e->arena, name, true));
}

void validate_env_from(const struct v1_env_from_source_vec *from, const struct field_path *p,
	struct field_errors *e)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct v1_env_from_source *src = &from->v[i];
		struct field_path item = FIELD_INDEX(p, i);

		if (src->prefix.n)
			field_invalid_each(e, AT(&item, "prefix"), src->prefix,
				is_relaxed_env_var_name(e->arena, src->prefix));
		if (src->config_map_ref)
			validate_from_name(src->config_map_ref->name, AT(&item, "configMapRef"), e);
		if (src->secret_ref)
			validate_from_name(src->secret_ref->name, AT(&item, "secretRef"), e);
		if (!src->config_map_ref && !src->secret_ref)
			field_invalid(
				e, p, S(""), "must specify one of: `configMapRef` or `secretRef`");
		else if (src->config_map_ref && src->secret_ref)
			field_invalid(e, p, S(""),
				"may not have more than one field specified at a time");
	}
}
