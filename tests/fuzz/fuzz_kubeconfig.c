/* kubeconfig files: what is read has a server, or an error says why not. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err CLEANUP(err_release) = {0};
	struct kubeconfig k CLEANUP(kubeconfig_release) = {0};
	int fd = memfd_create("kubeconfig", MFD_CLOEXEC);
	char path[32];

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (kubeconfig_read(path, NULL, &k, &err) == 0)
		assert(k.server.n && !err_set(&err));
	else
		assert(err_set(&err));
	close(fd);
	return 0;
}
