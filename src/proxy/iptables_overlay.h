/*
 * iptables_overlay.h: what changes at once in a host with thousands of services, in iptables mode
 * (nft variant).
 *
 * Whenever a rule is added to a table the kernel walks through all of the table's rules that
 * packets can reach, to see whether they lead in a circle: 70 ms for table nat with ten thousand
 * services, whatever was added and however it is written. Taking rules away costs nothing. So a
 * service that changes loses its outdated rules there and is served, in the same transaction, by
 * tables of its own beside it (those of mode nftables, nft_rules.h), which packets pass after
 * iptables' own and which are small; a few seconds later, with everything else that has changed
 * meanwhile, it moves back: into KUBE-SERVICES, KUBE-SVC-… and so on, where `iptables-save` shows
 * it.
 *
 * In the same way many services are in effect soon after the proxy's start: they are written here
 * first, which takes half the time, and move back some hundred at a time.
 *
 * Not for services that remember their clients (session affinity): the two would disagree.
 */
#ifndef SAMPAN_PROXY_IPTABLES_OVERLAY_H
#define SAMPAN_PROXY_IPTABLES_OVERLAY_H

#include "proxy/iptables_rules.h"
#include "proxy/nft_rules.h"

/* Kinds of items of a ruleset from here on are nft_rules.h's. */
enum { IPTABLES_OVERLAY_KIND = 8 };

struct iptables_overlay {
	const struct proxy_config *config;
	bool laid; /* the tables are there */
	struct nft_shared shared;
	struct map services; /* "namespace/name" -> struct overlaid *: who is served here now */
	struct buf commands; /* of the transaction, in nft's language */
};
void iptables_overlay_release(struct iptables_overlay *o);
/* Makes the (empty) tables. Takes a fraction of a second: libnftables looks around. */
int iptables_overlay_lay(struct iptables_overlay *o, struct err *err);
/* The tables are to go, with all that is in them; a full program follows. */
void iptables_overlay_reset(struct iptables_overlay *o);

/* The items of one service for these tables, appended to those of iptables. */
void iptables_overlay_render(const struct iptables_overlay *o, const struct proxy_service *svc,
	struct ruleset *ret, struct arena *a);

/* How iptables' tables are to change with a service. */
struct iptables_change {
	bool retire;                  /* only what is outdated goes: see iptables_retire */
	struct ruleset before, after; /* what they have, and should have in the end */
	struct ruleset left;          /* for iptables_retire to fill */
	struct arena arena;
	struct overlaid *was, *now;
};
/* Appends what changes beside them to `commands`; iptables_overlay_changed must follow. */
void iptables_overlay_change(struct iptables_overlay *o, struct str service,
	const struct ruleset *before, const struct ruleset *after, bool full,
	struct iptables_change *ret);
void iptables_overlay_changed(struct iptables_overlay *o, struct iptables_change *c);

/* At most so many services move back: calls `fn` with what iptables' tables have and should have of
 * each; appends to `commands` what takes them away here. */
void iptables_overlay_fold(struct iptables_overlay *o, size_t services_max,
	void (*fn)(void *user_data, const struct ruleset *before, const struct ruleset *after),
	void *user_data);

#endif
