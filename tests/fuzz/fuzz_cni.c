/* CNI: a network's configuration, and a plugin's result. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "network/address.h"
#include "network/cni.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_config(const uint8_t *data, size_t size)
{
	struct cni_config c = {0};
	int fd = memfd_create("cni", MFD_CLOEXEC);
	char path[32];

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (cni_config_recall(path, &c, NULL) == 0) {
		assert(c.plugins.n);
		cni_config_release(&c);
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct str_vec ips = {0};
	struct ip_addr ip;

	read_config(data, size);
	if (cni_result_ips(str_n((const char *)data, size), &a, &ips, NULL) == 0)
		for (size_t i = 0; i < ips.n; i++)
			assert(addr_parse(ips.v[i], &ip) == 0);
	arena_release(&a);
	return 0;
}
