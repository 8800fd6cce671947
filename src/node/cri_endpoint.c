#include "base/file.h"
#include "node/cri.h"

enum { ENDPOINT_BYTES_MAX = 4096 };

static struct str path_of(const char *data_dir, struct arena *a)
{
	return arena_fmt(a, "%s/runtime-endpoint", data_dir);
}

struct str cri_endpoint_recorded(const char *data_dir, struct arena *a)
{
	struct str text = {0};

	if (file_read(path_of(data_dir, a).p, ENDPOINT_BYTES_MAX, a, &text, NULL) < 0)
		return S("");
	return text;
}

int cri_endpoint_record(const char *data_dir, struct str endpoint, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};

	if (str_eq(cri_endpoint_recorded(data_dir, &a), endpoint))
		return 0;
	return file_write(path_of(data_dir, &a).p, endpoint, 0600, err);
}
