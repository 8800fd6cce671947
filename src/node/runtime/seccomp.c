/*
 * seccomp.c: the RuntimeDefault profile, as data: the system calls that a container may make;
 * anything else is EPERM (ENOSYS for clone3, so that the C library falls back to clone). The facts
 * are those of docker's and containerd's default profile.
 */
#include "json/value.h"
#include "base/fs.h"
#include "node/runtime/jsonout.h"
#include "node/runtime/spec.h"

enum { PROFILE_BYTES_MAX = 1024 * 1024, EPERM_NUMBER = 1, ENOSYS_NUMBER = 38 };

static const char allowed[] = "accept accept4 access adjtimex alarm bind brk cachestat capget "
			      "capset chdir chmod chown chown32 clock_adjtime "
			      "clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
			      "clock_gettime64 clock_nanosleep "
			      "clock_nanosleep_time64 close close_range connect copy_file_range "
			      "creat dup dup2 dup3 epoll_create epoll_create1 "
			      "epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
			      "epoll_wait_old eventfd eventfd2 execve execveat exit "
			      "exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate "
			      "fanotify_mark fchdir fchmod fchmodat fchmodat2 "
			      "fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr "
			      "flistxattr flock fork fremovexattr fsetxattr fstat "
			      "fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 "
			      "futex futex_requeue futex_time64 futex_wait "
			      "futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 "
			      "getegid getegid32 geteuid geteuid32 getgid "
			      "getgid32 getgroups getgroups32 getitimer getpeername getpgid "
			      "getpgrp getpid getppid getpriority getrandom "
			      "getresgid getresgid32 getresuid getresuid32 getrlimit "
			      "get_robust_list getrusage getsid getsockname getsockopt "
			      "get_thread_area gettid gettimeofday getuid getuid32 getxattr "
			      "inotify_add_watch inotify_init inotify_init1 "
			      "inotify_rm_watch io_cancel ioctl io_destroy io_getevents "
			      "io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set "
			      "io_setup io_submit ipc kill landlock_add_rule "
			      "landlock_create_ruleset landlock_restrict_self lchown lchown32 "
			      "lgetxattr link linkat listen listxattr llistxattr _llseek "
			      "lremovexattr lseek lsetxattr lstat lstat64 madvise "
			      "map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir "
			      "mkdirat mknod mknodat mlock mlock2 mlockall "
			      "mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive "
			      "mq_timedreceive_time64 mq_timedsend "
			      "mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv msgsnd "
			      "msync munlock munlockall munmap "
			      "name_to_handle_at nanosleep newfstatat _newselect open openat "
			      "openat2 pause pidfd_open pidfd_send_signal pipe "
			      "pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 "
			      "prctl pread64 preadv preadv2 prlimit64 "
			      "process_mrelease process_vm_readv process_vm_writev ptrace pselect6 "
			      "pselect6_time64 pwrite64 pwritev pwritev2 read "
			      "readahead readlink readlinkat readv recv recvfrom recvmmsg "
			      "recvmmsg_time64 recvmsg remap_file_pages removexattr "
			      "rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction "
			      "rt_sigpending rt_sigprocmask rt_sigqueueinfo "
			      "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
			      "rt_tgsigqueueinfo sched_getaffinity "
			      "sched_getattr sched_getparam sched_get_priority_max "
			      "sched_get_priority_min sched_getscheduler "
			      "sched_rr_get_interval sched_rr_get_interval_time64 "
			      "sched_setaffinity sched_setattr sched_setparam "
			      "sched_setscheduler sched_yield seccomp select semctl semget semop "
			      "semtimedop semtimedop_time64 send sendfile "
			      "sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid "
			      "setfsuid32 setgid setgid32 setgroups setgroups32 "
			      "setitimer setpgid setpriority setregid setregid32 setresgid "
			      "setresgid32 setresuid setresuid32 setreuid setreuid32 "
			      "setrlimit set_robust_list setsid setsockopt set_thread_area "
			      "set_tid_address setuid setuid32 setxattr shmat shmctl "
			      "shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask "
			      "sigreturn socketcall socketpair splice stat "
			      "stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range "
			      "syncfs sysinfo tee tgkill time timer_create "
			      "timer_delete timer_getoverrun timer_gettime timer_gettime64 "
			      "timer_settime timer_settime64 timerfd_create "
			      "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 "
			      "times tkill truncate truncate64 ugetrlimit "
			      "umask uname unlink unlinkat utime utimensat utimensat_time64 utimes "
			      "vfork vmsplice wait4 waitid waitpid write "
			      "writev arch_prctl modify_ldt";

/* More with a capability. */
static const struct {
	int cap;
	const char *calls;
} with_cap[] = {
	{2, "open_by_handle_at"}, /* CAP_DAC_READ_SEARCH */
	{21, "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick "
	     "lookup_dcookie "
	     "lsm_get_self_attr "
	     "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount "
	     "open_tree "
	     "perf_event_open quotactl "
	     "quotactl_fd setdomainname sethostname setns syslog umount umount2 "
	     "unshare"},                                                   /* CAP_SYS_ADMIN
									    */
	{22, "reboot"},                                                    /* CAP_SYS_BOOT */
	{18, "chroot"},                                                    /* CAP_SYS_CHROOT */
	{16, "delete_module init_module finit_module"},                    /* CAP_SYS_MODULE */
	{20, "acct"},                                                      /* CAP_SYS_PACCT */
	{19, "kcmp pidfd_getfd process_madvise"},                          /* CAP_SYS_PTRACE */
	{17, "iopl ioperm"},                                               /* CAP_SYS_RAWIO */
	{25, "settimeofday stime clock_settime clock_settime64"},          /* CAP_SYS_TIME */
	{26, "vhangup"},                                                   /* CAP_SYS_TTY_CONFIG */
	{23, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"}, /* CAP_SYS_NICE
									    */
	{34, "syslog"},                                                    /* CAP_SYSLOG */
	{39, "bpf"},                                                       /* CAP_BPF */
	{38, "perf_event_open"},                                           /* CAP_PERFMON */
};

static void write_names(struct jout *j, const char *list)
{
	struct str rest = str_c(list), head;
	bool more = true;

	jout_open(j, "names", '[');
	while (more) {
		more = str_cut(rest, ' ', &head, &rest);
		jout_str(j, NULL, head);
	}
	jout_close(j, ']');
}

static void write_rule(struct jout *j, const char *names, const char *action)
{
	jout_open(j, NULL, '{');
	write_names(j, names);
	jout_c(j, "action", action);
	jout_close(j, '}');
}

/* One argument compared: personality(value), socket(family != AF_VSOCK), clone without new
 * namespaces. */
static void write_rule_arg(
	struct jout *j, const char *name, int64_t value, int64_t value_two, const char *op)
{
	jout_open(j, NULL, '{');
	write_names(j, name);
	jout_c(j, "action", "SCMP_ACT_ALLOW");
	jout_open(j, "args", '[');
	jout_open(j, NULL, '{');
	jout_int(j, "index", 0);
	jout_int(j, "value", value);
	jout_int(j, "valueTwo", value_two);
	jout_c(j, "op", op);
	jout_close(j, '}');
	jout_close(j, ']');
	jout_close(j, '}');
}

static bool cap_given(const struct spec_input *in, int cap)
{
	for (size_t i = 0; i < in->cfg->add_capabilities.n; i++)
		if (cap_number(in->cfg->add_capabilities.v[i]) == cap ||
			str_ieq(in->cfg->add_capabilities.v[i], S("ALL")))
			return true;
	for (size_t i = 0; i < in->cfg->drop_capabilities.n; i++)
		if (cap_number(in->cfg->drop_capabilities.v[i]) == cap ||
			str_ieq(in->cfg->drop_capabilities.v[i], S("ALL")))
			return false;
	return caps_default() & (1ULL << cap);
}

static void write_architectures(struct jout *j)
{
#if defined(__x86_64__)
	static const struct str v[] = {
		S("SCMP_ARCH_X86_64"), S("SCMP_ARCH_X86"), S("SCMP_ARCH_X32")};
#elif defined(__aarch64__)
	static const struct str v[] = {S("SCMP_ARCH_AARCH64"), S("SCMP_ARCH_ARM")};
#else
	static const struct str v[] = {};
#endif
	struct str_vec list = {(struct str *)v, ARRAY_SIZE(v)};

	if (list.n)
		jout_strs(j, "architectures", &list);
}

static void write_default(const struct spec_input *in, struct jout *j)
{
	static const int64_t personalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
	enum { AF_VSOCK_NUMBER = 40, NEW_NAMESPACES = 0x7e020000 };
	bool admin = cap_given(in, 21);

	jout_open(j, "seccomp", '{');
	jout_c(j, "defaultAction", "SCMP_ACT_ERRNO");
	jout_int(j, "defaultErrnoRet", EPERM_NUMBER);
	write_architectures(j);
	jout_open(j, "syscalls", '[');
	write_rule(j, allowed, "SCMP_ACT_ALLOW");
	for (size_t i = 0; i < ARRAY_SIZE(personalities); i++)
		write_rule_arg(j, "personality", personalities[i], 0, "SCMP_CMP_EQ");
	write_rule_arg(j, "socket", AF_VSOCK_NUMBER, 0, "SCMP_CMP_NE");
	for (size_t i = 0; i < ARRAY_SIZE(with_cap); i++)
		if (cap_given(in, with_cap[i].cap))
			write_rule(j, with_cap[i].calls, "SCMP_ACT_ALLOW");
	if (!admin) {
		write_rule_arg(j, "clone", NEW_NAMESPACES, 0, "SCMP_CMP_MASKED_EQ");
		jout_open(j, NULL, '{');
		write_names(j, "clone3");
		jout_c(j, "action", "SCMP_ACT_ERRNO");
		jout_int(j, "errnoRet", ENOSYS_NUMBER);
		jout_close(j, '}');
	}
	jout_close(j, ']');
	jout_close(j, '}');
}

int spec_seccomp(const struct spec_input *in, struct arena *a, struct jout *j, struct err *err)
{
	const struct cri_seccomp *s = &in->cfg->seccomp;
	struct str text;
	int r;

	if (in->cfg->privileged || s->kind == CRI_PROFILE_UNCONFINED)
		return 0;
	if (!in->seccomp)
		return s->kind == CRI_PROFILE_LOCALHOST
			       ? err_bad_request(err, "seccomp is not supported by the OCI runtime")
			       : 0;
	if (s->kind == CRI_PROFILE_RUNTIME_DEFAULT) {
		write_default(in, j);
		return 0;
	}
	r = fs_read(arena_cstr(a, s->path), PROFILE_BYTES_MAX, a, &text);
	if (r < 0)
		return err_errno(
			err, -r, "cannot load seccomp profile \"" STR_FMT "\"", STR_ARG(s->path));
	{
		struct json_value *v;

		r = json_parse(text, a, &v, err);
		if (r < 0)
			return r;
		jout_raw(j, "seccomp", json_text(v, a));
	}
	return 0;
}
