#include "node/runtime/jsonout.h"

#include "json/write.h"

static void lead(struct jout *j, struct str key)
{
	if (j->comma)
		buf_add_char(j->b, ',');
	j->comma = true;
	if (key.p) {
		json_write_string(j->b, key);
		buf_add_char(j->b, ':');
	}
}

void jout_open(struct jout *j, const char *key, char bracket)
{
	lead(j, str_c(key));
	buf_add_char(j->b, bracket);
	j->comma = false;
}

void jout_close(struct jout *j, char bracket)
{
	buf_add_char(j->b, bracket);
	j->comma = true;
}

void jout_str(struct jout *j, const char *key, struct str v)
{
	lead(j, str_c(key));
	json_write_string(j->b, v);
}

void jout_c(struct jout *j, const char *key, const char *v)
{
	jout_str(j, key, str_c(v));
}

void jout_int(struct jout *j, const char *key, int64_t v)
{
	lead(j, str_c(key));
	buf_add_i64(j->b, v);
}

void jout_bool(struct jout *j, const char *key, bool v)
{
	lead(j, str_c(key));
	buf_add_c(j->b, v ? "true" : "false");
}

void jout_strs(struct jout *j, const char *key, const struct str_vec *v)
{
	jout_open(j, key, '[');
	for (size_t i = 0; i < v->n; i++)
		jout_str(j, NULL, v->v[i]);
	jout_close(j, ']');
}

void jout_pairs(struct jout *j, const char *key, const struct str_pair *v, size_t n)
{
	jout_open(j, key, '{');
	for (size_t i = 0; i < n; i++) {
		lead(j, v[i].key);
		json_write_string(j->b, v[i].value);
	}
	jout_close(j, '}');
}

void jout_raw(struct jout *j, const char *key, struct str json)
{
	lead(j, str_c(key));
	buf_add_str(j->b, json);
}
