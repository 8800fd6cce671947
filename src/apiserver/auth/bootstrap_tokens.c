/* bootstrap_tokens.c: the tokens by which machines join: "<id>.<secret>", kept as Secrets in
 * kube-system. */
#include "apiserver/auth/auth_int.h"
#include "pki/bootstrap_token.h"
#include "types.gen.h"

static int check(const struct object *o, struct bootstrap_token token, struct arena *arena,
	int64_t now_ns, struct user_info *ret)
{
	const struct v1_secret *s = object_decode(object_ref_in(arena, o), arena);
	struct bootstrap_secret b;
	struct user_info u = {0};

	if (s->metadata.deletion_timestamp.set || !bootstrap_secret_read(s, now_ns / 1000000, &b) ||
		!secret_equal(b.token.secret, token.secret) || b.expired || !b.for_authentication ||
		!bootstrap_secret_groups(&b, arena, &u.groups))
		return 0;
	u.name = arena_fmt(arena, BOOTSTRAP_USER_PREFIX STR_FMT, STR_ARG(token.id));
	*ret = u;
	return 1;
}

static int authenticate_bootstrap(const struct token_question *q, struct user_info *ret,
	struct str_vec *ret_audiences, struct err *err)
{
	struct bootstrap_token t;
	const struct object *o;
	int r;

	if (!q->auth->bootstrap_tokens || !bootstrap_token_parse(q->token, &t))
		return 0;
	o = store_get(q->auth->store, &v1_secret_resource, S("kube-system"),
		arena_fmt(q->arena, BOOTSTRAP_SECRET_PREFIX STR_FMT, STR_ARG(t.id)));
	if (!o)
		return 0;
	r = check(o, t, q->arena, q->now_ns, ret);
	object_unref(o);
	return r;
}

const struct token_authenticator bootstrap_tokens = {
	.name = "bootstrap",
	.authenticate = authenticate_bootstrap,
};
