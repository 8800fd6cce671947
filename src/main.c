/* main.c: the table of programs and subcommands. */
#include <stdio.h>

#include "base/base.h"

int main(int argc, char **argv)
{
	printf("sampan %s\n", SAMPAN_VERSION);
	return argc > 1 && argv[1] ? 2 : 0;
}
