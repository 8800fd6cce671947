/* Bearer tokens, what a signed one claims, and static token files: nothing breaks, and nobody
 * becomes a user without a name. */
#include "apiserver/auth/auth_int.h"
#include "json/value.h"
#include "store/backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct auth *auth_with(struct store *store, struct str csv)
{
	const struct auth_opts opts = {.store = store, .token_auth_csv = csv};
	struct auth *a = NULL;

	return auth_new(&opts, &a, NULL) < 0 ? NULL : a;
}

static struct store *open_store(void)
{
	struct store_opts opts = {
		.backend = backend_memory_new(), .sim_loop = loop_new_sim(sim_clock_new(1, 0))};
	struct store *s = NULL;

	assert(store_open(&opts, &s, NULL) == 0);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct store *store;
	static struct auth *auth;
	struct str text = str_n((const char *)data, size);
	const struct str_vec any = {0};
	struct str_vec audiences = {0};
	struct user_info u = {0};
	struct arena a = {0};
	struct json_value *claims;
	struct auth *own;

	if (!store) {
		store = open_store();
		auth = auth_with(store, S("secret,bob,b1\n"));
	}
	if (authenticate_token(auth, NULL, &a, text, &any, 0, &u, &audiences, NULL) == 0)
		assert(str_eqc(text, "secret") && str_eqc(u.name, "bob"));
	if (json_parse(text, &a, &claims, NULL) == 0 &&
		token_claims(auth, &a, claims, 0, &u, &audiences, NULL) > 0)
		assert(u.name.n);
	own = auth_with(store, text);
	if (own)
		auth_free(own);
	arena_release(&a);
	return 0;
}
