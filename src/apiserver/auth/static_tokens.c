/* static_tokens.c: --token-auth-file, read once: token,user,uid,"group1,group2". */
#include "apiserver/auth/auth_int.h"

/* One field of a CSV line; a field in double quotes may hold commas, and "" for a quote. */
static bool csv_field(struct arena *a, struct str *line, struct str *ret)
{
	struct buf b;
	size_t i = 0;

	if (!line->p)
		return false;
	if (!line->n || line->p[0] != '"') {
		if (!str_cut(*line, ',', ret, line))
			*line = (struct str){0};
		*ret = str_trim(*ret);
		return true;
	}
	buf_init(&b, line->n);
	for (i = 1; i < line->n; i++) {
		if (line->p[i] != '"') {
			buf_add_char(&b, line->p[i]);
		} else if (i + 1 < line->n && line->p[i + 1] == '"') {
			buf_add_char(&b, '"');
			i++;
		} else {
			break;
		}
	}
	*ret = b.n ? arena_str(a, buf_str(&b)) : S("");
	buf_release(&b);
	*line = i + 2 <= line->n ? str_sub(*line, i + 2, line->n) : (struct str){0};
	return true;
}

static void split_groups(struct arena *a, struct str list, struct str_vec *ret)
{
	struct str one;

	while (list.n) {
		str_cut(list, ',', &one, &list);
		one = str_trim(one);
		if (one.n)
			ARENA_PUSH(a, ret, one);
	}
}

int static_tokens_parse(struct auth *auth, const char *path, struct str csv, struct err *err)
{
	struct arena *a = &auth->arena;
	struct str line, rest = arena_str(a, csv);
	int n = 0, found;

	while (rest.n) {
		struct static_token t = {0};
		struct str groups = {0};

		str_cut(rest, '\n', &line, &rest);
		line = str_trim(line);
		n++;
		if (!line.n || line.p[0] == '#')
			continue;
		found = csv_field(a, &line, &t.token) + csv_field(a, &line, &t.user.name) +
			csv_field(a, &line, &t.user.uid);
		if (found < 3)
			return err_bad_request(err,
				"token file '%s' must have at least 3 columns (token, user name, "
				"user uid), found %d",
				path, found);
		if (!t.token.n) {
			log_warn(
				"empty token has been found in token file '%s', record number '%d'",
				path, n);
			continue;
		}
		if (csv_field(a, &line, &groups))
			split_groups(a, groups, &t.user.groups);
		ARENA_PUSH(a, &auth->tokens, t);
	}
	return 0;
}

static bool same_secret(struct str a, struct str b)
{
	unsigned char differ = a.n != b.n;

	for (size_t i = 0; i < a.n && i < b.n; i++)
		differ |= a.p[i] ^ b.p[i];
	return !differ;
}

static int authenticate_static(const struct token_question *q, struct user_info *ret,
	struct str_vec *ret_audiences, struct err *err)
{
	const struct auth *a = q->auth;

	for (size_t i = a->tokens.n; i > 0; i--) { /* the last of several alike counts */
		if (same_secret(a->tokens.v[i - 1].token, q->token)) {
			*ret = a->tokens.v[i - 1].user;
			return 1;
		}
	}
	return 0;
}

const struct token_authenticator static_tokens = {
	.name = "token file", .authenticate = authenticate_static};
