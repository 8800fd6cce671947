/* Policies of --authorization-policy-file: what is taken decides about any request without
 * breaking, and a file without a policy allows nothing. */
#include "apiserver/auth/authz_chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum auth_decision ask(void *abac, struct arena *a, struct request_info info)
{
	struct str groups[] = {S("system:authenticated"), S("devs")};
	const struct user_info user = {.name = S("jane"), .groups = {groups, 2}};
	const struct auth_question q = {.arena = a, .user = &user, .info = &info};
	struct auth_answer answer = {0};

	abac_authorizer.authorize(abac, &q, &answer);
	return answer.decision;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	void *abac;

	if (abac_from_text("policy", str_n((const char *)data, size), &abac, NULL) == 0) {
		enum auth_decision pods = ask(abac, &a,
			(struct request_info){.is_resource = true,
				.verb = S("create"),
				.resource = S("pods"),
				.ns = S("default")});
		enum auth_decision path = ask(
			abac, &a, (struct request_info){.verb = S("get"), .path = S("/version")});

		if (!memchr(data, '{', size))
			assert(pods != AUTH_ALLOW && path != AUTH_ALLOW);
		abac_authorizer.free(abac);
	}
	arena_release(&a);
	return 0;
}
