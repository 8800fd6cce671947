#include "base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

int library_open(const char *file, const struct library_symbol *symbols, size_t n, void *ret_table,
	struct err *err)
{
	void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return err_internal(err, "cannot open a library: %s", dlerror()), -ELIBACC;
	for (size_t i = 0; i < n; i++) {
		void *p = dlsym(library, symbols[i].name);

		if (!p)
			return err_internal(
				       err, "%s is too old: %s is missing", file, symbols[i].name),
			       -ELIBACC;
		memcpy((char *)ret_table + i * sizeof(p), &p, sizeof(p));
	}
	return 0;
}
