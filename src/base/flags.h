/*
 * flags.h: command lines as upstream's programs take them: --name=value, --name value, --flag, --flag=false, -v 4.
 *
 *     struct my_flags f = {.port = 10250};
 *     const struct flag flags[] = {
 *             {"port", FLAG_INT, &f.port, "PORT", "port to serve on"},
 *             {"node-labels", FLAG_LIST, &f.labels, "K=V,…", "labels to register with"},
 *             {NULL},
 *     };
 *     r = flags_parse(flags, "kubelet", argc, argv, &rest);     // r: 0, FLAGS_HELP, or negative (said on stderr)
 *
 * An unknown flag is an error that names the nearest one. Retired flags are listed with FLAG_RETIRED and give one
 * warning with what `help` says instead. Values point into argv. Every program has --help and -v/--v without listing it.
 */
#ifndef SAMPAN_FLAGS_H
#define SAMPAN_FLAGS_H

#include "base/base.h"

enum flag_type {
	FLAG_BOOL,     /* bool */
	FLAG_INT,      /* int */
	FLAG_STRING,   /* const char * */
	FLAG_DURATION, /* int64_t milliseconds; "1m30s", "500ms" */
	FLAG_LIST,     /* struct flag_list: comma-separated, may be repeated */
	FLAG_RETIRED,  /* NULL: accepted and ignored with a warning */
};

struct flag {
	const char *name;
	enum flag_type type;
	void *to;
	const char *value_name, *help;
};

enum { FLAG_LIST_MAX = 64, FLAGS_HELP = 1 };
struct flag_list {
	struct str v[FLAG_LIST_MAX];
	size_t n;
};

struct flag_args {
	char **v; /* what is not a flag, in order; points into the argv given */
	int n;
};

/* argv[0] is the program's or subcommand's name and skipped. `rest` NULL: an argument that is not a flag is an error.
 * "--" ends the flags. argv may be reordered. */
int flags_parse(const struct flag *flags, const char *program, int argc, char **argv, struct flag_args *rest);
void flags_usage(const struct flag *flags, const char *program);

/* "1h2m3s", "300ms", "1.5h" as Go's ParseDuration -> milliseconds; 0 or -EINVAL. */
int duration_parse(struct str s, int64_t *ret_ms);

#endif
