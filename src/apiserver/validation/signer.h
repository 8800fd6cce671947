/* signer.h: names of certificate signers ("example.com/signer") and of ClusterTrustBundles. */
#ifndef SAMPAN_VALIDATION_SIGNER_H
#define SAMPAN_VALIDATION_SIGNER_H

#include "apiserver/field.h"

void validate_signer_name(struct str name, const struct field_path *p, struct field_errors *e);
bool signer_is_kubernetes(struct str name);
struct str_vec trust_bundle_name_errors(struct arena *a, struct str name);

#endif
