/* A token on the first line, a key set behind it: what is parsed is whole, and a token that no key
 * signed is never taken for one that is. */
#include "apiserver/auth/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str token, keys, text = str_n((const char *)data, size);
	struct arena a = {0};
	struct str_vec audiences;
	struct jwks *set = NULL;
	struct jwt t = {0};
	int64_t expires_s;
	bool parsed;

	str_cut(text, '\n', &token, &keys);
	parsed = jwt_parse(token, &a, &t, NULL) == 0;
	if (parsed) {
		assert(t.claims && t.claims->kind == JSON_OBJECT && t.signed_part.n);
		jwt_time(t.claims, "exp", &expires_s);
		jwt_audiences(t.claims, &a, &audiences);
	}
	if (jwks_parse(keys, &set, NULL) == 0 && parsed && jwks_signed(set, &t))
		assert(jwt_algorithm_known(t.alg) && t.signature.n);
	jwks_unref(set);
	arena_release(&a);
	return 0;
}
