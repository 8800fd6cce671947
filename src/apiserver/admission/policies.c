/* ValidatingAdmissionPolicy, MutatingAdmissionPolicy: kept as objects, not evaluated: there is no
 * interpreter for CEL. Whoever binds one is told. */
#include "apiserver/admission/plugins.h"

static int warn(struct admission_attrs *attrs, const struct schema_resource *binding)
{
	if (admission_is(attrs, binding) && !attrs->dry_run)
		admission_warn(attrs,
			"this server does not evaluate CEL: %s objects are kept but have no effect",
			binding->kind);
	return 0;
}

static int warn_validating(struct admission_attrs *attrs, struct err *err)
{
	return warn(attrs, &admissionregistration_v1_validating_admission_policy_binding_resource);
}

static int warn_mutating(struct admission_attrs *attrs, struct err *err)
{
	return warn(attrs, &admissionregistration_v1_mutating_admission_policy_binding_resource);
}

const struct admission_plugin admission_validating_admission_policy = {
	.name = "ValidatingAdmissionPolicy",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.validate = warn_validating,
};

const struct admission_plugin admission_mutating_admission_policy = {
	.name = "MutatingAdmissionPolicy",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.validate = warn_mutating,
};
