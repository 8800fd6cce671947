/*
 * flags.h: command lines as upstream's programs take them: --name=value, --name value, --flag,
 * --flag=false, -v 4.
 *
 *     struct my_flags f = {.port = 10250};
 *     const struct flag flags[] = {
 *             {"port", FLAG_INT, &f.port, "PORT", "port to serve on"},
 *             {"node-labels", FLAG_LIST, &f.labels, "K=V,…", "labels to register with"},
 *             {"kubelet-port", FLAG_INT, &f.port, "PORT", "--port", .retired = true},
 *             FLAGS_HEADING("Logs"), FLAGS_INCLUDE(flags_logging),
 *             {NULL},
 *     };
 *     r = flags_parse(flags, "kubelet", argc, argv, &rest);     // r: 0, FLAGS_HELP, or negative
 * (said on stderr)
 *
 * An unknown flag is an error that names the nearest one. A retired flag works and gives one
 * warning that names what took its place (`help`). Upstream's flags that do nothing here are
 * listed, too: FLAG_UNUSED where that harms nobody, FLAG_REFUSED where silence would. Values point
 * into argv; '_' in a name is '-'. Every program has --help, --version and -v/--v without listing
 * them.
 */
#ifndef SAMPAN_FLAGS_H
#define SAMPAN_FLAGS_H

#include "base/base.h"
#include "base/version.h"

enum flag_type {
	FLAG_BOOL,     /* bool */
	FLAG_INT,      /* int */
	FLAG_STRING,   /* const char * */
	FLAG_DURATION, /* int64_t milliseconds; "1m30s", "500ms" */
	FLAG_TEXTS,    /* struct flag_list: one value, may be repeated */
	FLAG_LIST,     /* struct flag_list: comma-separated, may be repeated */
	FLAG_RETIRED,  /* NULL: one of former days without a successor: a warning says why (`help`)
			*/
	FLAG_UNUSED,   /* NULL: of today, without effect here: one line says why (`help`) */
	FLAG_REFUSED,  /* NULL: of today, not done here: an error, unless the value is "", false, 0
			  or `value_name` */
	FLAG_GROUP,    /* const struct flag *: another table; or NULL: a heading (`help`) */
};

/* FLAG_RETIRED, FLAG_UNUSED and FLAG_REFUSED take the next argument as their value when it does not
 * look like a flag. */
struct flag {
	const char *name;
	enum flag_type type;
	void *to;
	const char *value_name, *help;
	bool retired; /* not in --help; `help` is today's flag */
};

#define FLAGS_HEADING(text)                                                                        \
	{                                                                                          \
		"", FLAG_GROUP, NULL, NULL, text                                                   \
	}
#define FLAGS_INCLUDE(table)                                                                       \
	{                                                                                          \
		"", FLAG_GROUP, (void *)(table)                                                    \
	}

enum { FLAG_LIST_MAX = 64, FLAGS_HELP = 1 };
struct flag_list {
	struct str v[FLAG_LIST_MAX];
	size_t n;
};

struct flag_args {
	char **v; /* what is not a flag, in order; points into the argv given */
	int n;
};

/* flags_upstream.c. Those of upstream's logging library, old and new: there is one way to log here.
 */
extern const struct flag flags_logging[];
/* Upstream's that every component has and that do not apply here: feature gates, metrics. */
extern const struct flag flags_component[];
/* … of components that are clients of the API: how fast and in which form they ask. */
extern const struct flag flags_client[];

/* argv[0] is the program's or subcommand's name and skipped. `rest` NULL: an argument that is not a
 * flag is an error.
 * "--" ends the flags. argv may be reordered. */
int flags_parse(const struct flag *flags, const char *program, int argc, char **argv,
	struct flag_args *rest);
void flags_usage(const struct flag *flags, const char *program);
/* The value of one flag before anything is parsed (the file to read first), NULL: not given. */
const char *flags_peek(int argc, char **argv, const char *name);
/* Which of a command line's flags are those of `of`, in order, as "--name=value" in `a`: what one
 * program hands on to another. `flags` is the table that the line was parsed with; it includes
 * `of`. A name that it has twice is the first one's. */
void flags_pick(const struct flag *flags, const struct flag *of, int argc, char **argv,
	struct arena *a, struct str_vec *ret);
/* "name: value" of each flag that does something here, sorted, a line each; after flags_parse.
 * (flags_values.c) */
void flags_values(const struct flag *flags, struct buf *out);
struct str flags_text(const struct flag *flags, struct arena *a);
/* The values of a list as a comma-separated string in `a`. */
const char *flag_list_join(const struct flag_list *l, struct arena *a);

void duration_format(int64_t ms, struct buf *out); /* as Go: "1h0m0s", "300ms", "0s" */
/* "1h2m3s", "300ms", "1.5h" as Go's ParseDuration -> milliseconds; 0 or -EINVAL. */
int duration_parse(struct str s, int64_t *ret_ms);

#endif
