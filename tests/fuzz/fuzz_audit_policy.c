/* An audit policy file: refused, or good for deciding about any request. */
#include "apiserver/audit/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str groups[] = {S("system:masters"), S("g")};
	const struct user_info user = {.name = S("bob"), .groups = {groups, 2}};
	const struct request_info questions[] = {
		{.is_resource = true,
			.verb = S("get"),
			.ns = S("n"),
			.resource = S("pods"),
			.subresource = S("log"),
			.name = S("x")},
		{.verb = S("get"), .path = S("/apis/x")},
	};
	struct audit_v1_policy *p;
	struct str_vec warnings;
	struct arena a = {0};

	if (audit_policy_parse(&a, str_n((const char *)data, size), &p, &warnings, NULL) == 0) {
		assert(p->rules.n > 0);
		for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
			struct audit_verdict v = audit_policy_decide(p, &user, &questions[i]);

			assert(v.level <= AUDIT_REQUEST_RESPONSE);
			audit_policy_decide(p, NULL, &questions[i]);
		}
	}
	arena_release(&a);
	return 0;
}
