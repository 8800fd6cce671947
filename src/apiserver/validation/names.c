/* names.c: checkers of names and short values. The patterns are matched by hand; the messages quote
 * them. */
#include "apiserver/validation/names.h"

#define LABEL_FMT "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define LABEL_UNDERSCORE_FMT "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
#define SUBDOMAIN_FMT LABEL_FMT "(\\." LABEL_FMT ")*"
#define SUBDOMAIN_UNDERSCORE_FMT LABEL_UNDERSCORE_FMT "(\\." LABEL_UNDERSCORE_FMT ")*"
#define DNS1035_FMT "[a-z]([-a-z0-9]*[a-z0-9])?"
#define LABEL_KEY_FMT "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
#define LABEL_KEY_MSG                                                                              \
	"must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "   \
	"an "                                                                                      \
	"alphanumeric character"
#define LABEL_KEY_RULE                                                                             \
	LABEL_KEY_MSG " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation "  \
		      "is '" LABEL_KEY_FMT "')"

enum { PORT_NAME_MAX = 15, LABEL_MAX = 63 };

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c)
{
	return is_alpha(c) || is_digit(c);
}

static bool is_lower_alnum(char c)
{
	return is_lower(c) || is_digit(c);
}

static void add(struct arena *a, struct str_vec *out, const char *message)
{
	ARENA_PUSH(a, out, str_c(message));
}

static void add_max_len(struct arena *a, struct str_vec *out, const char *prefix, int max)
{
	ARENA_PUSH(a, out, arena_fmt(a, "%smust be no more than %d characters", prefix, max));
}

/* What stands in labels is counted in bytes, as upstream's newer package says it. */
static void add_max_bytes(struct arena *a, struct str_vec *out, const char *prefix, int max)
{
	ARENA_PUSH(a, out, arena_fmt(a, "%smust be no more than %d bytes", prefix, max));
}

/* [a-z0-9]([-a-z0-9]*[a-z0-9])? */
static bool label_matches(struct str v)
{
	if (v.n == 0 || !is_lower_alnum(v.p[0]) || !is_lower_alnum(v.p[v.n - 1]))
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (!is_lower_alnum(v.p[i]) && v.p[i] != '-')
			return false;
	return true;
}

/* _?[a-z0-9]([-_a-z0-9]*[a-z0-9])? */
static bool label_underscore_matches(struct str v)
{
	if (v.n && v.p[0] == '_')
		v = str_sub(v, 1, v.n);
	if (v.n == 0 || !is_lower_alnum(v.p[0]) || !is_lower_alnum(v.p[v.n - 1]))
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (!is_lower_alnum(v.p[i]) && v.p[i] != '-' && v.p[i] != '_')
			return false;
	return true;
}

static bool label_caseless_matches(struct str v)
{
	if (v.n == 0 || !is_alnum(v.p[0]) || !is_alnum(v.p[v.n - 1]))
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (!is_alnum(v.p[i]) && v.p[i] != '-')
			return false;
	return true;
}

static bool all_parts(struct str v, bool (*matches)(struct str))
{
	struct str head, rest = v;

	for (;;) {
		bool more = str_cut(rest, '.', &head, &rest);
		if (!matches(head))
			return false;
		if (!more)
			return true;
	}
}

struct str_vec is_dns1123_label(struct arena *a, struct str v)
{
	struct str_vec out = {0};

	if (v.n > DNS1123_LABEL_MAX)
		add_max_len(a, &out, "", DNS1123_LABEL_MAX);
	if (label_matches(v))
		return out;
	if (all_parts(v, label_matches))
		add(a, &out, "must not contain dots");
	else
		add(a, &out,
			"a lowercase RFC 1123 label must consist of lower case alphanumeric "
			"characters "
			"or '-', and must start and end with an alphanumeric character (e.g. "
			"'my-name',  or '123-abc', regex used for validation is '" LABEL_FMT "')");
	return out;
}

struct str_vec is_dns1123_subdomain(struct arena *a, struct str v)
{
	struct str_vec out = {0};

	if (v.n > DNS1123_SUBDOMAIN_MAX)
		add_max_len(a, &out, "", DNS1123_SUBDOMAIN_MAX);
	if (!all_parts(v, label_matches))
		add(a, &out,
			"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
			"characters, '-' or '.', and must start and end with an alphanumeric "
			"character "
			"(e.g. 'example.com', regex used for validation is '" SUBDOMAIN_FMT "')");
	return out;
}

struct str_vec is_dns1123_subdomain_underscore(struct arena *a, struct str v)
{
	struct str_vec out = {0};

	if (v.n > DNS1123_SUBDOMAIN_MAX)
		add_max_len(a, &out, "", DNS1123_SUBDOMAIN_MAX);
	if (!all_parts(v, label_underscore_matches))
		add(a, &out,
			"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
			"characters, '_', '-' or '.', and must start and end with an alphanumeric "
			"character (e.g. 'example.com', regex used for validation is "
			"'" SUBDOMAIN_UNDERSCORE_FMT "')");
	return out;
}

struct str_vec is_dns1123_subdomain_caseless(struct arena *a, struct str v)
{
	struct str_vec out = {0};

	if (v.n > DNS1123_SUBDOMAIN_MAX)
		add_max_len(a, &out, "", DNS1123_SUBDOMAIN_MAX);
	if (!all_parts(v, label_caseless_matches))
		add(a, &out,
			"an RFC 1123 subdomain must consist of alphanumeric characters, '-' or "
			"'.', and "
			"must start and end with an alphanumeric character (e.g. 'Example.com', "
			"regex "
			"used for validation is '" SUBDOMAIN_FMT "')");
	return out;
}

struct str_vec is_dns1035_label(struct arena *a, struct str v)
{
	struct str_vec out = {0};

	if (v.n > DNS1123_LABEL_MAX)
		add_max_len(a, &out, "", DNS1123_LABEL_MAX);
	if (!label_matches(v) || !is_lower(v.p[0]))
		add(a, &out,
			"a DNS-1035 label must consist of lower case alphanumeric characters or "
			"'-', "
			"start with an alphabetic character, and end with an alphanumeric "
			"character "
			"(e.g. 'my-name',  or 'abc-123', regex used for validation is '" DNS1035_FMT
			"')");
	return out;
}

struct str_vec is_wildcard_dns1123_subdomain(struct arena *a, struct str v)
{
	struct str_vec out = {0};

	if (v.n > DNS1123_SUBDOMAIN_MAX)
		add_max_len(a, &out, "", DNS1123_SUBDOMAIN_MAX);
	if (!str_starts(v, S("*.")) || !all_parts(str_sub(v, 2, v.n), label_matches))
		add(a, &out,
			"a wildcard DNS-1123 subdomain must start with '*.', followed by a valid "
			"DNS "
			"subdomain, which must consist of lower case alphanumeric characters, '-' "
			"or '.' "
			"and end with an alphanumeric character (e.g. '*.example.com', regex used "
			"for "
			"validation is '\\*\\." SUBDOMAIN_FMT "')");
	return out;
}

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9] */
static bool label_key_matches(struct str v)
{
	if (v.n == 0 || !is_alnum(v.p[0]) || !is_alnum(v.p[v.n - 1]))
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (!is_alnum(v.p[i]) && v.p[i] != '-' && v.p[i] != '_' && v.p[i] != '.')
			return false;
	return true;
}

struct str_vec is_qualified_name(struct arena *a, struct str v)
{
	struct str_vec out = {0};
	struct str prefix, name = v, rest;

	if (str_cut(v, '/', &prefix, &name)) {
		if (str_cut(name, '/', &rest, &rest)) {
			add(a, &out,
				"a valid label key " LABEL_KEY_RULE
				" with an optional DNS subdomain "
				"prefix and '/' (e.g. 'example.com/MyName')");
			return out;
		}
		if (prefix.n == 0) {
			add(a, &out, "prefix part must be non-empty");
		} else {
			struct str_vec msgs = is_dns1123_subdomain(a, prefix);
			bool too_long = prefix.n > DNS1123_SUBDOMAIN_MAX;

			if (too_long)
				add_max_bytes(a, &out, "prefix part ", DNS1123_SUBDOMAIN_MAX);
			for (size_t i = too_long; i < msgs.n; i++)
				ARENA_PUSH(a, &out,
					arena_fmt(a, "prefix part " STR_FMT, STR_ARG(msgs.v[i])));
		}
	} else {
		name = v;
	}
	if (name.n == 0)
		add(a, &out, "name part must be non-empty");
	else if (name.n > LABEL_MAX)
		add_max_bytes(a, &out, "name part ", LABEL_MAX);
	if (!label_key_matches(name))
		add(a, &out, "name part " LABEL_KEY_RULE);
	return out;
}

struct str_vec is_label_value(struct arena *a, struct str v)
{
	struct str_vec out = {0};

	if (v.n > LABEL_MAX)
		add_max_bytes(a, &out, "", LABEL_MAX);
	if (v.n && !label_key_matches(v))
		add(a, &out,
			"a valid label must be an empty string or consist of alphanumeric "
			"characters, "
			"'-', '_' or '.', and must start and end with an alphanumeric character "
			"(e.g. "
			"'MyValue',  or 'my_value',  or '12345', regex used for validation is "
			"'(" LABEL_KEY_FMT ")?')");
	return out;
}

struct str_vec is_c_identifier(struct arena *a, struct str v)
{
	struct str_vec out = {0};
	bool ok = v.n && (is_alpha(v.p[0]) || v.p[0] == '_');

	for (size_t i = 0; ok && i < v.n; i++)
		ok = is_alnum(v.p[i]) || v.p[i] == '_';
	if (!ok)
		add(a, &out,
			"a valid C identifier must start with alphabetic character or '_', "
			"followed by a "
			"string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  "
			"or "
			"'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')");
	return out;
}

struct str_vec is_in_range(struct arena *a, int64_t v, int64_t min, int64_t max)
{
	struct str_vec out = {0};

	if (v < min || v > max)
		ARENA_PUSH(a, &out,
			arena_fmt(a, "must be between %lld and %lld, inclusive", (long long)min,
				(long long)max));
	return out;
}

struct str_vec is_port_number(struct arena *a, int64_t port)
{
	return is_in_range(a, port, 1, 65535);
}

struct str_vec is_user_id(struct arena *a, int64_t id)
{
	return is_in_range(a, id, 0, INT32_MAX);
}

struct str_vec is_port_name(struct arena *a, struct str v)
{
	struct str_vec out = {0};
	bool charset = v.n > 0, letter = false;

	for (size_t i = 0; i < v.n; i++) {
		charset = charset && (is_lower_alnum(v.p[i]) || v.p[i] == '-');
		letter = letter || is_lower(v.p[i]);
	}
	if (v.n > PORT_NAME_MAX)
		add_max_len(a, &out, "", PORT_NAME_MAX);
	if (!charset)
		add(a, &out,
			"must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
	if (!letter)
		add(a, &out, "must contain at least one letter (a-z)");
	if (str_find(v, S("--")) >= 0)
		add(a, &out, "must not contain consecutive hyphens");
	if (v.n && (v.p[0] == '-' || v.p[v.n - 1] == '-'))
		add(a, &out, "must not begin or end with a hyphen");
	return out;
}

static void add_chdir_prefix(struct arena *a, struct str_vec *out, struct str v)
{
	if (str_eqc(v, "."))
		add(a, out, "must not be '.'");
	else if (str_eqc(v, ".."))
		add(a, out, "must not be '..'");
	else if (str_starts(v, S("..")))
		add(a, out, "must not start with '..'");
}

struct str_vec is_env_var_name(struct arena *a, struct str v)
{
	struct str_vec out = {0};
	bool ok = v.n && !is_digit(v.p[0]);

	for (size_t i = 0; ok && i < v.n; i++)
		ok = is_alnum(v.p[i]) || v.p[i] == '-' || v.p[i] == '.' || v.p[i] == '_';
	if (!ok)
		add(a, &out,
			"a valid environment variable name must consist of alphabetic characters, "
			"digits, '_', '-', or '.', and must not start with a digit (e.g. "
			"'my.env-name',  "
			"or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is "
			"'[-._a-zA-Z][-._a-zA-Z0-9]*')");
	add_chdir_prefix(a, &out, v);
	return out;
}

struct str_vec is_relaxed_env_var_name(struct arena *a, struct str v)
{
	struct str_vec out = {0};

	if (v.n == 0)
		add(a, &out, "environment variable name must be non-empty");
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < ' ' || v.p[i] > '~' || v.p[i] == '=') {
			add(a, &out,
				"a valid environment variable name must consist only of printable "
				"ASCII "
				"characters other than '='");
			break;
		}
	return out;
}

struct str_vec is_config_map_key(struct arena *a, struct str v)
{
	struct str_vec out = {0};
	bool ok = v.n > 0;

	for (size_t i = 0; ok && i < v.n; i++)
		ok = is_alnum(v.p[i]) || v.p[i] == '-' || v.p[i] == '.' || v.p[i] == '_';
	if (v.n > DNS1123_SUBDOMAIN_MAX)
		add_max_len(a, &out, "", DNS1123_SUBDOMAIN_MAX);
	if (!ok)
		add(a, &out,
			"a valid config key must consist of alphanumeric characters, '-', '_' or "
			"'.' "
			"(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for "
			"validation is "
			"'[-._a-zA-Z0-9]+')");
	add_chdir_prefix(a, &out, v);
	return out;
}

struct str_vec is_http_header_name(struct arena *a, struct str v)
{
	struct str_vec out = {0};
	bool ok = v.n > 0;

	for (size_t i = 0; ok && i < v.n; i++)
		ok = is_alnum(v.p[i]) || v.p[i] == '-';
	if (!ok)
		add(a, &out,
			"a valid HTTP header must consist of alphanumeric characters or '-' (e.g. "
			"'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')");
	return out;
}

struct str_vec is_percent(struct arena *a, struct str v)
{
	struct str_vec out = {0};
	bool ok = v.n > 1 && v.p[v.n - 1] == '%';

	for (size_t i = 0; ok && i + 1 < v.n; i++)
		ok = is_digit(v.p[i]);
	if (!ok)
		add(a, &out,
			"a valid percent string must be a numeric string followed by an ending '%' "
			"(e.g. "
			"'1%',  or '93%', regex used for validation is '[0-9]+%')");
	return out;
}

static void add_path_segment(struct arena *a, struct str_vec *out, struct str v)
{
	if (str_chr(v, '/') >= 0)
		add(a, out, "may not contain '/'");
	if (str_chr(v, '%') >= 0)
		add(a, out, "may not contain '%'");
}

struct str_vec is_path_segment_name(struct arena *a, struct str v)
{
	struct str_vec out = {0};

	if (str_eqc(v, ".") || str_eqc(v, ".."))
		ARENA_PUSH(a, &out, arena_fmt(a, "may not be '" STR_FMT "'", STR_ARG(v)));
	else
		add_path_segment(a, &out, v);
	return out;
}

/* What generateName may end in: its last two characters stand for what will follow (upstream cuts
 * both). */
static struct str mask_trailing_dash(struct arena *a, struct str name)
{
	if (name.n > 1 && name.p[name.n - 1] == '-')
		return arena_fmt(a, "%.*sa", (int)(name.n - 2), name.p);
	return name;
}

struct str_vec name_is_dns_subdomain(struct arena *a, struct str name, bool prefix)
{
	return is_dns1123_subdomain(a, prefix ? mask_trailing_dash(a, name) : name);
}

struct str_vec name_is_dns_label(struct arena *a, struct str name, bool prefix)
{
	return is_dns1123_label(a, prefix ? mask_trailing_dash(a, name) : name);
}

struct str_vec name_is_dns1035_label(struct arena *a, struct str name, bool prefix)
{
	return is_dns1035_label(a, prefix ? mask_trailing_dash(a, name) : name);
}

struct str_vec name_is_path_segment(struct arena *a, struct str name, bool prefix)
{
	struct str_vec out = {0};

	if (!prefix)
		return is_path_segment_name(a, name);
	add_path_segment(a, &out, name);
	return out;
}

struct str_vec name_is_anything(struct arena *a, struct str name, bool prefix)
{
	return (struct str_vec){0};
}

void field_invalid_each(struct field_errors *e, const struct field_path *p, struct str value,
	struct str_vec messages)
{
	for (size_t i = 0; i < messages.n; i++)
		field_invalid(e, p, value, STR_FMT, STR_ARG(messages.v[i]));
}

void field_invalid_int_each(
	struct field_errors *e, const struct field_path *p, int64_t value, struct str_vec messages)
{
	for (size_t i = 0; i < messages.n; i++)
		field_invalid_int(e, p, value, STR_FMT, STR_ARG(messages.v[i]));
}

void validate_qualified_name(struct str v, const struct field_path *p, struct field_errors *e)
{
	field_invalid_each(e, p, v, is_qualified_name(e->arena, v));
}

void validate_dns1123_label(struct str v, const struct field_path *p, struct field_errors *e)
{
	field_invalid_each(e, p, v, is_dns1123_label(e->arena, v));
}

void validate_dns1123_subdomain(struct str v, const struct field_path *p, struct field_errors *e)
{
	field_invalid_each(e, p, v, is_dns1123_subdomain(e->arena, v));
}

void validate_labels(
	const struct str_map *labels, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < labels->n; i++) {
		struct str key = labels->v[i].key, value = labels->v[i].value;

		validate_qualified_name(key, p, e);
		field_invalid_each(e, p, value, is_label_value(e->arena, value));
	}
}

struct str str_lower(struct arena *a, struct str s)
{
	char *c = arena_cstr(a, s);

	for (size_t i = 0; i < s.n; i++)
		if (c[i] >= 'A' && c[i] <= 'Z')
			c[i] += 'a' - 'A';
	return str_n(c, s.n);
}

void validate_annotations(
	const struct str_map *annotations, const struct field_path *p, struct field_errors *e)
{
	size_t total = 0;

	for (size_t i = 0; i < annotations->n; i++) {
		struct str key = annotations->v[i].key;

		field_invalid_each(
			e, p, key, is_qualified_name(e->arena, str_lower(e->arena, key)));
		total += key.n + annotations->v[i].value.n;
	}
	if (total > ANNOTATIONS_SIZE_MAX)
		field_too_long(e, p, ANNOTATIONS_SIZE_MAX);
}

void validate_nonnegative(int64_t v, const struct field_path *p, struct field_errors *e)
{
	if (v < 0)
		field_invalid_int(e, p, v, "must be greater than or equal to 0");
}

static struct str join(struct arena *a, struct str_vec v, const char *sep)
{
	struct str out = S("");

	for (size_t i = 0; i < v.n; i++)
		out = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? sep : "", STR_ARG(v.v[i]));
	return out;
}

static size_t count_labels(struct str v)
{
	size_t n = 1;

	for (size_t i = 0; i < v.n; i++)
		n += v.p[i] == '.';
	return n;
}

void validate_fully_qualified_name(struct str v, const struct field_path *p, struct field_errors *e)
{
	if (v.n == 0) {
		field_required(e, p, "");
		return;
	}
	struct str_vec msgs = is_dns1123_subdomain(e->arena, v);
	if (msgs.n)
		field_invalid(e, p, v, STR_FMT, STR_ARG(join(e->arena, msgs, ",")));
	else if (count_labels(v) < 3)
		field_invalid(e, p, v,
			"should be a domain with at least three segments separated by dots");
}

void validate_fully_qualified_domain_name(
	struct str v, const struct field_path *p, struct field_errors *e)
{
	struct str label, rest;

	if (v.n == 0) {
		field_required(e, p, "");
		return;
	}
	if (v.p[v.n - 1] == '.')
		v.n--;
	struct str_vec msgs = is_dns1123_subdomain(e->arena, v);
	if (msgs.n) {
		field_invalid(e, p, v, STR_FMT, STR_ARG(join(e->arena, msgs, ",")));
		return;
	}
	if (count_labels(v) < 2) {
		field_invalid(
			e, p, v, "should be a domain with at least two segments separated by dots");
		return;
	}
	rest = v;
	for (bool more = true; more;) {
		more = str_cut(rest, '.', &label, &rest);
		msgs = is_dns1123_label(e->arena, label);
		if (msgs.n) {
			field_invalid(e, p, label, STR_FMT, STR_ARG(join(e->arena, msgs, ",")));
			return;
		}
	}
}

void validate_domain_prefixed_path(struct str v, const struct field_path *p, struct field_errors *e)
{
	static const char extra[] = "/-._~%!$&'()*+,;=:";
	struct str host, path;

	if (v.n == 0) {
		field_required(e, p, "");
		return;
	}
	if (!str_cut(v, '/', &host, &path) || host.n == 0 || path.n == 0) {
		field_invalid(e, p, v, "must be a domain-prefixed path (such as \"acme.io/foo\")");
		return;
	}
	validate_dns1123_subdomain(host, p, e);
	for (size_t i = 0; i < path.n; i++)
		if (!is_alnum(path.p[i]) && (path.p[i] == 0 || !strchr(extra, path.p[i]))) {
			field_invalid(e, p, path,
				"Invalid path (regex used for validation is "
				"'[A-Za-z0-9/\\-._~%%!$&'()*+,;=:]+')");
			return;
		}
}

void validate_domain_prefixed_key(struct str v, const struct field_path *p, struct field_errors *e)
{
	size_t before = e->n;

	if (v.n == 0) {
		field_required(e, p, "");
		return;
	}
	validate_qualified_name(v, p, e);
	if (e->n == before && str_chr(v, '/') < 0)
		field_invalid(e, p, v, "must be a domain-prefixed key (such as \"acme.io/foo\")");
}
