#include "base/file.h"

#include "base/fs.h"

int file_write(const char *path, struct str content, int mode, struct err *err)
{
	int r = fs_write_durably(path, content, mode);

	return r < 0 ? err_errno(err, -r, "cannot write %s", path) : 0;
}

int file_read(const char *path, size_t max, struct arena *a, struct str *ret, struct err *err)
{
	int r = fs_read(path, max, a, ret);

	return r < 0 ? err_errno(err, -r, "cannot read %s", path) : 0;
}
