#include "client/leader.h"

struct leader_flags leader_flags_default(const char *name)
{
	return (struct leader_flags){
		.elect = true,
		.lease_ms = 15000,
		.renew_ms = 10000,
		.retry_ms = 2000,
		.lock = "leases",
		.ns = "kube-system",
		.name = name,
	};
}

void leader_flags_table(struct leader_flags *f, struct flag table[LEADER_FLAGS_MAX])
{
	const struct flag flags[] = {
		FLAGS_HEADING("Leader election"),
		{"leader-elect", FLAG_BOOL, &f->elect, NULL,
			"work only while holding a Lease, so that several may run; default: true"},
		{"leader-elect-lease-duration", FLAG_DURATION, &f->lease_ms, "T",
			"how long the others wait for a leader that is silent; default: 15s"},
		{"leader-elect-renew-deadline", FLAG_DURATION, &f->renew_ms, "T",
			"after that long without renewal a leader stops; default: 10s"},
		{"leader-elect-retry-period", FLAG_DURATION, &f->retry_ms, "T",
			"between two tries; default: 2s"},
		{"leader-elect-resource-name", FLAG_STRING, &f->name, "NAME", "of the Lease"},
		{"leader-elect-resource-namespace", FLAG_STRING, &f->ns, "NAMESPACE",
			"of the Lease; default: kube-system"},
		{"leader-elect-resource-lock", FLAG_STRING, &f->lock, "KIND", "leases"},
		{NULL},
	};

	_Static_assert(ARRAY_SIZE(flags) <= LEADER_FLAGS_MAX, "too many flags");
	memcpy(table, flags, sizeof(flags));
}

int leader_flags_check(const struct leader_flags *f, struct err *err)
{
	if (strcmp(f->lock, "leases"))
		return err_bad_request(err,
			"--leader-elect-resource-lock=%s: leases is the kind there is", f->lock);
	if (f->retry_ms < 1 || f->lease_ms < 1000)
		return err_bad_request(err, "--leader-elect-lease-duration is one second at least, "
					    "--leader-elect-retry-period more than nothing");
	if (f->lease_ms <= f->renew_ms)
		return err_bad_request(err, "--leader-elect-lease-duration must be greater than "
					    "--leader-elect-renew-deadline");
	if (f->renew_ms * 10 <= f->retry_ms * 12)
		return err_bad_request(err, "--leader-elect-renew-deadline must be greater than "
					    "--leader-elect-retry-period times 1.2");
	return 0;
}
