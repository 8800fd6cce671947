/*
 * iptables_wire.h: input of iptables-restore, as far as this proxy writes it (iptables_rules.h),
 * straight to netlink messages, in the form in which the nft variant of iptables (iptables-nft)
 * keeps its tables: iptables-save shows what iptables-restore would have made of it.
 *
 * iptables-restore takes seconds for ten thousand services, and needs to look for a rule that it is
 * to delete; here the kernel tells where it has put those that may be.
 */
#ifndef SAMPAN_PROXY_IPTABLES_WIRE_H
#define SAMPAN_PROXY_IPTABLES_WIRE_H

#include "base/map.h"

enum { IPTABLES_TABLE_MAX = 16 }; /* bytes of a name of a table, with its NUL */

struct nlmsghdr;
struct iptables_pending;

/* What is known of one family's tables in the kernel. Zero-initialized but for ipv6. */
struct iptables_wire {
	bool ipv6;
	struct map handles; /* "nat KUBE-SERVICES -m …" -> the rule's number */
	struct map chains;  /* "nat KUBE-SERVICES" -> 1 + what its rules weigh */
	int64_t weight;     /* of all of them: one a rule, one a jump to such a chain */
	struct map
		doomed; /* chains of nat that were emptied, to be deleted by iptables_wire_tidy */
	struct iptables_pending *pending; /* rules of the batch whose numbers are to come */
	size_t n_pending, cap_pending;
};
void iptables_wire_release(struct iptables_wire *w); /* forgets all; may be used again */

/* A chain was there before. */

void iptables_wire_knows(struct iptables_wire *w, struct str table, struct str chain);

/* Appends messages to a batch (nft_socket.h). Chains to be deleted are emptied only: kernels before
 * 6.2 cannot delete a chain in the transaction that removes what refers to it. -EINVAL with err
 * when a line is not understood, -ENOENT when it deletes a rule that is not known. */
int iptables_wire_append(struct iptables_wire *w, struct str input, uint32_t *seq,
	struct buf *messages, struct err *err);
/* An nft_message_fn for nft_socket_send, with a struct iptables_wire *[2] of both families. */
void iptables_wire_echo(void *user_data, const struct nlmsghdr *h);
/* After a batch has been answered. */
void iptables_wire_expect_nothing(struct iptables_wire *w);
/* Deletes emptied chains. */
void iptables_wire_tidy(struct iptables_wire *w, uint32_t *seq, struct buf *messages);

#endif
