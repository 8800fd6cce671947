#include "apiserver/stored.h"

#include "apiserver/convert.h"
#include "apiserver/strategy.h"

/* Versions whose form is that of the version which is served. */
static const struct {
	const char *api_version, *kind;
} same_form[] = {
	{"admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicy"},
	{"admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicyBinding"},
	{"admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy"},
	{"admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicyBinding"},
	{"flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema"},
	{"flowcontrol.apiserver.k8s.io/v1beta3", "PriorityLevelConfiguration"},
	{"networking.k8s.io/v1beta1", "IPAddress"},
	{"networking.k8s.io/v1beta1", "ServiceCIDR"},
	{"storage.k8s.io/v1beta1", "CSIStorageCapacity"},
	{"storage.k8s.io/v1beta1", "VolumeAttributesClass"},
};

static bool has_same_form(struct str api_version, struct str kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(same_form); i++)
		if (str_eqc(api_version, same_form[i].api_version) &&
			str_eqc(kind, same_form[i].kind))
			return true;
	return false;
}

static int decode_other(const struct schema_resource *res, struct str api_version, struct str kind,
	bool proto, struct str bytes, struct arena *a, void **ret, struct err *err)
{
	struct str json;
	int r;

	if (has_same_form(api_version, kind))
		return proto ? schema_decode_proto(res->type, bytes, a, ret, err)
			     : schema_decode_json(res->type, bytes, a, NULL, ret, err);
	if (str_eqc(api_version, "apiextensions.k8s.io/v1beta1") && !proto) {
		r = crd_from_v1beta1(bytes, a, &json, err);
		return r < 0 ? r : schema_decode_json(res->type, json, a, NULL, ret, err);
	}
	return err_bad_request(err, "no kind \"" STR_FMT "\" of \"" STR_FMT "\" is known",
		STR_ARG(kind), STR_ARG(api_version));
}

static void fill(const struct schema_resource *res, void *typed, struct arena *a)
{
	const struct strategy *st = strategy_find(res);
	struct str_vec warnings = {0};
	struct strategy_ctx ctx = {.arena = a, .resource = res, .warnings = &warnings};

	schema_default(res->type, typed, a);
	if (st && st->default_)
		st->default_(&ctx, typed);
}

const struct etcd_reader stored_reader = {
	.convert = convert,
	.decode_other = decode_other,
	.fill = fill,
};
