#include <stdio.h>

#include "base/fs.h"
#include "node/runtime/spec.h"

/* linux/capability.h, by number. */
static const char *const names[] = {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH",
	"CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT",
	"CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
	"CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ",
	"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"};

const char *cap_name(int number)
{
	return number >= 0 && number < (int)ARRAY_SIZE(names) ? names[number] : NULL;
}

int cap_number(struct str name)
{
	if (name.n > 4 && str_ieq(str_sub(name, 0, 4), S("CAP_")))
		name = str_sub(name, 4, name.n);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_ieq(name, str_c(names[i] + 4)))
			return i;
	return -1;
}

/* What containerd and docker give a container that asks for nothing. */
uint64_t caps_default(void)
{
	static const int list[] = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31};
	uint64_t caps = 0;

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		caps |= 1ULL << list[i];
	return caps;
}

uint64_t caps_ours(void)
{
	struct arena a CLEANUP(arena_release);
	unsigned long long caps = caps_default();
	const char *line;
	struct str text;

	arena_init(&a);
	if (fs_read("/proc/self/status", 65536, &a, &text) == 0 &&
		(line = strstr(text.p, "CapPrm:")))
		sscanf(line, "CapPrm: %llx", &caps);
	return caps;
}
