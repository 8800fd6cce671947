/* main.c: the table of programs and subcommands. The first word chooses, or the name we were
 * started by. */
#include <stdio.h>

#include "base/base.h"
#include "programs.h"

static int version_main(int argc, char **argv)
{
	printf("sampan %s (Kubernetes v1.36)\n", SAMPAN_VERSION);
	return 0;
}

static const struct program {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help; /* NULL: not shown */
} programs[] = {
#define PROGRAM(name, fn, help) {name, fn, help},
#include "programs.def"
	{"version", version_main, "print the version"},
};

static int help(FILE *to)
{
	fprintf(to,
		"Sampan: Kubernetes in one small program.\n\nusage: sampan COMMAND [flags]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (programs[i].help)
			fprintf(to, "  %-24s %s\n", programs[i].name, programs[i].help);
	fprintf(to, "\nsampan COMMAND --help tells more. A link named like a command runs it.\n");
	return to == stdout ? 0 : 2;
}

static const struct program *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (!strcmp(programs[i].name, name))
			return &programs[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const struct program *p = argc > 0 ? find(slash ? slash + 1 : argv[0]) : NULL;

	if (p)
		return p->main(argc, argv);
	if (argc < 2)
		return help(stderr);
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help(stdout);
	p = find(argv[1]);
	if (!p) {
		fprintf(stderr, "sampan: unknown command \"%s\"; sampan help lists them\n",
			argv[1]);
		return 2;
	}
	return p->main(argc - 1, argv + 1);
}
