/*
 * atomic_writer.h: writes the files of a config map, secret or projected volume so that a reader
 * sees either all old or all new ones:
 *
 *     <dir>/..2026_01_02_15_04_05.123456789/key      the files
 *     <dir>/..data -> ..2026_01_02_15_04_05.123456789  swapped by one rename
 *     <dir>/key -> ..data/key                          what users open
 *
 * Blocks on local files only.
 */
#ifndef SAMPAN_ATOMIC_WRITER_H
#define SAMPAN_ATOMIC_WRITER_H

#include "base/base.h"

struct payload_file {
	struct str path; /* relative; no "..", no empty element */
	struct str content;
	int mode;
	int64_t uid; /* -1: root */
};
struct payload {
	struct payload_file *v;
	size_t n;
	int64_t fs_group; /* -1: none */
};

/* Does nothing when the files are there already, equal in content, mode and owner. `name` names the
 * new directory. */
int atomic_write(const char *dir, const struct payload *p, int64_t now_ns, struct err *err);
/* Whether a path is fit to be written below a volume: upstream's rules. */
int payload_path_check(struct str path, struct err *err);

#endif
