/* machine.h: facts of this machine: addresses, CPUs, memory, identity. They block briefly on /proc
 * and /sys. */
#ifndef SAMPAN_NODE_MACHINE_H
#define SAMPAN_NODE_MACHINE_H

#include "base/base.h"

/* The default route's interface's address, else the first that is not loopback; v4 before v6.
 * -ENOENT: there is none. */
int machine_address(struct arena *a, struct str *ret);
/* The interface that has the machine's main address: of the default route, else of the first that
 * is not loopback; "" when there is none. */
void machine_main_interface(char out[16]);
int machine_cpus(void);
/* How many processes and threads there may be, and are; false: /proc does not say. */
bool machine_processes(uint64_t *ret_max, uint64_t *ret_now);
uint64_t machine_memory(void); /* bytes */
uint64_t machine_memory_available(void);
uint64_t machine_disk(
	const char *path, uint64_t *ret_free, uint64_t *ret_inodes, uint64_t *ret_inodes_free);
struct str machine_hostname(struct arena *a); /* lower case */

struct machine_info {
	struct str machine_id, system_uuid, boot_id, kernel_version, os_image;
	const char *architecture; /* Go's name */
};
void machine_info(struct arena *a, struct machine_info *ret);
/* Sizes of huge pages: "hugepages-2Mi" -> bytes. */
struct str_map machine_hugepages(struct arena *a);

#endif
