/* AlwaysAdmit and AlwaysDeny; and the names that upstream knows and that do nothing here. */
#include "apiserver/admission/plugins.h"

static int deny(struct admission_attrs *attrs, struct err *err)
{
	return admission_forbidden(attrs, err, "admission control is denying all modifications");
}

const struct admission_plugin admission_always_admit = {.name = "AlwaysAdmit", .off = true};

const struct admission_plugin admission_always_deny = {
	.name = "AlwaysDeny",
	.ops = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE | ADMIT_CONNECT,
	.off = true,
	.admit = deny,
	.validate = deny,
};

/* Upstream's features behind these are off, or their kind is not served: they see nothing. */
const struct admission_plugin admission_without_effect[] = {
	{.name = "PodGroupProtection"},
	{.name = "ClusterTrustBundleAttest"},
	{.name = "PodGroupWorkloadExists"},
	{.name = "NodeDeclaredFeatureValidator"},
	{.name = "JobValidation"},
};

static int refuse(struct apiserver *s, struct str config, void **ret, struct err *err)
{
	return err_bad_request(err, "the admission plugin ImagePolicyWebhook is not supported");
}

const struct admission_plugin admission_image_policy_webhook = {
	.name = "ImagePolicyWebhook", .off = true, .init = refuse};
