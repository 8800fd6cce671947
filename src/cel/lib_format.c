/* lib_format.c: Kubernetes' named formats: format.dns1123Label().validate(s) … */
#include <ctype.h>

#include "cel/url.h"
#include "base/base64.h"

struct format {
	const char *name;    /* in expressions */
	unsigned regex_size; /* what its cost is computed from */
	void (*validate)(struct cel_call *c, struct str s, bool prefix, struct cel_value *to);
	bool prefix; /* a name is made by appending to it */
};

static const char label_message[] =
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
	"must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "
	"used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
static const char subdomain_message[] =
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
	"'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
	"used "
	"for validation is "
	"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
static const char label1035_message[] =
	"a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
	"alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
	"'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
static const char qualified_regex[] =
	"must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
	"alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
	"validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
static const char value_message[] =
	"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
	"'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
	"'my_value',  or '12345', regex used for validation is "
	"'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

static void complain(struct cel_call *c, struct cel_value *to, const char *message)
{
	*to = cel_list_append(*to, cel_string(str_c(message)), c->a);
}

static void complain_of(
	struct cel_call *c, struct cel_value *to, const char *prefix, const char *message)
{
	*to = cel_list_append(*to, cel_string(arena_fmt(c->a, "%s%s", prefix, message)), c->a);
}

static bool lower_alnum(char ch)
{
	return (ch >= 'a' && ch <= 'z') || isdigit((unsigned char)ch);
}

static bool is_label(struct str s)
{
	if (s.n == 0 || !lower_alnum(s.p[0]) || !lower_alnum(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!lower_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

/* A prefix may end with a dash, which stands for what will come. */
static struct str without_dash(struct cel_call *c, struct str s, bool prefix)
{
	char *p;

	if (!prefix || s.n < 2 || s.p[s.n - 1] != '-')
		return s;
	p = arena_cstr(c->a, s);
	p[s.n - 2] = 'a';
	return str_n(p, s.n - 1);
}

static void too_long(struct cel_call *c, struct cel_value *to, const char *what, int max)
{
	*to = cel_list_append(*to,
		cel_string(arena_fmt(c->a, "%smust be no more than %d bytes", what, max)), c->a);
}

static void dns1123_label(struct cel_call *c, struct str s, bool prefix, struct cel_value *to)
{
	s = without_dash(c, s, prefix);
	if (s.n > 63)
		too_long(c, to, "", 63);
	if (!is_label(s))
		complain(c, to, label_message);
}

static bool is_subdomain(struct str s)
{
	struct str part;
	bool more = true;

	while (more) {
		more = str_cut(s, '.', &part, &s);
		if (!is_label(part))
			return false;
	}
	return true;
}

static void dns1123_subdomain(struct cel_call *c, struct str s, bool prefix, struct cel_value *to)
{
	s = without_dash(c, s, prefix);
	if (s.n > 253)
		too_long(c, to, "", 253);
	if (!is_subdomain(s))
		complain(c, to, subdomain_message);
}

static void dns1035_label(struct cel_call *c, struct str s, bool prefix, struct cel_value *to)
{
	s = without_dash(c, s, prefix);
	if (s.n > 63)
		too_long(c, to, "", 63);
	if (!is_label(s) || isdigit((unsigned char)s.p[0]))
		complain(c, to, label1035_message);
}

static bool is_label_name(struct str s)
{
	if (s.n == 0 || !isalnum((unsigned char)s.p[0]) || !isalnum((unsigned char)s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && !strchr("-_.", s.p[i]))
			return false;
	return true;
}

static void qualified_name(struct cel_call *c, struct str s, bool prefix, struct cel_value *to)
{
	struct str domain, name = s;
	bool has_domain = str_cut(s, '/', &domain, &name);

	if (has_domain && str_chr(name, '/') >= 0) {
		complain_of(c, to, "a valid label key ",
			arena_fmt(c->a,
				"%s with an optional DNS subdomain prefix and '/' (e.g. "
				"'example.com/MyName')",
				qualified_regex)
				.p);
		return;
	}
	if (!has_domain)
		name = s;
	if (has_domain && domain.n == 0)
		complain(c, to, "prefix part must be non-empty");
	else if (has_domain && domain.n > 253)
		too_long(c, to, "prefix part ", 253);
	if (has_domain && domain.n && !is_subdomain(domain))
		complain_of(c, to, "prefix part ", subdomain_message);
	if (name.n == 0)
		complain(c, to, "name part must be non-empty");
	else if (name.n > 63)
		too_long(c, to, "name part ", 63);
	if (!is_label_name(name))
		complain_of(c, to, "name part ", qualified_regex);
}

static void label_value(struct cel_call *c, struct str s, bool prefix, struct cel_value *to)
{
	if (s.n > 63)
		too_long(c, to, "", 63);
	if (s.n && !is_label_name(s))
		complain(c, to, value_message);
}

static void uri(struct cel_call *c, struct str s, bool prefix, struct cel_value *to)
{
	struct cel_url u;
	struct str error;

	if (!cel_url_parse(s, c->a, &u, &error))
		*to = cel_list_append(*to, cel_string(error), c->a);
}

/* 8-4-4-4-12 hexadecimal digits; each dash may be left out */
static bool is_uuid(struct str s)
{
	static const int groups[] = {8, 4, 4, 4, 12};
	size_t at = 0;

	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		if (g > 0 && at < s.n && s.p[at] == '-')
			at++;
		for (int i = 0; i < groups[g]; i++, at++)
			if (at >= s.n || !isxdigit((unsigned char)s.p[at]))
				return false;
	}
	return at == s.n;
}

static void uuid(struct cel_call *c, struct str s, bool prefix, struct cel_value *to)
{
	if (!is_uuid(s))
		complain(c, to, "does not match the UUID format");
}

static void byte(struct cel_call *c, struct str s, bool prefix, struct cel_value *to)
{
	struct str bytes;

	if (s.n == 0 || base64_decode(s, c->a, &bytes) != 0)
		complain(c, to, "invalid base64");
}

static void date(struct cel_call *c, struct str s, bool prefix, struct cel_value *to)
{
	struct str text = arena_fmt(c->a, STR_FMT "T00:00:00Z", STR_ARG(s));

	if (s.n != 10 || cel_timestamp_parse(text, c->a).kind == CEL_ERROR)
		complain(c, to, "invalid date");
}

static void datetime(struct cel_call *c, struct str s, bool prefix, struct cel_value *to)
{
	char *text = arena_cstr(c->a, s);

	for (size_t i = 0; i < s.n; i++)
		text[i] = (char)toupper((unsigned char)text[i]);
	if (cel_timestamp_parse(str_n(text, s.n), c->a).kind == CEL_ERROR)
		complain(c, to, "invalid datetime");
}

static const struct format formats[] = {
	{"byte", 84, byte, false},
	{"date", 71, date, false},
	{"datetime", 71, datetime, false},
	{"dns1035Label", 30, dns1035_label, false},
	{"dns1035LabelPrefix", 30, dns1035_label, true},
	{"dns1123Label", 30, dns1123_label, false},
	{"dns1123LabelPrefix", 30, dns1123_label, true},
	{"dns1123Subdomain", 60, dns1123_subdomain, false},
	{"dns1123SubdomainPrefix", 60, dns1123_subdomain, true},
	{"labelValue", 40, label_value, false},
	{"qualifiedName", 60, qualified_name, false},
	{"uri", 1103, uri, false},
	{"uuid", 70, uuid, false},
};

uint64_t cel_format_regex_size(struct cel_value format)
{
	return format.kind == CEL_OPAQUE ? ((const struct format *)format.ref.p)->regex_size : 0;
}

static struct cel_value find(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (str_eqc(name, formats[i].name))
			return cel_opaque(&cel_type_format, &formats[i]);
	return cel_null();
}

static struct cel_value named(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value f = find(v->s);

	return f.kind == CEL_NULL ? cel_none() : cel_optional_of(f, c->a);
}

/* format.uri(): the function's own name says which */
static struct cel_value constant(struct cel_call *c, const struct cel_value *v)
{
	return find(str_c(c->node->function->name + strlen("format.")));
}

static struct cel_value validate(struct cel_call *c, const struct cel_value *v)
{
	const struct format *f = v[0].ref.p;
	struct cel_value list = cel_empty_list();

	f->validate(c, v[1].s, f->prefix, &list);
	return cel_size(list) ? cel_optional_of(list, c->a) : cel_none();
}

#define T(name) &cel_type_##name
static const struct cel_overload named_overloads[] = {
	{.args = {T(string)}, .n_args = 1, .result = T(optional_format), .fn = named}};
static const struct cel_overload validate_overloads[] = {{.args = {T(format), T(string)},
	.n_args = 2,
	.member = true,
	.result = T(optional_list_string),
	.fn = validate,
	.cost = CEL_COST_VALIDATE}};
static const struct cel_overload constant_overloads[] = {{.result = T(format), .fn = constant}};

static const struct cel_function functions[] = {
	{"format.named", CEL_OVERLOADS(named_overloads)},
	{"validate", CEL_OVERLOADS(validate_overloads)},
	{"format.byte", CEL_OVERLOADS(constant_overloads)},
	{"format.date", CEL_OVERLOADS(constant_overloads)},
	{"format.datetime", CEL_OVERLOADS(constant_overloads)},
	{"format.dns1035Label", CEL_OVERLOADS(constant_overloads)},
	{"format.dns1035LabelPrefix", CEL_OVERLOADS(constant_overloads)},
	{"format.dns1123Label", CEL_OVERLOADS(constant_overloads)},
	{"format.dns1123LabelPrefix", CEL_OVERLOADS(constant_overloads)},
	{"format.dns1123Subdomain", CEL_OVERLOADS(constant_overloads)},
	{"format.dns1123SubdomainPrefix", CEL_OVERLOADS(constant_overloads)},
	{"format.labelValue", CEL_OVERLOADS(constant_overloads)},
	{"format.qualifiedName", CEL_OVERLOADS(constant_overloads)},
	{"format.uri", CEL_OVERLOADS(constant_overloads)},
	{"format.uuid", CEL_OVERLOADS(constant_overloads)},
};
const struct cel_library cel_lib_format = {functions, ARRAY_SIZE(functions)};
